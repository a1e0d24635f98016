"""Fills a read model's empty tables lane by lane, each folded from its first event and copied.

Rows that no later event can change go into the tables as they are made; the others are held until
the lane ends. A lane with an event that cannot be read, folded or written is left to a follower,
who parks its account; so is the rest of a lane of which too many rows would have to be held.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

import psycopg
from eventsourcing.persistence import MapperDeserialisationError

from ledger.processes import Parent, Worker, end, speaking
from ledger.store import arrays
from ledger.store.faults import Corrupt, message_of
from ledger.store.mapper import EventMapper
from ledger.store.roles import connecting
from ledger.store.sql import load
from projections.batches import FOLD_FAULTS, WRITE_FAULTS, Logged, logged, refuse_gap
from projections.model import SESSION, Connection, ReadModel

EVENTS_AT_ONCE = 10_000
"""Events read, folded and copied together."""
HELD_MAX = 200_000
"""Rows a lane may hold in memory, some 500 bytes each."""

_SQL = load("projections", "loading.sql")
_FOLLOWING = load("projections", "follower.sql")
_log = logging.getLogger(__name__)


class Load(NamedTuple):
    """What is loaded, and where: the owner's address, the model, and the schema of its tables."""

    owner_url: str
    model: ReadModel
    schema: str


class Failed(NamedTuple):
    """Why a worker cannot go on."""

    fault: Exception


class LaneDone(NamedTuple):
    """A worker is at the end of what it was given."""

    lane: int


def load_lanes(
    what: Load, heads: Mapping[int, int], workers: int, told: Callable[[int], None]
) -> None:
    """Each lane holds the rows of its events up to its head, or of none past a position of its own.

    `told` is given numbers of events as they are folded, and takes back those of a lane given up.
    With more than one worker each is a process, and has lanes of its own.
    Raises Corrupt, psycopg's errors, and WorkerFailed.
    """
    largest_first = sorted(heads, key=lambda lane: -heads[lane])
    if workers == 1:
        with closing(_Loader(what)) as loader:
            for lane in largest_first:
                loader.load(lane, heads[lane], told)
    else:
        _share_out(what, [(lane, heads[lane]) for lane in largest_first], workers, told)


def _share_out(
    what: Load, lanes: Sequence[tuple[int, int]], workers: int, told: Callable[[int], None]
) -> None:
    """Whoever has done a lane is given the next one."""
    left = iter(lanes)
    started: list[Worker] = []
    try:
        started += [Worker(f"loader {n + 1}", _work, what) for n in range(workers)]
        busy = [worker for worker in started if _goes_on(worker, left)]
        while busy:
            for worker in speaking(busy):
                match worker.said():
                    case int(events):
                        told(events)
                    case Failed(fault):
                        raise fault
                    case LaneDone():
                        if not _goes_on(worker, left):
                            busy.remove(worker)
    finally:
        end(started)


def _goes_on(worker: Worker, left: Iterator[tuple[int, int]]) -> bool:
    lane = next(left, None)
    if lane is not None:
        worker.tell(lane)
    return lane is not None


def _work(parent: Parent, what: Load) -> None:
    """What a worker's process runs, until it is ended."""
    try:
        with closing(_Loader(what)) as loader:
            while True:
                lane, head = parent.hear()
                loader.load(lane, head, parent.tell)
                parent.tell(LaneDone(lane))
    except (Corrupt, psycopg.Error) as fault:
        parent.tell(Failed(fault))


class _Loader:
    """Loads lanes, one at a time."""

    def __init__(self, what: Load) -> None:
        self._model = what.model
        self._mapper = EventMapper()
        self._connection: Connection = psycopg.connect(
            connecting(what.owner_url, search_path=what.schema, **SESSION), autocommit=True
        )
        self._connection.prepare_threshold = 0
        arrays.register(self._connection)

    def load(self, lane: int, head: int, told: Callable[[int], None]) -> None:
        """The lane's rows are there, up to its head, in one transaction; or none, or fewer."""
        done = [0]

        def count(events: int) -> None:
            done[0] += events
            told(events)

        try:
            with self._connection.transaction():
                self._load(lane, head, count)
        except (MapperDeserialisationError, *FOLD_FAULTS, *WRITE_FAULTS) as fault:
            # A follower meets it again, and knows what to do.
            _log.info("lane_left", extra={"lane": lane, "error": message_of(fault)})
            told(-done[0])

    def _load(self, lane: int, head: int, told: Callable[[int], None]) -> None:
        rows, read = self._model.rows(), self._mapper.read
        at = 0
        while at < head and rows.held() <= HELD_MAX:
            upto = min(at + EVENTS_AT_ONCE, head)
            for one in self._events(lane, at, upto):
                rows.take(one.at, read(one.topic, one.state).data)
            rows.copy_settled(self._connection)
            told(upto - at)
            at = upto
        rows.copy_held(self._connection)
        self._connection.execute(_SQL["reached"], {"lane": lane, "position": at})

    def _events(self, lane: int, after: int, upto: int) -> Sequence[Logged]:
        bounds = {
            "lanes": arrays.packed(arrays.Int4, (lane,)),
            "after": arrays.packed(arrays.Int8, (after,)),
            "upto": arrays.packed(arrays.Int8, (upto,)),
        }
        events = logged(self._connection, _FOLLOWING["events"], bounds)
        refuse_gap(events, [(lane, after, upto)])
        return events

    def close(self) -> None:
        self._connection.close()
