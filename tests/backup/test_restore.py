"""Restoring a backup: only a sound one, only into an empty place, all or nothing."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from api.backups import artefact
from api.backups.artefact import DATA
from api.backups.restoring import CannotRestore, restore
from api.embedded import CannotStart, start
from api.embedded.aside import NotEmpty
from api.embedded.binaries import find_install
from api.embedded.cluster import RESTORING
from api.embedded.copying import BadCopy, verify
from api.settings import Settings
from api.wiring import databases
from tests.api.serving import COMMAND, eventually
from tests.backup.conftest import Backup, Unpacked
from tests.backup.deployments import EVENTS, Deployment, unseen
from tests.embedded.users import living


def is_empty(directory: Path) -> bool:
    """Nothing is in it but a lock, so that a start or another restore finds it new."""
    return not directory.exists() or {"start.lock"} >= {path.name for path in directory.iterdir()}


def test_a_restored_ledger_is_the_same_with_passwords_of_its_own(
    small: Deployment, backup: Backup, elsewhere: Settings
) -> None:
    """Every event is there; the new directory's passwords are not the old one's, and work."""
    outcome = restore(elsewhere, backup.path, unseen)
    assert backup.report["sha256"] == outcome.sha256
    assert EVENTS == {one.region: one.events for one in outcome.regions}
    assert [] == living(elsewhere.data)

    def secrets(directory: Path) -> dict[str, str]:
        return {path.name: path.read_text() for path in directory.glob("*.password")}

    assert secrets(small.data).keys() == secrets(elsewhere.data).keys()
    assert not set(secrets(small.data).values()) & set(secrets(elsewhere.data).values())
    with databases(elsewhere) as found:
        for database in found:
            with closing(database.log()) as log:
                assert log.first_break() is None


def test_what_is_there_is_left_alone(small: Deployment, backup: Backup) -> None:
    """A directory that holds a ledger, or anything, is refused and stays as it is."""
    before = {path: path.stat().st_mtime_ns for path in small.data.rglob("*")}
    with pytest.raises(NotEmpty, match=r"is not empty .* BILLING_LEDGER_DATA"):
        restore(small.settings, backup.path, unseen)
    assert before == {path: path.stat().st_mtime_ns for path in small.data.rglob("*")}


def cut(content: bytearray, share: float) -> None:
    del content[int(len(content) * share) :]


def flip(content: bytearray, share: float) -> None:
    content[int((len(content) - 1) * share)] ^= 0b100


@pytest.mark.parametrize(("harm", "share"), [(cut, 0.5), (flip, 0.6), (flip, 1.0)])
def test_a_harmed_file_is_refused(
    backup: Backup,
    elsewhere: Settings,
    tmp_path: Path,
    harm: Callable[[bytearray, float], None],
    share: float,
) -> None:
    """Cut off or with one bit changed, wherever that is, a backup is not restored."""
    content = bytearray(backup.path.read_bytes())
    harm(content, share)
    harmed = tmp_path / "harmed.backup"
    harmed.write_bytes(content)
    with pytest.raises(CannotRestore, match="no backup, or was cut off or changed"):
        restore(elsewhere, harmed, unseen)
    assert is_empty(elsewhere.data)


def lose_log(pgdata: Path) -> None:
    for segment in (pgdata / "pg_wal").glob("0000*"):
        segment.unlink()


def harm_log(pgdata: Path) -> None:
    replace_bytes(min((pgdata / "pg_wal").glob("0000*")), slice(100, 200), bytes(100))


def harm_table(pgdata: Path) -> None:
    replace_bytes(biggest_table(pgdata), slice(-1, None), b"?")


def lose_table(pgdata: Path) -> None:
    biggest_table(pgdata).unlink()


def biggest_table(pgdata: Path) -> Path:
    return max((pgdata / "base").rglob("*"), key=lambda path: path.stat().st_size)


def replace_bytes(path: Path, place: "slice[int, int | None, None]", by: bytes) -> None:
    content = bytearray(path.read_bytes())
    assert content[place] != by
    content[place] = by
    path.unlink()  # it is linked to the one of the other tests
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lose_log, "could not find any WAL file"),
        (harm_log, "WAL parsing failed"),
        (harm_table, "checksum mismatch"),
        (lose_table, "is present in the manifest but not on disk"),
    ],
)
def test_data_that_is_not_as_it_was_copied_is_seen(
    unpacked: Unpacked, tmp_path: Path, harm: Callable[[Path], None], why: str
) -> None:
    """Tables and log that were changed or lost after the copy was taken fail its verification."""
    shutil.copytree(unpacked.pgdata, tmp_path / DATA, copy_function=os.link)
    verify(find_install(None), tmp_path / DATA)
    harm(tmp_path / DATA)
    with pytest.raises(BadCopy, match=why):
        verify(find_install(None), tmp_path / DATA)


def test_a_file_packed_with_other_data_is_refused(
    unpacked: Unpacked, elsewhere: Settings, tmp_path: Path
) -> None:
    """A well-formed file whose tables are not those that were copied is not restored."""
    shutil.copytree(unpacked.pgdata, tmp_path / DATA, copy_function=os.link)
    harm_table(tmp_path / DATA)
    artefact.write(tmp_path / "forged", unpacked.description, tmp_path / DATA, unseen)
    with pytest.raises(CannotRestore, match="checksum mismatch"):
        restore(elsewhere, tmp_path / "forged", unseen)
    assert is_empty(elsewhere.data)


def test_a_history_that_is_not_the_one_backed_up_is_refused(
    unpacked: Unpacked, elsewhere: Settings, tmp_path: Path
) -> None:
    """When a lane does not end with the very event the backup names, nothing is restored."""
    (emea, us) = unpacked.description.regions
    other = msgspec.structs.replace(us.heads[0], leaf="00" * 32)
    heads = (other, *us.heads[1:])
    regions = (emea, msgspec.structs.replace(us, heads=heads))
    described = msgspec.structs.replace(unpacked.description, regions=regions)
    artefact.write(tmp_path / "other", described, unpacked.pgdata, unseen)
    with pytest.raises(CannotRestore, match=f"region us: lane {other.lane} does not hold"):
        restore(elsewhere, tmp_path / "other", unseen)
    assert is_empty(elsewhere.data)
    assert [] == living(elsewhere.data)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"postgres": "15.9"}, r"from PostgreSQL 15.9, .* has PostgreSQL 18.*LEDGER_POSTGRES"),
        ({"format": 2, "release": "9.0"}, "has format 2 and was taken by release 9.0"),
    ],
)
def test_another_version_is_told(
    unpacked: Unpacked, elsewhere: Settings, tmp_path: Path, change: dict[str, str], why: str
) -> None:
    """A backup of another PostgreSQL, or of a later form, is refused with what would read it."""
    (tmp_path / DATA).mkdir()
    described = msgspec.structs.replace(unpacked.description, **change)
    artefact.write(tmp_path / "other", described, tmp_path / DATA, unseen)
    with pytest.raises(CannotRestore, match=why):
        restore(elsewhere, tmp_path / "other", unseen)
    assert is_empty(elsewhere.data)


def test_a_killed_restore_is_run_again(
    small: Deployment, backup: Backup, elsewhere: Settings
) -> None:
    """Killed with -9, a restore leaves what no start takes for a ledger; run again, it is whole."""
    process = subprocess.Popen(
        [*COMMAND, "restore", str(backup.path)],
        env={**small.environment, "BILLING_LEDGER_DATA": str(elsewhere.data)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # By then the data is recovered, and its server runs for the checks.
    eventually(lambda: list(elsewhere.data.glob(f"{RESTORING}*/supervisor.pid")) != [])
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(CannotStart, match=r"was not finished: run `billing-ledger restore` again"):
        start(elsewhere.data)
    outcome = restore(elsewhere, backup.path, unseen)
    assert EVENTS == {one.region: one.events for one in outcome.regions}
    assert [] == list(elsewhere.data.glob(f"{RESTORING}*"))
    assert [] == living(elsewhere.data)
    with pytest.raises(NotEmpty):
        restore(elsewhere, backup.path, unseen)
