"""Compares a read model made anew with the live one, lanes of both held at the same positions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from queue import SimpleQueue
from typing import Any, NamedTuple, cast

import psycopg
from psycopg import sql

from ledger.store.lanes import LANES
from ledger.store.roles import connecting
from ledger.store.sql import load
from projections.batches import ViewDamaged
from projections.follower import Follower, ViewBehind
from projections.model import Connection, ReadModel, ViewOutdated

LANES_AT_ONCE = 16
ALIGN_TIMEOUT_S = 60.0

_SQL = load("projections", "rebuild.sql")


class Difference(NamedTuple):
    """A table whose rows differ in a lane, with their numbers and the first accounts."""

    table: str
    lane: int
    live_rows: int
    rebuilt_rows: int
    accounts: tuple[str, ...]
    says: str = ""


class Compared(NamedTuple):
    """The models compared: how they are reached, and the schema of the one made anew."""

    owner_url: str
    service_url: str
    model: ReadModel
    next: str


def compare(what: Compared, together: int, told: Callable[[int], None]) -> tuple[Difference, ...]:
    """Where the models differ, each lane at one position of both; `told` is given numbers of lanes.

    So many threads compare, each some lanes at once.
    """
    parts = [range(n, min(n + LANES_AT_ONCE, LANES)) for n in range(0, LANES, LANES_AT_ONCE)]
    together = min(together, len(parts))
    idle: SimpleQueue[_Comparing] = SimpleQueue()

    def work(lanes: range) -> list[Difference]:
        comparing = idle.get()
        try:
            return comparing.lanes(lanes)
        finally:
            idle.put(comparing)

    with ExitStack() as stack:
        for _ in range(together):
            idle.put(stack.enter_context(closing(_Comparing(what))))
        pool = stack.enter_context(ThreadPoolExecutor(together, thread_name_prefix="compare"))
        stack.callback(pool.shutdown, cancel_futures=True)
        working = [pool.submit(work, lanes) for lanes in parts]
        for done in as_completed(working):
            done.result()
            told(len(parts[working.index(done)]))
        return tuple(difference for done in working for difference in done.result())


class _Comparing:
    """Compares lanes, over connections of its own; used by one thread."""

    def __init__(self, what: Compared) -> None:
        self._names = {
            "live": sql.Identifier(what.model.name),
            "next": sql.Identifier(what.next),
        }
        with ExitStack() as stack:
            self._holding = _connected(what, stack)
            self._snapshot = _connected(what, stack)
            self._live = stack.enter_context(closing(Follower(what.service_url, what.model)))
            self._next = stack.enter_context(
                closing(Follower(what.service_url, what.model, schema=what.next))
            )
            self._sums = frozenset(what.model.sums)
            tables = (*what.model.tables, *what.model.sums)
            shared = {table: self._shared(what, table) for table in tables}
            # What another release did not make has nothing that it could differ from.
            self._columns = {table: columns for table, columns in shared.items() if columns}
            self.close = stack.pop_all().close

    def lanes(self, lanes: Sequence[int]) -> list[Difference]:
        """Where the models differ in these lanes."""
        try:
            self._align(lanes)
        except (ViewBehind, ViewDamaged, ViewOutdated, psycopg.Error) as fault:
            says = f"the live model is stuck: {fault}"
            return [Difference("tracking", lanes[0], 0, 0, (), says)]
        found = [one for table in self._columns for one in self._table(table, lanes)]
        self._snapshot.execute("COMMIT")
        return found

    def _align(self, lanes: Sequence[int]) -> None:
        """The snapshot sees both models at one position of each lane."""
        given = {"lanes": list(lanes)}
        self._live.lanes = self._next.lanes = tuple(lanes)
        self._live.catch_up(self._next.tracked(), ALIGN_TIMEOUT_S)
        with self._holding.transaction():
            held = self._rows(self._holding, "hold", given)
            self._next.catch_up(dict(held), ALIGN_TIMEOUT_S)
            self._snapshot.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            seen = self._rows(self._snapshot, "snapshot", given)
        assert [(lane, at, at) for lane, at in held] == seen, (held, seen)

    def _table(self, table: str, lanes: Sequence[int]) -> Iterator[Difference]:
        names = {"table": sql.Identifier(table), "columns": self._columns[table]}
        is_sum = table in self._sums
        whose = sql.Identifier("lane" if is_sum else "account_id")
        given = {"lanes": list(lanes)}
        differing = self._rows(self._snapshot, "checksums", given, whose=whose, **names)
        for lane, live_rows, next_rows in differing:
            accounts: tuple[str, ...] = ()
            if not is_sum:
                odd = self._rows(self._snapshot, "odd_accounts", {"lane": lane}, **names)
                accounts = tuple(str(account) for (account,) in odd)
            yield Difference(table, lane, live_rows, next_rows, accounts)

    def _shared(self, what: Compared, table: str) -> sql.Composed | None:
        """The columns that both models have in a table; None when the live one has no such table."""
        both = {"live": f"{what.model.name}.{table}", "next": f"{what.next}.{table}"}
        names = (str(name) for (name,) in self._rows(self._holding, "columns", both))
        columns = [sql.Identifier(name) for name in names]
        return sql.SQL(", ").join(columns) if columns else None

    def _rows(
        self,
        connection: Connection,
        query: str,
        given: Mapping[str, object],
        **names: sql.Composable,
    ) -> list[Any]:
        statement = sql.SQL(_SQL[query].decode()).format(**self._names, **names)
        return cast(list[Any], connection.execute(statement, given).fetchall())


def _connected(what: Compared, stack: ExitStack) -> Connection:
    url = connecting(what.owner_url, jit="off")
    return stack.enter_context(closing(psycopg.connect(url, autocommit=True)))
