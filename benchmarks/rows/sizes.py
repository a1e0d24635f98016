"""What a command costs on a large account, against a small one."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from api.wiring import Database
from benchmarks.balances import stored
from benchmarks.bench import Bench, handle
from benchmarks.model import Model
from benchmarks.pairs import Pairs, percentile, spread
from benchmarks.results import Found
from benchmarks.told import (
    Charged,
    Invoiced,
    Opened,
    Paid,
    Told,
    accounts,
    charges,
    openings,
    request,
)
from ledger.store.committer import Ledger

SMALL_EVENTS, LARGE_EVENTS, LARGE_EVENTS_MAX = 10, 50_000, 1_000_000
SMALL_INVOICES, LARGE_INVOICES, LARGE_INVOICES_MAX = 4, 2_000, 20_000
SINGLES = 40
"""Single commands on each account, in turn, that a pair's ratio is the median of."""
LARGE_AT_MOST = 1.2
ACCOUNTS = 1_000

Make = Callable[[str, str], Told]


def large_account(bench: Bench, found: Found) -> None:
    """Charges, and payments of one named invoice, on a large account and a small one in turn."""
    wanted = bench.scaled(LARGE_EVENTS, at_least=100, at_most=LARGE_EVENTS_MAX)
    invoices = bench.scaled(LARGE_INVOICES, at_least=10, at_most=LARGE_INVOICES_MAX)
    model = Model()
    with bench.place.database() as database:
        bench.fill(database, model, grown("small", SMALL_EVENTS, SMALL_INVOICES))
        bench.fill(database, model, grown("events", wanted, SMALL_INVOICES), wanted)
        bench.fill(database, model, grown("invoices", 0, invoices), 2 * invoices)
        with closing(database.ledger()) as ledger:
            for large, what in (
                ("events", f"{wanted:,} events"),
                ("invoices", f"{invoices:,} open invoices"),
            ):
                for kind, make in (("charge", single_charge), ("payment", _payment)):
                    pairs = in_turn(ledger, model, bench.pairs, make, large, "small")
                    found.figure(
                        f"{kind}, {what}", unit="x time", at_most=LARGE_AT_MOST, **pairs.ratio
                    )
                    found.figure(f"{kind}, small", unit="ms", **spread(pairs.theirs))
        found.note(
            f"against an account with {SMALL_EVENTS} events, {SMALL_INVOICES} of them invoices"
        )
        found.agree("write side", model.owed(), stored(database))


def grown(account: str, events: int, invoices: int) -> Iterator[Told]:
    """An account with that many open invoices, and charges up to so many events."""
    yield Opened(account, "open")
    for n in range(invoices):
        yield Charged(account, f"line-{n}", f"line-{n}", 1_000_000, 1)
        yield Invoiced(account, f"I{n}", f"I{n}")
    for n in range(events - 1 - 2 * invoices):
        yield Charged(account, f"c-{n}", f"c-{n}", 1, 1 + n % 31)


def in_turn(ledger: Ledger, model: Model, blocks: int, make: Make, large: str, small: str) -> Pairs:
    """The median milliseconds of single commands on each account, in turn, block by block."""
    found = Pairs([], [])
    for block in range(blocks):
        ms: dict[str, list[float]] = {large: [], small: []}
        for n in range(SINGLES):
            for account in (large, small) if n % 2 else (small, large):
                told = make(account, f"{large}-{block}-{n}")
                asked = request(told)
                started = time.perf_counter()
                handle(ledger, [asked])
                ms[account].append((time.perf_counter() - started) * 1_000)
                model.take([told])
        found.ours.append(percentile(ms[large], 50))
        found.theirs.append(percentile(ms[small], 50))
    return found


def single_charge(account: str, id: str) -> Told:
    """A charge of its own."""
    return Charged(account, f"charge-{id}", f"charge-{id}", 100, 5)


def _payment(account: str, id: str) -> Told:
    return Paid(account, f"pay-{id}", f"pay-{id}", 1, "I0")


def full_database(bench: Bench, database: Database, model: Model, wanted: int) -> None:
    """So many events of charges, payments and an invoice for every account."""
    numbers = accounts(min(ACCOUNTS, max(wanted // 20, 10)))
    bench.fill(database, model, openings(numbers))
    left = wanted - 2 * len(numbers)
    bench.fill(database, model, charges(numbers, left, "fill"), wanted)
    bench.fill(database, model, (Invoiced(number, "invoice", "I1") for number in numbers))
