"""The commands that wait: in order of arrival for each account, fair between lanes and accounts."""

from collections import deque
from collections.abc import Collection, Iterable

from ledger.store.reads import Place
from ledger.store.waiting import Waiting

Accounts = dict[Place, deque[Waiting]]
"""What waits of one lane, by account; the account that has waited longest for its turn first."""


class Queue:
    """Commands by lane and account; what is taken of an account is taken together.

    Used by one thread at a time.
    """

    def __init__(self) -> None:
        self.count = 0
        """Commands that wait."""
        self._lanes: dict[int, Accounts] = {}

    def put(self, waiting: Iterable[Waiting]) -> None:
        """Puts commands last."""
        for one in waiting:
            self._account(one.place).append(one)
            self.count += 1

    def put_back(self, waiting: Iterable[Waiting]) -> None:
        """Puts commands, given in order, before those of their accounts."""
        for one in reversed([*waiting]):
            self._account(one.place).appendleft(one)
            self.count += 1

    def take(self, most: int, busy: Collection[Place] = ()) -> list[Waiting]:
        """About so many commands, of accounts that are not busy.

        The lanes take turns, and in a lane its accounts, so that a busy one never keeps the others
        waiting: what was not emptied is last the next time. An account gives all it has, up to
        its lane's share: the more of its commands are done together, the less each costs.
        """
        taken: list[Waiting] = []
        lanes = list(self._lanes)
        for done, lane in enumerate(lanes):
            share = max((most - len(taken)) // (len(lanes) - done), 1)
            accounts = self._lanes.pop(lane)
            taken += _taken(accounts, share, busy)
            if accounts:
                self._lanes[lane] = accounts
            if len(taken) >= most:
                break
        self.count -= len(taken)
        return taken

    def remove_broken(self) -> list[Waiting]:
        """Takes out the commands whose order is broken."""
        gone = []
        for lane, accounts in list(self._lanes.items()):
            for place, queue in list(accounts.items()):
                gone += [waiting for waiting in queue if waiting.order.is_broken]
                kept = deque(waiting for waiting in queue if not waiting.order.is_broken)
                if kept:
                    accounts[place] = kept
                else:
                    del accounts[place]
            if not accounts:
                del self._lanes[lane]
        self.count -= len(gone)
        return gone

    def clear(self) -> list[Waiting]:
        """Takes out every command."""
        accounts = [queues for lane in self._lanes.values() for queues in lane.values()]
        self._lanes.clear()
        self.count = 0
        return [waiting for queue in accounts for waiting in queue]

    def _account(self, place: Place) -> deque[Waiting]:
        lane = self._lanes.setdefault(place[0], {})
        queue = lane.get(place)
        if queue is None:
            queue = lane[place] = deque()
        return queue


def _taken(accounts: Accounts, share: int, busy: Collection[Place]) -> list[Waiting]:
    """A lane's share of commands, or a few more so that an account's stay together."""
    taken: list[Waiting] = []
    for place in list(accounts):
        if len(taken) >= share:
            break
        if place in busy:
            continue
        queue = accounts.pop(place)
        if len(queue) <= share:
            taken += queue
        else:
            taken += [queue.popleft() for _ in range(share)]
            accounts[place] = queue
    return taken
