"""What is written of hostile entries: the tools take it, with our balances, and miss no cent."""

import csv
import io
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from api.exports.comma_separated import COLUMNS, cell
from api.exports.names import name
from ledger.money import decimal_text, exponent
from projections.journal.entries import CREDITS, RECEIVABLE
from tests.exports import made, tools
from tests.exports.made import AUGUST, HOSTILE, JULY, LARGEST, OPENING, exported, july, outlined

DAYS = [JULY.last_on, AUGUST.last_on]


def ours() -> tools.Balances:
    """The balances at the end of July, by the tools' names."""
    [month, _] = outlined(july()).months
    return {
        (name(account), currency): Decimal(decimal_text(minor, currency))
        for (currency, account), minor in month.balances.items()
        if minor
    }


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The export for hledger and Ledger."""
    file = tmp_path / "july.journal"
    file.write_bytes(exported("hledger", july()))
    return file


def test_beancount_takes_it_and_has_our_balances() -> None:
    """Whatever the categories are called, with currencies of none to four decimals."""
    text = exported("beancount", july())
    assert [] == tools.bean_check(text)
    assert [ours(), ours()] == tools.beancount_balances(text, DAYS)


@pytest.mark.needs("hledger")
def test_hledger_takes_it_and_has_our_balances(journal: Path) -> None:
    """As Beancount does, with the strict checks."""
    assert "" == tools.hledger_check(journal)
    assert [ours(), ours()] == tools.hledger_balances(journal, DAYS)


@pytest.mark.needs("ledger")
def test_ledger_takes_it_and_has_our_balances(journal: Path) -> None:
    """As hledger does, of the same file, with the pedantic checks."""
    assert "" == tools.ledger_check(journal)
    assert [ours(), ours()] == tools.ledger_balances(journal, DAYS)


def one_off(text: bytes, marked: bytes) -> bytes:
    """The same with the last unit of one currency's last assertion one more."""
    at = text.rindex(marked)
    return text[: at - 1] + bytes([text[at - 1] ^ 1]) + text[at:]


MARKED = {currency: f" {currency}".encode() for currency in ("USD", "JPY", "KWD", "UYW")}


@pytest.mark.parametrize("currency", MARKED)
def test_beancount_sees_one_unit(currency: str) -> None:
    """An assertion that is off by the least there is, is one that does not hold."""
    text = exported("beancount", july())
    last = list(re.finditer(rf"balance \S+  \S+(?=.* {currency}\n)", text.decode()))[-1]
    wrong = text.decode()[: last.end() - 1] + "1" + text.decode()[last.end() :]
    [complaint] = tools.bean_check(wrong.encode())
    assert "Balance failed" in complaint


@pytest.mark.needs("hledger", "ledger")
@pytest.mark.parametrize("currency", MARKED)
def test_hledger_and_ledger_see_one_unit(journal: Path, currency: str) -> None:
    """Likewise."""
    journal.write_bytes(one_off(journal.read_bytes(), MARKED[currency]))
    assert "Balance assertion" in tools.ledger_check(journal)
    assert "balance assertion" in tools.hledger_check(journal)


@pytest.mark.needs("hledger", "ledger")
def test_what_is_not_declared_is_not_taken(journal: Path) -> None:
    """The checks are the strict ones: an account or currency that the file does not name fails."""
    text = journal.read_bytes()
    for line in (b"account Income:Revenue:Usage\n", b"commodity KWD\n    format 1000.000 KWD\n"):
        assert line in text
        journal.write_bytes(text.replace(line, b""))
        assert "" != tools.hledger_check(journal)
        assert "" != tools.ledger_check(journal)


@pytest.mark.needs("hledger", "ledger")
def test_an_id_may_end_in_colons(journal: Path) -> None:
    """Which Ledger would take for metadata, or for an expression; hledger finds it as it is."""
    ids = ("i-1", "i-2:", "i-3::", ":")
    pays = made.row(900, date(2020, 7, 9), CREDITS, RECEIVABLE, 5, "USD")
    rows = [pays._replace(n=n, invoice=id) for n, id in enumerate(ids)]
    rows += [pays._replace(n=n, position=901, document=f"credit:{id}") for n, id in enumerate(ids)]
    journal.write_bytes(exported("hledger", [*july(), *rows]))
    assert "" == tools.hledger_check(journal) + tools.ledger_check(journal)
    assert {*ids} <= tools.hledger_values(journal, "invoice")
    assert {f"credit:{id}" for id in ids} <= tools.hledger_values(journal, "document")


