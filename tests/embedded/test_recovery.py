"""What a kill, a crash or a neighbour may leave behind, and that the next start copes with it."""

import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from api.embedded import CannotStart, cluster, start
from api.embedded.binaries import run
from api.embedded.cluster import Cluster
from tests.embedded.users import User, eventually, kill, living, postmaster, supervisor


def write_row(url: str, value: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def rows(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT value FROM kept ORDER BY value")]


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_killed_server_comes_back_while_it_is_used(used_directory: Path) -> None:
    """Each time it is killed with -9, PostgreSQL is back at the same address with the rows committed."""
    with start(used_directory) as server:
        url = server.owner_url("kept")
        for time_killed in (1, 2):
            write_row(url, time_killed)
            killed = postmaster(used_directory)
            kill(killed)
            eventually(lambda: answers(url))
            assert postmaster(used_directory).pid != killed.pid
        assert rows(url) == [1, 2]
        assert (used_directory / "supervisor.log").read_text() == ""


def test_who_joins_waits_while_a_killed_backend_is_recovered_from(used_directory: Path) -> None:
    """One killed backend makes PostgreSQL recover, and refuse connections meanwhile, for a while."""
    with start(used_directory) as server:
        url = server.owner_url("kept")
        for _ in range(5):
            with psycopg.connect(url) as backend:
                psutil.Process(backend.info.backend_pid).kill()
            with start(used_directory) as joined:
                assert answers(joined.owner_url("kept"))


def test_everything_killed_is_recovered_by_the_next_start(used_directory: Path) -> None:
    """User, supervisor and PostgreSQL killed with -9: the next start has every committed row."""
    with User(used_directory) as user:
        url = user.ready().replace("/postgres", "/kept")
        write_row(url, 7)
        kill(supervisor(used_directory))
        user.kill(signal.SIGKILL)
        kill(postmaster(used_directory))
    with start(used_directory) as server:
        assert rows(server.owner_url("kept")) == [7]


def test_a_start_waits_for_what_a_killed_server_left_running(used_directory: Path) -> None:
    """A backend that outlives its killed server for a second is waited for, at the same port, even
    when it wrote to the log after PostgreSQL had said that it is in the way."""
    with User(used_directory) as user:
        url = user.ready().replace("/postgres", "/kept")
        write_row(url, 5)
        port = (used_directory / "port").read_text()
        with psycopg.connect(url) as connection:
            orphan = psutil.Process(connection.info.backend_pid)
            orphan.suspend()
            kill(supervisor(used_directory))
            user.kill(signal.SIGKILL)
            kill(postmaster(used_directory))
            connection.close()
    for log in (used_directory / "pgdata" / "log").iterdir():
        os.utime(log, (time.time() + 3_600,) * 2)
    ending = threading.Timer(1, orphan.kill)
    ending.start()
    with start(used_directory) as server:
        assert rows(server.owner_url("kept")) == [5]
        assert (used_directory / "port").read_text() == port
    ending.join()


def test_a_server_killed_while_it_starts_is_started_again(
    used_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed with -9 in its first moments, PostgreSQL is tried again, not reported as broken."""
    killed = []

    def run_and_kill(install: Path, program: str, *rest: Any, **given: Any) -> Any:
        starting = program == "pg_ctl" and rest[-1] == "start" and not killed
        if starting:
            killed.append(program)
            threading.Thread(target=kill_when_there).start()
        return run(install, program, *rest, **given)

    def kill_when_there() -> None:
        pid_file = used_directory / "pgdata" / "postmaster.pid"
        eventually(lambda: pid_file.exists() and bool(pid_file.read_text().strip()))
        kill(postmaster(used_directory))

    monkeypatch.setattr(cluster, "run", run_and_kill)
    with start(used_directory) as server:
        assert answers(server.owner_url("kept"))
    assert killed


def test_a_zombie_is_not_taken_for_a_server(used_directory: Path) -> None:
    """A killed server that nobody reaps, as in a container without an init, does not stop a start."""
    with User(used_directory, "--adopt") as user:
        url = user.ready().replace("/postgres", "/kept")
        write_row(url, 3)
        kill(supervisor(used_directory))
        zombie = postmaster(used_directory)
        kill(zombie)
        assert zombie.status() == psutil.STATUS_ZOMBIE
        with start(used_directory) as server:
            assert rows(server.owner_url("kept")) == [3]
            assert postmaster(used_directory).pid != zombie.pid


def test_a_pid_that_another_program_has_now_does_not_stop_a_start(used_directory: Path) -> None:
    """A pid file that names a living stranger (a container restarted) is not taken for the server."""
    with User(used_directory) as user:
        user.ready()
        kill(supervisor(used_directory))
        user.kill(signal.SIGKILL)
        kill(postmaster(used_directory))
    pid_file = used_directory / "pgdata" / "postmaster.pid"
    stranger = psutil.Process().parent()
    assert stranger
    lines = pid_file.read_text().splitlines(keepends=True)
    pid_file.write_text("".join([f"{stranger.pid}\n", *lines[1:]]))
    with start(used_directory) as server:
        assert answers(server.owner_url("kept"))
    assert stranger.is_running()


def test_a_start_killed_anywhere_leaves_nothing_in_the_way(directory: Path) -> None:
    """A first start killed with -9 at six moments: each next start goes on, and the last one works."""
    for moment in (0.10, 0.15, 0.25, 0.35, 0.50, 0.65):
        with User(directory) as user:
            time.sleep(moment)  # where it is then is the point, not that something is done
            user.kill(signal.SIGKILL)
    with start(directory) as server:
        server.ensure_database("kept")
        assert answers(server.owner_url("kept"))
    with start(directory):
        assert list(directory.glob("aside-*")) == []


def test_a_taken_port_is_left_to_its_owner(used_directory: Path) -> None:
    """When another program has the last port, the server takes a free one and says so in its URL."""
    with start(used_directory) as server:
        before = server.owner_url("kept")
    port = int((used_directory / "port").read_text())
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with start(used_directory) as server:
            after = server.owner_url("kept")
            assert after != before
            assert answers(after)


def test_a_taken_port_is_seen_though_the_log_is_late(
    used_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's log collector may write the reason only after the start has failed."""
    monkeypatch.setattr(Cluster, "_log_tail", lambda cluster: "")
    test_a_taken_port_is_left_to_its_owner(used_directory)


def test_the_port_is_kept_over_a_restart(used_directory: Path) -> None:
    """A stopped server comes back at the same address when that is free."""
    with start(used_directory) as server:
        before = server.owner_url("kept")
    with start(used_directory) as server:
        assert server.owner_url("kept") == before


def test_data_of_another_major_version_is_refused(used_directory: Path) -> None:
    """A directory made by PostgreSQL 15 is refused with both versions and what to do, and untouched."""
    version = used_directory / "pgdata" / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(
        CannotStart, match=r"made by PostgreSQL 15, .* has PostgreSQL 18"
    ) as refused:
        start(used_directory)
    assert "BILLING_LEDGER_POSTGRES" in str(refused.value)
    assert living(used_directory) == []
    version.write_text("18\n")
    with start(used_directory) as server:
        assert answers(server.owner_url("kept"))


def test_a_server_that_cannot_start_says_why(used_directory: Path) -> None:
    """When PostgreSQL itself refuses, the message ends with the end of its log."""
    shutil.move(used_directory / "pgdata" / "global" / "pg_control", used_directory / "pg_control")
    with pytest.raises(CannotStart, match="could not find the database system"):
        start(used_directory)
    assert living(used_directory) == []


def test_a_lost_password_is_told_and_leaves_nothing_running(used_directory: Path) -> None:
    """A server whose password file does not fit is refused with PostgreSQL's reason, and stopped."""
    (used_directory / "billing_admin.password").write_text("another")
    with pytest.raises(CannotStart, match="password authentication failed"):
        start(used_directory)
    assert living(used_directory) == []


def test_no_such_host_installation(directory: Path) -> None:
    """BILLING_LEDGER_POSTGRES that holds no PostgreSQL is named in the refusal."""
    with pytest.raises(CannotStart, match=r"BILLING_LEDGER_POSTGRES=.*nowhere: there is no bin"):
        start(directory, directory / "nowhere")
