"""Processes that take in a file of commands together, each the lines of the lanes it owns.

A worker ends by itself when its parent is gone: it cannot tell how far it is any more.
"""

import multiprocessing
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple, TypeVar

import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError

from api import garbage, logs
from api.imports.share import Checked, FileChanged, Share, Taking
from ledger.importing import Problem, Progress, Report, Summary, merged
from ledger.store.faults import LedgerClosed, StoreUnavailable, WrongRegion, message_of

TOLD_EVERY_S = 0.2
END_S_MAX = 10.0

_spawning = multiprocessing.get_context("spawn")  # a fork would copy connections and threads

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


class WorkerFailed(Exception):
    """A worker could not go on, and all were ended. What was done stays done."""


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
        self._workers = [_Worker(share) for share in shares]
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
            worker.go_on()
        return merged(self._gather(Summary, report, progress))

    def close(self) -> None:
        """No worker is left."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.close()

    def _gather(self, wanted: type[T], report: Report, progress: Progress) -> list[T]:
        """What every worker ends a phase with."""
        results: dict[Connection, T] = {}
        done: dict[Connection, int] = {}
        workers = {worker.connection: worker for worker in self._workers}
        while waited_for := [line for line in workers if line not in results]:
            for line in wait(waited_for):
                assert isinstance(line, Connection)
                said = workers[line].said()
                if isinstance(said, wanted):
                    results[line] = said
                    continue
                assert isinstance(said, Told), said
                done[line] = said.done
                for problem in said.problems:
                    report(problem)
                progress(said.phase, sum(done.values()), self._steps_total)
        return [results[line] for line in workers]


class _Worker:
    """One of the processes, from the parent's side."""

    def __init__(self, share: Share) -> None:
        self.connection, theirs = _spawning.Pipe()
        self._name = f"worker {share.n + 1} of {share.shares}"
        self._process: BaseProcess = _spawning.Process(
            target=_work, args=(theirs, share), name=self._name, daemon=True
        )
        self._process.start()
        theirs.close()

    def said(self) -> object:
        """What it says next; raises WorkerFailed."""
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        if isinstance(said, Failed):
            raise WorkerFailed(f"{self._name}: {said.says}")
        return said

    def go_on(self) -> None:
        """Lets it apply what it checked; raises WorkerFailed."""
        try:
            self.connection.send(True)
        except OSError:
            raise self._died() from None

    def terminate(self) -> None:
        self._process.terminate()

    def close(self) -> None:
        self._process.join(END_S_MAX)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self.connection.close()

    def _died(self) -> WorkerFailed:
        self._process.join(END_S_MAX)
        return WorkerFailed(f"{self._name} died, with exit code {self._process.exitcode}")


def _work(connection: Connection, share: Share) -> None:
    """What a worker's process runs."""
    logs.set_up()
    garbage.look_less_often()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever pressed the key, the parent ends all
    parent = _Parent(connection)
    try:
        taking = Taking(share)
        try:
            parent.tell(taking.check(lambda problem: None, parent.progress))
            parent.wait()
            summary = taking.apply(parent.report, parent.progress)
        finally:
            taking.close()
    except _SAYS_ALL as fault:
        parent.tell(Failed(message_of(fault)))
    else:
        parent.flush()
        parent.tell(summary)


class _Parent:
    """The parent, from a worker's side; the worker ends where it finds it gone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
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
        self.tell(Told(*self._reached, self._problems))
        self._problems = []
        self._told_at = time.monotonic()

    def tell(self, said: Checked | Summary | Told | Failed) -> None:
        try:
            self._connection.send(said)
        except OSError:
            raise SystemExit(1) from None

    def wait(self) -> None:
        """Returns when the parent says to go on."""
        try:
            self._connection.recv()
        except (EOFError, OSError):
            raise SystemExit(1) from None
