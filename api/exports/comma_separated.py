"""The journal as CSV (RFC 4180): a line for each side of each entry, safe to open in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterator, Sequence

from api.exports.books import Month, Outline, Row
from api.exports.transactions import instant, written
from ledger.money import decimal_text

COLUMNS = (
    *("period", "posting_on", "effective_on", "account", "debit", "credit", "currency", "kind"),
    *("document", "invoice", "carried_by", "account_number", "position", "n", "recorded_at"),
)
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
"""What a formula begins with; the last four are the full-width forms of the others."""
_FORMULA = re.compile(rf"^(?=[\t\r\n])|(?:^|(?<=[;\t\r\n]))(?= *[{_SIGNS}])")
"""Where a spreadsheet would find a formula: as a text begins, or after what it may split cells at.

Where decimals have a comma, many split at semicolons, whatever the file's form.
"""


class Csv:
    """Writes one export."""

    def __init__(self, outline: Outline) -> None:
        pass

    def head(self) -> bytes:
        """The names of the columns."""
        return _encoded([COLUMNS])

    def events(self, month: Month, rows: Sequence[Row]) -> bytes:
        """The lines of whole events, the debit before the credit."""
        return _encoded(_lines(month, rows))

    def balances(self, month: Month) -> bytes:
        """Nothing: lines are of entries alone."""
        return b""

    def tail(self) -> bytes:
        """Nothing."""
        return b""


def cell(text: str) -> str:
    """The text, with a `'` before what a spreadsheet would take for a formula."""
    return _FORMULA.sub("'", text)


def _lines(month: Month, rows: Sequence[Row]) -> Iterator[Sequence[object]]:
    for row in rows:
        amount = decimal_text(row.amount_minor, row.currency)
        before = (month.period, month.posting_on(row), row.effective_on)
        after = (
            row.currency,
            cell(row.kind),
            cell(row.document),
            cell(row.invoice or ""),
            cell(row.carried_by or ""),
            cell(row.account_number),
            written(row),
            row.n,
            instant(row.recorded_at),
        )
        yield (*before, cell(row.debit), amount, "", *after)
        yield (*before, cell(row.credit), "", amount, *after)


def _encoded(lines: Iterator[Sequence[object]] | Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue().encode()
