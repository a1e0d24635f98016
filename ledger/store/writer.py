"""The thread that decides and appends commands; its queue is fair between lanes."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from eventsourcing.persistence import InterfaceError, OperationalError

from ledger.store.connection import OneConnection
from ledger.store.faults import LedgerClosed, StoreUnavailable
from ledger.store.flush import flush
from ledger.store.mapper import EventMapper
from ledger.store.reads import Reads
from ledger.store.recorder import LaneRecorder
from ledger.store.waiting import Waiting

FLUSH_MAX = 512
"""Commands one flush takes; past a few hundred an append gains nothing more."""
FAILURES_MAX = 8
"""Times a command is tried again after the connection was lost, about four seconds in all."""
CONFLICTS_MAX = 100
"""Times a command is decided again because another process changed its account meanwhile."""
BACKOFF_S = 0.02
BACKOFF_MAX_S = 1.0


class Writer:
    """Takes commands; those of one lane are done in order of arrival."""

    def __init__(
        self, datastore: OneConnection, name: str, crashed: Callable[[BaseException], None]
    ) -> None:
        """Starts the thread; `crashed` is told, in it, of the fault that ends it."""
        self.datastore = datastore
        self.waiting = 0
        """Commands that wait to be taken by a flush."""
        self._reads = Reads(datastore)
        self._recorder = LaneRecorder(datastore)
        self._mapper = EventMapper()
        self._lanes: dict[int, deque[Waiting]] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._crashed = crashed
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, waiting: Sequence[Waiting]) -> None:
        """Takes commands of one order to do.

        Raises LedgerClosed once the writer is closed, StoreUnavailable once the order is broken.
        """
        with self._changed:
            if self._closing:
                raise LedgerClosed("the ledger is closed")
            if waiting and waiting[0].order.is_broken:
                raise StoreUnavailable("a command before these was given up: send them all again")
            for one in waiting:
                self._lane(one).append(one)
            self.waiting += len(waiting)
            self._changed.notify()

    def close(self) -> None:
        """Nothing more is taken; what waits is done, then the thread ends. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _lane(self, waiting: Waiting) -> deque[Waiting]:
        return self._lanes.setdefault(waiting.place[0], deque())

    def _run(self) -> None:
        taken: list[Waiting] = []
        try:
            while taken := self._take():
                self._flush(taken)
        except BaseException as crash:
            self._crashed(crash)
            self._fail(taken, crash)
            self.datastore.disconnect()  # a snapshot may be open, and nobody closes what crashed
            raise

    def _take(self) -> list[Waiting]:
        """The next commands, as soon as there are any; none once closed.

        The lanes take turns, so that a busy one never keeps the others waiting; a lane that was
        not emptied is last in the next flush.
        """
        with self._changed:
            while not self._lanes and not self._closing:
                self._changed.wait()
            taken: list[Waiting] = []
            lanes = list(self._lanes)
            for done, lane in enumerate(lanes):
                share = max((FLUSH_MAX - len(taken)) // (len(lanes) - done), 1)
                queue = self._lanes.pop(lane)
                taken += [queue.popleft() for _ in range(min(share, len(queue)))]
                if queue:
                    self._lanes[lane] = queue
                if len(taken) >= FLUSH_MAX:
                    break
            self.waiting -= len(taken)
            return taken

    def _flush(self, taken: list[Waiting]) -> None:
        try:
            again = flush(taken, self._reads, self._recorder, self._mapper)
        except (OperationalError, InterfaceError) as fault:
            # Also deadlocks, failed serialisation, a server that shuts down: done or not, only
            # the keys can tell, and the next flush asks for them first.
            self.datastore.disconnect()
            again = self._failed(taken, fault)
        self._requeue(again)

    def _failed(self, taken: list[Waiting], fault: Exception) -> list[Waiting]:
        """Gives up on those that failed too often; the others are to be tried again."""
        for waiting in taken:
            waiting.failures += 1
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
        with self._changed:
            for waiting in reversed(again):
                self._lane(waiting).appendleft(waiting)
            self.waiting += len(again)

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
            for lane, queue in list(self._lanes.items()):
                kept: deque[Waiting] = deque()
                for waiting in queue:
                    (gone if waiting.order.is_broken else kept).append(waiting)
                self.waiting -= len(queue) - len(kept)
                self._lanes[lane] = kept
                if not kept:
                    del self._lanes[lane]
        for waiting in gone:
            unavailable = StoreUnavailable(says)
            unavailable.__cause__ = cause
            waiting.settle(unavailable)
        return [waiting for waiting in taken if not waiting.settled]

    def _fail(self, taken: list[Waiting], crash: BaseException) -> None:
        """The thread ends: nobody waits in vain."""
        with self._changed:
            self._closing = True
            queued = [waiting for queue in self._lanes.values() for waiting in queue]
            self._lanes.clear()
            self.waiting = 0
            for waiting in (*taken, *queued):
                waiting.order.is_broken = True
        for waiting in (*taken, *queued):
            if not waiting.settled:
                closed = LedgerClosed(f"the ledger crashed: {crash!r}")
                closed.__cause__ = crash
                waiting.settle(closed)
