"""Processes that take in a file of commands together, each the lines of the lanes it owns.

A worker ends by itself when its parent is gone: it cannot tell how far it is any more.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError

from api import logs
from api.imports.share import Checked, FileChanged, Share, Taking
from ledger.importing import Problem, Progress, Report, Summary, merged
from ledger.processes import Parent, Worker, WorkerFailed, end, speaking
from ledger.store.faults import LedgerClosed, StoreUnavailable, WrongRegion, message_of

TOLD_EVERY_S = 0.2

_SAYS_ALL = (
    FileChanged,
    InterfaceError,
    LedgerClosed,
    OSError,
    OperationalError,
    StoreUnavailable,
    WrongRegion,
    psycopg.OperationalError,
)
"""Faults whose message says what is wrong; with any other a worker dies and tells its traceback."""

T = TypeVar("T", Checked, Summary)


class Told(NamedTuple):
    """How far a worker is, and what it found wrong since it last said so."""

    phase: str
    done: int
    total: int
    problems: list[Problem]


class Failed(NamedTuple):
    """Why a worker cannot go on."""

    says: str


class Workers:
    """A worker for each share of a file, started; does what one `Taking` of all of it would do."""

    def __init__(self, shares: Sequence[Share]) -> None:
        self._workers = [
            Worker(f"worker {share.n + 1} of {share.shares}", _work, share) for share in shares
        ]
        self._steps_total = 0

    def check(self, report: Report, progress: Progress) -> Checked:
        """What is wrong with the lines, told in their order at the end. Raises WorkerFailed."""
        found = self._gather(Checked, report, progress)
        summary = merged([checked.summary for checked in found])
        for problem in sorted([*summary.bad, *summary.repeated], key=lambda p: p.line):
            report(problem)
        self._steps_total = sum(checked.steps_total for checked in found)
        [file_sha256] = {checked.file_sha256 for checked in found}  # or its stamp had changed
        return Checked(summary, self._steps_total, file_sha256)

    def apply(self, report: Report, progress: Progress) -> Summary:
        """What was done, after `check`; refusals are told as they come. Raises WorkerFailed."""
        for worker in self._workers:
            worker.tell(True)
        return merged(self._gather(Summary, report, progress))

    def close(self) -> None:
        """No worker is left."""
        end(self._workers)

    def _gather(self, wanted: type[T], report: Report, progress: Progress) -> list[T]:
        """What every worker ends a phase with."""
        results: dict[Worker, T] = {}
        done: dict[Worker, int] = {}
        while waited_for := [worker for worker in self._workers if worker not in results]:
            for worker in speaking(waited_for):
                said = worker.said()
                if isinstance(said, wanted):
                    results[worker] = said
                    continue
                if isinstance(said, Failed):
                    raise WorkerFailed(f"{worker.name}: {said.says}")
                assert isinstance(said, Told), said
                done[worker] = said.done
                for problem in said.problems:
                    report(problem)
                progress(said.phase, sum(done.values()), self._steps_total)
        return [results[worker] for worker in self._workers]


def _work(parent: Parent, share: Share) -> None:
    """What a worker's process runs."""
    logs.set_up()
    telling = _Telling(parent)
    try:
        taking = Taking(share)
        try:
            parent.tell(taking.check(lambda problem: None, telling.progress))
            parent.hear()
            summary = taking.apply(telling.report, telling.progress)
        finally:
            taking.close()
    except _SAYS_ALL as fault:
        parent.tell(Failed(message_of(fault)))
    else:
        telling.flush()
        parent.tell(summary)


class _Telling:
    """What the parent is to know of how far a worker is, told now and then."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._reached = ("check", 0, 0)
        self._problems: list[Problem] = []
        self._told_at = 0.0

    def report(self, problem: Problem) -> None:
        self._problems.append(problem)

    def progress(self, phase: str, done: int, total: int) -> None:
        self._reached = (phase, done, total)
        if time.monotonic() - self._told_at > TOLD_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """The parent knows how far this is."""
        self._parent.tell(Told(*self._reached, self._problems))
        self._problems = []
        self._told_at = time.monotonic()
