"""The moment a region's books are read at: resolved once, never ahead of the views, the same for ever."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from starlette.requests import Request

import api.entering
import api.region_reads
from api import parameters
from api.database import Transaction
from api.embedded import EmbeddedServer
from api.problems import Problem
from api.region_reads import REGION_AS_OF, RegionRead, RegionReading
from api.security.scope import READ_BOOKS
from api.vectors import Vector
from api.wiring import Database, Doors
from ledger.errors import KnownAtInFuture, ViewBehind
from ledger.store.lanes import LANES
from ledger.store.outcomes import Accepted
from ledger.store.roles import READER, acting_as
from projections.model import creation
from projections.receivables import RECEIVABLES
from tests.api.books import COMMANDS, TOKENS, WITHOUT_SCOPES, requests
from tests.api.conftest import filled_database

VIEWS = ("journal", "receivables")


class Seen(msgspec.Struct, frozen=True):
    """What a read was given."""

    positions: list[int]
    is_live: bool
    effective_on: date
    known_at: datetime | None
    position: str
    parked: int
    accounts: int


@pytest.fixture(scope="module")
def books(server: EmbeddedServer) -> Database:
    """A region that nothing follows but what a test asks to."""
    return filled_database(server)


@pytest.fixture(scope="module")
def reader(books: Database) -> Iterator["psycopg.Connection[Any]"]:
    """A connection that acts as readers do."""
    with psycopg.connect(acting_as(books.service_url, READER), autocommit=True) as connection:
        yield connection


def ask(
    database: Database,
    query: str = "",
    token: str = TOKENS["us"],
    not_older_than: str = "",
    begun: Callable[[], None] = lambda: None,
) -> Seen:
    """What a read of the region sees; raises what it would be refused with."""

    async def work(reading: RegionReading) -> Seen:
        begun()
        [(accounts,)] = await reading.rows(b"SELECT count(*) FROM receivables.account", n=0)
        return Seen(
            reading.positions,
            reading.is_live,
            reading.effective_on,
            reading.known_at,
            reading.position,
            reading.parked,
            accounts,
        )

    async def run() -> Seen:
        doors = Doors((database,))
        read = RegionRead(
            doors.regions, READ_BOOKS, parameters.named(*REGION_AS_OF), work, views=VIEWS
        )
        headers = [(b"authorization", f"Bearer {token}".encode())]
        if not_older_than:
            headers.append((b"ledger-position", not_older_than.encode()))
        scope = {
            "type": "http",
            "query_string": query.encode(),
            "headers": headers,
            "path_params": {},
        }
        try:
            response = await read(Request(scope))
        finally:
            await doors.close()
        seen = msgspec.json.decode(response.body, type=Seen)
        assert seen.position == response.headers["ledger-position"]
        return seen

    return asyncio.run(run())


def append(database: Database, *accounts: str) -> list[str]:
    """Opens accounts, all in one append; the position of each."""
    asked = [requests(number, database.today(), COMMANDS[:1])[0] for number in accounts]
    told = []
    with closing(database.ledger()) as ledger:
        for outcome in ledger.handle_now(asked):
            assert isinstance(outcome, Accepted)
            told.append(f"{outcome.lane}-{outcome.position}")
    return told


def heads(database: Database) -> list[int]:
    with closing(database.log()) as log:
        return [head.position for head in log.heads()]


def accounts_in(database: Database) -> int:
    """How many accounts the log has."""
    assert database.owner_url is not None
    with psycopg.connect(database.owner_url) as owner:
        [(found,)] = owner.execute("SELECT count(*) FROM ledger.account").fetchall()
    return int(found)


def test_an_answer_says_its_moment_and_gives_it_again(books: Database) -> None:
    """Live is what the views have reached; asked for at that position, or at its instant once
    nothing more came, it is the same moment; on another day it is not live."""
    books.catch_up(30)
    live = ask(books)
    assert (heads(books), True, books.today(), 0) == (
        live.positions,
        live.is_live,
        live.effective_on,
        live.parked,
    )
    assert accounts_in(books) == live.accounts
    assert live.position == Vector("us", live.positions).text()
    assert live == ask(books, f"?at={live.position}"[1:])
    assert live.known_at is not None
    instant = live.known_at.isoformat().replace("+00:00", "Z")
    assert live == ask(books, f"known_at={instant}")
    past = ask(books, "effective_on=2020-03-01")
    assert (live.positions, False, date(2020, 3, 1)) == (
        past.positions,
        past.is_live,
        past.effective_on,
    )
    nothing = ask(books, f"at={Vector('us').text()}")
    assert ([0] * LANES, False, None) == (nothing.positions, nothing.is_live, nothing.known_at)


def test_a_moment_stays_as_it_was(books: Database) -> None:
    """What comes later changes neither an instant's positions nor those that were given out."""
    before = ask(books)
    between = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    append(books, "LATER-1", "LATER-2")
    books.catch_up(30)
    after = ask(books)
    assert before.positions != after.positions
    assert before.positions == ask(books, f"known_at={between}").positions
    assert before.positions == ask(books, f"at={before.position}").positions
    assert not ask(books, f"at={before.position}").is_live


