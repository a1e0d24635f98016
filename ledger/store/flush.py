"""One flush: keys looked up, commands decided in rounds of reading, everything appended at once."""

from collections.abc import Sequence
from itertools import count

from eventsourcing.persistence import InterfaceError, OperationalError

from ledger.account import Account
from ledger.decider import names
from ledger.items import Item
from ledger.needs import Named
from ledger.store.append import Batch, decode_account
from ledger.store.chain import Chain
from ledger.store.hashes import FIRST
from ledger.store.keys import replay_of
from ledger.store.mapper import EventMapper
from ledger.store.outcomes import Outcome
from ledger.store.reads import AccountFound, Place, Reads
from ledger.store.recorder import LaneRecorder
from ledger.store.waiting import Waiting

ROUNDS_MAX = 32
"""Rounds of reading in one flush; commands not decided by then wait for the next."""


def flush(
    taken: Sequence[Waiting], reads: Reads, recorder: LaneRecorder, mapper: EventMapper
) -> list[Waiting]:
    """Settles commands; gives back, in order, those that must be tried again.

    These are the commands of accounts that another process changed meanwhile, whose `conflicts`
    then has grown, and those past ROUNDS_MAX. Raises the library's OperationalError or
    InterfaceError with nothing settled when the database fails.
    """
    decided = Flush(taken, reads, mapper)
    decided.append(recorder)
    return decided.settle()


class Flush:
    """Commands that are decided, to be appended and then settled."""

    def __init__(self, taken: Sequence[Waiting], reads: Reads, mapper: EventMapper) -> None:
        """Reads and decides; raises what `flush` does."""
        self.taken = taken
        self.places = {waiting.place for waiting in taken}
        self._again = set[int]()
        """The ids of the commands that must be tried again."""
        self._batch = Batch()
        self._replayed, self._chains = _chains(taken, reads, mapper)
        self._decide(reads)
        for chain in self._chains:
            if chain.appends:
                chain.add_to(self._batch)

    def append(self, recorder: LaneRecorder) -> None:
        """Appends what was decided in one transaction; raises what `flush` does."""
        if not self._batch.events.rows:
            return
        try:
            recorder.append(self._batch)
        except (OperationalError, InterfaceError):
            for chain in self._chains:
                if chain.appends:
                    for waiting in chain.waiting:
                        waiting.maybe_done = True
            raise

    def settle(self) -> list[Waiting]:
        """Settles commands once they are appended; gives back what `flush` does."""
        for waiting, outcome in self._replayed:
            waiting.settle(outcome)
        for chain in self._chains:
            if chain.appends and not chain.is_in(self._batch):
                self._conflict(chain)
            else:
                for waiting, settle in chain.settled:
                    waiting.settle(settle(self._batch))
        return [waiting for waiting in self.taken if id(waiting) in self._again]

    def _decide(self, reads: Reads) -> None:
        """Decides the chains, reading what they need together, as far as ROUNDS_MAX allows."""
        moving = self._chains
        for _ in range(ROUNDS_MAX):
            wanting = [(chain, wanted) for chain in moving if (wanted := chain.advance())]
            if not wanting:
                return
            changed = reads.more([wanted for _, wanted in wanting])
            moving = [chain for chain, _ in wanting if chain.place not in changed]
            if changed:
                for chain in self._chains:
                    if chain.place in changed:
                        self._conflict(chain)
                self._chains = [c for c in self._chains if c.place not in changed]
        for chain in moving:
            self._again.update(id(waiting) for waiting in chain.defer())

    def _conflict(self, chain: Chain) -> None:
        """Another process changed the account: its commands are to be decided again."""
        for waiting in chain.waiting:
            waiting.conflicted()
            self._again.add(id(waiting))


def _chains(
    taken: Sequence[Waiting], reads: Reads, mapper: EventMapper
) -> tuple[list[tuple[Waiting, Outcome]], list[Chain]]:
    """The outcomes of commands done before, and the others by account, each with its row.

    A command that comes alone, with its account as its caller read it, needs neither: the append
    takes no account that is past the version read, and a key is used only with a new version.
    """
    groups: dict[Place, list[Waiting]] = {}
    for waiting in taken:
        groups.setdefault(waiting.place, []).append(waiting)
    replayed, chains = [], []
    places = []
    for place, group in groups.items():
        seen = group[0].seen if len(group) == 1 else None
        if seen is None:
            places.append(place)
        else:
            chains.append(Chain(group, seen.account, seen.hash, seen.named, mapper))
    if not places:
        return [], chains
    keys = [(place, waiting.request.key) for place in places for waiting in groups[place]]
    named = [(place, name) for place in places for name in _named(groups[place])]
    found = reads.outright(places, keys, named)
    items: dict[Place, dict[Named, Item | None]] = {place: {} for place in places}
    for index, (place, name) in enumerate(named):
        items[place][name] = found.named.get(index)
    at = count()
    for n, place in enumerate(places):
        fresh = []
        for waiting in groups[place]:
            outcome = replay_of(waiting, found.keys.get(next(at)), mapper)
            if outcome is None:
                fresh.append(waiting)
            else:
                replayed.append((waiting, outcome))
        if fresh:
            account, hash = _account(found.accounts.get(n))
            chains.append(Chain(fresh, account, hash, items[place], mapper))
    return replayed, chains


def _account(found: AccountFound | None) -> tuple[Account | None, bytes]:
    """The account of a row and its hash, also before it has one."""
    if found is None:
        return None, FIRST
    account = decode_account(found.state)
    assert account.version == found.version, account.account_number
    return account, found.hash


def _named(waiting: Sequence[Waiting]) -> dict[Named, None]:
    """What commands of an account name outright, each once."""
    requests = [one.request for one in waiting]
    return {name: None for r in requests for name in names(r)}
