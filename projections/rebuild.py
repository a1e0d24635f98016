"""Makes a read model anew from the first event, compares it with the live one, and swaps them.

Reads go on throughout: the swap renames two schemas while only the tracked positions are locked.
A rebuild that is killed leaves the live model as it was; the next one clears what it left.
"""

import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple, cast

import psycopg
from psycopg import errors, sql

from ledger.store.lanes import LANES
from ledger.store.sql import load
from projections.batches import Parked, ViewDamaged
from projections.follower import Follower, ViewBehind
from projections.model import Connection, ReadModel, ViewOutdated, creation, exists

EVENTS_MAX = 20_000
"""Events a transaction of a rebuild takes: nobody waits for it, and accounts repeat within it."""
FILLERS = 2
"""Threads that fill: while one folds, the database writes the rows of the other."""
SWAP_ATTEMPTS_MAX = 100
SWAP_LOCK_TIMEOUT = "200ms"
SWAP_PAUSE_S = 0.05
COMPARE_TIMEOUT_S = 60.0
OLD_READERS_S_MAX = 5.0
DROP_ATTEMPTS_MAX = 20
POLL_S = 0.02

_SQL = load("projections", "rebuild.sql")


class RebuildRunning(Exception):
    """Another rebuild of the same read model is at work: wait for it, or end it."""


class CannotSwap(Exception):
    """The live tables stayed in use; nothing was changed, and the rebuild can be run again."""


class Differs(Exception):
    """The rebuilt model is not equal to the live one; `differences` say where. Nothing was swapped."""

    def __init__(self, differences: tuple["Difference", ...]) -> None:
        super().__init__(f"{len(differences)} differences, the first: {differences[0]}")
        self.differences = differences


class Difference(NamedTuple):
    """A table whose rows differ in a lane, with their numbers and the first accounts."""

    table: str
    lane: int
    live_rows: int
    rebuilt_rows: int
    accounts: tuple[str, ...]
    says: str = ""


class Progress(NamedTuple):
    """How far a rebuild is: `phase` is "filling" (events), "comparing" (lanes) or "swapping"."""

    phase: str
    done: int
    total: int


class Rebuilt(NamedTuple):
    """What a rebuild did."""

    events: int
    differences: tuple[Difference, ...]
    parked: tuple[Parked, ...]


def rebuild(
    owner_url: str,
    service_url: str,
    model: ReadModel,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    accept_differences: bool = False,
) -> Rebuilt:
    """The model is new from the first event on, under the old one's name.

    Raises RebuildRunning; Differs, unless differences are accepted, as they must be when the live
    model is wrong; CannotSwap. Whatever it raises, the live model is as it was.
    """
    with closing(_Rebuild(owner_url, service_url, model, progress)) as rebuilding:
        rebuilding.begin()
        events = rebuilding.fill()
        differences = rebuilding.compare()
        if differences and not accept_differences:
            rebuilding.discard()
            raise Differs(differences)
        rebuilding.swap()
        parked = tuple(rebuilding.parked())
        rebuilding.drop_old()
        return Rebuilt(events, differences, parked)


