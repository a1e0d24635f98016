"""Makes a read model anew from the first event, compares it with the live one, and swaps them.

Reads go on throughout: the swap renames two schemas while only the tracked positions are locked.
A rebuild that is killed leaves the live model as it was; the next one clears what it left.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, NamedTuple, cast

import psycopg
from psycopg import errors, sql

from ledger.processes import cores
from ledger.store.lanes import LANES
from ledger.store.roles import connecting
from ledger.store.sql import load
from projections.batches import Parked
from projections.comparing import Compared, Difference, compare
from projections.follower import Follower
from projections.loading import Load, load_lanes
from projections.model import Connection, ReadModel, creation, exists

EVENTS_MAX = 20_000
"""Events a transaction of a rebuild takes: nobody waits for it, and accounts repeat within it."""
EVENTS_OF_PROCESSES = 50_000
"""Fewer are folded sooner than processes have started."""
CORES_MAX = 8
"""Cores that a rebuild uses, however many there are: each takes up to four of the server's sessions."""
INDEXING = {"maintenance_work_mem": "128MB", "max_parallel_maintenance_workers": "0"}
"""Of each session that makes indexes; there are as many as cores."""
SWAP_ATTEMPTS_MAX = 100
SWAP_LOCK_TIMEOUT = "200ms"
SWAP_PAUSE_S = 0.05
CATCH_UP_TIMEOUT_S = 60.0
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

    def __init__(self, differences: tuple[Difference, ...]) -> None:
        super().__init__(f"{len(differences)} differences, the first: {differences[0]}")
        self.differences = differences


class Progress(NamedTuple):
    """How far a rebuild is.

    `phase` is "filling" (events), "indexing" (indexes), "comparing" (lanes) or "swapping" (attempts).
    """

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


class Index(NamedTuple):
    """An index that is made when its table is full."""

    table: str
    name: str
    definition: str
    is_key: bool

    def names(self) -> dict[str, sql.Composable]:
        return {"table": sql.Identifier(self.table), "index": sql.Identifier(self.name)}


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
        self._cores = min(cores(), CORES_MAX)

    def _follower_of_next(self) -> Follower:
        return Follower(self._service_url, self._model, schema=self._next, events_max=EVENTS_MAX)

    def close(self) -> None:
        self._following.close()
        self._connection.close()

    def begin(self) -> None:
        """The new model's tables are there, empty; what a killed rebuild left is gone."""
        if self._value("lock", name=self._model.name) is not True:
            raise RebuildRunning(f"another rebuild of {self._model.name} is at work")
        self.discard()
        self._drop(self._old)
        self._connection.execute(creation(self._model, self._next).encode())

    def discard(self) -> None:
        """The new model's tables are gone.

        A worker that outlives its rebuild for a moment may hold some and wait for others.
        """
        for _ in range(DROP_ATTEMPTS_MAX):
            with suppress(errors.DeadlockDetected):
                self._drop(self._next)
                return
        self._drop(self._next)

    def fill(self) -> int:
        """The new model holds what the log held when it came to each lane; how many events."""
        heads = dict(cast(list[tuple[int, int]], self._rows("heads")))
        total, done = sum(heads.values()), 0

        def told(events: int) -> None:
            nonlocal done
            done += events
            self._progress(Progress("filling", done, max(total, done)))

        spare = self._spare_indexes()
        workers = self._cores if total >= EVENTS_OF_PROCESSES else 1
        load_lanes(Load(self._owner_url, self._model, self._next), heads, workers, told)
        self._make_indexes(spare)
        self._follow(told)
        return done

    def compare(self) -> tuple[Difference, ...]:
        """Where the models differ, each lane at one position of both."""
        if not exists(self._connection, self._model.name):
            return (Difference("", 0, 0, 0, (), "there is no live model"),)
        done = 0

        def told(lanes: int) -> None:
            nonlocal done
            done += lanes
            self._progress(Progress("comparing", done, LANES))

        compared = Compared(self._owner_url, self._service_url, self._model, self._next)
        return compare(compared, self._cores, told)

    def swap(self) -> None:
        """The new model has the live one's name; it is not behind it in any lane."""
        for attempt in range(1, SWAP_ATTEMPTS_MAX + 1):
            self._progress(Progress("swapping", attempt, SWAP_ATTEMPTS_MAX))
            self._following.catch_up(timeout_s=CATCH_UP_TIMEOUT_S)
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
        with closing(Follower(self._service_url, self._model)) as live:
            return live.parked()

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

    def _spare_indexes(self) -> list[Index]:
        """The indexes that filling does without, which are gone now."""
        given = {
            "schema": self._next,
            "tables": list(self._model.tables),
            "keyed": list(self._model.keyed),
        }
        rows = self._connection.execute(_SQL["spare_indexes"], given).fetchall()
        spare = [Index(*cast(Any, row)) for row in rows]
        for index in spare:
            self._run("drop_key" if index.is_key else "drop_index", **index.names())
        return spare

    def _make_indexes(self, spare: list[Index]) -> None:
        """The indexes are there: the largest first, several at a time."""
        by_table = self._connection.execute(_SQL["largest_first"], {"schema": self._next})
        rank = {table: n for n, (table,) in enumerate(by_table.fetchall())}
        spare.sort(key=lambda index: rank[index.table])
        url = connecting(self._owner_url, **INDEXING)
        with ThreadPoolExecutor(self._cores, thread_name_prefix="index") as pool:
            making = [pool.submit(_execute, url, index.definition) for index in spare]
            try:
                for n, made in enumerate(making):
                    made.result()
                    self._progress(Progress("indexing", n + 1, len(spare)))
            finally:
                pool.shutdown(cancel_futures=True)
        for index in spare:
            if index.is_key:
                self._run("add_key", **index.names())

    def _follow(self, told: Callable[[int], None]) -> None:
        """What loading left is there too: accounts that are parked, and lanes too large to hold."""
        self._following.lanes = tuple(range(LANES))
        while step := self._following.step():
            told(step)

    def _drop(self, schema: str) -> None:
        self._connection.execute(self._sql("drop", old=sql.Identifier(schema)))

    def _sql(self, name: str, **names: sql.Composable) -> sql.Composed:
        return sql.SQL(_SQL[name].decode()).format(**{**self._names, **names})

    def _run(self, name: str, **names: sql.Composable) -> None:
        self._connection.execute(self._sql(name, **names))

    def _rows(self, name: str) -> list[tuple[object, ...]]:
        return self._connection.execute(self._sql(name)).fetchall()

    def _value(self, query: str, **given: object) -> object:
        row = self._connection.execute(self._sql(query), given or None).fetchone()
        assert row is not None, query
        return row[0]


def _execute(url: str, definition: str) -> None:
    """Makes an index as the database itself has written down how."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(definition.encode())
