"""Requests on their way: from the call that asked, through flushes, to the outcome of each."""

from concurrent.futures import Future

from ledger.commands import Request
from ledger.store.outcomes import Outcome
from ledger.store.reads import Place, Seen


class Order:
    """Calls of one caller whose requests are done in the order of the calls.

    Once a request is given up, no later one is taken, nor done if it waits behind it: sent again
    together, they are done in the same order.
    """

    def __init__(self) -> None:
        self.is_broken = False


class Asked:
    """The requests of one call; its future ends when the last of them is settled."""

    def __init__(self, count: int, order: Order) -> None:
        self.order = order
        self.future: Future[list[Outcome]] = Future()
        self.future.set_running_or_notify_cancel()  # a caller who leaves cannot cancel an append
        self._outcomes: list[Outcome | None] = [None] * count
        self._left = count
        self._fault: Exception | None = None
        if not count:
            self.future.set_result([])

    def settle(self, index: int, outcome: Outcome | Exception) -> None:
        """Takes the outcome of one request; a fault of one is raised for the whole call."""
        if isinstance(outcome, Exception):
            self._fault = self._fault or outcome
        else:
            self._outcomes[index] = outcome
        self._left -= 1
        if self._left:
            return
        if self._fault is not None:
            self.future.set_exception(self._fault)
        else:
            self.future.set_result([outcome for outcome in self._outcomes if outcome is not None])


class Waiting:
    """One request, and what happened to it so far."""

    def __init__(
        self,
        request: Request,
        place: Place,
        command_sha256: bytes,
        asked: Asked,
        index: int,
        seen: Seen | None = None,
    ) -> None:
        self.request = request
        self.place = place
        self.command_sha256 = command_sha256
        self.seen = seen
        """What the caller read of the account, until that turns out to be of the past."""
        self.conflicts = 0
        """Times another process changed the account between reading and appending."""
        self.failures = 0
        """Times the connection was lost with it."""
        self.maybe_done = False
        """An append with it was sent, and its end was not seen."""
        self.settled = False
        self.order = asked.order
        self._asked = asked
        self._index = index

    def conflicted(self) -> None:
        """Another process changed the account: all is to be read anew."""
        self.conflicts += 1
        self.seen = None

    def failed(self) -> None:
        """The connection was lost: whatever was read, the key is to be looked up first."""
        self.failures += 1
        self.seen = None

    def settle(self, outcome: Outcome | Exception) -> None:
        """Gives the one who asked the outcome, once."""
        assert not self.settled, self.request
        self.settled = True
        self._asked.settle(self._index, outcome)
