"""What a scraper is told: requests, commands, sign-ins, queues, and how far behind the views are.

Each process counts in files of its own (api/serving/exposition.py reads them all); until `set_up`
is called nothing is counted. Labels are names of ours: never a path, an account or a text given.
"""

import os
import threading
import time
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ledger.commands import Request
from ledger.store.outcomes import Outcome, Refused

PREFIX = "billing_ledger_"
UNKNOWN = "unknown"
"""The outcome of a command whose caller heard only that it may be done or not."""
NO_ROUTE = "none"
WRITE_EVERY_S = 0.25
"""What every request does is counted in memory and written down so often: files cost ten times that."""
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Recording:
    """The metrics of this process, in files of a directory."""

    def __init__(self, directory: Path, process: str) -> None:
        for stale in directory.glob(f"gauge_*_{process}.db"):
            stale.unlink()  # what the process before it saw last is no longer so
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
        # Not at the top: the library is for processes that serve, which no other command is.
        from prometheus_client import Counter, Gauge, Histogram, values

        # By name and not by process id: a process that is started again counts on where the one
        # before it ended, and one that dies all the time leaves no trail of files.
        values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call] # untyped there
        self.counting = threading.Lock()
        self._pending: dict[tuple[str, str, int], _Requests] = {}
        self._done, self._waiting = Counted[tuple[str, str]](), dict[str, int]()
        self.requests = Counter(
            f"{PREFIX}http_requests",
            "Requests answered, by route template, method and status class.",
            ("method", "route", "status"),
            registry=None,
        )
        self.request_seconds = Histogram(
            f"{PREFIX}http_request_duration_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=None,
        )
        self.commands = Counter(
            f"{PREFIX}commands",
            "Commands the ledger was given over HTTP, by type and outcome.",
            ("type", "outcome"),
            registry=None,
        )
        self.sign_ins = Counter(
            f"{PREFIX}sign_ins", "Sign-ins, by outcome.", ("outcome",), registry=None
        )
        self.queued = Gauge(
            f"{PREFIX}queued_commands",
            "Commands that wait for the ledger.",
            ("region",),
            multiprocess_mode="sum",
            registry=None,
        )
        self.month_ends = Gauge(
            f"{PREFIX}unfinished_month_ends",
            "Month ends that were asked for and are not finished.",
            ("region",),
            multiprocess_mode="max",
            registry=None,
        )
        self.reconciliation = _gauges(Gauge, _OF_RECONCILIATION, ("region",))
        self.views = _gauges(Gauge, _OF_VIEWS, ("region", "read_model"))
        threading.Thread(target=self._keep_written, name="metrics", daemon=True).start()

    def of_request(self, method: str, route: str, hundreds: int) -> "_Requests":
        """The requests of one kind since they were last written down."""
        kind = (method, route, hundreds)
        found = self._pending.get(kind)
        if found is None:
            found = self._pending[kind] = _Requests()
        return found

    def took(self, named: Iterable[tuple[str, str]]) -> None:
        """Commands of a type that had an outcome."""
        self._done.update(named)

    def waits(self, region: str, commands: int) -> None:
        """So many commands wait now."""
        self._waiting[region] = commands

    def write_down(self) -> None:
        """What requests and commands were counted is in the files."""
        with self.counting:
            pending, self._pending = self._pending, {}
            done, self._done = self._done, Counted()
            waiting, self._waiting = self._waiting, {}
        for (type, outcome), count in done.items():
            self.commands.labels(type, outcome).inc(count)
        for region, commands in waiting.items():
            self.queued.labels(region).set(commands)
        for (method, route, hundreds), found in pending.items():
            known = method if method in _METHODS else "other"
            status = f"{hundreds}xx" if hundreds else "none"
            self.requests.labels(known, route, status).inc(found.count)
            # Its observe() takes one at a time, which is what costs too much for every request.
            seconds = self.request_seconds.labels(known, route)
            seconds._sum.inc(found.seconds)
            for bucket, count in zip(seconds._buckets, found.buckets, strict=True):
                if count:
                    bucket.inc(count)

    def _keep_written(self) -> None:
        while True:
            time.sleep(WRITE_EVERY_S)
            self.write_down()


