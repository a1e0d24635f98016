"""Reconciliation compares every column of every table that keeps figures: altered, each is named."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import psycopg
import pytest

from api.embedded import EmbeddedServer
from ledger.store.lanes import account_id
from ledger.store.roles import connecting
from projections.model import Connection
from projections.reconciliation.lane_proof import prove_lane
from projections.reconciliation.reconciling import SESSION
from tests.projections.altering import LANE, NUMBER, lived_through
from tests.store.databases import US

NOBODY = account_id(US.code, "N-1")
ALL = frozenset(("*",))
NO_FIGURES = (
    *("ledger.command_key", "ledger.message_text", "ledger.month_end", "ledger.import_mark"),
    *("ledger.period_close", "ledger.reconciliation", "ledger.dunning", "ledger.dunning_run"),
    *("receivables.parked", "journal.parked", "receivables.setting", "receivables.message"),
)
"""Tables of commands, texts and runs, and what the page on reconciliation says is not compared."""
THINGS = ("charge", "invoice", "payment", "credit", "refund", "write_off", "dispute")
TEXTS = frozenset(("reason", "reference", "cancelled_reason", "reversed_reason"))
UNCOMPARED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(NO_FIGURES, ALL),
    # Of a thing, the version is that of its last change: it only keeps it from going backwards.
    **{f"receivables.{table}": TEXTS | {"version"} for table in THINGS},
    "receivables.payment_step": TEXTS,
    "receivables.account": frozenset(("client_id", "company", "country")),
}
OTHERWISE = {
    "int4": "COALESCE({0}, 0) + 1000",
    "int8": "COALESCE({0}, 0) + 1000",
    "numeric": "{0} + 1",
    "date": "COALESCE({0}, '2020-07-01') + 1",
    "timestamptz": "{0} + interval '1 second'",
    "text": "COALESCE({0}, '') || 'x'",
    "bool": "NOT {0}",
    "uuid": f"'{NOBODY}'",
    "jsonb": """'[{{"name": "x", "rate": "1", "amount_minor": 1}}]'""",
    "bytea": "sha256({0})",
    "state": r"convert_to(regexp_replace(convert_from({0}, 'UTF8'), '(\d)([,}}])', '\17\2'), 'UTF8')",
    "receivables.invoice.kind": "'debit'",
    "receivables.payment.stage": "CASE {0} WHEN 'processed' THEN 'failed' ELSE 'processed' END",
    "receivables.payment_step.step": "CASE {0} WHEN 'returned' THEN 'failed' ELSE 'returned' END",
    "ledger.item.undisputed_minor": "CASE WHEN {0} > 0 THEN {0} - 1 ELSE 1 END",
}
"""Another value of a column: by its name where only some will do, else by its type."""
_COLUMNS = """
    SELECT n.nspname || '.' || c.relname, a.attname, t.typname
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r'
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_type AS t ON t.oid = a.atttypid
    JOIN pg_attribute AS lane ON lane.attrelid = c.oid AND lane.attname = 'lane'
    WHERE n.nspname IN ('receivables', 'journal', 'ledger')
      AND a.attnum > 0 AND a.attgenerated = '' AND NOT a.attisdropped
    ORDER BY 1, a.attnum
"""


class Column(NamedTuple):
    table: str
    name: str
    type: str

    @property
    def changed(self) -> str:
        """The part of a statement that gives it another value."""
        names = (f"{self.table}.{self.name}", self.name, self.type)
        other = next(OTHERWISE[name] for name in names if name in OTHERWISE)
        return f"{self.name} = {other.format(self.name)}"


@pytest.fixture
def owner(server: EmbeddedServer) -> Iterator[Connection]:
    """The owner's connection to books of an account that has lived through everything."""
    database = lived_through(server, NUMBER)
    with psycopg.connect(connecting(database.owner_url, **SESSION), autocommit=True) as connection:
        yield connection


def columns(owner: Connection) -> Iterator[Column]:
    """Those whose alteration is to be named."""
    for row in owner.execute(_COLUMNS.encode()).fetchall():
        column = Column(*map(str, row))
        is_compared = not {"*", column.name} & UNCOMPARED.get(column.table, frozenset())
        if is_compared and column.name != "lane":
            yield column


def places(owner: Connection, table: str) -> list[str]:
    """Where a row of the lane is; of items one of each kind."""
    each = "GROUP BY kind" if table == "ledger.item" else ""
    query = f"SELECT min(ctid)::text FROM {table} WHERE lane = {LANE} {each}"
    return [str(place) for (place,) in owner.execute(query.encode()).fetchall()]


def test_whatever_column_is_altered_something_is_named(owner: Connection) -> None:
    """So whoever adds a column to a read model, or to the write side, has it compared."""
    with owner.transaction():
        assert 0 == prove_lane(owner, LANE, lambda events: None).differences
    unnamed, count = [], 0
    for column in columns(owner):
        for place in places(owner, column.table):
            change = f"UPDATE {column.table} SET {column.changed} WHERE ctid = '{place}'"
            with owner.transaction(force_rollback=True):
                assert 1 == owner.execute(change.encode()).rowcount
                if not prove_lane(owner, LANE, lambda events: None).differences:
                    unnamed.append(change)
            count += 1
    assert [] == unnamed
    assert count > 200
