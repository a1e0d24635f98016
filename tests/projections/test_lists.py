"""Lists of an account say what its events say, live and as of any two clocks, and their sums tie."""

import random
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta

import msgspec
import pytest

from api.embedded import EmbeddedServer
from ledger import commands as c
from ledger import events as e
from ledger.book import Book
from ledger.history import as_of
from ledger.store.committer import Ledger
from ledger.store.migrate import migrate
from projections.follower import Follower
from projections.migrations import sources
from projections.model import ensure
from projections.reading import Reading, Summary
from projections.rebuild import rebuild
from projections.receivables import RECEIVABLES
from tests.projections import told_money
from tests.projections.books import MadeUp, append, books, interleaved, spread
from tests.projections.listing import LISTS, Lists, Past, lists_differ, past_of, unlike
from tests.projections.told_lines import Known, Row, built
from tests.projections.told_statement import statement
from tests.store.databases import SERVICE, US, Database
from tests.store.scenario import TODAY, charge, opening, payment, requests

ACCOUNTS = 36
STEPS = 110
CLOCKS = 5
FAR = date.max


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
def ledger(database: Database) -> Iterator[Ledger]:
    with closing(Ledger(database.service_url, US.code)) as door:
        yield door


@pytest.fixture(scope="module")
def pasts(seed: int, database: Database, ledger: Ledger) -> list[Past]:
    """Made-up accounts in the views, their events recorded over weeks."""
    accounts = books(seed, ACCOUNTS, STEPS)
    append(ledger, interleaved(seed, accounts))
    spread(database)
    with closing(Follower(database.service_url, RECEIVABLES, events_max=300)) as follower:
        follower.catch_up()
        assert [] == follower.parked()
    return [past_of(database, made) for made in accounts]


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


def lived(number: str, commands: list[c.AnyCommand], ledger: Ledger, database: Database) -> Past:
    """An account that was asked for just this, in the views."""
    asked, book = requests(number, commands), Book()
    append(ledger, asked)
    for request in asked:
        book.handle(request)
    with closing(Follower(database.service_url, RECEIVABLES)) as follower:
        follower.catch_up()
    return past_of(database, MadeUp(number, asked, book))


def test_the_life_of_a_payment(database: Database, ledger: Ledger, lists: Lists) -> None:
    """Status, amounts, reference, reason and day of a payment at each step, on every day."""

    def july(day: int) -> date:
        return date(2020, 7, day)

    commands: list[c.AnyCommand] = [
        opening(),
        msgspec.structs.replace(charge("c1", 1_000), effective_on=july(1)),
        c.IssueInvoice(number="I1", issued_on=july(1)),
        msgspec.structs.replace(
            payment("p1", 400), effective_on=july(1), status="pending", reference="slip 7"
        ),
        c.ProcessPayment(payment_id="p1", amount_minor=300, effective_on=july(3), reference="s8"),
        c.ReturnPayment(payment_id="p1", amount_minor=120, reason="NSF", effective_on=july(5)),
        c.ReinstatePayment(payment_id="p1", effective_on=july(7)),
        c.UnprocessPayment(payment_id="p1", effective_on=july(8)),
        c.ProcessPayment(payment_id="p1", effective_on=july(10)),
        c.UnprocessPayment(payment_id="p1", effective_on=july(11)),
        c.FailPayment(payment_id="p1", reason="no such account", effective_on=july(12)),
    ]
    past = lived("P-1", commands, ledger, database)
    seen = set()
    for position in past.positions:
        for day in range(1, 14):
            assert [] == lists_differ(lists, past, july(day), position)
            for row in lists.newest("payments", past.id, july(day), position):
                seen.add((row["status"], row["reference"], row["effective_on"].day))
    assert seen == {
        ("pending", "slip 7", 1),
        ("processed", "s8", 3),
        ("returned", "s8", 3),
        ("pending", "s8", 1),
        ("processed", "s8", 10),
        ("failed", "s8", 1),
    }


def test_recoveries_go_to_the_oldest_write_off(
    database: Database, ledger: Ledger, lists: Lists
) -> None:
    """Of several write-offs of an invoice the oldest is recovered first; what was reversed of one
    cannot be recovered."""
    commands: list[c.AnyCommand] = [
        opening(),
        charge("c1", 1_000),
        c.IssueInvoice(number="I1"),
        c.WriteOffInvoice(write_off_id="w1", invoice="I1", amount_minor=300, reason="gone"),
        c.WriteOffInvoice(write_off_id="w2", invoice="I1", amount_minor=400, reason="gone"),
        payment("p1", 500, "I1"),
        payment("p2", 300, "I1"),
        c.ReverseWriteOff(write_off_id="w2", reason="found"),
    ]
    past = lived("W-1", commands, ledger, database)
    for position in past.positions:
        assert [] == lists_differ(lists, past, TODAY, position)
    shown = lists.newest("write_offs", past.id, TODAY, None)
    columns = ("write_off_id", "status", "recovered_minor", "reversed_minor")
    expected = [("w2", "reversed", 200, 200), ("w1", "issued", 300, 0)]
    assert expected == [tuple(row[name] for name in columns) for row in shown]


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
