"""The file that a backup is: any change to it shows, and it leads nowhere but into its place."""

import io
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from api.backups import artefact
from api.backups.artefact import DATA, DESCRIPTION, FORMAT, Damaged, Description
from tests.backup.deployments import unseen

DESCRIBED = Description(
    format=FORMAT,
    release="0.1.0",
    postgres="18.6",
    started_at=datetime(2026, 11, 1, tzinfo=UTC),
    ended_at=datetime(2026, 11, 1, 0, 1, tzinfo=UTC),
    regions=(),
)
FILES = {"PG_VERSION": b"18\n", "base/1/2": bytes(range(256)), "pg_wal/0001": b""}


def accept(description: Description) -> None:
    """Any description will do."""


def contents(folder: Path) -> dict[str, bytes | None]:
    """What lies below a folder; None for a folder."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


@pytest.fixture
def pgdata(tmp_path: Path) -> Path:
    """A data directory in the small."""
    for name, content in FILES.items():
        (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / name).write_bytes(content)
    (tmp_path / "made" / "pg_tblspc").mkdir()
    return tmp_path / "made"


@pytest.fixture
def file(pgdata: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    artefact.write(tmp_path / "file", DESCRIBED, pgdata, unseen)
    return tmp_path / "file"


def test_what_was_written_is_read(file: Path, pgdata: Path, tmp_path: Path) -> None:
    """Files, empty folders and description come back; the digest is that of the file."""
    (tmp_path / "into").mkdir()
    described, sha256 = artefact.unpack(file, tmp_path / "into", accept, unseen)
    assert DESCRIBED == described
    assert contents(pgdata) == contents(tmp_path / "into" / DATA)
    assert artefact.digest(file) == sha256


def test_any_change_shows(file: Path, pgdata: Path, tmp_path: Path) -> None:
    """Wherever a bit is changed or the file is cut, it is refused, or holds the same nonetheless.

    Some bits change nothing: those of gzip's header, or from how far back a run of zeros is copied."""
    whole = file.read_bytes()
    changed = [
        *(whole[:n] + bytes([whole[n] ^ 1 << n % 8]) + whole[n + 1 :] for n in range(len(whole))),
        *(whole[:n] for n in range(0, len(whole), 9)),
    ]
    accepted = []
    for n, content in enumerate(changed):
        into = tmp_path / f"into-{n}"
        into.mkdir()
        file.write_bytes(content)
        try:
            described, _ = artefact.unpack(file, into, accept, unseen)
        except Damaged:
            continue
        assert (DESCRIBED, contents(pgdata)) == (described, contents(into / DATA)), n
        accepted.append(n)
    assert len(accepted) < len(changed) / 10


@pytest.mark.parametrize(
    "said", [b"", b"{}", b'{"format":', msgspec.json.encode(DESCRIBED).replace(b"18.6", b"18\xb0")]
)
def test_a_description_that_cannot_be_read_is_damage(tmp_path: Path, said: bytes) -> None:
    """Whatever stands where the description should, it is told as damage."""
    archive(tmp_path / "file", said)
    with pytest.raises(Damaged, match=DESCRIPTION):
        artefact.unpack(tmp_path / "file", tmp_path, accept, unseen)


def test_a_refused_description_leaves_nothing(file: Path, tmp_path: Path) -> None:
    """What the description shows to be unfit is refused before anything is unpacked."""

    def refuse(description: Description) -> None:
        raise ValueError(description.postgres)

    (tmp_path / "into").mkdir()
    with pytest.raises(ValueError, match=r"18\.6"):
        artefact.unpack(file, tmp_path / "into", refuse, unseen)
    assert {} == contents(tmp_path / "into")


def archive(path: Path, said: bytes, members: Sequence[tarfile.TarInfo] = ()) -> None:
    """A file whose description is `said`, and then the members."""
    with tarfile.open(path, "w:gz") as tar:
        first = member(DESCRIPTION)
        first.size = len(said)
        tar.addfile(first, io.BytesIO(said))
        for one in members:
            tar.addfile(one)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([member("pgdata/../../escaped")], "does not belong"),
        ([member("/tmp/escaped")], "does not belong"),
        ([member("elsewhere")], "does not belong"),
        (
            [member("pgdata", tarfile.DIRTYPE), member("pgdata/x", tarfile.SYMTYPE, "/etc")],
            "not a plain file",
        ),
        (
            [member("pgdata", tarfile.DIRTYPE), member("pgdata/x", tarfile.LNKTYPE, "backup.json")],
            "not a plain file",
        ),
        ([member("pgdata", tarfile.DIRTYPE)], "holds no data directory"),
    ],
)
def test_a_strange_archive_is_refused(
    tmp_path: Path, members: list[tarfile.TarInfo], why: str
) -> None:
    """Names that lead out of the data directory, links, and an archive without data are refused."""
    archive(tmp_path / "strange", msgspec.json.encode(DESCRIBED), members)
    (tmp_path / "into").mkdir()
    with pytest.raises(Damaged, match=why):
        artefact.unpack(tmp_path / "strange", tmp_path / "into", accept, unseen)
    assert [] == [path for path in tmp_path.rglob("*") if "escaped" in path.name]
    assert not Path("/tmp/escaped").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"\x1f\x8b"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    """What never was a backup is refused as such."""
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(Damaged, match="is no backup"):
        artefact.unpack(tmp_path / "file", tmp_path, accept, unseen)
