"""A real book in a real database: the views, a rebuild, any clock and the stored log tell the truth."""

import asyncio
import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import api.wiring
from api.app import create_app
from api.currencies import Currencies
from api.embedded import EmbeddedServer
from api.exports.names import name
from api.security.logins import Registrar
from api.settings import Region
from api.wiring import Doors
from ledger.calendar import month_end
from ledger.history import as_of
from ledger.importing import Summary, run
from ledger.receivables_csv import ReceivablesCsv
from ledger.store.committer import Ledger
from ledger.store.lanes import account_id
from projections.follower import Follower
from projections.journal import JOURNAL
from projections.reading import Reading
from projections.rebuild import rebuild
from projections.receivables import RECEIVABLES
from projections.reconciliation.reconciling import reconcile
from tests import truth
from tests.api.in_process import Sent, in_process
from tests.exports import tools
from tests.exports.downloading import downloaded
from tests.store.databases import US, Database
from tests.test_truth import TODAY, moved, seen

EVENTS = 11_186
pytestmark = pytest.mark.needs("TEST_DATA")

Position = Callable[[Reading, uuid.UUID], int]


def take_in(database: Database) -> Summary:
    """What importing the real book did."""
    ledger = Ledger(database.service_url, US.code)
    try:
        with (
            truth.receivables().open("rb") as file,
            Currencies(US.code, database.service_url) as currency_of,
        ):
            source = ReceivablesCsv(
                file, currency="USD", today=TODAY, actor="import", currency_of=currency_of
            )
            return run(source, ledger.enqueue)
    finally:
        ledger.close()


def follow(database: Database) -> int:
    """How many events the views then took."""
    follower = Follower(database.service_url, RECEIVABLES)
    try:
        taken = follower.catch_up()
        assert [] == follower.parked()
    finally:
        follower.close()
    return taken


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Database:
    """The real book in a database of its own, with the views caught up."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    server.ensure_database(name)
    made = Database(name, server.owner_url(name), server.service_url(name))
    served(made).migrate()
    summary = take_in(made)
    assert (True, 2466, 100, 0) == (summary.ok, summary.lines, summary.accounts, summary.replayed)
    assert EVENTS == follow(made)
    return made


def served(database: Database) -> api.wiring.Database:
    """The database as a service has it."""
    region = Region(code=US.code, name="Test", currency=US.currency, zone=US.zone)
    return api.wiring.Database(region, database.service_url, database.owner_url, is_embedded=False)


@dataclass
class Views:
    """The views of the database, read at the position that `known` tells."""

    reading: Reading
    known: Position
    invoices: dict[str, list[tuple[date, int]]]
    payments: dict[str, list[tuple[date, int]]]

    def read(self, customer: str, on: date) -> truth.Seen:
        id = account_id(US.code, customer)
        position = self.known(self.reading, id)
        found = self.reading.summary(id, on, position)
        assert found is not None
        items = self.reading.open_items(id, on, position)
        return truth.Seen(found.standing, len(items), found.delivery_channel or "paper")

    def moved(self, customer: str, first: date, last: date) -> tuple[int, int]:
        issued, processed = self.invoices[customer], self.payments[customer]
        return (
            sum(amount for on, amount in issued if first <= on <= last),
            sum(amount for on, amount in processed if first <= on <= last),
        )


@pytest.fixture
def views(database: Database) -> Iterator[Callable[[Position], Views]]:
    """Makes a reading of the views as they are now."""
    opened: list[Reading] = []

    def now(known: Position) -> Views:
        opened.append(Reading(database.service_url))
        return Views(
            opened[-1],
            known,
            dated(database, "SELECT a.account_number, i.issued_on, i.total_minor"
                  " FROM receivables.invoice AS i JOIN receivables.account AS a"
                  " USING (lane, account_id)"),
            dated(database, "SELECT a.account_number, p.processed_on, p.processed_minor"
                  " FROM receivables.payment AS p JOIN receivables.account AS a"
                  " USING (lane, account_id)"),
        )  # fmt: skip

    yield now
    for reading in opened:
        reading.close()


def dated(database: Database, query: str) -> dict[str, list[tuple[date, int]]]:
    found = defaultdict(list)
    for customer, on, amount_minor in database.rows(query):
        found[customer].append((on, amount_minor))
    return found


@cache
def at_the_position_reached(reading: Reading, id: uuid.UUID) -> int:
    return reading.reached(id)


@cache
def at_this_instant(reading: Reading, id: uuid.UUID) -> int:
    return reading.known_position(id, datetime.now(UTC))


def differences(found: Views) -> list[str]:
    read = cache(found.read)
    unlike = truth.differences(read, found.moved)
    for customer, day in truth.switch_days().items():
        channels = [read(customer, on).delivery_channel for on in (day, day + timedelta(days=1))]
        if channels != ["paper", "electronic"]:
            unlike.append(f"{customer} around {day}: {channels}")
    return unlike


def test_the_views_equal_the_truth(views: Callable[[Position], Views]) -> None:
    """Every customer's figures on every day and month of the truth, as the views have them."""
    assert [] == differences(views(at_the_position_reached))


