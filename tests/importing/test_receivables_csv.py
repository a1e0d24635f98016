"""Receivables files: bad lines named by number and reason, good ones mapped day by day."""

import tracemalloc
from datetime import date
from pathlib import Path

import pytest

from ledger import events as e
from ledger.account import figures, settings_on
from ledger.history import as_of
from ledger.import_steps import BATCH_MAX
from ledger.importing import LINE_BYTES_MAX
from ledger.money import decimal_text
from ledger.receivables_csv import ReceivablesCsv
from tests.importing.books import Books
from tests.importing.files import HEADER, TODAY, csv_file, imported, row

BAD = [
    ({"InvoiceDate": "2/30/2019"}, "bad_date"),
    ({"InvoiceDate": "2019-01-02"}, "bad_date"),
    ({"InvoiceDate": "١/2/2019"}, "bad_date"),
    ({"InvoiceDate": ""}, "bad_date"),
    ({"DueDate": ""}, "bad_date"),
    ({"SettledDate": "soon"}, "bad_date"),
    ({"PaperlessDate": "13/13/2019"}, "bad_date"),
    ({"InvoiceAmount": ""}, "bad_amount"),
    ({"InvoiceAmount": "-5.00"}, "bad_amount"),
    ({"InvoiceAmount": "5.001"}, "bad_amount"),
    ({"InvoiceAmount": "1e3"}, "bad_amount"),
    ({"InvoiceAmount": "٥.00"}, "bad_amount"),
    ({"InvoiceAmount": "9999999999999999999.00"}, "bad_amount"),
    ({"Disputed": "maybe"}, "bad_choice"),
    ({"customerID": "0042 AB"}, "bad_identifier"),
    ({"invoiceNumber": ""}, "bad_identifier"),
    ({"invoiceNumber": ".."}, "bad_identifier"),
    ({"invoiceNumber": "2020-7.pdf"}, "bad_identifier"),
    ({"countryCode": ""}, "bad_text"),
    ({"countryCode": "3\x009"}, "bad_text"),
    ({"SettledDate": "1/1/2019"}, "settled_before_invoiced"),
    ({"DueDate": "1/1/2019"}, "due_before_invoiced"),
    ({"SettledDate": "7/17/2020"}, "in_future"),
    ({"countryCode": "3\udcff9"}, "unreadable"),
    ({"countryCode": '"39'}, "unreadable"),
    ({"countryCode": "391,392"}, "wrong_column_count"),
]


@pytest.mark.parametrize(("cells", "code"), BAD)
def test_a_bad_line_is_named_and_nothing_is_imported(cells: dict[str, str], code: str) -> None:
    """Its number, reason and value are reported; without skip_bad not even good lines go in."""
    books = Books()
    good = row(invoiceNumber="0000000001")
    summary, reported = imported(csv_file(good, row(**cells)), books)
    assert [(3, code)] == [(problem.line, problem.code) for problem in reported]
    assert summary.bad == reported
    assert (False, 1, False) == (summary.applied, summary.bad_lines, summary.ok)
    assert 0 == books.events


@pytest.mark.parametrize(("cells", "code"), BAD)
def test_skip_bad_imports_all_other_lines(cells: dict[str, str], code: str) -> None:
    """The bad line is still reported, the others are as if it were not there."""
    books, without = Books(), Books()
    good = [row(invoiceNumber=f"000000000{n}", InvoiceDate=f"1/{n}/2019") for n in (3, 2, 1)]
    summary, reported = imported(csv_file(*good, row(**cells)), books, skip_bad=True)
    imported(csv_file(*good), without)
    assert [(5, code)] == [(problem.line, problem.code) for problem in reported]
    assert (True, 1, 0) == (summary.applied, summary.bad_lines, summary.refused)
    assert books.of["0042-AB"].events == without.of["0042-AB"].events


def test_every_reason_of_a_line_is_told() -> None:
    """A line with three faults is one bad line with three problems."""
    bad = row(InvoiceAmount="x", Disputed="?", customerID="a b")
    summary, reported = imported(csv_file(bad), Books())
    assert {"bad_amount", "bad_choice", "bad_identifier"} == {p.code for p in reported}
    assert {2} == {problem.line for problem in reported}
    assert 1 == summary.bad_lines


def test_a_missing_column_is_told_once() -> None:
    """A file whose header lacks columns, or that is empty, is told so on its first line."""
    header = HEADER.replace("DueDate,", "").replace("Disputed,", "")
    for file in (csv_file(row(), header=header), csv_file(header="")):
        summary, reported = imported(file, Books(), skip_bad=True)
        assert [(1, "missing_column")] == [(p.line, p.code) for p in reported]
        assert 0 == summary.accepted
    missing, _ = imported(csv_file(row(), header=header), Books())
    assert "the header lacks DueDate, Disputed" == missing.bad[0].message


