"""The one door to the log: commands that wait together are decided and appended together."""

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from eventsourcing.persistence import InterfaceError, OperationalError

from ledger.commands import PostMessage, Request
from ledger.store.connection import OneConnection
from ledger.store.faults import LedgerClosed, StoreUnavailable, WrongRegion
from ledger.store.flush import flush
from ledger.store.keys import command_sha256
from ledger.store.lanes import account_id, lane_of
from ledger.store.mapper import EventMapper
from ledger.store.outcomes import Outcome
from ledger.store.reads import Reads
from ledger.store.recorder import LaneRecorder
from ledger.store.roles import WRITER, acting_as
from ledger.store.waiting import Asked, Waiting

FLUSH_MAX = 512
"""Commands one flush takes; past a few hundred an append gains nothing more."""
WAITING_MAX = 20_000
"""Commands that may wait; more are turned away at once."""
FAILURES_MAX = 8
"""Times a command is tried again after the connection was lost, about four seconds in all."""
CONFLICTS_MAX = 100
"""Times a command is decided again because another process changed its account meanwhile."""
BACKOFF_S = 0.02
BACKOFF_MAX_S = 1.0
STATEMENT_TIMEOUT = "30s"

_KEY = re.compile(r"[^\x00\ud800-\udfff]{1,255}")
_NUMBER = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TEXT = re.compile(r"[^\x00\ud800-\udfff]*")


class Ledger:
    """Takes commands of one region's accounts; a thread of its own decides and appends them."""

    def __init__(self, url: str, region: str) -> None:
        """Connects as the writer; raises WrongRegion when the database holds another region."""
        self.region = region
        self._datastore = OneConnection(acting_as(url, WRITER, statement_timeout=STATEMENT_TIMEOUT))
        self._recorder = LaneRecorder(self._datastore)
        self._reads = Reads(self._datastore)
        self._mapper = EventMapper()
        found = self._reads.region()
        if found != [region]:
            self._datastore.close()
            raise WrongRegion(f"the database holds region {found}, not {region!r}")
        self._queue: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"ledger-{region}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Commands that wait to be taken by a flush."""
        return len(self._queue)

    async def handle(self, requests: Sequence[Request]) -> list[Outcome]:
        """The outcome of each request, in order; those of one account are done in order.

        Raises StoreUnavailable when it is not known of some whether they were done: the same
        requests with the same keys may be sent again at any time.
        """
        return await asyncio.wrap_future(self._enqueue(requests))

    def handle_now(self, requests: Sequence[Request]) -> list[Outcome]:
        """As `handle`, for callers outside an event loop."""
        return self._enqueue(requests).result()

    def close(self) -> None:
        """What waits is done, then the thread and its connection are gone; safe to call twice."""
        with self._changed:
            self._closed = self._closed or LedgerClosed(f"the ledger of {self.region} is closed")
            self._changed.notify()
        self._thread.join()
        self._datastore.close()

    def _enqueue(self, requests: Sequence[Request]) -> Future[list[Outcome]]:
        asked = Asked(len(requests))
        waiting = [self._waiting(request, asked, index) for index, request in enumerate(requests)]
        with self._changed:
            if self._closed is not None:
                raise LedgerClosed(str(self._closed)) from self._closed
            if len(self._queue) + len(waiting) > max(WAITING_MAX, len(waiting)):
                raise StoreUnavailable(f"{len(self._queue)} commands wait already: try again")
            self._queue.extend(waiting)
            self._changed.notify()
        return asked.future

    def _waiting(self, request: Request, asked: Asked, index: int) -> Waiting:
        """The request in the queue's form; the edge has checked what is asserted here."""
        assert _NUMBER.fullmatch(request.account_number), request.account_number
        assert _KEY.fullmatch(request.key), request.key
        if isinstance(request.command, PostMessage):
            assert _TEXT.fullmatch(request.command.text), request.command.message_id
        id = account_id(self.region, request.account_number)
        digest = command_sha256(request.command)
        return Waiting(request, (lane_of(id), id), digest, asked, index)

    def _run(self) -> None:
        taken: list[Waiting] = []
        try:
            while taken := self._take():
                self._flush(taken)
        except BaseException as crash:
            self._fail(taken, crash)
            raise

    def _take(self) -> list[Waiting]:
        """The next commands in order of arrival, as soon as there are any; none once closed."""
        with self._changed:
            while not self._queue and self._closed is None:
                self._changed.wait()
            return [self._queue.popleft() for _ in range(min(len(self._queue), FLUSH_MAX))]

    def _flush(self, taken: list[Waiting]) -> None:
        try:
            again = flush(taken, self._reads, self._recorder, self._mapper)
        except (OperationalError, InterfaceError) as fault:
            # Also deadlocks, failed serialisation, a server that shuts down: done or not, only
            # the keys can tell, and the next flush asks for them first.
            self._datastore.disconnect()
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
            self._queue.extendleft(reversed(kept))

    def _fail(self, taken: list[Waiting], crash: BaseException) -> None:
        """The thread ends: nobody waits in vain, and the next caller hears why."""
        with self._changed:
            self._closed = crash
            left = [w for w in (*taken, *self._queue) if not w.settled]
            self._queue.clear()
        for waiting in left:
            closed = LedgerClosed(f"the ledger of {self.region} crashed: {crash!r}")
            closed.__cause__ = crash
            waiting.settle(closed)
