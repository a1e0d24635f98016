"""Takes a backup of the embedded server while it serves: copied, verified, packed, then named."""

import importlib.metadata
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import fasteners

from api import embedded
from api.backups import artefact
from api.backups.artefact import FORMAT, Description, Progress
from api.backups.contents import Contents, Held, contents
from api.embedded.aside import sync_folder
from api.embedded.binaries import find_install
from api.embedded.copying import BadCopy, copying, verify
from api.settings import Settings

UNFINISHED = ".unfinished-backup-"
POLL_S = 0.05
COPY_LIMIT_S = 24 * 3600
BEFORE_THE_STOP = {
    "initializing",
    "waiting for checkpoint to finish",
    "estimating backup size",
    "streaming database files",
}
"""Phases of pg_stat_progress_basebackup in which the copy's end was not asked for yet."""
LAST_LINES = 5


class CannotBackUp(Exception):
    """No backup was made, and nothing that could pass for one; the message says why."""


class Taken(NamedTuple):
    """A backup that is there under its name, on disk."""

    path: Path
    description: Description
    sha256: str
    size_bytes: int


class _Mark(NamedTuple):
    """What was committed at an instant that the end of the copy is known to come after."""

    at: datetime
    held: tuple[Held, ...]


def take(settings: Settings, path: Path, progress: Progress) -> Taken:
    """The backup at `path`, which is new. Raises CannotBackUp and CannotStart."""
    path = path.expanduser().absolute()
    data = settings.data.expanduser().resolve()
    _refuse_bad_place(path, data)
    install = find_install(settings.postgres)
    with _aside(path.parent) as aside, embedded.start(data, settings.postgres) as server:
        with contents(server) as found:
            description = _copied(found, server.admin_url(), install, aside, progress)
        progress("verifying, bytes", 0, artefact.size_of(aside / artefact.DATA))
        try:
            verify(install, aside / artefact.DATA)
        except BadCopy as fault:
            raise CannotBackUp(f"the copy is not sound: {fault}") from fault
        written = aside / "backup"
        sha256 = artefact.write(written, description, aside / artefact.DATA, progress)
        if artefact.digest(written) != sha256:
            raise CannotBackUp(f"what was written to {written} does not read back the same")
        _refuse_existing(path)  # somebody may have been quicker
        written.rename(path)
        sync_folder(path.parent)
    return Taken(path, description, sha256, path.stat().st_size)


def _refuse_bad_place(path: Path, data: Path) -> None:
    if not (data / artefact.DATA).is_dir():
        raise CannotBackUp(f"there is no ledger in {data}: set BILLING_LEDGER_DATA to where it is")
    if not path.parent.is_dir():
        raise CannotBackUp(f"there is no folder {path.parent}")
    if path.resolve().is_relative_to(data):
        raise CannotBackUp(f"{path} would be lost together with {data}: name a place outside it")
    _refuse_existing(path)


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise CannotBackUp(
            f"{path} is there already, and no backup is overwritten: name a new file"
        )


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder beside the backup to come; it is removed, and so are those of killed backups."""
    for left_over in folder.glob(f"{UNFINISHED}*"):
        lock = fasteners.InterProcessLock(left_over / "lock")
        if left_over.is_dir() and lock.acquire(blocking=False):
            shutil.rmtree(left_over, ignore_errors=True)
            lock.release()
    aside = folder / f"{UNFINISHED}{uuid.uuid4().hex}"
    aside.mkdir(mode=0o700)
    try:
        with fasteners.InterProcessLock(aside / "lock"):
            yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _copied(
    found: Contents, admin_url: str, install: Path, aside: Path, progress: Progress
) -> Description:
    """What the copy now in `aside`/pgdata holds."""
    started_at = datetime.now(UTC)
    name, log = f"backup {uuid.uuid4().hex}", aside / "log"
    with copying(install, admin_url, aside / artefact.DATA, name=name, log=log) as process:
        mark = _last_mark(found, process, name, progress)
    if process.returncode != 0:
        said = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
        raise CannotBackUp(f"PostgreSQL could not be copied: {said}")
    return Description(
        format=FORMAT,
        release=importlib.metadata.version("billing-ledger"),
        postgres=found.version(),
        started_at=started_at,
        ended_at=mark.at,
        regions=mark.held,
    )


def _last_mark(
    found: Contents, process: "subprocess.Popen[bytes]", name: str, progress: Progress
) -> _Mark:
    """The last mark before the end of the copy was asked for.

    First the clock, then what is committed, then the phase: while that is one before the stop, all
    that was committed when it was looked at, and so all acknowledged before the instant, is in the
    log that the copy takes along."""
    mark = _Mark(datetime.now(UTC), found.held())
    deadline = time.monotonic() + COPY_LIMIT_S
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise CannotBackUp(f"the copy was not finished after {COPY_LIMIT_S // 3600} hours")
        seen = _Mark(datetime.now(UTC), found.held())
        if step := found.step(name):
            if step.phase in BEFORE_THE_STOP:
                mark = seen
            progress(f"{step.phase}, bytes", step.copied, step.total)
        try:
            process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            continue
    return mark