def test_the_live_rows_are_the_book_paid(views: Callable[[Position], Views]) -> None:
    """Today everything is settled, and the live row is what the views say as of today."""
    found = views(at_the_position_reached)
    for customer in truth.customers():
        id = account_id(US.code, customer)
        live = found.reading.summary(id, TODAY)
        assert live is not None
        assert (0, None, 0) == (live.balance_minor, live.due_on, live.current_activity_minor)
        assert live == found.reading.summary(id, TODAY, found.reading.reached(id))


def aged(database: Database) -> dict[date, tuple[list[Any], list[Any]]]:
    """The totals and the accounts of the aging over HTTP, on every day of the truth and live."""
    token = "us." + "t" * 43
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(token, f"truth-{uuid.uuid4()}", ["finance"])
    headers = [(b"authorization", f"Bearer {token}".encode())]

    async def run() -> dict[date, tuple[list[Any], list[Any]]]:
        found = {}
        async with in_process(create_app(Doors((served(database),)))) as asking:
            for on in (*days_of_truth(), TODAY):
                query = f"limit=500&effective_on={on}" if on != TODAY else "limit=500"
                got = await asking.ask(Sent("GET", b"/v1/finance/aging", query.encode(), headers))
                page = json.loads(got.body)
                assert page["next_cursor"] is None
                found[on] = (page["totals"], page["data"])
        return found

    return asyncio.run(run())


def days_of_truth() -> list[date]:
    return [date.fromisoformat(row["as_of"]) for row in truth.rows("totals_asof")]


def cents(shown: dict[str, Any], *names: str) -> dict[str, str]:
    """Amounts shown in dollars, in cents as the truth writes them."""
    return {name: str(round(float(shown[name]["amount"]) * 100)) for name in names}


def test_the_aging_over_http_equals_the_truth(database: Database) -> None:
    """In total and of every customer on every day of the truth; today nothing is open."""
    found = aged(database)
    columns = (*truth.BUCKETS, "balance", "disputed")
    unlike: list[str] = []
    for row in truth.rows("totals_asof"):
        totals, accounts = found[date.fromisoformat(row["as_of"])]
        if not totals:
            assert ("0", "0") == (row["open_cents"], row["open_invoices"])
            continue
        [total] = totals
        seen = cents(total, *columns) | {
            "open_invoices": str(total["open_items"]),
            "customers_with_balance": str(total["accounts"]),
            "customers_overdue": str(sum(one["oldest_days"] > 0 for one in accounts)),
        }
        unlike += _unlike(f"all on {row['as_of']}", seen, row)
    for row in truth.rows("customer_asof"):
        _, accounts = found[date.fromisoformat(row["as_of"])]
        shown = {one["account_number"]: one for one in accounts}.get(row["customer"])
        if shown is None:
            assert ("0", "0") == (row["open_cents"], row["open_invoices"])
            continue
        seen = cents(shown, *columns) | {
            "open_invoices": str(shown["open_items"]),
            "oldest_due": shown["due_on"],
            "max_dpd": str(shown["oldest_days"]),
        }
        unlike += _unlike(f"{row['customer']} on {row['as_of']}", seen, row)
    assert [] == unlike
    assert ([], []) == found[TODAY]


def _unlike(where: str, seen: dict[str, str], row: dict[str, str]) -> list[str]:
    """The columns of a row of the truth that are seen otherwise."""
    named = {"balance": "open_cents", "disputed": "disputed_open_cents"}
    true = {name: row[named.get(name, name)] for name in seen}
    return [f"{where}: {name}" for name in seen if seen[name] != true[name]]


