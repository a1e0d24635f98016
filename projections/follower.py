"""Keeps a read model up with the log: each event exactly once, in order, whatever happens to whom.

A batch's rows and the tracked positions are written in one transaction, under locks on the tracked
positions: two followers share the lanes, and a killed one leaves nothing half done.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast
from uuid import UUID

import psycopg
from eventsourcing.persistence import MapperDeserialisationError

from ledger.store import arrays
from ledger.store.faults import Corrupt, message_of
from ledger.store.lanes import LANES
from ledger.store.mapper import EventMapper
from ledger.store.roles import PROJECTOR, acting_as
from ledger.store.sql import load
from projections.batches import Folding, Parked, is_write_fault, logged, raise_alarm, refuse_gap
from projections.model import SESSION, Connection, ReadModel, ViewOutdated, mark

EVENTS_MAX = 5_000
"""Events one transaction takes; it takes what there is, so batches grow with the lag up to this."""
IDLE_MIN_S = 0.005
IDLE_MAX_S = 0.02
SEE_EVERY_S = 1.0
"""Seconds between two looks at the lag, at least."""
RECONNECT_MIN_S = 0.05
RECONNECT_MAX_S = 2.0
STRANGE_FAULTS_MAX = 5
"""Refused statements in a row (not lost connections) before a follower gives up."""

_SQL = load("projections", "follower.sql")
_log = logging.getLogger(__name__)


class ViewBehind(Exception):
    """The read model has not reached the position asked for in the time given."""


class Lag(NamedTuple):
    """How far a read model is behind the log, and how many accounts it could not fold."""

    events: int
    seconds: float
    """How long the oldest event not taken has waited."""
    parked: int


class Follower:
    """Follows the log for one read model; used by one thread. `schema` is the model's unless given."""

    def __init__(
        self,
        url: str,
        model: ReadModel,
        *,
        schema: str | None = None,
        lanes: Sequence[int] = range(LANES),
        events_max: int = EVENTS_MAX,
        mapper: EventMapper | None = None,
    ) -> None:
        self.model = model
        self.lanes = tuple(lanes)
        self.events_max = events_max
        self._mapper = mapper or EventMapper()
        self._mark = mark(model)
        self._connection: Connection | None = None
        self._url = acting_as(url, PROJECTOR, search_path=schema or model.name, **SESSION)

    def step(self, upto: Mapping[int, int] | None = None) -> int:
        """Takes one batch; how many events it held, 0 when there was nothing to take.

        With `upto`, only of its lanes, and none past its positions. Raises Corrupt when the log
        has a gap.
        """
        lags, ends = dict[int, int](), dict[int, int]()
        for lane, tracked, head in self._positions("behind"):
            end = min(head, upto.get(lane, 0)) if upto is not None else head
            if end > tracked:
                lags[lane], ends[lane] = end - tracked, end
        if not lags:
            return 0
        wanted = shares(lags, self.events_max)
        try:
            return self._take(wanted, ends, carefully=False)
        except Exception as fault:
            if not is_write_fault(fault):
                raise
            _log.warning(
                "batch_refused", extra={"read_model": self.model.name, "error": message_of(fault)}
            )
            return self._take(wanted, ends, carefully=True)

    def run(
        self,
        stop: threading.Event,
        see: Callable[[Lag], None] | None = None,
        rest_s: float = 0.0,
    ) -> None:
        """Follows until told to stop; `see` is given the lag, about once a second.

        After a batch that was not full it rests: the next has more events, which cost less together.

        Raises Corrupt at a gap, ViewOutdated when another release made the tables, and what keeps
        being refused.
        """
        idle_s, reconnect_s, strange, seen_at = IDLE_MIN_S, RECONNECT_MIN_S, 0, -SEE_EVERY_S
        while not stop.is_set():
            try:
                if see is not None and time.monotonic() - seen_at >= SEE_EVERY_S:
                    see(self._lag())
                    seen_at = time.monotonic()
                taken = self.step()
            except psycopg.Error as fault:
                self.close()
                lost = isinstance(fault, psycopg.OperationalError | psycopg.InterfaceError)
                strange = 0 if lost else strange + 1
                _log.warning(
                    "follower_interrupted",
                    extra={"read_model": self.model.name, "error": message_of(fault)},
                )
                if strange >= STRANGE_FAULTS_MAX:
                    raise
                stop.wait(reconnect_s)
                reconnect_s = min(reconnect_s * 2, RECONNECT_MAX_S)
                continue
            except Corrupt as fault:
                _log.critical(
                    "log_corrupt", extra={"read_model": self.model.name, "error": message_of(fault)}
                )
                raise
            reconnect_s, strange = RECONNECT_MIN_S, 0
            if taken:
                idle_s = IDLE_MIN_S
                if taken < self.events_max:
                    stop.wait(rest_s)
            else:
                stop.wait(idle_s)
                idle_s = min(idle_s * 1.5, IDLE_MAX_S)
        self.close()

    def catch_up(self, positions: Mapping[int, int] | None = None, timeout_s: float = 60.0) -> int:
        """Takes batches until the lanes are at the positions (or at their heads as they are now).

        It takes none past them itself; how many it took. Raises ViewBehind after `timeout_s`.
        """
        if positions is None:
            positions = dict(cast(list[tuple[int, int]], self._positions("heads")))
        deadline = time.monotonic() + timeout_s
        taken = 0
        while True:
            tracked = self.tracked()
            late = {lane: at for lane, at in positions.items() if tracked[lane] < at}
            if not late:
                return taken
            if time.monotonic() > deadline:
                raise ViewBehind(f"{self.model.name} is behind {late} after {timeout_s} s")
            step = self.step(positions)
            taken += step
            if not step:
                time.sleep(IDLE_MIN_S)  # another follower holds the lanes

    def tracked(self) -> dict[int, int]:
        """The position that each lane has reached."""
        return dict(cast(list[tuple[int, int]], self._positions("positions")))

    def lag(self) -> dict[int, int]:
        """How many events each lane that is behind lacks."""
        return {lane: head - tracked for lane, tracked, head in self._positions("behind")}

    def parked(self) -> list[Parked]:
        """The accounts that stopped, by lane."""
        with self._open().cursor() as cursor:
            return [Parked(*cast(Any, row)) for row in cursor.execute(_SQL["parked"]).fetchall()]

    def retry_parked(self) -> list[Parked]:
        """Folds every parked account anew from its first event; those that are parked still."""
        for parked in self.parked():
            connection = self._open()
            with connection.transaction():
                self._retry(connection, parked.lane, parked.account_id)
        return self.parked()

    def close(self) -> None:
        """No connection is open; the next use opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take(self, wanted: Mapping[int, int], ends: Mapping[int, int], *, carefully: bool) -> int:
        """Takes so many events of lanes, none past their ends, and no command in part."""
        connection = self._open()
        with connection.transaction():
            claimed = self._whole(connection, self._claim(connection, wanted, ends), ends)
            if not claimed:
                return 0
            lanes, after, upto = zip(*claimed, strict=True)
            bounds = {
                "lanes": arrays.packed(arrays.Int4, lanes),
                "after": arrays.packed(arrays.Int8, after),
                "upto": arrays.packed(arrays.Int8, upto),
            }
            events = logged(connection, _SQL["events"], bounds)
            refuse_gap(events, claimed)
            parked = connection.execute(_SQL["parked_in"], bounds).fetchall()
            folding = Folding(self.model, self._mapper, (cast(UUID, row[0]) for row in parked))
            if carefully:
                folding.apply_carefully(connection, events)
            else:
                folding.apply(connection, events)
            if connection.execute(_SQL["advance"], bounds).rowcount != len(claimed):
                raise AssertionError("a tracked position moved while it was locked")
        for account in folding.parked:
            raise_alarm(self.model, account)
        return len(events)

    def _claim(
        self, connection: Connection, wanted: Mapping[int, int], ends: Mapping[int, int]
    ) -> list[tuple[int, int, int]]:
        """Lane, tracked position and the position to reach, of the lanes that are free."""
        lanes = {"lanes": arrays.packed(arrays.Int4, sorted(wanted))}
        rows = cast(list[tuple[int, int, str]], connection.execute(_SQL["claim"], lanes).fetchall())
        if not rows:
            return []
        if rows[0][2] != self._mark:
            raise ViewOutdated(f"{self.model.name} was made by another release: rebuild it")
        claimed = [(lane, at, min(at + wanted[lane], ends[lane])) for lane, at, _ in rows]
        return [(lane, at, upto) for lane, at, upto in claimed if upto > at]

    def _whole(
        self,
        connection: Connection,
        claimed: list[tuple[int, int, int]],
        ends: Mapping[int, int],
    ) -> list[tuple[int, int, int]]:
        """The same, each up to the end of a command, as the lanes' ends are: nobody sees half of one."""
        while cut := {lane: upto for lane, _, upto in claimed if upto < ends[lane]}:
            given = {
                "lanes": arrays.packed(arrays.Int4, list(cut)),
                "upto": arrays.packed(arrays.Int8, list(cut.values())),
            }
            rows = connection.execute(_SQL["around"], given).fetchall()
            split = {lane for lane, *two in cast(list[Any], rows) if self._is_split(*two)}
            if not split:
                break
            claimed = [(lane, after, upto + (lane in split)) for lane, after, upto in claimed]
        return claimed

    def _is_split(self, topic: str, state: bytes, next_topic: str, next_state: bytes) -> bool:
        """Whether an account's two events are of one command; one that cannot be read stands alone."""
        try:
            key = self._mapper.read(topic, state).key
            return key == self._mapper.read(next_topic, next_state).key
        except MapperDeserialisationError:
            return False

    def _retry(self, connection: Connection, lane: int, account_id: UUID) -> None:
        lanes = {"lanes": arrays.packed(arrays.Int4, (lane,))}
        locked = connection.execute(_SQL["lock"], lanes).fetchone()
        assert locked is not None, lane
        account = {"lane": lane, "account_id": account_id}
        connection.execute(_SQL["unpark"], account)
        self.model.forget(connection, lane, account_id)
        events = logged(connection, _SQL["account_events"], {**account, "upto": locked[1]})
        folding = Folding(self.model, self._mapper, ())
        folding.apply_carefully(connection, events)

    def _lag(self) -> Lag:
        lanes = {"lanes": arrays.packed(arrays.Int4, self.lanes)}
        [row] = self._open().execute(_SQL["lag"], lanes).fetchall()
        return Lag(*cast(Any, row))

    def _positions(self, query: str) -> list[Any]:
        lanes = {"lanes": arrays.packed(arrays.Int4, self.lanes)}
        return self._open().execute(_SQL[query], lanes).fetchall()

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,
            )
            self._connection.prepare_threshold = 0
            arrays.register(self._connection)
        return self._connection


def shares(lags: Mapping[int, int], events_max: int) -> dict[int, int]:
    """How many events to take of each lane: what it lags, or its fair share of the batch.

    Lanes with little are served whole, so that a lane with a backlog holds up none of them, and
    what they leave goes to the others.
    """
    left, wanted = events_max, dict[int, int]()
    for done, (lane, lag) in enumerate(sorted(lags.items(), key=lambda entry: entry[1])):
        share = max(left // (len(lags) - done), 1)
        wanted[lane] = min(lag, share)
        left -= wanted[lane]
    return wanted