class _Rebuild:
    """One rebuild, step by step."""

    def __init__(
        self,
        owner_url: str,
        service_url: str,
        model: ReadModel,
        progress: Callable[[Progress], None],
    ) -> None:
        self._owner_url = owner_url
        self._model = model
        self._progress = progress
        self._next, self._old = f"{model.name}_next", f"{model.name}_old"
        self._names = {
            "live": sql.Identifier(model.name),
            "next": sql.Identifier(self._next),
            "old": sql.Identifier(self._old),
        }
        self._connection: Connection = psycopg.connect(owner_url, autocommit=True)
        self._service_url = service_url
        self._following = self._follower_of_next()
        self._live = Follower(service_url, model)

    def _follower_of_next(self) -> Follower:
        return Follower(self._service_url, self._model, schema=self._next, events_max=EVENTS_MAX)

    def close(self) -> None:
        self._following.close()
        self._live.close()
        self._connection.close()

    def begin(self) -> None:
        """The new model's tables are there, empty; what a killed rebuild left is gone."""
        if self._value("lock", name=self._model.name) is not True:
            raise RebuildRunning(f"another rebuild of {self._model.name} is at work")
        self.discard()
        self._drop(self._old)
        self._connection.execute(creation(self._model, self._next).encode())

    def discard(self) -> None:
        """The new model's tables are gone."""
        self._drop(self._next)

    def fill(self) -> int:
        """The new model holds what the log held when it came to each lane; how many events."""
        total, done = cast(int, self._value("total")), 0
        steps: queue.SimpleQueue[int] = queue.SimpleQueue()
        left = iter(range(LANES))
        with ThreadPoolExecutor(FILLERS, thread_name_prefix="rebuild") as pool:
            filling = [pool.submit(self._fill_lanes, left, steps) for _ in range(FILLERS)]
            try:
                while not all(filler.done() for filler in filling) or not steps.empty():
                    with contextlib.suppress(queue.Empty):
                        done += steps.get(timeout=POLL_S)
                        self._progress(Progress("filling", done, max(total, done)))
            finally:
                for _ in left:  # whatever ended this ends the fillers too, after their lane
                    pass
        for filler in filling:
            filler.result()
        return done

    def _fill_lanes(self, left: Iterator[int], steps: "queue.SimpleQueue[int]") -> None:
        """Fills lanes, one at a time: accounts repeat more within a lane."""
        with closing(self._follower_of_next()) as following:
            for lane in left:
                following.lanes = (lane,)
                while step := following.step():
                    steps.put(step)

    def compare(self) -> tuple[Difference, ...]:
        """Where the models differ, each lane at one position of both."""
        if not exists(self._connection, self._model.name):
            return (Difference("", 0, 0, 0, (), "there is no live model"),)
        found: list[Difference] = []
        columns = {table: self._columns(table) for table in self._model.tables}
        with psycopg.connect(self._owner_url, autocommit=True) as snapshot:
            for lane in range(LANES):
                found += self._compare_lane(snapshot, lane, columns)
                self._progress(Progress("comparing", lane + 1, LANES))
        return tuple(found)

    def swap(self) -> None:
        """The new model has the live one's name; it is not behind it in any lane."""
        for attempt in range(1, SWAP_ATTEMPTS_MAX + 1):
            self._progress(Progress("swapping", attempt, SWAP_ATTEMPTS_MAX))
            self._following.catch_up(timeout_s=COMPARE_TIMEOUT_S)
            try:
                with self._connection.transaction():
                    self._value("lock_timeout", timeout=SWAP_LOCK_TIMEOUT)
                    self._run("seal")
                    if not self._rows("behind"):
                        self._run("swap")
                        return
            except errors.LockNotAvailable:
                pass
            time.sleep(SWAP_PAUSE_S)
        raise CannotSwap(f"{self._model.name} stayed in use for {SWAP_ATTEMPTS_MAX} attempts")

    def parked(self) -> list[Parked]:
        """The accounts parked in the model that is live now."""
        return self._live.parked()

    def drop_old(self) -> None:
        """The old tables are gone, once the statements that may have begun on them are over.

        What cannot be dropped in time is left to the next rebuild.
        """
        begun = set(self._rows("transactions"))
        deadline = time.monotonic() + OLD_READERS_S_MAX
        while begun & set(self._rows("transactions")) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        for _ in range(DROP_ATTEMPTS_MAX):
            try:
                with self._connection.transaction():
                    self._value("lock_timeout", timeout=SWAP_LOCK_TIMEOUT)
                    self._drop(self._old)
                return
            except errors.LockNotAvailable:
                time.sleep(SWAP_PAUSE_S)

    def _compare_lane(
        self, snapshot: Connection, lane: int, columns: dict[str, sql.Composed]
    ) -> list[Difference]:
        try:
            self._align(lane, snapshot)
        except (ViewBehind, ViewDamaged, ViewOutdated, psycopg.Error) as fault:
            return [Difference("tracking", lane, 0, 0, (), f"the live model is stuck: {fault}")]
        found = []
        for table, names in columns.items():
            found += self._compare_table(snapshot, table, names, lane)
        snapshot.execute("COMMIT")
        return found

    def _align(self, lane: int, snapshot: Connection) -> None:
        """The snapshot sees both models at one position of a lane."""
        self._live.catch_up(self._tracked(lane, self._following), COMPARE_TIMEOUT_S)
        with self._connection.transaction():
            position = cast(int, self._value("hold", lane=lane))
            self._following.catch_up({lane: position}, COMPARE_TIMEOUT_S)
            snapshot.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            seen = snapshot.execute(self._sql("snapshot"), {"lane": lane}).fetchone()
        assert seen == (position, position), (lane, seen)

    def _tracked(self, lane: int, follower: Follower) -> dict[int, int]:
        return {lane: follower.tracked()[lane]}

    def _columns(self, table: str) -> sql.Composed:
        """The columns that both models have in a table."""
        both = {"live": f"{self._model.name}.{table}", "next": f"{self._next}.{table}"}
        rows = self._connection.execute(_SQL["columns"], both).fetchall()
        return sql.SQL(", ").join(sql.Identifier(str(row[0])) for row in rows)

    def _compare_table(
        self, snapshot: Connection, table: str, columns: sql.Composed, lane: int
    ) -> list[Difference]:
        names = {"table": sql.Identifier(table), "columns": columns}
        given = {"lane": lane}
        sums = snapshot.execute(self._sql("checksums", **names), given).fetchone()
        assert sums is not None
        if sums[:2] == sums[2:]:
            return []
        odd = snapshot.execute(self._sql("odd_accounts", **names), given).fetchall()
        accounts = tuple(str(row[0]) for row in odd)
        return [Difference(table, lane, cast(int, sums[0]), cast(int, sums[2]), accounts)]

    def _drop(self, schema: str) -> None:
        self._connection.execute(self._sql("drop", old=sql.Identifier(schema)))

    def _sql(self, name: str, **names: sql.Composable) -> sql.Composed:
        return sql.SQL(_SQL[name].decode()).format(**{**self._names, **names})

    def _run(self, name: str) -> None:
        self._connection.execute(self._sql(name))

    def _rows(self, name: str) -> list[tuple[object, ...]]:
        return self._connection.execute(self._sql(name)).fetchall()

    def _value(self, query: str, **given: object) -> object:
        row = self._connection.execute(self._sql(query), given or None).fetchone()
        assert row is not None, query
        return row[0]
