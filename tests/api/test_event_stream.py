"""The feed and its stream over real sockets: nothing lost or doubled, and an end when there must be one."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from api.embedded import EmbeddedServer
from api.routes.feed import LISTENERS_MAX
from api.security.logins import Registrar
from api.security.scope import SCOPES
from api.security.tokens import new_token
from api.settings import Region
from api.wiring import Database
from tests.api.books import TOKENS
from tests.api.conftest import fresh_database, regions_file
from tests.api.consumer import Listener, read_journal
from tests.api.serving import ROOT, Service, environment_of, eventually, serving
from tests.faults.load import opening, requests

US = Region(code="us", name="United States", currency="USD", zone="America/New_York")
TOKEN = TOKENS["us"]
WRITERS = 4
REQUESTS_OF_WRITER = 600
REQUESTS_BEFORE = 1_000
AT_ONCE = 25
BYTES_OF_LIFE_MAX = 150_000
CONSUMING_S_MAX = 60.0
ENDS_S_MAX = 5.0


class Own(NamedTuple):
    """A region of these tests' own with some events, and a service over it."""

    database: Database
    service: Service


@pytest.fixture(scope="module")
def own(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    database = fresh_database(server, US)
    database.migrate()
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(TOKEN, "all", SCOPES)
    write(database, WRITERS, REQUESTS_BEFORE)
    directory = tmp_path_factory.mktemp("own")
    with serving(environment_of(regions_file(directory, database)), directory) as service:
        yield Own(database, service)


def write(database: Database, seed: int, count: int) -> None:
    """A writer sends so many requests, some at once."""
    load = requests(seed)
    with closing(database.ledger()) as ledger:
        ledger.handle_now(opening())
        for _ in range(count // AT_ONCE):
            ledger.handle_now(list(islice(load, AT_ONCE)))


def logged(database: Database) -> dict[str, str]:
    """The hash of every event by its position."""
    with closing(database.log()) as log:
        return {
            f"{event.lane}-{event.position}": event.hash.hex()
            for head in log.heads()
            for event in log.lane(head.lane)
        }


def end(service: Service) -> str:
    """The place after everything."""
    page = service.ask("/v1/events?limit=500", TOKEN).json
    while page["data"]:
        page = service.ask(f"/v1/events?limit=500&after={page['next_cursor']}", TOKEN).json
    cursor: str = page["next_cursor"]
    return cursor


class Consumer:
    """A process that consumes, is killed at random, and started again."""

    def __init__(self, kind: str, port: int, directory: Path) -> None:
        self.journal = directory / kind
        self.lives = 0
        self._command = [sys.executable, "-m", "tests.api.consumer", kind.split("-")[0]]
        self._command += [str(port), TOKEN, str(self.journal)]
        self._errors = directory / f"{kind}.log"

    def live(self, more: int, is_done: Callable[[], bool]) -> None:
        """Consumes until it has noted so many more bytes, or all; then is killed with -9."""
        goal = self._noted() + more
        with self._errors.open("a") as errors:
            process = subprocess.Popen(self._command, cwd=ROOT, stderr=errors)
        self.lives += 1
        while self._noted() < goal and not is_done():
            time.sleep(0.01)
        process.kill()
        process.wait()

    def _noted(self) -> int:
        return self.journal.stat().st_size if self.journal.exists() else 0

    def events(self) -> list[dict[str, Any]]:
        """Everything it has taken in all its lives, in order."""
        return [event for taken in read_journal(self.journal) for event in taken.events]


def test_killed_consumers_see_every_event_once(own: Own, tmp_path: Path) -> None:
    """While four write, consumers of pages and streams are killed at random, and a worker told to
    end; by its last id each sees every event exactly once, and each account in order."""
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    kinds = ("pages", "stream-1", "stream-2")
    consumers = [Consumer(kind, own.service.port, tmp_path) for kind in kinds]
    written = threading.Event()
    expected: dict[str, str] = {}

    def consume(consumer: Consumer) -> None:
        dice = random.Random(f"{seed}/{consumer.journal.name}")
        deadline = time.monotonic() + CONSUMING_S_MAX

        def is_done() -> bool:
            has_all = written.is_set() and len(consumer.events()) >= len(expected)
            return has_all or time.monotonic() > deadline

        while not is_done():
            consumer.live(dice.randint(0, BYTES_OF_LIFE_MAX), is_done)

    consuming = [threading.Thread(target=consume, args=(one,)) for one in consumers]
    writing = [
        threading.Thread(target=write, args=(own.database, n, REQUESTS_OF_WRITER))
        for n in range(WRITERS)
    ]
    for thread in (*consuming, *writing):
        thread.start()
    eventually(lambda: len(consumers[1].events()) > 300)
    worker_of(own.service).terminate()
    for thread in writing:
        thread.join()
    expected = logged(own.database)
    written.set()
    for thread in consuming:
        thread.join()
    assert len(expected) > 3_000
    for consumer in consumers:
        events = consumer.events()
        assert {} == Counter(e["position"] for e in events) - Counter(expected.keys()), "seen twice"
        assert expected == {e["position"]: e["hash"] for e in events}
        assert_in_order(events)
        assert consumer.lives > 2


def assert_in_order(events: list[dict[str, Any]]) -> None:
    """Each account from its first version on, none left out."""
    versions = Counter[str]()
    for event in events:
        versions[event["account_number"]] += 1
        assert versions[event["account_number"]] == event["version"], event


def worker_of(service: Service) -> psutil.Process:
    """The child of the service that listens, which the follower does not; waits for it."""

    def listening() -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(service.process.pid).children()
            if any(
                line.status == psutil.CONN_LISTEN and line.laddr.port == service.port
                for line in child.net_connections()
            )
        ]

    eventually(lambda: len(listening()) == 1)
    return listening()[0]


def test_a_revoked_token_ends_its_stream(own: Own) -> None:
    """Idle or in the middle of events, a stream does not outlive its token, and others go on."""
    token = new_token("us")
    with ExitStack() as stack, Registrar("us", own.database.service_url) as registrar:
        registrar.issue_token(token, "short-lived", ["audit"])
        after = end(own.service)
        idle, busy, other = [
            stack.enter_context(closing(Listener(own.service.port, one, place)))
            for one, place in ((token, after), (token, None), (TOKEN, after))
        ]
        first = next(busy.taken())
        assert first.events[0]["version"] == 1
        registrar.revoke_tokens("short-lived")
        started = time.monotonic()
        assert [] == list(idle.taken())
        assert len(list(busy.taken())) < len(logged(own.database)) - 1
        assert time.monotonic() - started < ENDS_S_MAX
        with closing(Listener(own.service.port, token, after)) as back:
            assert back.response.status == 401
        write(own.database, 99, AT_ONCE)
        assert next(other.taken()).events[0]["account_number"].startswith("K-")


def test_a_slow_consumer_misses_nothing_and_holds_nobody_up(own: Own) -> None:
    """One that reads late gets every event in order; meanwhile the service keeps little for it."""
    worker = worker_of(own.service)
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(Listener(own.service.port, TOKEN))) for _ in range(4)]
        before = worker.memory_info().rss
        with closing(Listener(own.service.port, TOKEN)) as quick:
            whole = logged(own.database)
            quickly = list(islice(quick.taken(), len(whole)))
        assert worker.memory_info().rss - before < 16 * 1024 * 1024
        for one in slow:
            slowly = list(islice(one.taken(), len(whole)))
            assert whole == {e["position"]: e["hash"] for t in slowly for e in t.events}
            assert_in_order([event for taken in slowly for event in taken.events])
        assert len(quickly) == len(whole)


