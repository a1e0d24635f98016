"""Lists of an account say what its events say, live and as of any two clocks, and their sums tie."""

import random
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from api.embedded import EmbeddedServer
from ledger import commands as c
from ledger import events as e
from ledger.history import as_of
from ledger.store.committer import Ledger
from ledger.store.lanes import lane_of
from ledger.store.migrate import migrate
from ledger.store.roles import READER
from projections.follower import Follower
from projections.migrations import sources
from projections.model import ensure
from projections.reading import Reading, Summary
from projections.rebuild import rebuild
from projections.receivables import RECEIVABLES
from tests.projections import told_money
from tests.projections.books import MadeUp, append, books, interleaved, spread
from tests.projections.told_lines import Known, Lines, Row, built, invoices
from tests.projections.told_statement import statement
from tests.store.databases import SERVICE, US, Database

ACCOUNTS = 36
STEPS = 110
CLOCKS = 5
FAR = date.max
LISTS = {
    "charges": "effective_on",
    "unbilled_charges": "effective_on",
    "reversed_charges": "effective_on",
    "activity": "effective_on",
    "invoices": "issued_on",
    "payments": "effective_on",
    "credits": "effective_on",
    "refunds": "effective_on",
    "write_offs": "effective_on",
    "disputes": "effective_on",
    "messages": "effective_on",
}
"""The lists, and the day each is in order of."""


class Lists:
    """Reads the lists of accounts as the reader's role does."""

    def __init__(self, database: Database) -> None:
        self._connection = psycopg.connect(
            database.acting_as(READER), autocommit=True, row_factory=dict_row
        )
        self._connection.execute("SELECT set_config('billing.scope', '*', false)")

    def close(self) -> None:
        self._connection.close()

    def rows(self, function: str, id: UUID, *given: Any, order: str = "") -> list[Row]:
        places = ", ".join(["%b"] * (len(given) + 2))
        query = f"SELECT l.* FROM receivables.{function}({places}) AS l {order}"
        return self._connection.execute(query.encode(), (lane_of(id), id, *given)).fetchall()

    def newest(self, function: str, id: UUID, *given: Any) -> list[Row]:
        on = LISTS.get(function, "effective_on")
        return self.rows(function, id, *given, order=f"ORDER BY l.{on} DESC, l.seq DESC")


@dataclass
class Past:
    """An account with the positions and instants of its events."""

    made: MadeUp
    known: list[Known]
    positions: list[int]
    reached: int

    @property
    def id(self) -> UUID:
        return self.made.id

    @property
    def texts(self) -> dict[str, str]:
        posted = (r.command for r in self.made.requests if isinstance(r.command, c.PostMessage))
        return {command.message_id: command.text for command in posted}

    @property
    def days(self) -> tuple[date, date]:
        on = [one.event.effective_on for one in self.known]
        return min(on), max(on)

    def upto(self, position: int | None) -> list[Known]:
        """The events known at a position."""
        if position is None:
            return self.known
        return [k for k, at in zip(self.known, self.positions, strict=True) if at <= position]


@pytest.fixture(scope="module")
def seed() -> int:
    return random.randrange(2**32)


