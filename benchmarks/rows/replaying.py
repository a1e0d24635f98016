"""Replay for audit: every event read, checked and folded, and the hash chains alone."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from uuid import UUID

from api.wiring import Database
from benchmarks.bench import Bench
from benchmarks.model import Model, Owed
from benchmarks.pairs import alternate, rate, spread
from benchmarks.results import Found
from benchmarks.rows.sizes import full_database
from benchmarks.told import TODAY
from ledger.events import AccountOpened, Event
from ledger.history import as_of
from ledger.store.hashes import first_break_of_lane
from ledger.store.lanes import LANES
from ledger.store.log import Log
from ledger.store.recorder import EventAt

EVENTS = 100_000
FULL_AT_LEAST, CHAIN_AT_LEAST = 150_000.0, 250_000.0
PROCESSES_MAX = 8


def replay(bench: Bench, found: Found) -> None:
    """Lanes are shared out among a process for each core, which are there before the clock starts."""
    wanted = bench.scaled(EVENTS, at_least=1_000)
    model = Model()
    processes = min(os.cpu_count() or 1, PROCESSES_MAX)
    owed: dict[str, Owed] = {}
    counts = set[int]()
    with (
        bench.place.database() as database,
        ProcessPoolExecutor(processes, get_context("spawn")) as pool,
    ):
        full_database(bench, database, model, wanted)

        every = [database] * processes, [range(n, LANES, processes) for n in range(processes)]

        def full(_: int) -> float:
            def work() -> None:
                for one in pool.map(_replayed, *every):
                    owed.update(one)

            return rate(wanted, work)

        def chain(_: int) -> float:
            return rate(wanted, lambda: counts.add(sum(pool.map(_chained, *every))))

        chain(0)  # every process is there, with what it imports
        pairs = alternate(bench.pairs, full, chain)
        found.figure("in full", unit="events/s", at_least=FULL_AT_LEAST, **spread(pairs.ours))
        found.figure("hash chain", unit="events/s", at_least=CHAIN_AT_LEAST, **spread(pairs.theirs))
        found.note(f"{wanted:,} events, {processes} processes")
        found.require(counts == {wanted}, f"the chains hold {counts} events, not {wanted}")
        found.agree("replay", model.owed(), owed)


def _chained(database: Database, lanes: Sequence[int]) -> int:
    """How many events of the lanes were found to chain."""
    count = 0

    def counted(events: Iterator[EventAt]) -> Iterator[EventAt]:
        nonlocal count
        for event in events:
            count += 1
            yield event

    with closing(database.log()) as log:
        for lane in lanes:
            broken = first_break_of_lane(counted(log.lane(lane)))
            assert broken is None, broken
    return count


def _replayed(database: Database, lanes: Sequence[int]) -> dict[str, Owed]:
    """What every account of the lanes owes, folded from its events while their hashes are checked."""
    found = {}
    with closing(database.log()) as log:
        for lane in lanes:
            histories: dict[UUID, list[Event]] = defaultdict(list)
            broken = first_break_of_lane(_read(log, lane, histories))
            assert broken is None, broken
            for events in histories.values():
                opened = events[0]
                assert isinstance(opened, AccountOpened)
                standing = as_of(events, TODAY).standing
                found[opened.account_number] = Owed(
                    standing.balance_minor, standing.current_activity_minor
                )
    return found


def _read(log: Log, lane: int, histories: dict[UUID, list[Event]]) -> Iterator[EventAt]:
    for event in log.lane(lane):
        histories[event.account_id].append(log.recorded(event).event)
        yield event
