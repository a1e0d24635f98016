"""A service whose database is slow, stopped or killed: 503 meanwhile, and never a command done twice."""

import asyncio
import json
import shutil
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
from httpx2 import Response
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from api import database as lines
from api.app import create_app
from api.database import DatabaseUnavailable, LinePool, PoolBusy, TooSlow
from api.doors import RegionDoor
from api.edge import Edge
from api.embedded import EmbeddedServer, start
from api.reads import SummaryReader
from api.wiring import Database, Doors
from ledger.store.faults import LedgerClosed, StoreUnavailable
from ledger.store.outcomes import Accepted
from ledger.store.roles import READER
from tests.api.books import COMMANDS, PASSWORD, TOKENS, fill, requests
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.serving import Answer, Service, environment_of, eventually, free_port, serving
from tests.conftest import server_directory

US = TOKENS["us"]
THREADS = 4
CHARGES = 25
ASKED: Scope = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "path": "/",
    "raw_path": b"/",
    "headers": [(b"host", b"x")],
    "query_string": b"",
}


@dataclass
class Outage:
    """A service over a server of its own, which may be stopped, started and killed."""

    server: EmbeddedServer
    database: Database
    service: Service

    def stop(self) -> None:
        self.server.close()

    def start(self) -> None:
        before = self.server.admin_url()
        self.server = start(self.server.directory)
        assert self.server.admin_url() == before, "another program took the port meanwhile"

    def kill(self) -> int:
        """Kills the server with -9; whoever supervises it starts another. Its process id."""
        file = self.server.directory / "pgdata" / "postmaster.pid"
        pid = int(file.read_text().split()[0])
        psutil.Process(pid).send_signal(signal.SIGKILL)
        return pid

    def charge(self, id: str, key: str) -> Answer:
        given = {"charge_id": id, "amount": "1.00", "description": "Calls", "category": "voice"}
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        path = "/v1/accounts/A-1/charges"
        body = json.dumps(given).encode()
        return self.service.ask(path, US, method="POST", headers=headers, body=body)

    def charges(self, like: str) -> list[str]:
        """The charges recorded whose id begins so, as often as they were recorded."""
        with closing(psycopg.connect(self.server.owner_url(self.name))) as owner:
            rows = owner.execute(
                b"SELECT convert_from(state, 'UTF8')::json->'data'->>'charge_id' FROM ledger.event"
                b" WHERE topic LIKE '%charge_posted%'"
            ).fetchall()
        return sorted(id for (id,) in rows if str(id).startswith(like))

    @property
    def name(self) -> str:
        return self.database.service_url.rpartition("/")[2]


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    directory = server_directory(f"outage-{uuid.uuid4().hex[:12]}")
    server = start(directory)
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    fill(database)
    place = tmp_path_factory.mktemp("outage")
    with serving(environment_of(regions_file(place, database)), place) as service:
        found = Outage(server, database, service)
        yield found
    found.stop()
    shutil.rmtree(directory, ignore_errors=True)


def is_later(answer: Answer) -> bool:
    """Whether an answer says to try again."""
    return answer.code in ("database_unavailable", "overloaded") and bool(
        answer.headers["retry-after"]
    )


