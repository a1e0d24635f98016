"""The one door to the log: commands that wait together are decided and appended together."""

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import Future
from uuid import UUID

from ledger.commands import AnyCommand, PostMessage, Request
from ledger.ids import ID
from ledger.store.connection import OneConnection
from ledger.store.faults import LedgerClosed, StoreUnavailable, WrongRegion
from ledger.store.keys import command_sha256
from ledger.store.lanes import account_id, lane_of
from ledger.store.outcomes import Outcome
from ledger.store.reads import Reads, Seen
from ledger.store.roles import WRITER, acting_as
from ledger.store.waiting import Asked, Order, Waiting
from ledger.store.writer import Writer

WAITING_MAX = 20_000
"""Commands that may wait; more are turned away at once."""
STATEMENT_TIMEOUT = "30s"

_KEY = re.compile(r"[^\x00\ud800-\udfff]{1,255}")
_TEXT = re.compile(r"[^\x00\ud800-\udfff]*")


class Ledger:
    """Takes commands of one region's accounts; a thread of its own decides and appends them."""

    def __init__(self, url: str, region: str) -> None:
        """Connects as the writer; raises WrongRegion when the database holds another region."""
        self.region = region
        self._closed: BaseException | None = None
        self._store = OneConnection(acting_as(url, WRITER, statement_timeout=STATEMENT_TIMEOUT))
        found = Reads(self._store).region()
        if found != [region]:
            self._store.close()
            raise WrongRegion(f"the database holds region {found}, not {region!r}")
        self._writer = Writer(self._store, f"ledger-{region}", self._crashed)

    @property
    def waiting(self) -> int:
        """Commands that wait to be taken by a flush."""
        return self._writer.waiting

    async def handle(self, requests: Sequence[Request]) -> list[Outcome]:
        """The outcome of each request, in order; those of one account are done in order.

        Raises StoreUnavailable when it is not known of some whether they were done: the same
        requests with the same keys may be sent again at any time.
        """
        return await asyncio.wrap_future(self.enqueue(requests))

    def handle_now(self, requests: Sequence[Request]) -> list[Outcome]:
        """As `handle`, for callers outside an event loop."""
        return self.enqueue(requests).result()

    def handle_seen(self, seen: Sequence[tuple[Request, UUID, Seen]]) -> list[Outcome]:
        """As `handle_now`, of accounts that the caller has just read, each with its id.

        What was changed since is read again.
        """
        digests: dict[AnyCommand, bytes] = {}  # most ask for the same
        asked = Asked(len(seen), Order())
        waiting = []
        for index, (request, id, one) in enumerate(seen):
            command = request.command
            digest = digests.get(command)
            if digest is None:
                digest = digests[command] = command_sha256(command)
            waiting.append(Waiting(request, (lane_of(id), id), digest, asked, index, one))
        return self._put(waiting, asked).result()

    def enqueue(
        self, requests: Sequence[Request], order: Order | None = None
    ) -> Future[list[Outcome]]:
        """As `handle`, for callers who go on meanwhile; the requests are in order from now on.

        Who sends more before the outcomes are known gives every call the same `order`: what comes
        after a request that was given up is then not done before it.
        """
        order = order or Order()
        asked = Asked(len(requests), order)
        waiting = [self._waiting(request, asked, index) for index, request in enumerate(requests)]
        return self._put(waiting, asked)

    def close(self) -> None:
        """What waits is done, then the thread and its connection are gone; safe to call twice."""
        self._closed = self._closed or LedgerClosed(f"the ledger of {self.region} is closed")
        self._writer.close()
        self._store.close()

    def _put(self, waiting: Sequence[Waiting], asked: Asked) -> Future[list[Outcome]]:
        order = asked.order
        if self._closed is not None:
            order.is_broken = True
            raise LedgerClosed(str(self._closed)) from self._closed
        if self.waiting + len(waiting) > max(WAITING_MAX, len(waiting)):
            order.is_broken = True
            raise StoreUnavailable(f"{self.waiting} commands wait already: try again")
        try:
            self._writer.put(waiting)
        except (LedgerClosed, StoreUnavailable):
            order.is_broken = True
            raise
        return asked.future

    def _waiting(self, request: Request, asked: Asked, index: int) -> Waiting:
        """The request in the queue's form; the edge has checked what is asserted here."""
        assert ID.fullmatch(request.account_number), request.account_number
        assert _KEY.fullmatch(request.key), request.key
        if isinstance(request.command, PostMessage):
            assert _TEXT.fullmatch(request.command.text), request.command.message_id
        id = account_id(self.region, request.account_number)
        digest = command_sha256(request.command)
        return Waiting(request, (lane_of(id), id), digest, asked, index)

    def _crashed(self, crash: BaseException) -> None:
        self._closed = crash