def test_a_read_is_not_older_than_what_its_caller_knows(
    books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views behind a command's position, a vector or an instant are waited for, then refused."""
    monkeypatch.setattr(api.region_reads, "BEHIND_S_MAX", 0.05)
    [position, _] = append(books, "NEW-1", "NEW-2")
    vector = Vector("us", heads(books)).text()
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    for query, wanted in (
        ("", position),
        ("", vector),
        (f"at={vector}", ""),
        (f"known_at={now}", ""),
        ("effective_on=2020-03-01", position),
    ):
        with pytest.raises(ViewBehind):
            ask(books, query, not_older_than=wanted)
    ask(books)  # who knows of nothing new is not kept waiting
    monkeypatch.undo()
    following = threading.Timer(0.3, books.catch_up, (30,))
    following.start()
    seen = ask(books, not_older_than=position)
    following.join()
    assert heads(books) == seen.positions


def test_a_read_of_several_views_is_where_all_of_them_are(books: Database) -> None:
    """While one of them is behind, it is what both hold; and not live, though that one is as it is read."""
    before = ask(books)
    [position] = append(books, "HALF-1")
    with closing(books.follower(RECEIVABLES)) as follower:
        follower.catch_up()
    between = ask(books)
    assert (before.positions, False) == (between.positions, between.is_live)
    books.catch_up(30)
    after = ask(books, not_older_than=position)
    assert (heads(books), True) == (after.positions, after.is_live)


@pytest.mark.parametrize("at_once", [True, False])
def test_views_swapped_meanwhile_are_read_again(books: Database, at_once: bool) -> None:
    """When a rebuild puts new tables in place after a read began to see, before its first look at
    the views or after, it is read again from its start, and sees all that is in the new ones; also
    when that first look took longer than anybody waits for views that are behind."""
    assert books.owner_url is not None
    before, swaps = ask(books), list[str]()

    def swap() -> None:
        with psycopg.connect(books.owner_url) as owner:
            swaps.append(f"receivables_was_{len(swaps)}")
            owner.execute(f"ALTER SCHEMA receivables RENAME TO {swaps[-1]}".encode())
            owner.execute(creation(RECEIVABLES, "receivables").encode())
            owner.execute(b"DELETE FROM receivables.tracking")
            for table in ("tracking", "account"):
                copy = f"INSERT INTO receivables.{table} SELECT * FROM {swaps[-1]}.{table}"
                owner.execute(copy.encode())

    async def enter(transaction: Transaction, *given: Any) -> Any:
        entered = await api.entering.enter(transaction, *given)
        entries.append(at_once)
        if entries == [True, True]:  # past the transaction that resolves the moment
            swap()
        return entered

    entries = list[bool]()

    def begun() -> None:
        if not at_once and not swaps:
            swap()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.region_reads, "enter", enter)
        patch.setattr(api.region_reads, "BEHIND_S_MAX", 0.05)
        after = ask(books, begun=begun)
    assert len(swaps) == 1
    assert (before.positions, before.accounts) == (after.positions, after.accounts)
    with psycopg.connect(books.owner_url) as owner:
        owner.execute(b"DROP SCHEMA receivables CASCADE")
        owner.execute(f"ALTER SCHEMA {swaps[0]} RENAME TO receivables".encode())