@pytest.mark.needs("hledger", "ledger")
def test_accounting_tools_have_the_balances_of_every_month(
    database: Database, tmp_path: Path
) -> None:
    """All posting periods exported: Beancount, hledger and Ledger accept them, and every account's
    balance of every month is the same to each of them and to the journal's entries."""
    token = "us." + "x" * 43
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(token, "exports", ["finance"])
    served(database).catch_up(60)
    [(first, last)] = database.rows("SELECT min(period), max(period) FROM journal.entry")
    months = {"period": first.isoformat()[:7], "through": last.isoformat()[:7]}
    days = last_days(first, last)
    assert len(days) > 20
    expected = balances_of_entries(database, days)
    text = downloaded(served(database), token, "beancount", **months)
    assert expected == tools.beancount_balances(text, days)
    file = tmp_path / "book.journal"
    file.write_bytes(downloaded(served(database), token, "hledger", **months))
    assert "" == tools.hledger_check(file) + tools.ledger_check(file)
    assert expected == tools.hledger_balances(file, days)
    assert expected == tools.ledger_balances(file, days)


def last_days(first: date, last: date) -> list[date]:
    """The last days of all months from the first to the last."""
    found = [month_end(first)]
    while found[-1] < last:
        found.append(month_end(found[-1] + timedelta(days=1)))
    return found


def balances_of_entries(database: Database, days: list[date]) -> list[tools.Balances]:
    """By the tools' names, what each account has of what was posted up to each month."""
    found = []
    entries = database.rows(
        "SELECT period, debit, credit, sum(amount_minor)::bigint FROM journal.entry"
        " WHERE currency = 'USD' GROUP BY period, debit, credit"
    )
    for day in days:
        cents: dict[str, int] = defaultdict(int)
        for period, debit, credit, minor in entries:
            if period <= day:
                cents[debit] += minor
                cents[credit] -= minor
        found.append({(name(one), "USD"): Decimal(n) / 100 for one, n in cents.items() if n})
    return found


def test_rebuilt_views_equal_the_truth_at_an_instant(
    database: Database, views: Callable[[Position], Views]
) -> None:
    """Rebuilt beside and swapped, then asked as known now: the same figures."""
    rebuilt = rebuild(database.owner_url, database.service_url, RECEIVABLES)
    assert (EVENTS, (), ()) == (rebuilt.events, rebuilt.differences, rebuilt.parked)
    assert [] == differences(views(at_this_instant))


def test_nothing_was_known_before_it_was_recorded(
    database: Database, views: Callable[[Position], Views]
) -> None:
    """As known before the import there are no accounts, whatever day is asked for."""
    reading = views(at_this_instant).reading
    (first,) = database.rows("SELECT min(recorded_at) FROM ledger.event")
    for customer in truth.customers():
        id = account_id(US.code, customer)
        before = reading.known_position(id, first - timedelta(microseconds=1))
        assert 0 == before
        assert reading.summary(id, TODAY, before) is None


def test_the_stored_log_replayed_equals_the_truth(database: Database) -> None:
    """What is stored, read back and folded in memory, gives the same figures; its hashes chain."""
    stored = {
        customer: [recorded.event for recorded in database.recorded(customer)]
        for customer in truth.customers()
    }
    assert EVENTS == sum(len(events) for events in stored.values())
    found = truth.differences(
        cache(lambda customer, on: seen(as_of(stored[customer], on))),
        lambda customer, first, last: moved(stored[customer], first, last),
    )
    assert [] == found
    assert database.first_break() is None


def test_the_real_book_is_reconciled(database: Database) -> None:
    """Every event and row of it, before the journal has taken one of them and after."""
    for journal_has in ((0, EVENTS), (EVENTS,)):  # another test may have let it take them
        proofs = list(reconcile(database.service_url))
        assert [] == [one for proof in proofs for one in proof.kept]
        assert (EVENTS, 100) == (sum(p.events for p in proofs), sum(p.accounts for p in proofs))
        assert sum(proof.journal_position for proof in proofs) in journal_has
        with closing(Follower(database.service_url, JOURNAL)) as follower:
            follower.catch_up()


def test_a_second_import_changes_nothing(database: Database) -> None:
    """Every command is replayed: not one event more, and nothing for the views to take."""
    summary = take_in(database)
    assert (True, 0, 0) == (summary.ok, summary.accepted, summary.refused)
    assert 8720 == summary.replayed
    assert [EVENTS] == database.rows("SELECT count(*) FROM ledger.event")
    assert 0 == follow(database)
