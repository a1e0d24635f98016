"""Replay for audit: every event read, checked and folded, and the hash chains alone."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Self
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
from ledger.processes import cores
from ledger.store.hashes import first_break_of_lane
from ledger.store.lanes import LANES
from ledger.store.log import Log
from ledger.store.recorder import EventAt

EVENTS = 50_000
FULL_AT_LEAST, CHAIN_AT_LEAST = 150_000.0, 250_000.0
PROCESSES_MAX = 8
READY_S_MAX = 60.0


class Replaying:
    """A process for each core, each with its share of the lanes; also a context manager."""

    def __init__(self, database: Database) -> None:
        self.processes = min(cores(), PROCESSES_MAX)
        spawning = get_context("spawn")
        all_there = spawning.Barrier(self.processes)
        self._pool = ProcessPoolExecutor(
            self.processes, spawning, initializer=_wait, initargs=(all_there,)
        )
        lanes = [range(n, LANES, self.processes) for n in range(self.processes)]
        self._every = [database] * self.processes, lanes
        list(self._pool.map(len, lanes))  # every process is there, with what it imports

    def chain(self) -> int:
        """How many events were found to chain."""
        return sum(self._pool.map(_chained, *self._every))

    def full(self) -> dict[str, Owed]:
        """What every account owes."""
        found: dict[str, Owed] = {}
        for one in self._pool.map(_replayed, *self._every):
            found.update(one)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def replay(bench: Bench, found: Found) -> None:
    """Lanes are shared out among processes, which are there before the clock starts."""
    wanted = bench.scaled(EVENTS, at_least=1_000)
    model = Model()
    owed: dict[str, Owed] = {}
    counts = set[int]()
    with bench.place.database() as database:
        full_database(bench, database, model, wanted)
        with Replaying(database) as replaying:
            pairs = alternate(
                bench.pairs,
                lambda _: rate(wanted, lambda: owed.update(replaying.full())),
                lambda _: rate(wanted, lambda: counts.add(replaying.chain())),
            )
        found.figure("in full", unit="events/s", at_least=FULL_AT_LEAST, **spread(pairs.ours))
        found.figure("hash chain", unit="events/s", at_least=CHAIN_AT_LEAST, **spread(pairs.theirs))
        found.note(f"{wanted:,} events, {replaying.processes} processes")
        found.require(counts == {wanted}, f"the chains hold {counts} events, not {wanted}")
        found.agree("replay", model.owed(), owed)


def _wait(all_there: Barrier) -> None:
    all_there.wait(READY_S_MAX)


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
