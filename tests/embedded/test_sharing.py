"""One server for many processes: who makes it, who stops it, whoever is killed."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from api.embedded import EmbeddedServer, start
from tests.embedded.users import User, eventually, kill, living, postmaster, supervisor


def test_processes_racing_on_a_fresh_directory_share_one_server(directory: Path) -> None:
    """Six processes that start at once on an empty directory get one server; the last out stops it."""
    users = [User(directory) for _ in range(6)]
    urls = {user.ready() for user in users}
    assert len(urls) == 1
    with psycopg.connect(urls.pop()) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("billing_owner",)
    for user in users:
        assert living(directory)
        user.end()
    assert living(directory) == []


def test_a_killed_user_does_not_keep_the_server(used_directory: Path) -> None:
    """After kill -9 of one user the other, leaving last, still stops server and supervisor."""
    with User(used_directory) as first, User(used_directory) as second:
        first.ready(), second.ready()
        first.kill(signal.SIGKILL)
        assert postmaster(used_directory).is_running()
        second.end()
    assert living(used_directory) == []


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_stops_when_its_last_user_is_killed(
    used_directory: Path, signal_number: signal.Signals
) -> None:
    """A server whose only user is killed, by -9 or by default SIGTERM, is stopped all the same."""
    with User(used_directory) as user:
        user.ready()
        user.kill(signal_number)
    eventually(lambda: living(used_directory) == [])


def test_a_killed_supervisor_is_replaced_by_the_next_user(used_directory: Path) -> None:
    """With the supervisor killed, the next user to come makes another one."""
    with User(used_directory) as first:
        first.ready()
        killed = supervisor(used_directory)
        kill(killed)
        with User(used_directory) as second:
            second.ready()
            assert supervisor(used_directory).pid != killed.pid
            first.kill(signal.SIGKILL)
            second.kill(signal.SIGKILL)
    eventually(lambda: living(used_directory) == [])


def test_a_forked_child_is_no_user(used_directory: Path) -> None:
    """A forked child that closes its copy and ends neither stops the server nor frees the lock."""
    with User(used_directory) as user:
        url = user.ready()
        user.obey("leave in a forked child")
        psycopg.connect(url).close()
        with User(used_directory) as other:
            other.ready()
            other.end()
        psycopg.connect(url).close()
        user.end()
    assert living(used_directory) == []


def test_handles_in_one_process_are_counted(used_directory: Path) -> None:
    """A process that enters twice and leaves once still has its server; leaving twice is once."""
    with User(used_directory) as user:
        url = user.ready()
        user.obey("enter twice, leave once")
        psycopg.connect(url).close()
        user.obey("leave")
        assert living(used_directory) == []
        user.obey("leave")
        user.end()


def test_a_process_that_leaves_and_comes_again_is_a_user(used_directory: Path) -> None:
    """Having left while another stayed, a process that comes again keeps the server for itself."""
    with User(used_directory) as first, User(used_directory) as second:
        url = first.ready()
        second.ready()
        first.obey("leave")
        first.obey("come again, and collect garbage")
        second.end()
        psycopg.connect(url).close()
        first.end()
    assert living(used_directory) == []


def test_a_server_is_a_context_manager(used_directory: Path) -> None:
    """Used with `with`, the server is there inside and stopped after."""
    with start(used_directory) as server:
        psycopg.connect(server.service_url("postgres")).close()
    assert living(used_directory) == []


def test_a_database_is_made_once_however_many_ask(server: EmbeddedServer) -> None:
    """Eight threads that ask for one database at once all find it, owned by the owner, in C order."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(server.ensure_database, ["asked_for_at_once"] * 8))
    with psycopg.connect(server.owner_url("asked_for_at_once")) as connection:
        found = connection.execute(
            "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert found == ("billing_owner", "UTF8", "C")
