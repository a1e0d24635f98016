"""Taking a backup: where it may go, who may read it, and what a killed one leaves."""

import signal
import stat
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from api.backups.restoring import CannotRestore, restore
from api.backups.taking import UNFINISHED, CannotBackUp, take
from api.embedded import EmbeddedServer
from api.settings import Settings, load
from tests.api.serving import COMMAND, environment_of, eventually, run, toml
from tests.backup.conftest import Backup, Unpacked
from tests.backup.deployments import EVENTS, Deployment, unseen


def test_a_backup_says_what_it_holds(backup: Backup, unpacked: Unpacked) -> None:
    """The report and the file name each region with its events, the server's version and the end."""
    assert EVENTS == {one["region"]: one["events"] for one in backup.report["regions"]}
    assert EVENTS == {held.region.code: held.events for held in unpacked.description.regions}
    assert backup.report["postgres"] == unpacked.description.postgres
    assert unpacked.description.major == "18"
    assert backup.report["ended_at"] >= backup.report["started_at"]
    assert backup.report["size_bytes"] == backup.path.stat().st_size
    assert backup.report["sha256"] == sha256(backup.path.read_bytes()).hexdigest()


def test_a_backup_names_the_regions_it_leaves_out(backup: Backup) -> None:
    """A region of another server, beside those of the embedded one, is told, and not in it."""
    assert ["apac"] == backup.report["not_included"]
    assert "region apac is not in this backup" in backup.complaints


def test_only_its_owner_may_read_a_backup(backup: Backup) -> None:
    """The file has mode 0600, and beside it nothing is left of the making."""
    assert stat.S_IMODE(backup.path.stat().st_mode) == 0o600
    assert [] == list(backup.path.parent.glob(f"{UNFINISHED}*"))


def test_a_backup_holds_no_password(small: Deployment, backup: Backup) -> None:
    """No password of the server's roles is in it, in no file and under no name."""
    secrets = [path.read_bytes() for path in small.data.glob("*.password")]
    assert len(secrets) == 3
    with tarfile.open(backup.path) as tar:
        for member in tar:
            assert not member.name.endswith(".password")
            if file := tar.extractfile(member):
                held = file.read()
                assert not any(secret in held for secret in secrets), member.name


def test_no_backup_is_overwritten(small: Deployment, backup: Backup) -> None:
    """A file that is there stays as it is."""
    before = backup.path.read_bytes()
    with pytest.raises(CannotBackUp, match="is there already"):
        take(small.settings, backup.path, unseen)
    assert before == backup.path.read_bytes()


def test_a_backup_goes_where_it_outlives_the_data(small: Deployment) -> None:
    """A place inside the data directory, or in no folder, is refused."""
    with pytest.raises(CannotBackUp, match="would be lost together with"):
        take(small.settings, small.data / "backup", unseen)
    with pytest.raises(CannotBackUp, match="there is no folder"):
        take(small.settings, small.folder / "nowhere" / "backup", unseen)


def test_there_must_be_a_ledger(elsewhere: Settings, small: Deployment) -> None:
    """Where there is no ledger, none is made in order to back it up."""
    with pytest.raises(CannotBackUp, match=r"there is no ledger in .*BILLING_LEDGER_DATA"):
        take(elsewhere, small.folder / "none.backup", unseen)
    assert not elsewhere.data.exists()


def test_a_killed_backup_leaves_nothing_to_restore(small: Deployment, elsewhere: Settings) -> None:
    """Killed with -9 while it writes, it leaves no file of its name; the next one clears up."""
    path = small.folder / "killed.backup"

    def written() -> list[Path]:
        return list(small.folder.glob(f"{UNFINISHED}*/backup"))

    process = subprocess.Popen(
        [*COMMAND, "backup", str(path)],
        env=small.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: written() != [])
    process.send_signal(signal.SIGKILL)
    process.wait()
    (half,) = written()
    assert not path.exists()
    with pytest.raises(CannotRestore, match="was cut off or changed"):
        restore(elsewhere, half, unseen)
    assert take(small.settings, path, unseen).path == path
    assert [] == list(small.folder.glob(f"{UNFINISHED}*"))


def test_databases_of_ones_own_have_tools_of_their_own(tmp_path: Path) -> None:
    """For regions outside the embedded server both commands say where to read on, and do nothing."""
    url = "postgresql://billing_service@127.0.0.1:1/ledger_us"
    region = {"code": "us", "name": "US", "currency": "USD", "zone": "UTC", "database_url": url}
    (tmp_path / "regions.toml").write_text(toml([region]))
    environment = environment_of(
        tmp_path / "regions.toml", BILLING_LEDGER_DATA=str(tmp_path / "data")
    )
    for command in ("backup", "restore"):
        done = run(environment, command, tmp_path / "file")
        assert done.code == 1
        assert "server's own tools, as in docs/backup.md" in done.err
    assert load(environment).regions[0].database_url == url
    assert ["regions.toml"] == [path.name for path in tmp_path.iterdir()]


def test_only_the_servers_owner_may_copy_it(server: EmbeddedServer) -> None:
    """Replication is for the superuser from this machine; the ledger's roles are refused it."""

    def replicate(url: str) -> None:
        psycopg.connect(f"{url}?replication=true", autocommit=True).close()

    replicate(server.admin_url())
    for url in (server.owner_url("postgres"), server.service_url("postgres")):
        with pytest.raises(psycopg.OperationalError, match="permission denied to start WAL sender"):
            replicate(url)
    with psycopg.connect(server.admin_url()) as connection:
        rules = connection.execute(
            "SELECT address, auth_method FROM pg_hba_file_rules"
            " WHERE 'replication' = ANY (database) AND type <> 'local'"
        ).fetchall()
    assert {("127.0.0.1", "scram-sha-256"), ("::1", "scram-sha-256")} == set(rules)