def test_a_stopped_database_is_503_until_it_is_back(outage: Outage) -> None:
    """Reads, commands and sign-in tell to try again, and the same processes go on afterwards."""
    family = psutil.Process(outage.service.process.pid).children(recursive=True)
    assert outage.charge("s-1", "s-1").status == 201
    assert outage.database.owner_url is not None
    waiting: list[Answer] = []
    with closing(psycopg.connect(outage.database.owner_url)) as owner:
        owner.execute(b"SELECT FROM ledger.lane_head FOR UPDATE")
        under_way = threading.Thread(target=lambda: waiting.append(outage.charge("s-2", "s-2")))
        under_way.start()
        eventually(lambda: waits_for_a_lock(owner))
        outage.stop()
    answers = [
        outage.service.summary("A-1", US),
        outage.service.ask("/v1/accounts/A-1", US),
        outage.charge("s-3", "s-3"),
        outage.service.sign_in("A-1", PASSWORD),
    ]
    assert [503] * len(answers) == [answer.status for answer in answers]
    assert all(map(is_later, answers))
    assert outage.service.ask("/healthz").status == 200
    eventually(lambda: outage.service.ask("/readyz").status == 503)
    under_way.join()
    if waiting[0].status != 201:  # done: the server ended whoever held the lock a moment before
        assert is_later(waiting[0])
        assert "done or not" in waiting[0].json["detail"]
    outage.start()
    for id in ("s-2", "s-3"):
        eventually(lambda id=id: outage.charge(id, id).status == 201)  # type: ignore[misc] # its own
        assert outage.charge(id, id).headers["idempotency-replayed"] == "true"
    assert outage.charge("s-1", "s-1").headers["idempotency-replayed"] == "true"
    assert outage.charges("s-") == ["s-1", "s-2", "s-3"]
    assert outage.service.summary("A-1", US).status == 200
    assert outage.service.sign_in("A-1", PASSWORD).status == 200
    eventually(lambda: outage.service.ask("/readyz").status == 200)
    assert family == psutil.Process(outage.service.process.pid).children(recursive=True)


