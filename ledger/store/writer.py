"""The thread that decides and appends commands; while many wait, it decides the next ones meanwhile."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from eventsourcing.persistence import InterfaceError, OperationalError

from ledger.store.connection import OneConnection
from ledger.store.faults import LedgerClosed, StoreUnavailable
from ledger.store.flush import Flush, flush
from ledger.store.mapper import EventMapper
from ledger.store.queue import Queue
from ledger.store.reads import Reads
from ledger.store.recorder import LaneRecorder
from ledger.store.waiting import Waiting

FLUSH_MAX = 512
"""Commands one flush takes; past a few hundred an append gains nothing more."""
AHEAD_MIN = 256
"""Commands that must wait for some to be decided while others are appended; with fewer, flushes
would only become smaller. More than the single commands that a worker takes at a time."""
FAILURES_MAX = 8
"""Times a command is tried again after the connection was lost, about four seconds in all."""
CONFLICTS_MAX = 100
"""Times a command is decided again because another process changed its account meanwhile."""
BACKOFF_S = 0.02
BACKOFF_MAX_S = 1.0


class _Flight(NamedTuple):
    """A flush that is being appended."""

    flush: Flush
    appended: Future[None]


class Writer:
    """Takes commands; those of one account are done in order of arrival."""

    def __init__(
        self, datastore: OneConnection, name: str, crashed: Callable[[BaseException], None]
    ) -> None:
        """Starts the thread; `crashed` is told, in it, of the fault that ends it."""
        self.datastore = datastore
        self._reads = Reads(datastore)
        self._recorder = LaneRecorder(datastore)
        self._mapper = EventMapper()
        self._beside = LaneRecorder(datastore.another())
        """Appends while the first connection reads."""
        self._appender = ThreadPoolExecutor(1, f"{name}-append")
        self._queue = Queue()
        self._taken: list[Waiting] = []
        """The commands taken last, settled or not."""
        self._changed = threading.Condition()
        self._closing = False
        self._crashed = crashed
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Commands that wait to be taken by a flush."""
        return self._queue.count

    def put(self, waiting: Sequence[Waiting]) -> None:
        """Takes commands of one order to do.

        Raises LedgerClosed once the writer is closed, StoreUnavailable once the order is broken.
        """
        with self._changed:
            if self._closing:
                raise LedgerClosed("the ledger is closed")
            if waiting and waiting[0].order.is_broken:
                raise StoreUnavailable("a command before these was given up: send them all again")
            self._queue.put(waiting)
            self._changed.notify()

    def close(self) -> None:
        """Nothing more is taken; what waits is done, then the thread ends. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while taken := self._take():
                if self.waiting < AHEAD_MIN:
                    self._flush(taken)
                else:
                    self._stream(taken)
        except BaseException as crash:
            self._crashed(crash)
            self._fail(crash)
            raise
        finally:
            self._appender.shutdown()
            self._disconnect()  # nobody else closes what crashed

    def _take(self) -> list[Waiting]:
        """The next commands, as soon as there are any; none once closed."""
        with self._changed:
            while not self._queue.count and not self._closing:
                self._changed.wait()
            self._taken = self._queue.take(FLUSH_MAX)
            return self._taken

    def _take_ahead(self, flight: _Flight) -> list[Waiting]:
        """The next commands of accounts that the flight has none of; none when few wait."""
        with self._changed:
            if self._queue.count < AHEAD_MIN:
                return []
            taken = self._queue.take(FLUSH_MAX, flight.flush.places)
            self._taken = [*flight.flush.taken, *taken]
            return taken

    def _flush(self, taken: list[Waiting]) -> None:
        try:
            again = flush(taken, self._reads, self._recorder, self._mapper)
        except (OperationalError, InterfaceError) as fault:
            again = self._failed(taken, fault)
        self._requeue(again)

    def _stream(self, taken: list[Waiting]) -> None:
        """Does commands as long as many wait: the next are decided while the last are appended."""
        flight: _Flight | None = None
        while taken:
            try:
                decided = Flush(taken, self._reads, self._mapper)
            except (OperationalError, InterfaceError) as fault:
                if flight is None or self._land(flight, taken):
                    self._requeue(self._failed(taken, fault))
                return
            if flight is not None and not self._land(flight, taken):
                return
            appended = self._appender.submit(decided.append, self._beside)
            flight = _Flight(decided, appended)
            taken = self._take_ahead(flight)
        if flight is not None:
            self._land(flight, [])

    def _land(self, flight: _Flight, behind: list[Waiting]) -> bool:
        """Settles a flush once it is appended; whether those taken behind it may be, too.

        They may not once it failed, or a command was given up: they wait again, so that those of
        a broken order are given up as well.
        """
        try:
            flight.appended.result()
        except (OperationalError, InterfaceError) as fault:
            self._put_back(behind)
            self._requeue(self._failed(flight.flush.taken, fault))
            return False
        again = flight.flush.settle()
        goes_on = all(waiting.conflicts <= CONFLICTS_MAX for waiting in again)
        if not goes_on:
            self._put_back(behind)
        self._requeue(again)
        return goes_on

    def _failed(self, taken: Sequence[Waiting], fault: Exception) -> list[Waiting]:
        """Gives up on those that failed too often; the others are to be tried again.

        Also after deadlocks, failed serialisation, a server that shuts down: done or not, only the
        keys can tell, and the next flush asks for them first.
        """
        self._disconnect()
        for waiting in taken:
            waiting.failed()
        lost = [waiting for waiting in taken if waiting.failures > FAILURES_MAX]
        again = self._give_up(lost, taken, f"the database does not answer: {fault}", fault)
        most = max((waiting.failures for waiting in again), default=0)
        time.sleep(min(BACKOFF_S * 2**most, BACKOFF_MAX_S))
        return again

    def _requeue(self, again: Sequence[Waiting]) -> None:
        """Puts commands back to the front, so that those of one account keep their order."""
        lost = [waiting for waiting in again if waiting.conflicts > CONFLICTS_MAX]
        if lost:
            account = lost[0].request.account_number
            again = self._give_up(lost, again, f"account {account} changes too fast: try again")
        self._put_back(again)

    def _put_back(self, waiting: Sequence[Waiting]) -> None:
        with self._changed:
            self._queue.put_back(waiting)

    def _give_up(
        self,
        lost: Sequence[Waiting],
        taken: Sequence[Waiting],
        says: str,
        cause: Exception | None = None,
    ) -> list[Waiting]:
        """Gives up on the lost ones and what their callers sent with and after them.

        Done after one that was given up, a command would have overtaken it when it is sent again.
        Gives back those of the taken that are not concerned.
        """
        if not lost:
            return list(taken)
        with self._changed:  # whoever sends more is turned away from now on
            for waiting in lost:
                waiting.order.is_broken = True
            gone = [waiting for waiting in taken if waiting.order.is_broken]
            gone += self._queue.remove_broken()
        for waiting in gone:
            unavailable = StoreUnavailable(says)
            unavailable.__cause__ = cause
            waiting.settle(unavailable)
        return [waiting for waiting in taken if not waiting.settled]

    def _fail(self, crash: BaseException) -> None:
        """The thread ends: nobody waits in vain."""
        with self._changed:
            self._closing = True
            left = [*self._taken, *self._queue.clear()]
            for waiting in left:
                waiting.order.is_broken |= not waiting.settled
        for waiting in left:
            if not waiting.settled:  # what was put back counts twice
                closed = LedgerClosed(f"the ledger crashed: {crash!r}")
                closed.__cause__ = crash
                waiting.settle(closed)

    def _disconnect(self) -> None:
        self.datastore.disconnect()
        self._beside.datastore.disconnect()
