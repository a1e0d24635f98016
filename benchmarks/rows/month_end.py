"""Closing a month: an invoice for every account, and the views that follow meanwhile."""

import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Event

from api.month_end_runners import Runners
from api.wiring import Database
from benchmarks.balances import stored, viewed
from benchmarks.bench import Bench
from benchmarks.model import Model
from benchmarks.results import Found
from benchmarks.told import ACTOR, PERIOD, TODAY, Charged, Told, accounts, openings
from ledger.processes import cores
from projections.receivables import RECEIVABLES

ACCOUNTS = 4_000
RUNNERS = min(cores(), 8)
LINES = 20
AT_LEAST = 10_000.0
VIEWS_TIMES = 2.0
CATCH_UP_S_MAX = 1_200.0
POLL_S = 0.005

_spawning = multiprocessing.get_context("spawn")


def month_end(bench: Bench, found: Found) -> None:
    """A runner for each CPU, and the follower in a process of its own, all ready before the clock runs.

    A second run finds every invoice.
    """
    numbers = accounts(bench.scaled(ACCOUNTS, at_least=50, at_most=500_000))
    model = Model()
    with bench.place.database() as database:
        bench.fill(database, model, _lines(numbers), len(numbers) * (LINES + 1))
        database.catch_up(CATCH_UP_S_MAX)
        with following(database), closing(Runners(database, RUNNERS - 1)) as runners:
            runners.wait()
            started = time.perf_counter()
            _close(database, len(numbers), runners)
            closed_s = time.perf_counter() - started
            _wait_for_views(database)
            viewed_s = time.perf_counter() - started
            model.end_month()
            started = time.perf_counter()
            _close(database, len(numbers))
            again_s = time.perf_counter() - started
        found.figure("accounts closed", len(numbers) / closed_s, "/s", at_least=AT_LEAST)
        found.figure("views caught up", viewed_s / closed_s, "x time", at_most=VIEWS_TIMES)
        found.figure("accounts found closed", len(numbers) / again_s, "/s")
        found.note(
            f"{len(numbers):,} accounts, {LINES} lines each, {RUNNERS} runners: closed in "
            f"{closed_s:.2f} s, in the views after {viewed_s:.2f} s; a second run by one of them"
        )
        found.agree("write side", model.owed(), stored(database))
        found.agree("views", model.owed(), viewed(database))


@contextmanager
def following(database: Database) -> Iterator[None]:
    """A follower keeps the views up, in a process of its own."""
    ready, stop = _spawning.Event(), _spawning.Event()
    process = _spawning.Process(target=_follow, args=(database, ready, stop), daemon=True)
    process.start()
    try:
        assert ready.wait(60.0), "the follower did not start"
        yield
    finally:
        stop.set()
        process.join()


def _wait_for_views(database: Database) -> None:
    """The other process has taken everything: this one only looks."""
    deadline = time.monotonic() + CATCH_UP_S_MAX
    with closing(database.follower(RECEIVABLES)) as looking:
        while looking.lag():
            assert time.monotonic() < deadline, "the views do not catch up"
            time.sleep(POLL_S)


def _follow(database: Database, ready: Event, stop: Event) -> None:
    until = threading.Event()

    def end() -> None:
        stop.wait()
        until.set()

    threading.Thread(target=end, daemon=True).start()
    follower = database.follower(RECEIVABLES)
    follower.step()
    ready.set()
    follower.run(until)


def _close(database: Database, accounts: int, runners: Runners | None = None) -> None:
    """The runners given close the month with this process; without them, it was closed before."""
    with closing(database.ledger()) as ledger, closing(database.month_ends()) as month_ends:
        month_ends.ask(PERIOD, None, actor=ACTOR, today=TODAY)
        if runners is not None:
            runners.go()
        month_ends.work(ledger)
        run = month_ends.status(PERIOD)
    assert run is not None
    assert accounts == (run.replayed if runners is None else run.issued), run


def _lines(numbers: Sequence[str]) -> Iterator[Told]:
    yield from openings(numbers)
    for n in range(LINES):
        for number in numbers:
            yield Charged(number, f"c-{n}", f"c-{n}", 100 + n, 1 + n)