def test_each_transaction_says_where_it_is_from() -> None:
    """Event, customer, instant, document; what came late its own day; of several, each its own."""
    late = (
        f'2020-07-01 * "A-1" "charge"\n  position: "7-{2 * len(HOSTILE)}"\n'
        '  recorded_at: "2020-08-05T09:00:00.000001Z"\n  kind: "charge"\n'
        '  document: "charge:c-1"\n  effective_on: 2020-05-31\n'
        "  Assets:Cash:Cash-check  0.05 USD\n  Liabilities:CustomerCredits  -0.05 USD\n"
    )
    assert late in exported("beancount", july()).decode()
    journal = exported("hledger", july()).decode()
    n = 2 * len(HOSTILE) + 1
    assert (
        f"2020-07-09 * (7-{n}) A-1 | allocation, undoing\n"
        f"    ; position:7-{n}, account_number:A-1, recorded_at:2020-08-05T09:00:00.000001Z\n"
        f"    Liabilities:CustomerCredits  {LARGEST} JPY"
        "  ; kind:allocation, document:payment:p-0, invoice:i-0\n"
    ) in journal


def test_csv_has_a_line_for_each_side() -> None:
    """Texts as they are, amounts as numbers; nothing that a spreadsheet would run."""
    text = exported("csv", july()).decode()
    head, *lines = csv.reader(io.StringIO(text, newline=""))
    assert list(COLUMNS) == head
    assert 2 * len(july()) == len(lines)
    found = [dict(zip(head, line, strict=True)) for line in lines]
    for row, (debit, credit) in zip(july(), zip(found[::2], found[1::2], strict=True), strict=True):
        assert (row.debit, row.credit) == (debit["account"], credit["account"])
        amount = decimal_text(row.amount_minor, row.currency)
        assert (amount, "", "", amount) == (
            *(debit["debit"], debit["credit"]),
            *(credit["debit"], credit["credit"]),
        )
        assert str(max(row.effective_on, JULY.first_on)) == debit["posting_on"]
    assert all(line.endswith("\r\n") for line in text.splitlines(keepends=True)[:1])


def test_no_text_is_a_formula_to_a_spreadsheet() -> None:
    """Neither as a cell nor after what may end one where decimals have a comma, spaces before it or not."""
    for sign in "=+-@\uff1d\uff0b\uff0d\uff20":
        assert f"'{sign}1" == cell(f"{sign}1")
        assert f"revenue:a;'{sign}1" == cell(f"revenue:a;{sign}1")
    for start in "\t\r\n":
        assert f"'{start}1" == cell(f"{start}1")
        assert f"a{start}'=1" == cell(f"a{start}=1")
    assert ("'  =1", "a;' =1") == (cell("  =1"), cell("a; =1"))
    for harmless in ("", "2=1", "revenue:late-fee", "a; b", "a;b=c"):
        assert harmless == cell(harmless)


def test_parquet_has_a_row_for_each_side() -> None:
    """Exact numbers, days and instants by their types; the moment stands in the file."""
    table = parquet.read_table(pyarrow.BufferReader(exported("parquet", july())))
    rows = table.to_pylist()
    assert 2 * len(july()) == len(rows)
    for row, (debit, credit) in zip(july(), zip(rows[::2], rows[1::2], strict=True), strict=True):
        assert (row.amount_minor, 0) == (debit["debit_minor"], debit["credit_minor"])
        assert (0, row.amount_minor) == (credit["debit_minor"], credit["credit_minor"])
        assert (row.debit, row.credit) == (debit["account"], credit["account"])
        assert (row.effective_on, row.recorded_at) == (debit["effective_on"], debit["recorded_at"])
        assert exponent(row.currency) == debit["exponent"]
    assert b"an-opaque-position" == table.schema.metadata[b"position"]


def test_the_same_entries_are_the_same_bytes() -> None:
    """Of every form; and what is over 64 bits is written as it is."""
    for form in ("beancount", "hledger", "csv", "parquet"):
        assert exported(form, july()) == exported(form, july())
    largest = OPENING["JPY", "accounts_receivable"]
    assert f"  {largest} JPY".encode() in exported("beancount", july())
