"""The read model `journal`: what every event debits and credits, per currency, on its own days."""

from uuid import UUID

from ledger.store.sql import load
from projections.journal.rows import JournalRows
from projections.model import Connection

_SCHEMA = load("projections.journal", "schema.sql")
_FUNCTIONS = load("projections.journal", "functions.sql")
_SQL = load("projections.journal", "writing.sql")
_FORGETTING = (
    *("forget_sums", "forget_empty", "forget_empty_months"),
    *("forget_entries", "forget_account"),
)


class Journal:
    """The journal's tables, what makes them and what fills them."""

    name = "journal"
    statements = (
        _SCHEMA["tables"],
        _SCHEMA["indexes"],
        *_FUNCTIONS.values(),
    )
    tables = ("account", "entry")
    sums = ("daily", "monthly")
    keyed = frozenset[str]()

    def rows(self) -> JournalRows:
        """No rows yet, to fold a batch into."""
        return JournalRows()

    def forget(self, connection: Connection, lane: int, account_id: UUID) -> None:
        """Deletes all rows of an account within the open transaction, and takes it out of the sums."""
        for statement in _FORGETTING:
            connection.execute(_SQL[statement], {"lane": lane, "account_id": account_id})


JOURNAL = Journal()