def test_columns_may_come_in_any_order_with_a_mark_blanks_and_empty_lines() -> None:
    """A byte order mark, reordered columns, blanks around cells and empty lines change nothing."""
    books, reordered = Books(), Books()
    imported(csv_file(row()), books)
    names, cells = HEADER.split(","), row().split(",")
    header = ",".join(reversed(names))
    file = csv_file("", " , ".join(reversed(cells)), "", header="\ufeff" + header)
    summary, reported = imported(file, reordered)
    assert [] == reported
    assert 1 == summary.lines
    assert books.of["0042-AB"].events == reordered.of["0042-AB"].events


def test_a_line_too_long_is_passed_over() -> None:
    """However long a line is, it is one bad line, and the next one is read."""
    long = row(countryCode="9" * LINE_BYTES_MAX * 3)
    summary, reported = imported(csv_file(long, row()), Books(), skip_bad=True)
    assert [(2, "unreadable")] == [(p.line, p.code) for p in reported]
    assert 2 == summary.lines


def test_an_exact_duplicate_is_reported_and_taken_once() -> None:
    """The same line again is no fault: it is told, with the line it repeats, and changes nothing."""
    books, once = Books(), Books()
    summary, reported = imported(csv_file(row(), row(), row()), books)
    imported(csv_file(row()), once)
    assert [(3, "repeated_line"), (4, "repeated_line")] == [(p.line, p.code) for p in reported]
    assert "the same as line 2, taken once" == reported[0].message
    assert (True, 0, 2) == (summary.ok, summary.bad_lines, summary.repeated_lines)
    assert once.events == books.events


def test_an_invoice_number_with_other_content_is_bad() -> None:
    """The later line is the bad one; another customer may have the same number."""
    other = row(customerID="0043-CD")
    summary, reported = imported(csv_file(row(), other, row(InvoiceAmount="55.95")), Books())
    assert [(4, "duplicate_invoice")] == [(p.line, p.code) for p in reported]
    assert "invoice 0000611365 of 0042-AB differs on line 2" == reported[0].message
    assert not summary.applied


def test_a_customer_cannot_have_two_countries_or_switches() -> None:
    """Lines of one customer agree on what belongs to the customer, or the later one is bad."""
    for cells in ({"countryCode": "770"}, {"PaperlessDate": "4/7/2019"}):
        _, reported = imported(csv_file(row(), row(invoiceNumber="2", **cells)), Books())
        assert [(3, "customer_differs")] == [(p.line, p.code) for p in reported]


def test_a_line_becomes_charge_invoice_dispute_and_payment_in_order_of_days() -> None:
    """The mapping: on a day charge and own invoice together, then disputes, then payments."""
    books = Books()
    rows = (
        row(invoiceNumber="3", InvoiceDate="1/15/2019", DueDate="2/14/2019", SettledDate=""),
        row(invoiceNumber="2", InvoiceDate="1/15/2019", SettledDate="1/15/2019", Disputed="Yes"),
        row(invoiceNumber="1", Disputed="Yes"),
    )
    summary, _ = imported(csv_file(*rows), books)
    assert summary.ok
    told = [
        (type(event).__name__, getattr(event, "charge_id", None) or getattr(event, "number", None)
         or getattr(event, "invoice", None) or getattr(event, "payment_id", None))
        for event in books.of["0042-AB"].events
    ]  # fmt: skip
    assert [
        ("AccountOpened", None),
        ("ChargePosted", "1"), ("InvoiceIssued", "1"), ("DisputeOpened", "1"),
        ("ChargePosted", "3"), ("InvoiceIssued", "3"),
        ("ChargePosted", "2"), ("InvoiceIssued", "2"), ("DisputeOpened", "2"),
        ("DisputeResolved", "2"), ("PaymentSubmitted", "2"), ("PaymentProcessed", "2"),
        ("DisputeResolved", "1"), ("PaymentSubmitted", "1"), ("PaymentProcessed", "1"),
        ("SettingsChanged", None),
    ] == told  # fmt: skip
    account = books.of["0042-AB"].account
    assert account is not None
    assert (5594, date(2019, 2, 14)) == (account.balance_minor, account.due_on)
    days = (date(2019, 4, 6), date(2019, 4, 7))
    assert ["paper", "electronic"] == [settings_on(account, d).delivery_channel for d in days]


def test_amounts_past_32_bits_of_cents_pass_and_decimals_are_the_currencys() -> None:
    """10,666,667.58 USD goes in exactly; a yen has no decimals."""
    books = Books()
    imported(csv_file(row(InvoiceAmount="10666667.58", SettledDate="")), books)
    account = books.of["0042-AB"].account
    assert account is not None
    assert "10666667.58" == decimal_text(figures(account, TODAY).balance_minor, "USD")
    _, reported = imported(csv_file(row()), Books(), currency="JPY")
    assert ["bad_amount"] == [problem.code for problem in reported]


