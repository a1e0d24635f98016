"""Proves a region's lanes at one moment: in this process, or shared out among several."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import psycopg
from psycopg import sql

from ledger.processes import Parent, Worker, end, speaking
from ledger.store.lanes import LANES
from ledger.store.roles import AUDITOR, acting_as
from projections.model import Connection
from projections.reconciliation.books import SQL, ViewsReplaced
from projections.reconciliation.differences import LaneProof
from projections.reconciliation.lane_proof import prove_lane

ATTEMPTS_MAX = 5
"""Of a lane, each at a moment of its own, while read models are rebuilt under it."""
SESSION = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "jit": "off",
    "billing.scope": "*",
    "work_mem": "32MB",
    # What a database sets against forgotten transactions and slow statements is not for this one: it
    # sorts whole lanes, and shares its moment for as long as others take.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # All rows are read, not the first few.
    "cursor_tuple_fraction": "1.0",
}

_NO_SNAPSHOT = (
    psycopg.errors.UndefinedObject,
    psycopg.errors.InvalidParameterValue,  # PostgreSQL 15 to 17
)

Told = Callable[[int], None]


def reconcile(
    service_url: str,
    told: Told = lambda events: None,
    *,
    lanes: Sequence[int] = range(LANES),
    workers: int = 1,
) -> Iterator[LaneProof]:
    """What is found of each lane, as it is found; the lanes are seen at one moment.

    Nothing is locked, and nobody waits. `told` is given numbers of events. A lane of a read model that
    a rebuild swaps meanwhile is read at a later moment. Raises psycopg.Error, WorkerFailed and, when a
    read model is swapped again and again, ViewsReplaced.
    """
    if workers == 1:
        with closing(_connected(service_url)) as connection, _moment(connection):
            for lane in lanes:
                yield _prove(connection, service_url, lane, told)
    else:
        yield from _shared_out(service_url, told, lanes, workers)


def _shared_out(
    service_url: str, told: Told, lanes: Sequence[int], workers: int
) -> Iterator[LaneProof]:
    """Whoever has done a lane is given the next one; all see the moment that this transaction does."""
    left = iter(lanes)
    started: list[Worker] = []
    with closing(_connected(service_url)) as connection, _moment(connection):
        [(snapshot,)] = connection.execute(SQL["export"]).fetchall()
        try:
            for n in range(workers):
                started.append(Worker(f"reconciler {n + 1}", _work, service_url, snapshot))
            busy = [worker for worker in started if _goes_on(worker, left)]
            while busy:
                for worker in speaking(busy):
                    match worker.said():
                        case int(events):
                            told(events)
                        case LaneProof() as proof:
                            yield proof
                            if not _goes_on(worker, left):
                                busy.remove(worker)
                        case Exception() as fault:
                            raise fault
        finally:
            end(started)


def _goes_on(worker: Worker, left: Iterator[int]) -> bool:
    lane = next(left, None)
    if lane is not None:
        worker.tell(lane)
    return lane is not None


def _work(parent: Parent, service_url: str, snapshot: str) -> None:
    """What a worker's process runs, until it is ended."""
    try:
        with closing(_connected(service_url)) as connection, _moment(connection, snapshot):
            while True:
                parent.tell(_prove(connection, service_url, parent.hear(), parent.tell))
    except (psycopg.Error, ViewsReplaced) as fault:
        parent.tell(fault)


def _prove(connection: Connection, service_url: str, lane: int, told: Told) -> LaneProof:
    """The lane at the moment of the transaction, or later if it cannot be seen as it was then."""
    try:
        with connection.transaction():  # its cursors are closed with it, whatever happens
            return prove_lane(connection, lane, told)
    except (ViewsReplaced, psycopg.errors.UndefinedTable):
        for attempt in range(2, ATTEMPTS_MAX + 1):
            try:
                with closing(_connected(service_url)) as later, _moment(later):
                    return prove_lane(later, lane, lambda events: None)
            except (ViewsReplaced, psycopg.errors.UndefinedTable):
                if attempt == ATTEMPTS_MAX:
                    raise
        raise


def _connected(service_url: str) -> Connection:
    return psycopg.connect(acting_as(service_url, AUDITOR, **SESSION), autocommit=True)


@contextmanager
def _moment(connection: Connection, snapshot: str | None = None) -> Iterator[None]:
    """A transaction that sees one moment: that of a snapshot, or its own."""
    connection.execute(SQL["begin"])
    if snapshot is not None:
        statement = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot))
        try:
            connection.execute(statement)
        except _NO_SNAPSHOT as fault:
            raise psycopg.OperationalError("who shares the moment has lost it") from fault
    yield
    connection.execute("ROLLBACK")
