"""The file a backup is: a gzipped tar of `backup.json`, which says what it holds, and `pgdata`."""

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from api.backups.contents import Held

FORMAT = 1
DESCRIPTION = "backup.json"
DESCRIPTION_BYTES_MAX = 10_000_000
DATA = "pgdata"
FAST = 1
"""gzip's level: half of what higher ones save, at several times their speed."""
READ_BYTES = 1_000_000

Progress = Callable[[str, int, int], None]
"""Told what is done, how far, and of how much."""


class Damaged(Exception):
    """A file is no backup, or not as it was written; the message says what was found."""


class Description(msgspec.Struct, frozen=True):
    """What a backup holds. `ended_at` is a lower bound: what was acknowledged before is in it."""

    format: int
    release: str
    """Of the ledger that took it."""
    postgres: str
    """The server's version, such as 18.6; its major version must restore it."""
    started_at: datetime
    ended_at: datetime
    regions: tuple[Held, ...]
    """As of `ended_at`."""

    @property
    def major(self) -> str:
        """The major version of PostgreSQL: 18."""
        return self.postgres.split(".")[0]


class _Digesting(io.RawIOBase):
    """A file whose bytes are hashed as they pass, in order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.passed = 0

    @property
    def hex(self) -> str:
        return self._digest.hexdigest()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]  # narrower than any buffer, and all that gzip gives
        read = self._file.read(len(buffer))
        buffer[: len(read)] = read
        self._pass(read)
        return len(read)

    def write(self, chunk: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]  # as above
        self._pass(chunk)
        return self._file.write(chunk)

    def _pass(self, chunk: "bytes | bytearray | memoryview") -> None:
        self._digest.update(chunk)
        self.passed += len(chunk)


def write(path: Path, description: Description, pgdata: Path, progress: Progress) -> str:
    """The new file, on disk, readable by its owner alone; its SHA-256."""
    total, packed_bytes = size_of(pgdata), 0

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        nonlocal packed_bytes
        if member.size:
            packed_bytes += member.size
            progress("packing, bytes", packed_bytes, total)
        return _plain(member)

    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        passing = _Digesting(file)
        with (
            gzip.GzipFile("", "wb", FAST, passing, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|") as tar,
        ):
            said = msgspec.json.encode(description)
            member = tarfile.TarInfo(DESCRIPTION)
            member.size = len(said)
            tar.addfile(_plain(member), io.BytesIO(said))
            tar.add(pgdata, DATA, filter=plain)
        file.flush()
        os.fsync(file.fileno())
    return passing.hex


def size_of(pgdata: Path) -> int:
    """The bytes of all files of a data directory."""
    return sum(file.stat().st_size for file in pgdata.rglob("*") if file.is_file())


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(
    path: Path, into: Path, accept: Callable[[Description], None], progress: Progress
) -> tuple[Description, str]:
    """The data directory is at `into`/pgdata, whole; what it holds, and the file's SHA-256.

    `accept` sees the description before anything is written, and may raise. Raises Damaged."""
    size, told = path.stat().st_size, 0
    with path.open("rb") as file:
        passing = _Digesting(file)
        try:
            with gzip.GzipFile(fileobj=passing, mode="rb") as packed:
                with tarfile.open(fileobj=packed, mode="r|") as tar:
                    description = _described(tar)
                    accept(description)
                    while member := tar.next():
                        _place(tar, member, into)
                        if passing.passed > told:
                            told = passing.passed
                            progress("unpacking, bytes", told, size)
                while packed.read(READ_BYTES):  # to its end, where gzip's checksum is
                    pass
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as fault:
            raise Damaged(f"{path} is no backup, or was cut off or changed: {fault}") from fault
    if not (into / DATA / "PG_VERSION").exists():
        raise Damaged(f"{path} holds no data directory")
    return description, passing.hex


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without owner and time: neither means anything where it is restored."""
    member.mtime = 0
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o700 if member.isdir() else 0o600
    return member


def _described(tar: tarfile.TarFile) -> Description:
    first = tar.next()
    if first is None or first.name != DESCRIPTION or first.size > DESCRIPTION_BYTES_MAX:
        raise tarfile.ReadError(f"it does not begin with {DESCRIPTION}")
    file = tar.extractfile(first) if first.isreg() else None
    if file is None:
        raise tarfile.ReadError(f"{DESCRIPTION} is not a plain file")
    try:
        description = msgspec.json.decode(file.read(), type=Description)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:  # msgspec 0.20 lets the latter out
        raise tarfile.ReadError(f"{DESCRIPTION} cannot be read: {fault}") from fault
    if description.format != FORMAT:
        raise Damaged(
            f"the backup has format {description.format} and was taken by release "
            f"{description.release}; this one reads format {FORMAT}"
        )
    return description


def _place(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    """Only folders and files below pgdata: a name can lead nowhere else."""
    name = PurePosixPath(member.name)
    if name.parts[:1] != (DATA,) or ".." in name.parts:
        raise tarfile.ReadError(f"{member.name!r} does not belong in it")
    if member.isdir():
        (into / name).mkdir(mode=0o700)
        return
    file = tar.extractfile(member) if member.isreg() else None
    if file is None:
        raise tarfile.ReadError(f"{member.name!r} is not a plain file")
    descriptor = os.open(into / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        shutil.copyfileobj(file, out, READ_BYTES)
