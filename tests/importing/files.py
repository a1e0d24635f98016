"""Small receivables files and command lines for tests, made here."""

import io
import json
from datetime import date

from ledger.importing import Problem, Summary, run
from ledger.receivables_csv import ReceivablesCsv
from tests.importing.books import Books

TODAY = date(2020, 7, 16)
HEADER = (
    "countryCode,customerID,PaperlessDate,invoiceNumber,InvoiceDate,DueDate,InvoiceAmount,"
    "Disputed,SettledDate,PaperlessBill"
)


def row(**given: str) -> str:
    """A good line, but for what is given."""
    cells = {
        "countryCode": "391",
        "customerID": "0042-AB",
        "PaperlessDate": "4/6/2019",
        "invoiceNumber": "0000611365",
        "InvoiceDate": "1/2/2019",
        "DueDate": "2/1/2019",
        "InvoiceAmount": "55.94",
        "Disputed": "No",
        "SettledDate": "1/15/2019",
        "PaperlessBill": "Paper",
    }
    return ",".join({**cells, **given}.values())


def csv_file(*rows: str, header: str = HEADER) -> io.BytesIO:
    return io.BytesIO("\r\n".join((header, *rows, "")).encode("utf-8", "surrogateescape"))


def imported(
    file: io.BytesIO, books: Books, *, skip_bad: bool = False, currency: str = "USD"
) -> tuple[Summary, list[Problem]]:
    """What importing a receivables file did, and the problems as they were reported."""
    reported: list[Problem] = []
    source = ReceivablesCsv(
        file, currency=currency, today=TODAY, actor="import", currency_of=books.currency_of
    )
    return run(source, books.enqueue, skip_bad=skip_bad, report=reported.append), reported


def line(type: str, key: str = "k-1", account: str = "0042-AB", **data: object) -> bytes:
    """A line of commands."""
    asked = {"key": key, "account": account, "type": type, "data": data}
    return json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")