@pytest.mark.parametrize(
    ("query", "wanted", "code"),
    [
        ("at=garbage", "", "position_unknown"),
        ("at=0-1", "", "position_unknown"),
        (f"at={Vector('emea').text()}", "", "position_unknown"),
        (f"at={Vector('us', [2**62] * LANES).text()}", "", "position_unknown"),
        (f"at={Vector('us').text()}&known_at=2020-01-01T00:00:00Z", "", "invalid_request"),
        ("known_at=yesterday", "", "invalid_request"),
        ("effective_on=2020-02-30", "", "invalid_request"),
        ("to=2020-02-01", "", "invalid_request"),
        ("", "64-1", "position_unknown"),
        ("", "1-999999999999999999", "position_unknown"),
        ("", Vector("us", [2**63 - 1] * LANES).text(), "position_unknown"),
    ],
)
def test_what_is_no_moment_is_refused(books: Database, query: str, wanted: str, code: str) -> None:
    """A 422 that says so, told only to who may read the books."""
    with pytest.raises(Problem) as refused:
        ask(books, query, not_older_than=wanted)
    assert (422, code) == (refused.value.status, refused.value.code)
    with pytest.raises(Problem) as refused:
        ask(books, query, WITHOUT_SCOPES, wanted)
    assert "forbidden" == refused.value.code


def test_an_instant_to_come_is_refused(books: Database) -> None:
    """What will be known then is not known yet."""
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
    with pytest.raises(KnownAtInFuture):
        ask(books, f"known_at={soon}")


def test_the_positions_of_any_instant(books: Database, reader: Any) -> None:
    """At every instant of the log, just before and just after it, each lane is at its last event
    recorded by then, as for one lane."""
    for n in range(6):
        append(books, *(f"AT-{n}-{k}" for k in range(3)))
    assert books.owner_url is not None
    with psycopg.connect(books.owner_url) as owner:
        events = owner.execute("SELECT lane, position, recorded_at FROM ledger.event").fetchall()
    instants = sorted({recorded_at for _, _, recorded_at in events})
    assert len(instants) > 5
    for instant in instants:
        for known_at in (instant - timedelta(microseconds=1), instant):
            expected = [0] * LANES
            for lane, position, recorded_at in events:
                if recorded_at <= known_at:
                    expected[lane] = max(expected[lane], position)
            row = reader.execute("SELECT ledger.known_positions(%s)", (known_at,)).fetchone()
            assert expected == row[0]
            one = reader.execute("SELECT ledger.known_position(%s, %s)", (events[0][0], known_at))
            assert expected[events[0][0]] == one.fetchone()[0]


def test_no_append_joins_what_was_known(books: Database) -> None:
    """Asked again and again for now while appends of many lanes go on, instants resolve to what the
    log holds of them for ever, and neither side is broken off."""
    done = threading.Event()
    faults: list[BaseException] = []

    def write(writer: int) -> None:
        n = 0
        try:
            while not done.is_set():
                append(books, *(f"BUSY-{writer}-{n}-{k}" for k in range(20)))
                n += 1
        except BaseException as fault:
            faults.append(fault)
            raise

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(2)]
    for thread in writers:
        thread.start()
    resolved = []
    try:
        with psycopg.connect(acting_as(books.service_url, READER), autocommit=True) as connection:
            for _ in range(60):
                known_at = datetime.now(UTC)
                row = connection.execute(
                    "SELECT ledger.known_positions(%s)", (known_at,)
                ).fetchone()
                assert row is not None
                resolved.append((known_at, row[0]))
    finally:
        done.set()
        for thread in writers:
            thread.join()
    assert [] == faults
    assert books.owner_url is not None
    with psycopg.connect(books.owner_url) as owner:
        for known_at, positions in resolved:
            rows = owner.execute(
                "SELECT h.lane, (SELECT count(*) FROM ledger.event AS e"
                " WHERE e.lane = h.lane AND e.recorded_at <= %s)"
                " FROM ledger.lane_head AS h ORDER BY h.lane",
                (known_at,),
            ).fetchall()
            assert [count for _, count in rows] == positions
    assert resolved[0][1] != resolved[-1][1]