def waits_for_a_lock(owner: psycopg.Connection[tuple[object, ...]]) -> bool:
    [count] = owner.execute(b"SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() or (0,)
    return bool(count)


def test_a_killed_database_loses_and_doubles_nothing(outage: Outage) -> None:
    """Commands under load while the server is killed twice: each is done once, after 503s or not."""
    statuses: list[int] = []
    odd: list[Answer] = []

    def charge(n: int) -> None:
        for m in range(CHARGES):
            id = f"k-{n}-{m}"
            deadline = time.monotonic() + 60
            while (answer := outage.charge(id, id)).status != 201:
                statuses.append(answer.status)
                if not is_later(answer) or time.monotonic() > deadline:
                    odd.append(answer)
                    return
            statuses.append(201)

    threads = [threading.Thread(target=charge, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    killed = set[int]()
    for done in (THREADS * CHARGES // 4, THREADS * CHARGES // 2):
        eventually(lambda done=done: bool(odd) or statuses.count(201) >= done)  # type: ignore[misc] # its own
        eventually(lambda: (outage.server.directory / "pgdata" / "postmaster.pid").exists())
        killed.add(outage.kill())
    for thread in threads:
        thread.join()
    assert [] == odd
    assert len(killed) == 2
    assert statuses.count(201) == THREADS * CHARGES
    wanted = sorted(f"k-{n}-{m}" for n in range(THREADS) for m in range(CHARGES))
    eventually(lambda: outage.service.summary("A-1", US).status == 200)
    assert outage.charges("k-") == wanted


def test_an_outage_leaves_no_fault_and_no_password_in_the_log(outage: Outage) -> None:
    """What the database could not do was told as 503: nothing crashed, and no address was logged."""
    said = outage.service.errors.read_text()
    assert "follower_interrupted" in said
    for event in ("internal_error", "child_died", "Traceback"):
        assert event not in said
    secret = outage.database.service_url.partition("://")[2].partition("@")[0].partition(":")[2]
    assert secret
    assert secret not in said


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (DatabaseUnavailable(), "database_unavailable"),
        (StoreUnavailable("x"), "database_unavailable"),
        (LedgerClosed("x"), "database_unavailable"),
        (TooSlow(), "overloaded"),
        (PoolBusy(), "overloaded"),
    ],
)
def test_what_is_not_the_callers_fault_says_when_to_come_back(fault: Exception, code: str) -> None:
    """Each has its problem, with 503 and Retry-After, wherever in the application it is raised."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise fault

    answer = TestClient(Edge(failing)).get("/")
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert answer.headers["retry-after"].isdigit()


def test_who_is_given_up_on_when_the_service_ends_is_told_to_try_again() -> None:
    """A request that outlasts the draining is cancelled: 503, done or not, and never a 500."""
    got: list[Message] = []
    waits = asyncio.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        waits.set()
        await asyncio.Event().wait()

    async def ask() -> None:
        async def send(message: Message) -> None:
            got.append(message)

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        asked = asyncio.ensure_future(Edge(stuck)(dict(ASKED), receive, send))
        await waits.wait()
        asked.cancel()
        await asked

    asyncio.run(ask())
    problem = json.loads(got[1]["body"])
    assert (503, "database_unavailable") == (got[0]["status"], problem["code"])
    assert "done or not" in problem["detail"]


def test_a_slow_statement_is_broken_off(us: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that the database holds up ends at its timeout as 503 overloaded; the next one works."""
    monkeypatch.setattr(lines, "STATEMENT_TIMEOUT", "300ms")
    bearer = {"Authorization": f"Bearer {US}"}
    charging = {**bearer, "Idempotency-Key": "slow"}
    given = {"charge_id": "slow", "amount": "1.00", "description": "Calls", "category": "voice"}
    assert us.owner_url is not None
    with (
        TestClient(create_app(Doors((us,)))) as client,
        closing(psycopg.connect(us.owner_url)) as owner,
    ):

        def asked() -> list[Response]:
            path = "/v1/accounts/A-1"
            return [
                client.get(f"{path}/summary", headers=bearer),
                client.post(f"{path}/charges?dry_run=true", headers=charging, json=given),
            ]

        assert [200, 200] == [answer.status_code for answer in asked()]
        owner.execute(b"LOCK TABLE access.token IN ACCESS EXCLUSIVE MODE")
        for answer in asked():
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert answer.headers["retry-after"]
        owner.rollback()
        assert [200, 200] == [answer.status_code for answer in asked()]


def test_the_timeout_of_readers_is_as_documented() -> None:
    """Ten seconds, here as in docs/operations.md."""
    assert lines.STATEMENT_TIMEOUT == "10s"
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert "| a statement that reads | 10 s |" in page


def test_a_line_is_waited_for_in_vain_only_so_long(
    us: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool whose lines are all taken turns callers away in time, and serves them afterwards."""
    monkeypatch.setattr(lines, "WAIT_S", 0.1)

    async def ask() -> None:
        pool = LinePool(us.service_url, READER, 1)
        async with pool.line():
            with pytest.raises(PoolBusy):
                await pool.rows(b"SELECT 1", ())
            monkeypatch.setattr(lines, "WAITING_MAX", 0)
            with pytest.raises(PoolBusy):
                await pool.rows(b"SELECT 1", ())
        assert [(1,)] == await pool.rows(b"SELECT 1", ())
        await pool.close()

    asyncio.run(asyncio.wait_for(ask(), 10))


def test_a_ledger_whose_thread_has_ended_is_opened_anew(us: Database) -> None:
    """The first caller is told to try again, and the next one is served."""

    async def ask() -> None:
        door = RegionDoor(us, SummaryReader(us.region, us.service_url), asyncio.Event())
        [asked] = requests("A-1", us.today(), COMMANDS[:1])
        [outcome] = await door.handle([asked])
        assert isinstance(outcome, Accepted)
        assert door._ledger is not None
        door._ledger.close()
        with pytest.raises(LedgerClosed):
            await door.handle([asked])
        [outcome] = await door.handle([asked])
        assert isinstance(outcome, Accepted)
        assert outcome.replayed
        await door.close()

    asyncio.run(ask())


def test_a_ledger_that_cannot_be_opened_is_asked_for_later(us: Database) -> None:
    """The database is away when the first command comes: nothing was done, and nothing is broken."""

    async def ask() -> None:
        url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
        away = Database(us.region, url, None, is_embedded=False)
        door = RegionDoor(away, SummaryReader(us.region, us.service_url), asyncio.Event())
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await door.handle(requests("A-1", us.today(), COMMANDS[:1]))
        await door.close()

    asyncio.run(ask())
