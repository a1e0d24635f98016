"""The journal as Parquet: a row for each side of each entry, amounts as integers of minor units."""

import io
from collections.abc import Sequence
from typing import Any

from api.exports.books import Month, Outline, Row
from api.exports.transactions import written
from ledger.money import exponent

GROUP_ROWS = 65_536
"""Of a row group: what is held in memory."""
_NULLABLE = frozenset({"invoice", "carried_by"})


class Parquet:
    """Writes one export; the same rows give the same bytes with one version of the library."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._sink = _Sink()
        self._rows: list[tuple[Any, ...]] = []
        self._schema: Any = None
        self._writer: Any = None

    def head(self) -> bytes:
        """The file's first bytes; the schema stands at its end, with what it is of."""
        # Here and not above: it takes 40 MB of memory, which most processes never need.
        import pyarrow
        from pyarrow import parquet

        outline = self._outline
        about = {
            "region": outline.region,
            "periods": " ".join(str(month.period) for month in outline.months),
            "position": outline.position,
            "parked_accounts": str(outline.parked),
        }
        self._schema = pyarrow.schema(_fields(pyarrow), metadata=about)
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        return self._sink.taken()

    def events(self, month: Month, rows: Sequence[Row]) -> bytes:
        """What is ready to be sent: row groups that are full."""
        for row in rows:
            self._rows += _sides(month, row)
        while len(self._rows) >= GROUP_ROWS:
            self._write(self._rows[:GROUP_ROWS])
            del self._rows[:GROUP_ROWS]
        return self._sink.taken()

    def balances(self, month: Month) -> bytes:
        """Nothing: rows are of entries alone."""
        return b""

    def tail(self) -> bytes:
        """The last rows, and the footer, without which no reader takes the file."""
        if self._rows:
            self._write(self._rows)
            self._rows = []
        self._writer.close()
        return self._sink.taken()

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        import pyarrow

        columns = [
            pyarrow.array(column, field.type)
            for column, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        table = pyarrow.Table.from_arrays(columns, schema=self._schema)
        self._writer.write_table(table, row_group_size=GROUP_ROWS)


class _Sink(io.RawIOBase):
    """Takes what the library writes until it is asked for."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        taken = bytes(part)
        self._parts.append(taken)
        self._written += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _fields(pyarrow: Any) -> list[Any]:
    text, day, minor = pyarrow.string(), pyarrow.date32(), pyarrow.int64()
    types = (
        ("period", day),
        ("posting_on", day),
        ("effective_on", day),
        ("account", text),
        ("debit_minor", minor),
        ("credit_minor", minor),
        ("currency", text),
        ("exponent", pyarrow.int8()),
        ("kind", text),
        ("document", text),
        ("invoice", text),
        ("carried_by", text),
        ("account_number", text),
        ("position", text),
        ("n", pyarrow.int32()),
        ("recorded_at", pyarrow.timestamp("us", tz="UTC")),
    )
    return [pyarrow.field(name, of, nullable=name in _NULLABLE) for name, of in types]


def _sides(month: Month, row: Row) -> list[tuple[Any, ...]]:
    before = (month.period.first_on, month.posting_on(row), row.effective_on)
    after = (
        row.currency,
        exponent(row.currency),
        row.kind,
        row.document,
        row.invoice,
        row.carried_by,
        row.account_number,
        written(row),
        row.n,
        row.recorded_at,
    )
    return [
        (*before, row.debit, row.amount_minor, 0, *after),
        (*before, row.credit, 0, row.amount_minor, *after),
    ]