def test_listeners_are_bounded(own: Own) -> None:
    """Past the bound it is 503 with Retry-After; a place that was given up is free again."""
    after = end(own.service)
    with ExitStack() as stack:
        listening = [
            stack.enter_context(closing(Listener(own.service.port, TOKEN, after)))
            for _ in range(LISTENERS_MAX)
        ]
        assert [200] * LISTENERS_MAX == [one.response.status for one in listening]
        too_many = own.service.ask("/v1/events/stream", TOKEN)
        assert (503, "overloaded") == (too_many.status, too_many.code)
        assert int(too_many.headers["retry-after"]) > 0
        assert own.service.ask("/v1/events?limit=1", TOKEN).status == 200
        listening[0].close()

        def is_let_in() -> bool:
            with closing(Listener(own.service.port, TOKEN, after)) as another:
                return another.response.status == 200

        eventually(is_let_in)


def test_the_header_of_a_stream_alone(own: Own) -> None:
    """HEAD answers like GET and ends; proxies are told to keep nothing back."""
    answer = own.service.ask("/v1/events/stream", TOKEN, method="HEAD")
    assert (200, b"") == (answer.status, answer.body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    with closing(Listener(own.service.port, TOKEN)) as listening:
        headers = listening.response.headers
        assert headers["Content-Type"] == answer.headers["content-type"]
        assert headers["Cache-Control"] == "no-store, no-transform"
        assert next(listening.messages()) == {"retry": "1000"}


def test_open_streams_end_with_their_worker(own: Own) -> None:
    """On SIGTERM listeners' streams end whole, after an event, and the worker is gone within
    seconds, without a complaint in the log; whoever comes back is served by the next one."""
    log = own.service.errors
    closed = log.read_text().count('"why": "closing"')
    with ExitStack() as stack:
        listening = [
            stack.enter_context(closing(Listener(own.service.port, TOKEN))) for _ in range(4)
        ]
        last = [list(islice(one.taken(), 100))[-1].id for one in listening]
        worker = worker_of(own.service)
        worker.terminate()
        for one in listening:
            list(one.taken())
        worker.wait(ENDS_S_MAX)
    assert log.read_text().count('"why": "closing"') - closed == 4
    assert '"level": "error"' not in log.read_text()
    with closing(Listener(own.service.port, TOKEN, last[0])) as back:
        assert back.response.status == 200
