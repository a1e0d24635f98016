"""One flush: keys looked up, commands decided in rounds of reading, everything appended at once."""

from collections import defaultdict
from collections.abc import Sequence

from eventsourcing.persistence import InterfaceError, OperationalError, StoredEvent

from ledger.store.append import Batch
from ledger.store.chain import Chain
from ledger.store.keys import replay_of
from ledger.store.mapper import EventMapper
from ledger.store.outcomes import Outcome
from ledger.store.reads import Place, Reads
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
    replayed, chains = _chains(taken, reads, mapper)
    deferred = _decide(chains, reads)
    appending = [chain for chain in chains if chain.appends]
    reads.end()
    batch = _append(appending, recorder)
    for waiting, outcome in replayed:
        waiting.settle(outcome)
    again = set[int]()
    for chain in chains:
        if chain.appends and not _is_appended(chain, batch):
            for waiting in chain.waiting:
                waiting.conflicts += 1
                again.add(id(waiting))
        else:
            for waiting, settle in chain.settled:
                waiting.settle(settle(batch))
    again.update(id(waiting) for waiting in deferred)
    return [waiting for waiting in taken if id(waiting) in again]


def _chains(
    taken: Sequence[Waiting], reads: Reads, mapper: EventMapper
) -> tuple[list[tuple[Waiting, Outcome]], list[Chain]]:
    """The outcomes of commands done before, and the others by account, each with its row."""
    places = list({waiting.place: None for waiting in taken})
    keys = [(waiting.place, waiting.request.key) for waiting in taken]
    accounts, used = reads.accounts_and_keys(places, keys)
    replayed = []
    fresh: dict[Place, list[Waiting]] = defaultdict(list)
    for index, waiting in enumerate(taken):
        outcome = replay_of(waiting, used.get(index), mapper)
        if outcome is None:
            fresh[waiting.place].append(waiting)
        else:
            replayed.append((waiting, outcome))
    return replayed, [Chain(fresh[p], accounts.get(p), mapper) for p in places if p in fresh]


def _decide(chains: Sequence[Chain], reads: Reads) -> list[Waiting]:
    """Decides the chains, reading what they need together; gives back what was not decided."""
    moving = list(chains)
    for _ in range(ROUNDS_MAX):
        wanting = [(chain, wanted) for chain in moving if (wanted := chain.advance())]
        if not wanting:
            return []
        reads.items([wanted for _, wanted in wanting])
        moving = [chain for chain, _ in wanting]
    return [waiting for chain in moving for waiting in chain.defer()]


def _append(chains: Sequence[Chain], recorder: LaneRecorder) -> Batch:
    """Appends the chains' rows in one transaction; nothing when there are none."""
    batch = Batch()
    for chain in chains:
        chain.add_to(batch)
    if not batch.events:
        return batch
    events = [
        StoredEvent(batch.accounts[row.account - 1].account_id, row.version, row.topic, row.state)
        for row in batch.events
    ]
    try:
        recorder.insert_events(events, batch=batch)
    except (OperationalError, InterfaceError):
        for chain in chains:
            for waiting in chain.waiting:
                waiting.maybe_done = True
        raise
    return batch


def _is_appended(chain: Chain, batch: Batch) -> bool:
    """Whether the chain's account was at the version expected, so that all of it was stored."""
    _, account_id = chain.place
    return (account_id, chain.expected + 1) in batch.placed
