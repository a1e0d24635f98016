"""Writers, followers and PostgreSQL killed with -9 at random: nothing acknowledged is lost or doubled."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from api.embedded import EmbeddedServer, start
from ledger.book import Book
from ledger.store.lanes import account_id
from ledger.store.migrate import migrate
from projections.follower import Follower
from projections.migrations import sources as view_migrations
from projections.receivables import RECEIVABLES
from tests.conftest import server_directory
from tests.faults.load import ACCOUNTS
from tests.faults.writer import Acknowledged, read_journal
from tests.projections.views import views_differ
from tests.store.databases import SERVICE, US, Database

DATABASE = "kills"
SETTLE_LIMIT_S = 60
LOAD_LIMIT_S = 60


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that this test alone may kill."""
    directory = server_directory(f"kills-{uuid.uuid4().hex[:8]}")
    server = start(directory)
    yield server
    server.close()
    shutil.rmtree(directory, ignore_errors=True)


class Processes:
    """The processes under test; whoever is killed is started again."""

    def __init__(self, server: EmbeddedServer, journals: Path, seed: int) -> None:
        directory = str(server.directory)
        self.journals = [journals / f"writer-{n}" for n in range(2)]
        self._pgdata = server.directory / "pgdata"
        self._commands = {
            f"writer {n}": ["tests.faults.writer", directory, DATABASE, str(seed + n), str(journal)]
            for n, journal in enumerate(self.journals)
        } | {"follower": ["tests.faults.follower", directory, DATABASE]}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.kills: dict[str, int] = defaultdict(int)
        for name in self._commands:
            self._start(name)

    def wait_for_load(self) -> None:
        """Returns once every writer has had an acknowledgement."""
        limit = time.monotonic() + LOAD_LIMIT_S
        while not all(journal.exists() and journal.stat().st_size for journal in self.journals):
            assert time.monotonic() < limit, "no load"
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        """Ends a process of ours, or the database server, with SIGKILL."""
        self.kills[name.split()[0]] += 1
        if name == "database":
            pid = int((self._pgdata / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
        elif name == "backend":
            pid = int((self._pgdata / "postmaster.pid").read_text().split()[0])
            backends = psutil.Process(pid).children()
            os.kill(random.choice(backends).pid, signal.SIGKILL)
        else:
            self._end(name)
            self._start(name)

    def end(self) -> None:
        """Ends everything."""
        for name in list(self._running):
            self._end(name)

    def alive(self) -> bool:
        return all(process.poll() is None for process in self._running.values())

    def _start(self, name: str) -> None:
        self._running[name] = subprocess.Popen([sys.executable, "-m", *self._commands[name]])

    def _end(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()


def wreck(server: EmbeddedServer, journals: Path, seconds: float, seed: int) -> Processes:
    """Runs the load for a while, killing something every second or less."""
    dice = random.Random(seed)
    first = dice.sample(["writer 0", "follower", "database"], 3)  # chance may not leave one out
    processes = Processes(server, journals, seed)
    try:
        processes.wait_for_load()
        deadline = time.monotonic() + seconds
        while first or time.monotonic() < deadline:
            time.sleep(dice.uniform(0.2, 1.2))
            name = (first and first.pop()) or dice.choice(
                ["writer 0", "writer 0", "writer 1", "follower", "follower", "database", "backend"]
            )
            try:
                processes.kill(name)
            except (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError, IndexError):
                continue  # the server is down from the last kill
        assert processes.alive(), "a process ended by itself"
    finally:
        processes.end()
    return processes


def check(database: Database, journals: list[Path]) -> tuple[int, int]:
    """Holds the log against what was acknowledged; gives the counts of requests and of events."""
    acknowledged: dict[tuple[str, str], Acknowledged] = {}
    for journal in journals:
        for noted in read_journal(journal).values():
            acknowledged[noted.account_number, noted.key] = noted
    events = 0
    for number in ACCOUNTS:
        recorded = database.recorded(number)
        events += len(recorded)
        versions: dict[str, list[int]] = defaultdict(list)
        for event in recorded:
            versions[event.key].append(event.version)
        assert list(range(1, len(recorded) + 1)) == [event.version for event in recorded]
        for (account, key), noted in acknowledged.items():
            if account == number:
                wanted = [] if noted.code else [*range(noted.first_version, noted.last_version + 1)]
                assert wanted == versions.get(key, []), noted
        unknown = [k for k in versions if k != "open" and (number, k) not in acknowledged]
        # At most the one batch of each writer that was in flight when it ended for good.
        assert len(unknown) <= 25 * len(journals), unknown
    assert database.first_break() is None
    return len(acknowledged), events


@pytest.mark.parametrize("seconds", [pytest.param(15), pytest.param(60, marks=pytest.mark.soak)])
def test_kills_lose_and_double_nothing(
    own_server: EmbeddedServer, tmp_path: Path, seconds: int
) -> None:
    """After kills at random under load every acknowledgement holds once, and views equal folds."""
    seed = int.from_bytes(os.urandom(4), "big")
    print("seed", seed)
    own_server.ensure_database(DATABASE)
    owner_url = own_server.owner_url(DATABASE)
    migrate(owner_url, region=US, service_role=SERVICE, sources=view_migrations())
    processes = wreck(own_server, tmp_path, seconds, seed)
    with start(own_server.directory) as server:
        service_url = server.service_url(DATABASE)
        database = Database(DATABASE, server.owner_url(DATABASE), service_url)
        requests, events = check(database, processes.journals)
        books = {
            account_id(US.code, number): Book(r.event for r in database.recorded(number))
            for number in ACCOUNTS
        }
        with closing(Follower(service_url, RECEIVABLES)) as follower:
            follower.catch_up(timeout_s=SETTLE_LIMIT_S)
        assert [] == views_differ(service_url, books)
    print(f"kills {dict(processes.kills)}, {requests} requests acknowledged, {events} events")
    assert requests >= 50  # a load at all, on however busy a machine
    assert min(processes.kills[name] for name in ("writer", "follower", "database")) > 0
