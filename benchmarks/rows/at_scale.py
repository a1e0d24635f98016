"""A full ledger: what commands cost in it, and what it takes to load, project, rebuild and verify."""

import random
import time
from collections.abc import Callable
from contextlib import closing

from api.wiring import Database
from benchmarks.balances import events, stored, viewed
from benchmarks.bench import Bench, handle
from benchmarks.disk import bytes_by_schema, upkeep
from benchmarks.model import Model
from benchmarks.pairs import alternate, rate, spread
from benchmarks.peak import Peak
from benchmarks.results import Found
from benchmarks.rows.replaying import Replaying
from benchmarks.told import Charged, accounts, charges, openings, request
from ledger.store.committer import Ledger
from projections.receivables import RECEIVABLES

EVENTS = 100_000
ACCOUNTS, ACCOUNTS_MAX = 1_000, 100_000
PART = 2_500
UNTIMED = 2
"""Parts before the first pair: what a connection and a checkpoint just made cost once."""
AT_LEAST = 0.75
CHANGED_SHOWN_MIN = 0.01
"""Changes an event below which a table's upkeep is not worth a line."""
CATCH_UP_S_MAX = 24 * 3_600.0


def at_scale(bench: Bench, found: Found) -> None:
    """Bulk charges of as many accounts of a full ledger, others each time, as an empty one has.

    A part is of as many accounts on either side: what is done of an account at once costs less.
    """
    wanted = bench.scaled(EVENTS, at_least=2_000)
    numbers = accounts(bench.scaled(ACCOUNTS, at_least=100, at_most=ACCOUNTS_MAX))
    few = accounts(min(len(numbers), ACCOUNTS))
    part = bench.scaled(PART, at_least=100, at_most=PART)
    models = Model(), Model()
    with bench.place.database() as full, bench.place.database() as empty:
        bench.fill(full, models[0], openings(numbers))
        bench.fill(empty, models[1], openings(few))

        def load() -> None:
            bench.fill(full, models[0], charges(numbers, wanted - len(numbers), "fill"), wanted)

        _phase(found, "load", wanted - len(numbers), load)
        before = events(full)
        bench.place.settle(full, empty)
        with closing(full.ledger()) as in_full, closing(empty.ledger()) as in_empty:

            def ours(n: int) -> float:
                some = random.Random(n).sample(numbers, len(few))
                return _bulk(in_full, models[0], list(charges(some, part, f"p{n}")))

            def theirs(n: int) -> float:
                return _bulk(in_empty, models[1], list(charges(few, part, f"p{n}")))

            for n in range(UNTIMED):
                ours(-1 - n)
                theirs(-1 - n)
            pairs = alternate(bench.pairs, ours, theirs)
            all_over = [
                _bulk(in_full, models[0], list(charges(numbers, part, f"all{n}")))
                for n in range(bench.pairs)
            ]
        found.figure("against empty", unit="x", at_least=AT_LEAST, **pairs.ratio)
        found.figure(f"at {before:,} events", unit="commands/s", **spread(pairs.ours))
        found.figure("empty", unit="commands/s", **spread(pairs.theirs))
        found.figure("all over the full one", unit="commands/s", **spread(all_over))
        found.note(f"{before:,} events of {len(numbers):,} accounts; --scale 100 for 10 million")
        _life(full, found)
        found.agree("full", models[0].owed(), stored(full))
        found.agree("full, views", models[0].owed(), viewed(full))
        found.agree("empty", models[1].owed(), stored(empty))


def _life(full: Database, found: Found) -> None:
    """The views filled from nothing, made anew, and the log verified."""
    total = events(full)
    _upkeep(full, total, found)
    _phase(found, "project", total, lambda: full.catch_up(CATCH_UP_S_MAX))
    _phase(
        found,
        "rebuild",
        total,
        lambda: full.rebuild(RECEIVABLES, lambda step: None, accept_differences=False),
    )
    with Replaying(full) as replaying:
        _timed(found, "verify hashes", total, replaying.chain)
    for schema, size in bytes_by_schema(full).items():
        found.figure(f"{schema} on disk", size / total, "bytes/event")


def _upkeep(full: Database, total: int, found: Found) -> None:
    """What changing rows, rather than adding them, leaves behind in the tables it is done to."""
    for table in upkeep(full):
        if table.changed >= total * CHANGED_SHOWN_MIN:
            of_all = 100 * table.dead / max(table.alive + table.dead, 1)
            found.figure(
                f"{table.table}: changed in place", 100 * table.in_place / table.changed, "%"
            )
            found.figure(f"{table.table}: dead rows", of_all, "%")
            found.note(f"{table.table}: autovacuum came by {table.vacuumed} times")


def _phase(found: Found, name: str, count: int, work: Callable[[], object]) -> None:
    """Its rate and time; and the most memory that this process and those it started had together."""
    with Peak() as peak:
        _timed(found, name, count, work)
    found.figure(f"{name}: memory", peak.mib, "MiB")


def _timed(found: Found, name: str, count: int, work: Callable[[], object]) -> None:
    started = time.perf_counter()
    work()
    took_s = time.perf_counter() - started
    found.figure(f"{name}: rate", count / took_s, "events/s")
    found.figure(f"{name}: time", took_s, "s")


def _bulk(ledger: Ledger, model: Model, told: list[Charged]) -> float:
    requests = [request(one) for one in told]
    found = rate(len(told), lambda: handle(ledger, requests))
    model.take(told)
    return found
