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
from projections.model import ReadModel
from projections.read_models import READ_MODELS

ACCOUNTS = 4_000
RUNNERS = min(cores(), 8)
LINES = 20
AT_LEAST = 10_000.0
VIEWS_TIMES = 2.0
CATCH_UP_S_MAX = 1_200.0
POLL_S = 0.005

_spawning = multiprocessing.get_context("spawn")


def month_end(bench: Bench, found: Found) -> None:
    """A runner for each CPU, and a follower for each view in a process of its own, all ready before
    the clock runs. First the followers begin when the month is closed, as after `close-month` on a
    service at rest; then, of as many accounts anew, they follow meanwhile.

    A second run finds every invoice.
    """
    numbers = accounts(bench.scaled(ACCOUNTS, at_least=50, at_most=500_000))
    for meanwhile in (False, True):
        model = Model()
        with bench.place.database() as database:
            bench.fill(database, model, _lines(numbers), len(numbers) * (LINES + 1))
            database.catch_up(CATCH_UP_S_MAX)
            closed_s, viewed_s = _timed(database, len(numbers), meanwhile=meanwhile)
            model.end_month()
            if meanwhile:
                found.figure("beside the views", len(numbers) / closed_s, "/s")
                found.figure("views beside it", viewed_s / closed_s, "x time", at_most=VIEWS_TIMES)
            else:
                found.figure("accounts closed", len(numbers) / closed_s, "/s", at_least=AT_LEAST)
                found.figure("views caught up", viewed_s / closed_s, "x time", at_most=VIEWS_TIMES)
                started = time.perf_counter()
                _close(database, len(numbers))
                again_s = time.perf_counter() - started
                found.figure("accounts found closed", len(numbers) / again_s, "/s")
            found.note(
                f"{len(numbers):,} accounts, {LINES} lines each, {RUNNERS} runners: closed in "
                f"{closed_s:.2f} s, in the views after {viewed_s:.2f} s, "
                f"followed {'meanwhile' if meanwhile else 'afterwards'}"
            )
            found.agree("write side", model.owed(), stored(database))
            found.agree("views", model.owed(), viewed(database))


def _timed(database: Database, count: int, *, meanwhile: bool) -> tuple[float, float]:
    """Seconds until so many accounts are closed, and until the views hold them."""
    with following(database, meanwhile=meanwhile) as go:
        with closing(Runners(database, RUNNERS - 1)) as runners:
            runners.wait()
            started = time.perf_counter()
            _close(database, count, runners)
            closed_s = time.perf_counter() - started
        go.set()
        _wait_for_views(database)
        return closed_s, time.perf_counter() - started


@contextmanager
def following(database: Database, *, meanwhile: bool = True) -> Iterator[Event]:
    """Followers keep the views up, each in a process of its own: at once, or when told to go."""
    go, stop = _spawning.Event(), _spawning.Event()
    if meanwhile:
        go.set()
    readies = []
    processes = []
    for model in READ_MODELS:
        ready = _spawning.Event()
        given = (database, model, ready, go, stop)
        process = _spawning.Process(target=_follow, args=given, daemon=True)
        process.start()
        readies.append(ready)
        processes.append(process)
    try:
        for ready in readies:
            assert ready.wait(60.0), "a follower did not start"
        yield go
    finally:
        go.set()
        stop.set()
        for process in processes:
            process.join()


def _wait_for_views(database: Database) -> None:
    """The other processes have taken everything: this one only looks."""
    deadline = time.monotonic() + CATCH_UP_S_MAX
    for model in READ_MODELS:
        with closing(database.follower(model)) as looking:
            while looking.lag():
                assert time.monotonic() < deadline, "the views do not catch up"
                time.sleep(POLL_S)


def _follow(database: Database, model: ReadModel, ready: Event, go: Event, stop: Event) -> None:
    until = threading.Event()

    def end() -> None:
        stop.wait()
        until.set()

    threading.Thread(target=end, daemon=True).start()
    follower = database.follower(model)
    follower.step()
    ready.set()
    go.wait()
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
