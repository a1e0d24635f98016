"""One thread that decides and appends the commands of some lanes; its queue is fair between them."""

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
    """Takes commands of the lanes it is given; those of one lane are done in order of arrival."""

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
        """Takes commands to do; raises LedgerClosed once the writer is closed."""
        with self._changed:
            if self._closing:
                raise LedgerClosed("the ledger is closed")
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
            for lane in list(self._lanes):
                share = max((FLUSH_MAX - len(taken)) // len(self._lanes), 1)
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
        again = [waiting for waiting in taken if waiting.failures <= FAILURES_MAX]
        for waiting in taken:
            if waiting.failures > FAILURES_MAX:
                unavailable = StoreUnavailable(f"the database does not answer: {fault}")
                unavailable.__cause__ = fault
                waiting.settle(unavailable)
        most = max((waiting.failures for waiting in again), default=0)
        time.sleep(min(BACKOFF_S * 2**most, BACKOFF_MAX_S))
        return again

    def _requeue(self, again: Sequence[Waiting]) -> None:
        """Puts commands back to the front, so that those of one account keep their order."""
        kept = []
        for waiting in again:
            if waiting.conflicts > CONFLICTS_MAX:
                waiting.settle(
                    StoreUnavailable(
                        f"account {waiting.request.account_number} changes too fast: try again"
                    )
                )
            else:
                kept.append(waiting)
        with self._changed:
            for waiting in reversed(kept):
                self._lane(waiting).appendleft(waiting)
            self.waiting += len(kept)

    def _fail(self, taken: list[Waiting], crash: BaseException) -> None:
        """The thread ends: nobody waits in vain."""
        with self._changed:
            self._closing = True
            queued = [waiting for queue in self._lanes.values() for waiting in queue]
            self._lanes.clear()
            self.waiting = 0
        for waiting in (*taken, *queued):
            if not waiting.settled:
                closed = LedgerClosed(f"the ledger crashed: {crash!r}")
                closed.__cause__ = crash
                waiting.settle(closed)