class _Requests:
    """How many there were, the seconds they took, and how many fell into which bucket."""

    __slots__ = ("buckets", "count", "seconds")

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        self.buckets = [0] * (len(_SECONDS) + 1)


_OF_VIEWS = (
    ("follower_lag_events", "Events that a read model has not taken yet."),
    ("follower_lag_seconds", "Seconds that the oldest event not taken has waited."),
    ("parked_accounts", "Accounts that a read model could not fold: their figures stand still."),
    ("follower_seen_timestamp_seconds", "When the follower last looked at its lag."),
)
_OF_RECONCILIATION = (
    ("reconciliation_differences", "Figures that the last reconciliation found to differ."),
    (
        "reconciliation_timestamp_seconds",
        "When the lane was reconciled that was reconciled longest ago; 0: not all of them were.",
    ),
)


def _gauges(gauge: Any, described: Iterable[tuple[str, str]], labels: tuple[str, ...]) -> list[Any]:
    """A gauge for each name and what it says, of which one process tells at a time."""
    return [
        gauge(PREFIX + name, says, labels, multiprocess_mode="max", registry=None)
        for name, says in described
    ]


_recording: Recording | None = None


def set_up(directory: Path, process: str) -> None:
    """From now on this process counts; `process` is its name, alone among those running."""
    global _recording
    _recording = Recording(directory, process)


def is_on() -> bool:
    """Whether this process counts."""
    return _recording is not None


def request(method: str, route: str, status: int, seconds: float) -> None:
    """A request was answered; `route` is the template of its path, or NO_ROUTE."""
    if _recording is not None:
        with _recording.counting:
            found = _recording.of_request(method, route, status // 100)
            found.count += 1
            found.seconds += seconds
            found.buckets[bisect_left(_SECONDS, seconds)] += 1


def signed_in(outcome: str) -> None:
    """Somebody tried to sign in; `outcome` is "ok" or the code of a problem."""
    if _recording is not None:
        _recording.sign_ins.labels(outcome).inc()


def commands(requests: Sequence[Request], outcomes: Sequence[Outcome]) -> None:
    """The ledger was given commands; without outcomes it is not known what became of them."""
    if _recording is None:
        return
    with _recording.counting:
        _recording.took(_named(requests, outcomes))


def queued(region: str, commands: int) -> None:
    """So many commands wait for the ledger of a region in this process."""
    if _recording is not None:
        with _recording.counting:
            _recording.waits(region, commands)


def month_ends(region: str, unfinished: int) -> None:
    """So many month ends of a region are not finished."""
    if _recording is not None:
        _recording.month_ends.labels(region).set(unfinished)


def reconciled(region: str, differences: int, finished_s: float) -> None:
    """What reconciliations have found of a region, and since when that is; 0: not of all lanes."""
    if _recording is not None:
        seen = (differences, finished_s)
        for gauge, value in zip(_recording.reconciliation, seen, strict=True):
            gauge.labels(region).set(value)


def views(region: str, read_model: str, *, events: int, seconds: float, parked: int) -> None:
    """What a follower has just seen of a read model: its lag, and its parked accounts."""
    if _recording is not None:
        seen = (events, seconds, parked, time.time())
        for gauge, value in zip(_recording.views, seen, strict=True):
            gauge.labels(region, read_model).set(value)


def _named(requests: Sequence[Request], outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    for request, outcome in zip_longest(requests, outcomes):
        if outcome is None:
            named = UNKNOWN
        elif isinstance(outcome, Refused):
            named = outcome.refusal.code
        elif request.dry_run:
            named = "dry_run"
        else:
            named = "replayed" if outcome.replayed else "ok"
        yield str(request.command.__struct_config__.tag), named