@pytest.fixture(autouse=True)
def tells_seed(seed: int) -> None:
    print("seed", seed)


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Database:
    """A database for all tests of this module, which only read it, or rebuild what it holds."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    server.ensure_database(name)
    made = Database(name, server.owner_url(name), server.service_url(name))
    migrate(made.owner_url, region=US, service_role=SERVICE, sources=sources())
    ensure(made.owner_url, RECEIVABLES)
    return made


@pytest.fixture(scope="module")
def pasts(seed: int, database: Database) -> list[Past]:
    """Made-up accounts in the views, their events recorded over weeks."""
    accounts = books(seed, ACCOUNTS, STEPS)
    with closing(Ledger(database.service_url, US.code)) as ledger:
        append(ledger, interleaved(seed, accounts))
    spread(database)
    with closing(Follower(database.service_url, RECEIVABLES, events_max=300)) as follower:
        follower.catch_up()
        assert [] == follower.parked()
    recorded: dict[UUID, list[tuple[int, Any]]] = {}
    for id, position, at in database.rows(
        "SELECT account_id, position, recorded_at FROM ledger.event ORDER BY lane, position"
    ):
        recorded.setdefault(id, []).append((position, at))
    heads = dict(database.rows("SELECT lane, position FROM ledger.lane_head"))
    found = []
    for made in accounts:
        stamps = recorded[made.id]
        events = zip(made.book.events, stamps, strict=True)
        known = [Known(n, at, event) for n, (event, (_, at)) in enumerate(events, start=1)]
        positions = [position for position, _ in stamps]
        found.append(Past(made, known, positions, heads[lane_of(made.id)]))
    return found


@pytest.fixture
def lists(database: Database) -> Iterator[Lists]:
    with closing(Lists(database)) as reading:
        yield reading


def clocks(dice: random.Random, past: Past) -> Iterator[tuple[date, int | None]]:
    """Days and positions to ask for; the first two are today and far ahead, live."""
    first, last = past.days
    yield last, None
    yield FAR, None
    for _ in range(CLOCKS):
        day = first + timedelta(days=dice.randint(-3, (last - first).days + 40))
        yield day, dice.randint(past.positions[0], past.reached)


def told(past: Past, day: date, known: list[Known]) -> dict[str, list[Row]]:
    """Every list as the events have it."""
    lines = Lines(known)
    charges = lines.charges(day)
    return {
        "charges": charges,
        "unbilled_charges": [row for row in charges if row["status"] == "unbilled"],
        "reversed_charges": [row for row in charges if row["status"] == "reversed"],
        "activity": lines.activity(day),
        "invoices": invoices(known, day),
        "payments": told_money.payments(known, day),
        "credits": told_money.credits(known, day),
        "refunds": told_money.refunds(known, day),
        "write_offs": told_money.write_offs(known, day),
        "disputes": told_money.disputes(known, day),
        "messages": told_money.messages(known, day, past.texts),
    }


def unlike(where: str, expected: list[Row], shown: list[Row]) -> list[str]:
    if expected == shown:
        return []
    for a, b in zip(expected, shown, strict=False):
        if a != b:
            odd = {n: (a.get(n), b.get(n)) for n in {*a, *b} if a.get(n) != b.get(n)}
            return [f"{where}: {odd or a.keys() ^ b.keys()} in {a}"]
    return [f"{where}: {len(expected)} rows, {len(shown)} shown"]


def lists_differ(lists: Lists, past: Past, day: date, position: int | None) -> list[str]:
    known, where = past.upto(position), f"{past.made.number} on {day} at {position}"
    found = []
    for name, expected in told(past, day, known).items():
        found += unlike(f"{where}: {name}", expected, lists.newest(name, past.id, day, position))
    lines, sources = Lines(known), told_money.Sources(known, day)
    payments, credits = told_money.payments(known, day), told_money.credits(known, day)
    for number in [*lines.bills][-6:]:
        of = (past.id, number, day, position)
        expected = lines.invoice_lines(number, day)
        found += unlike(f"{where}: lines {number}", expected, lists.newest("invoice_lines", *of))
        charges = [row for row in lines.charges(day) if row["invoice"] == number]
        found += unlike(f"{where}: on {number}", charges, lists.newest("invoice_charges", *of))
        for name, rows in (("payments", payments), ("credits", credits)):
            touching = [row for row in rows if touches(row, number)]
            shown = lists.newest(f"invoice_{name}", *of)
            found += unlike(f"{where}: {name} of {number}", touching, shown)
        names = ("source", "amount_minor", "recovered_minor", "effective_on")
        put = sources.allocations("invoice", number, *names)
        order = "ORDER BY l.effective_on, l.seq, l.n"
        shown = lists.rows("invoice_allocations", *of, order=order)
        shown = [{name: row[name] for name in names} for row in shown]
        found += unlike(f"{where}: put on {number}", put, shown)
    return found


def touches(row: Row, number: str) -> bool:
    """Whether a payment or credit names an invoice or is on it."""
    return row["invoice"] == number or any(a["invoice"] == number for a in row["allocations"])


def sums_differ(lists: Lists, past: Past, day: date, position: int | None, s: Summary) -> list[str]:
    """Where the lists do not add up to the figures of the summary at the same clocks."""
    asked = (past.id, day, position)
    bills = lists.newest("invoices", *asked)
    charges = lists.newest("charges", *asked)
    money = [*lists.newest("payments", *asked), *lists.newest("credits", *asked)]
    activity = sum(row["total_minor"] for row in lists.newest("activity", *asked))
    left = sum(row["unapplied_minor"] for row in money)
    carried = told_money.Sources(past.upto(position), day).left
    left += sum(amount for source, amount in carried.items() if source.startswith("carried:"))
    pairs = {
        "open": (sum(row["open_minor"] for row in bills), s.balance_minor + s.unapplied_minor),
        "disputed": (sum(row["disputed_minor"] for row in bills), s.disputed_minor),
        "unapplied": (left, s.unapplied_minor),
        "activity": (activity, s.current_activity_minor),
        "messages": (len(lists.newest("messages", *asked)), s.messages),
    }
    for bill in bills:
        if bill["kind"] == "invoice":
            lines = lists.newest("invoice_lines", past.id, bill["number"], day, position)
            total = sum(row["total_minor"] for row in lines)
            billed = sum(row["invoice"] == bill["number"] for row in charges)
            standing = sum(row["kind"] == "charge" for row in lines)
            pairs[f"lines of {bill['number']}"] = (len(lines), bill["lines_count"])
            pairs[f"total of {bill['number']}"] = (
                total,
                bill["total_minor"] - bill["carried_minor"],
            )
            pairs[f"charges on {bill['number']}"] = (
                billed,
                0 if bill["status"] == "cancelled" else standing,
            )
    where = f"{past.made.number} on {day} at {position}"
    return [f"{where}: {name}: {a} / {b}" for name, (a, b) in pairs.items() if a != b]


def test_every_list_at_any_two_clocks(
    seed: int, pasts: list[Past], database: Database, lists: Lists
) -> None:
    """Every row of every list is what the events known say, live and as of; the sums are the
    figures of the summary; and live is as of today and now."""
    dice = random.Random(seed)
    found: list[str] = []
    rows = dict.fromkeys(LISTS, 0)
    with closing(Reading(database.service_url)) as reading:
        for past in pasts:
            for day, position in clocks(dice, past):
                found += lists_differ(lists, past, day, position)
                shown = reading.summary(past.id, day, position)
                assert shown is not None
                found += sums_differ(lists, past, day, position, shown)
            for name in LISTS:
                for day in (past.days[1], FAR):
                    live = lists.newest(name, past.id, day, None)
                    assert live == lists.newest(name, past.id, day, past.reached), name
                    rows[name] += len(live)
    assert "" == "\n".join(found[:5])
    assert all(rows.values()), rows


def test_statements_tie(seed: int, pasts: list[Past], database: Database, lists: Lists) -> None:
    """A statement has a line for each event that changed the balance, and no other; opening
    balance and lines make the closing balance, whatever the days and the position."""
    dice = random.Random(seed)
    kinds: set[str] = set()
    with closing(Reading(database.service_url)) as reading:
        for past in pasts:
            for last_on, position in clocks(dice, past):
                first_on = min(last_on, past.days[0] + timedelta(days=dice.randint(-5, 90)))
                known = past.upto(position)
                shown = lists.rows(
                    "statement",
                    *(past.id, first_on, last_on, position),
                    order="ORDER BY l.effective_on, l.position, l.n",
                )
                at = dict(enumerate(past.positions, start=1))
                assert [row.pop("position") for row in shown] == [at[r["version"]] for r in shown]
                assert [] == unlike(past.made.number, statement(known, first_on, last_on), shown)
                kinds |= {row["kind"] for row in shown}
                before = reading.summary(past.id, first_on - timedelta(days=1), past.reached)
                after = reading.summary(past.id, last_on, past.reached)
                if position is not None:
                    before = reading.summary(past.id, first_on - timedelta(days=1), position)
                    after = reading.summary(past.id, last_on, position)
                assert before is not None
                assert after is not None
                change = sum(row["change_minor"] for row in shown)
                assert before.balance_minor + change == after.balance_minor
    assert len(kinds) > 9, kinds


def test_settings_and_identity(seed: int, pasts: list[Past], lists: Lists) -> None:
    """The settings in force, the version of their last change, what lies ahead, and whose the
    account is, at any clocks."""
    dice, ahead_seen = random.Random(seed), 0
    for past in pasts:
        for day, position in clocks(dice, past):
            known = past.upto(position)
            [shown] = lists.rows("settings", past.id, day, position)
            kinds = (e.AccountOpened, e.SettingsChanged)
            versions = [one.version for one in known if isinstance(one.event, kinds)]
            assert versions[-1] == shown.pop("version")
            expected = built(as_of((one.event for one in known), day).settings)
            assert expected == {n: v for n, v in shown.items() if v is not None}
            order = "ORDER BY l.effective_on, l.version"
            ahead = lists.rows("settings_ahead", past.id, day, position, order=order)
            assert expected_ahead(known, day) == ahead
            ahead_seen += len(ahead)
            [identity] = lists.rows("identity", past.id, day, position)
            assert expected_identity(known, day) == identity
    assert ahead_seen > 0


def expected_ahead(known: list[Known], day: date) -> list[Row]:
    rows = []
    for one in known:
        event = one.event
        if isinstance(event, e.SettingsChanged):
            changed = built(msgspec.structs.asdict(event.changes))
        elif isinstance(event, e.AccountOpened):
            changed = built(msgspec.structs.asdict(event.settings))
            changed |= {"billing_cycle": event.billing_cycle, "terms": built(event.terms)}
        else:
            continue
        stands = {"version": one.version, "recorded_at": one.recorded_at}
        rows.append({"effective_on": event.effective_on, **stands, **changed})
    ahead = (row for row in rows if row["effective_on"] > day)
    return sorted(ahead, key=lambda row: (row["effective_on"], row["version"]))


def expected_identity(known: list[Known], day: date) -> Row:
    opened = known[0].event
    closed = [o.event for o in known if isinstance(o.event, e.AccountClosed)]
    names = ("account_number", "client_id", "company", "country", "currency")
    return {
        **{name: getattr(opened, name) for name in names},
        "opened_on": opened.effective_on,
        "closed_on": next((x.effective_on for x in closed if x.effective_on <= day), None),
        "version": known[-1].version,
    }


def test_a_rebuild_makes_the_same_lists(
    pasts: list[Past], database: Database, lists: Lists
) -> None:
    """Rebuilt and swapped, the lists say the same, though the tables they were made on are gone."""
    accounts = pasts[:6]

    def everything() -> list[list[Row]]:
        return [lists.newest(name, past.id, FAR, None) for past in accounts for name in LISTS]

    before = everything()
    assert () == rebuild(database.owner_url, database.service_url, RECEIVABLES).differences
    assert before == everything()