def test_zero_amounts_and_unsettled_lines() -> None:
    """Nothing is paid or disputed where nothing is owed; what is not settled stays open."""
    books = Books()
    rows = (
        row(invoiceNumber="1", InvoiceAmount="0.00", Disputed="Yes"),
        row(invoiceNumber="2", SettledDate="", PaperlessDate="", customerID="0043"),
    )
    summary, _ = imported(csv_file(*rows), books)
    assert summary.ok
    names = [type(event).__name__ for event in books.of["0042-AB"].events]
    assert ["AccountOpened", "ChargePosted", "InvoiceIssued", "SettingsChanged"] == names
    assert 5594 == as_of(books.of["0043"].events, TODAY).standing.balance_minor


def test_a_later_file_adds_what_is_new() -> None:
    """A file with the same lines, one settled meanwhile, and a new one, adds just that."""
    books = Books()
    imported(csv_file(row(SettledDate="")), books)
    new = row(invoiceNumber="7", InvoiceDate="3/1/2019", DueDate="3/31/2019", SettledDate="")
    earlier = books.events
    summary, _ = imported(csv_file(row(), new), books)
    assert (0, 0) == (summary.refused, summary.accounts)
    assert earlier + 4 == books.events


def test_a_line_before_the_account_was_opened_is_refused_alone() -> None:
    """What the domain refuses is reported with its line; every other line goes in."""
    books = Books()
    imported(csv_file(row(InvoiceDate="5/1/2019", DueDate="5/31/2019", SettledDate="")), books)
    older = row(invoiceNumber="3", InvoiceDate="3/1/2019", DueDate="3/31/2019", SettledDate="")
    later = row(invoiceNumber="7", InvoiceDate="7/1/2019", DueDate="7/31/2019", SettledDate="")
    summary, reported = imported(csv_file(older, later), books)
    assert [(2, "effective_before_cause")] * 2 == [
        (problem.line, problem.code) for problem in reported
    ]
    assert (True, False, 2) == (summary.applied, summary.ok, summary.refused)
    account = books.of["0042-AB"].account
    assert account is not None
    assert (2 * 5594, 0) == (account.balance_minor, account.unbilled_minor)


def test_a_refused_invoice_takes_its_charge_back() -> None:
    """Billed through May by hand, the March line is refused, and its charge does not reach July's."""
    books = Books()
    rows = [
        row(invoiceNumber=str(m), InvoiceDate=f"{m}/1/2019", DueDate=f"{m}/28/2019", SettledDate="")
        for m in (1, 5)
    ]
    imported(csv_file(*rows), books)
    march = row(invoiceNumber="3", InvoiceDate="3/1/2019", DueDate="3/31/2019", SettledDate="")
    july = row(invoiceNumber="7", InvoiceDate="7/1/2019", DueDate="7/31/2019", SettledDate="")
    for _ in range(2):
        _, reported = imported(csv_file(march, july), books)
        assert [(2, "period_billed")] == [(p.line, p.code) for p in reported]
    events = books.of["0042-AB"].events
    issued = [(i.number, i.total_minor) for i in events if isinstance(i, e.InvoiceIssued)]
    assert [("1", 5594), ("5", 5594), ("7", 5594)] == issued
    assert ["3"] == [r.charge_id for r in events if isinstance(r, e.ChargeReversed)]


def test_an_account_kept_in_another_currency_is_not_touched() -> None:
    """A customer whose account exists in yen is a bad line of a file of dollars."""
    books = Books()
    imported(csv_file(row(InvoiceAmount="55")), books, currency="JPY")
    before = books.events
    _, reported = imported(csv_file(row()), books)
    assert [(2, "currency_mismatch")] == [(p.line, p.code) for p in reported]
    assert before == books.events


def test_batches_are_bounded_and_bill_one_line_of_an_account_at_a_time() -> None:
    """However many lines, no batch passes the limit; progress tells how much is done."""
    books = Books()
    rows = [
        row(customerID=f"{n % 300:04d}", invoiceNumber=f"{n}", InvoiceDate="1/2/2019")
        for n in range(900)
    ]
    summary, _ = imported(csv_file(*rows), books)
    assert summary.ok
    assert max(books.batches) <= BATCH_MAX
    assert len(books.batches) < 40


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Ten times the lines, no more memory: good lines are on disk between the passes."""
    peaks = []
    for lines in (500, 5_000):
        path = tmp_path / f"{lines}.csv"
        rows = (row(customerID=str(n), invoiceNumber=str(n)) for n in range(lines))
        path.write_bytes(csv_file(*rows).read())
        with path.open("rb") as file:
            source = ReceivablesCsv(file, currency="USD", today=TODAY, actor="import")
            tracemalloc.start()
            assert {None} == set(source.check())
            assert lines * 5 == sum(1 for _ in source.steps()) == source.steps_total
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5
