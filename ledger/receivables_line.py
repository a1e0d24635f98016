"""One line of a receivables file: its cells read strictly, or every reason why it cannot be."""

import csv
import re
from collections.abc import Mapping
from datetime import date

import msgspec

from ledger.errors import AmountOverflow, InvalidAmount
from ledger.ids import GIVEN_NUMBER, GIVEN_NUMBER_SAYS, ID, ID_SAYS
from ledger.importing import Finding
from ledger.money import minor_units

COLUMNS = (
    "countryCode",
    "customerID",
    "PaperlessDate",
    "invoiceNumber",
    "InvoiceDate",
    "DueDate",
    "InvoiceAmount",
    "Disputed",
    "SettledDate",
)
"""The columns that must be there, in any order; others are passed over."""
FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2199, 12, 31)

_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
_COUNTRY_CHARS_MAX = 64


class ReceivablesLine(msgspec.Struct, frozen=True, kw_only=True):
    """A good line; a customer without a PaperlessDate stays on paper, an unsettled line is open."""

    line: int
    account: str
    country: str
    paperless_on: date | None
    number: str
    issued_on: date
    due_on: date
    amount_minor: int
    disputed: bool
    settled_on: date | None


def cells(line: bytes | None) -> list[str] | None:
    """The cells of one line, without blanks around them; None when it cannot be read."""
    if line is None:
        return None
    try:
        (row,) = csv.reader([line.decode()], strict=True)
    except (UnicodeDecodeError, csv.Error):
        return None
    return [cell.strip() for cell in row]


def read(
    line: int, row: Mapping[str, str], *, currency: str, today: date
) -> ReceivablesLine | list[Finding]:
    """What a line says, from its cells by column, or all that is wrong with it."""
    reader = _Reader(line, row)
    account = reader.fitting("customerID", ID, ID_SAYS)
    number = reader.fitting("invoiceNumber", GIVEN_NUMBER, GIVEN_NUMBER_SAYS)
    country = reader.country("countryCode")
    amount_minor = reader.amount("InvoiceAmount", currency)
    disputed = reader.yes_or_no("Disputed")
    issued_on, due_on = reader.day("InvoiceDate"), reader.day("DueDate")
    paperless_on = reader.day("PaperlessDate") if row["PaperlessDate"] else None
    settled_on = reader.day("SettledDate") if row["SettledDate"] else None
    reader.check_order(issued_on, due_on, settled_on, today)
    if reader.findings or issued_on is None or due_on is None:
        return reader.findings
    return ReceivablesLine(
        line=line,
        account=account,
        country=country,
        paperless_on=paperless_on,
        number=number,
        issued_on=issued_on,
        due_on=due_on,
        amount_minor=amount_minor,
        disputed=disputed,
        settled_on=settled_on,
    )


class _Reader:
    """Reads cells by column and collects what is wrong."""

    def __init__(self, line: int, row: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self._line = line
        self._row = row

    def bad(self, code: str, message: str) -> None:
        self.findings.append(Finding(line=self._line, code=code, message=message))

    def fitting(self, column: str, pattern: re.Pattern[str], what: str) -> str:
        text = self._row[column]
        if not pattern.fullmatch(text):
            self.bad("bad_identifier", f"{column} {text[:80]!r} is not {what}")
        return text

    def country(self, column: str) -> str:
        text = self._row[column]
        if not 1 <= len(text) <= _COUNTRY_CHARS_MAX or not text.isprintable():
            self.bad("bad_text", f"{column} {text[:80]!r} is not 1 to 64 characters of text")
        return text

    def amount(self, column: str, currency: str) -> int:
        try:
            return minor_units(self._row[column], currency)
        except (InvalidAmount, AmountOverflow) as refusal:
            self.bad("bad_amount", f"{column}: {refusal}")
            return 0

    def yes_or_no(self, column: str) -> bool:
        text = self._row[column]
        if text.casefold() not in ("yes", "no"):
            self.bad("bad_choice", f"{column} {text[:80]!r} is neither Yes nor No")
        return text.casefold() == "yes"

    def day(self, column: str) -> date | None:
        text = self._row[column]
        day = _day(text)
        if day is None:
            self.bad("bad_date", f"{column} {text[:80]!r} is not a date M/D/YYYY from 1970 to 2199")
        return day

    def check_order(
        self, issued_on: date | None, due_on: date | None, settled_on: date | None, today: date
    ) -> None:
        """Nothing is due or settled before it was invoiced, nor has happened after today."""
        if issued_on is None:
            return
        if due_on is not None and due_on < issued_on:
            says = f"due on {due_on}, but invoiced on {issued_on}"
            self.bad("due_before_invoiced", says)
        if settled_on is not None and settled_on < issued_on:
            says = f"settled on {settled_on}, but invoiced on {issued_on}"
            self.bad("settled_before_invoiced", says)
        if max(issued_on, settled_on or issued_on) > today:
            self.bad("in_future", f"invoiced or settled after {today}, the region's today")


def _day(text: str) -> date | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        day = date(int(match[3]), int(match[1]), int(match[2]))
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None
