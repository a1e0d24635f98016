"""The follower's events a second, against the library's runner writing the same rows."""

import time
from contextlib import closing

from api.wiring import Database
from benchmarks.balances import events, stored, viewed
from benchmarks.bench import Bench
from benchmarks.library import LibraryViews
from benchmarks.model import Model
from benchmarks.pairs import alternate, spread
from benchmarks.results import Found
from benchmarks.told import charges, openings
from ledger.store.lanes import LANES
from projections.rebuild import Progress
from projections.receivables import RECEIVABLES

ACCOUNTS = 1_000
EVENTS = 10_000
"""Events of one part."""
LIBRARY_EVENTS = 300
AT_LEAST = 60.0
REBUILD_AT_LEAST = 100_000.0
CATCH_UP_S_MAX = 600.0


def projection(bench: Bench, found: Found) -> None:
    """Parts are appended before the clock starts; the views then catch up with each."""
    count = bench.scaled(EVENTS, at_least=200)
    numbers, model = bench.accounts(ACCOUNTS), Model()
    with (
        bench.place.database() as ours,
        bench.place.database() as theirs,
        closing(_Library(bench, theirs)) as library,
        closing(ours.follower(RECEIVABLES)) as follower,
    ):
        bench.fill(ours, model, openings(numbers))
        follower.catch_up(timeout_s=CATCH_UP_S_MAX)

        def follow(n: int) -> float:
            bench.fill(ours, model, charges(numbers, count, f"e{n}"), count)
            started = time.perf_counter()
            taken = follower.catch_up(timeout_s=CATCH_UP_S_MAX)
            assert taken == count, (taken, count)
            return taken / (time.perf_counter() - started)

        pairs = alternate(bench.pairs, follow, library.follow)
        found.figure("against ProjectionRunner", unit="x", at_least=AT_LEAST, **pairs.ratio)
        found.figure("follower", unit="events/s", **spread(pairs.ours))
        found.figure("ProjectionRunner", unit="events/s", **spread(pairs.theirs))
        _rebuild(ours, found)
        found.agree("write side", model.owed(), stored(ours))
        found.agree("views", model.owed(), viewed(ours))
        found.agree("the runner's views", library.model.owed(), viewed(theirs))


def _rebuild(database: Database, found: Found) -> None:
    """Filling, comparing and swapping, and filling alone."""
    filled_at = started = time.perf_counter()

    def progress(step: Progress) -> None:
        nonlocal filled_at
        if step.phase == "filling":
            filled_at = time.perf_counter()

    rebuilt = database.rebuild(RECEIVABLES, progress, accept_differences=False)
    took_s = time.perf_counter() - started
    per_s = rebuilt.events / took_s
    found.figure("rebuild in all", per_s, "events/s", at_least=REBUILD_AT_LEAST)
    found.figure("rebuild's filling", rebuilt.events / (filled_at - started), "events/s")
    found.note(f"rebuild of {events(database):,} events took {took_s:.1f} s")


class _Library:
    """The baseline: our log's events kept in the library's, its runner writing into our tables."""

    def __init__(self, bench: Bench, database: Database) -> None:
        self.model = Model()
        self._bench = bench
        self._database = database
        self._numbers = bench.accounts(ACCOUNTS)
        bench.place.choose_views(database, RECEIVABLES.name)
        self._views = LibraryViews(database)
        self._tracked = dict.fromkeys(range(LANES), 0)
        bench.fill(database, self.model, openings(self._numbers))
        self._keep()
        self._views.run()

    def follow(self, n: int) -> float:
        """Events a second of one part."""
        count = self._bench.scaled(LIBRARY_EVENTS, at_least=20, at_most=LIBRARY_EVENTS)
        self._bench.fill(self._database, self.model, charges(self._numbers, count, f"l{n}"))
        self._keep()
        return count / self._views.run()

    def close(self) -> None:
        self._views.close()

    def _keep(self) -> None:
        with closing(self._database.log()) as log:
            for lane in range(LANES):
                found = list(log.lane(lane, self._tracked[lane]))
                self._views.keep(found)
                if found:
                    self._tracked[lane] = found[-1].position
