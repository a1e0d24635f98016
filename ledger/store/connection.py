"""One connection as a datastore of the library's recorders: opened when used, closed when broken."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from eventsourcing import persistence
from eventsourcing.postgres import PostgresDatastore
from psycopg.rows import DictRow, dict_row

from ledger.store import arrays
from ledger.store.faults import message_of

_MEANS: tuple[tuple[type[psycopg.Error], type[Exception]], ...] = (
    (psycopg.InterfaceError, persistence.InterfaceError),
    (psycopg.OperationalError, persistence.OperationalError),
    (psycopg.DataError, persistence.DataError),
    (psycopg.IntegrityError, persistence.IntegrityError),
    (psycopg.InternalError, persistence.InternalError),
    (psycopg.ProgrammingError, persistence.ProgrammingError),
    (psycopg.NotSupportedError, persistence.NotSupportedError),
    (psycopg.DatabaseError, persistence.DatabaseError),
)


class OneConnection(PostgresDatastore):
    """A datastore of a single autocommit connection, used by one caller at a time.

    The library's own keeps a pool with threads that reconnect by themselves; whoever appends must
    know that a connection was lost, so here a lost one stays lost until the next use.
    """

    def __init__(self, conninfo: str) -> None:
        # The base class is not initialised: all it does is make the pool.
        self.schema = "ledger"
        self.originator_id_type = "uuid"
        self.lock_timeout = 0
        self.enable_db_functions = False
        self.single_row_tracking = True
        self.db_type_names = set()
        self.psycopg_type_adapters = {}
        self.psycopg_python_types = {}
        self._conninfo = conninfo
        self._using = threading.RLock()
        self._connection: psycopg.Connection[DictRow] | None = None

    def another(self) -> "OneConnection":
        """A second one to the same database, for a thread beside the first."""
        return OneConnection(self._conninfo)

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        """The connection, for this caller alone; raises the library's errors for psycopg's."""
        with self._using:
            try:
                yield self._open()
            except psycopg.Error as fault:
                raise _as_library_error(fault) from fault
            finally:
                if self._connection is not None and self._connection.broken:
                    self.disconnect()

    def disconnect(self) -> None:
        """No connection is open; the next use opens one."""
        with self._using:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def close(self) -> None:
        if hasattr(self, "_using"):  # the base class closes what was never initialised, too
            self.disconnect()

    def register_type_adapters(self) -> None:
        """Nothing to register: arrays of plain types carry everything."""

    def _open(self) -> psycopg.Connection[DictRow]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._conninfo,
                autocommit=True,
                row_factory=dict_row,
            )
            self._connection.prepare_threshold = 0
            arrays.register(self._connection)
        return self._connection


def _as_library_error(fault: psycopg.Error) -> Exception:
    for cause, meaning in _MEANS:
        if isinstance(fault, cause):
            return meaning(message_of(fault))
    return persistence.PersistenceError(message_of(fault))
