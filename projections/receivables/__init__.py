"""The read model `receivables`: what accounts owe and why, all of it moved together."""

from uuid import UUID

from psycopg import sql

from ledger.store.sql import load
from projections.model import Connection
from projections.receivables.fold import ReceivablesRows

_SCHEMA = load("projections.receivables", "schema.sql")
_INDEXES = load("projections.receivables", "indexes.sql")
_FUNCTIONS = tuple(
    statement
    for file in (
        "lists_account.sql",
        "functions.sql",
        "lists_charges.sql",
        "lists_lines.sql",
        "lists_invoices.sql",
        "lists_money.sql",
        "statement.sql",
        "standings.sql",
        "explaining.sql",
    )
    for statement in load("projections.receivables", file).values()
)
"""In an order in which each finds what it calls."""
_FORGET = sql.SQL("DELETE FROM {} WHERE lane = %s AND account_id = %s")


class Receivables:
    """The receivables tables, what makes them and what fills them."""

    name = "receivables"
    statements = (
        _SCHEMA["tables"],
        *_INDEXES.values(),
        *_FUNCTIONS,
    )
    tables = (
        "account",
        "allocation",
        "charge",
        "credit",
        "daily",
        "dispute",
        "invoice",
        "invoice_range",
        "message",
        "movement",
        "payment",
        "payment_step",
        "refund",
        "setting",
        "write_off",
    )
    sums = ()
    keyed = frozenset({"charge", "message"})
    """A charge is changed where it is, and neither's id is looked for while folding."""

    def rows(self) -> ReceivablesRows:
        """No rows yet, to fold a batch into."""
        return ReceivablesRows()

    def forget(self, connection: Connection, lane: int, account_id: UUID) -> None:
        """Deletes all rows of an account within the open transaction."""
        for table in self.tables:
            connection.execute(_FORGET.format(sql.Identifier(table)), (lane, account_id))


RECEIVABLES = Receivables()
