"""Typesetting: figures, formats and words as the place has them, whatever the texts are, always alike."""

import hashlib
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from unicodedata import combining

import msgspec
import pytest

from api.documents.content import Applied, CategoryAmount, Document
from api.documents.formats import MINUS, formats_of
from api.documents.labels import labels, language_of
from api.documents.typesetting import Typesetter
from api.documents.wording import BREAK
from ledger.store.sql import load
from tests.documents.contents import (
    BILLER,
    customer,
    invoice,
    joined,
    line,
    pages_of,
    statement,
    text_of,
)

FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
PROGRAM = """
import hashlib, sys
import msgspec
from api.documents.content import Document
from api.documents.typesetting import Typesetter
content = msgspec.json.decode(sys.stdin.buffer.read(), type=Document)
print(hashlib.sha256(Typesetter().pdf(content)).hexdigest())
"""


@pytest.fixture(scope="module")
def typesetter() -> Typesetter:
    return Typesetter()


def test_an_invoice_says_what_finance_expects(typesetter: Typesetter) -> None:
    """Biller, customer, days, terms, lines, subtotals, taxes, what was applied, and what is due."""
    credit = line(29, -2_50, category=None, description="dropped call", taxes=[])
    paid = Applied(kind="payment", reference="p-17", on=date(2020, 7, 31), amount_minor=1_00)
    text = text_of(typesetter.pdf(invoice([line(3), credit], applied=[paid])))
    for expected in (
        "Example Conferencing Inc.\n1 Example Street\nNew York, NY 10001\nbilling@example.com",
        "Bill to\nHarbour Lights Ltd\nUSA",
        "Amount due\nUSD 7.50\nby Aug 30, 2020",
        "Number HARBOUR-1-2020-07-1\nAccount HARBOUR-1\nClient ID HARBOUR",
        "Period Jul 1, 2020 – Jul 31, 2020\nIssued Jul 31, 2020\nDue Aug 30, 2020",
        "Terms Net 30 days\nPayment method Cash or check",
        "Date Description Category Quantity Unit price Amount Tax",
        "Jul 4, 2020 Conference call 3 usage 4 2.5 10.00 1.00",
        f"Jul 30, 2020 Credit: dropped call 4 2.5 {MINUS}2.50 0.00",
        "Charges by category Amount\nusage 10.00",
        "Tax Rate Base Amount\nVAT 10% 7.50 1.00",
        f"New charges 10.00\nCredits {MINUS}2.50\nTax 1.00\nTotal USD 8.50",
        f"Payment p-17, Jul 31, 2020 {MINUS}1.00\nAmount due USD 7.50",
        "Remittance slip\nPayable to\nExample Conferencing Inc.",
        "Account HARBOUR-1\nNumber HARBOUR-1-2020-07-1\nDue Aug 30, 2020\nAmount due USD 7.50",
        "Amounts in USD Page 1 of 1",
    ):
        assert expected in text, text


@pytest.mark.parametrize("document", [invoice(), statement()], ids=["invoice", "statement"])
def test_the_same_bytes_in_any_process(typesetter: Typesetter, document: Document) -> None:
    """Again, after others, and in another process with another zone, locale and hash seed."""
    first = typesetter.pdf(document)
    typesetter.pdf(invoice([line(n) for n in range(100)]))
    assert first == typesetter.pdf(document)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=msgspec.json.encode(document),
        env={"TZ": "Asia/Tokyo", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "7", "HOME": "/"},
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert hashlib.sha256(first).hexdigest() == run.stdout.decode().strip(), run.stderr


def test_many_pages_repeat_the_head_and_are_counted(typesetter: Typesetter) -> None:
    """Every page says whose it is, which of how many, and what its columns are; no line is lost."""
    pages = pages_of(typesetter.pdf(invoice([line(n) for n in range(400)])))
    assert len(pages) > 8
    for n, page in enumerate(pages, start=1):
        assert f"Page {n} of {len(pages)}" in page
        assert n == 1 or "Invoice HARBOUR-1-2020-07-1 · HARBOUR-1" in page
    with_lines = [page for page in pages if "Conference call" in page]
    assert all("Date Description Category" in page for page in with_lines)
    found = re.findall(r"Conference call (\d+) ", "\n".join(pages))
    assert list(range(400)) == [int(n) for n in found]


def test_a_summary_has_categories_for_lines(typesetter: Typesetter) -> None:
    """Who wants a summary, and who cannot have the lines, is told what they come to and how many."""
    wanted = invoice([line(1), line(2)], customer=customer(invoice_delivery="summary"))
    text = text_of(typesetter.pdf(wanted))
    assert "Conference call" not in text
    assert "Shown by category. Lines: 2." in text
    assert "usage 20.00" in text
    assert "Total USD 22.00" in text
    too_many = msgspec.structs.replace(invoice([line(1)]), lines=None, lines_count=1_000_000)
    text = text_of(typesetter.pdf(too_many))
    assert "Shown by category. Lines: 1,000,000, too many to be listed" in text
    assert "Total USD 11.00" in text


def test_a_late_line_names_its_period(typesetter: Typesetter) -> None:
    """A line of a period billed before says so."""
    late = line(description="forgotten", belongs_to=(date(2020, 5, 16), date(2020, 6, 15)))
    text = text_of(typesetter.pdf(invoice([late])))
    assert "late, for the period May 16, 2020 – Jun 15, 2020" in text


@pytest.mark.parametrize(
    ("currency", "amounts"),
    [
        ("USD", ("USD 12,345.67", "USD 0.05")),
        ("JPY", ("JPY 1,234,567", "JPY 5")),
        ("KWD", ("KWD 1,234.567", "KWD 0.005")),
        ("CLF", ("CLF 123.4567", "CLF 0.0005")),
    ],
)
def test_amounts_have_their_currencys_decimals(
    typesetter: Typesetter, currency: str, amounts: tuple[str, str]
) -> None:
    """As many decimals as the currency has, none for some."""
    for minor, shown in zip((1_234_567, 5), amounts, strict=True):
        one = line(amount_minor=minor, taxes=[])
        made = invoice([one], customer=customer(currency=currency), taxes=[])
        assert f"Total {shown}" in text_of(typesetter.pdf(made))


@pytest.mark.parametrize(
    ("language", "zone", "expected"),
    [
        (
            "en",
            "America/New_York",
            ("Invoice", "Jul 31, 2020", f"{MINUS}1,234.50", "us-letter"),
        ),
        ("en-GB", "America/New_York", ("Invoice", "31 Jul 2020", f"{MINUS}1,234.50", "a4")),
        ("en", "Europe/Berlin", ("Invoice", "31 Jul 2020", f"{MINUS}1.234,50", "a4")),
        ("de", "Europe/Berlin", ("Rechnung", "31.07.2020", f"{MINUS}1.234,50", "a4")),
        ("fr", "Europe/Paris", ("Facture", "31 juil. 2020", f"{MINUS}1\u202f234,50", "a4")),
        ("es", "Europe/Madrid", ("Factura", "31 jul 2020", f"{MINUS}1.234,50", "a4")),
        ("ja", "Asia/Tokyo", ("Invoice", "31 Jul 2020", f"{MINUS}1,234.50", "a4")),
        ("en", "US/Eastern", ("Invoice", "Jul 31, 2020", f"{MINUS}1,234.50", "us-letter")),
        ("en-u-nu-arab", "UTC", ("Invoice", "31 Jul 2020", f"{MINUS}1,234.50", "a4")),
        ("en-ZZ", "Etc/GMT+3", ("Invoice", "31 Jul 2020", f"{MINUS}1,234.50", "a4")),
    ],
)
def test_days_and_numbers_are_as_the_place_writes_them(
    typesetter: Typesetter, language: str, zone: str, expected: tuple[str, str, str, str]
) -> None:
    """The words are the customer's as far as there are any, the formats their place's or the region's."""
    word, day, amount, paper = expected
    formats = formats_of(language_of(language), language, zone)
    assert (day, paper) == (formats.day(date(2020, 7, 31)), formats.paper)
    assert amount == formats.amount(-123450, "USD")
    made = invoice(
        customer=customer(language=language), biller=msgspec.structs.replace(BILLER, zone=zone)
    )
    text = text_of(typesetter.pdf(made))
    assert word in text
    assert day in text


def test_every_language_has_every_word() -> None:
    """The table is complete, and the places to fill in a text are the same in all languages."""
    english = labels()["en"]
    for language, words in labels().items():
        assert english.keys() == words.keys(), language
        for name, text in words.items():
            places = set(re.findall(r"\{\w+\}", english[name]))
            assert places == set(re.findall(r"\{\w+\}", text)), (language, name)


def test_every_kind_of_line_has_a_word() -> None:
    """What a statement of account may list, its document can name."""
    statement_sql = load("projections.receivables", "statement.sql")["statement"].decode()
    kinds = set(re.findall(r"'([a-z_]+)'", statement_sql)) - {"invoice", "next_invoice"}
    assert "payment_" in kinds
    steps = ("processed", "returned", "reinstated", "unprocessed")  # those that move money
    kinds = (kinds - {"payment_"}) | {f"payment_{step}" for step in steps}
    assert len(kinds) > 10
    assert kinds <= labels()["en"].keys()


HOSTILE = (
    '#panic("x") #import "/etc/passwd"',
    "$ x^2 $ *bold* _it_ <label> @ref // c /* d */ [x] {y} `raw` ~ \\ \\n \\u{41} -- --- ...",
    "\"double\" 'single' “curly” <b>&amp;</b>",
    "-1 + {view.named} = sum",
    'ends \\" \\\\" \\\\\\") #panic("x") ")\\',
    "Ελληνικά Кириллица Łódź Ñandú",
    "שלום",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_printed_as_they_are(typesetter: Typesetter, text: str) -> None:
    """Whatever a text means to a typesetter, a document says it and does nothing else."""
    one = line(description=text, category=text[:60])
    made = invoice(
        [one],
        customer=customer(company=text),
        biller=msgspec.structs.replace(BILLER, company=text, address=text),
        categories=[CategoryAmount(category=text[:60], amount_minor=10_00)],
    )
    expected = "".join(text.split())
    assert joined(typesetter.pdf(made)).count(expected) >= 4


@pytest.mark.parametrize(
    "word", ["W" * 500, "x" * 500, "a-b." * 125, "٣" * 500, "A" * 12 + "́" * 99]
)
def test_a_long_word_is_broken_and_copied_whole(typesetter: Typesetter, word: str) -> None:
    """It stays in its column, and nothing is put into what is copied."""
    made = invoice([line(description=word, category=word[:64])], number="N" * 96)
    pdf = typesetter.pdf(made)
    text = text_of(pdf)
    assert BREAK not in text
    assert max(sum(not combining(c) for c in one) for one in text.splitlines()) < 192
    assert joined(pdf).count("N" * 96) >= 2
    counted = text.count(word[0]) - text_of(typesetter.pdf(invoice(number="N" * 96))).count(word[0])
    assert counted >= word.count(word[0])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("株式会社", "[U+682A][U+5F0F][U+4F1A][U+793E]"),
        ("한국 Ltd", "[U+D55C][U+AD6D] Ltd"),
        ("a\x00b\x1bc\x7fd", "a[U+0000]b[U+001B]c[U+007F]d"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("\u202eevil\u202c", "[U+202E]evil[U+202C]"),
        ("\ue000\U0010ffff\ufffe", "[U+E000][U+10FFFF][U+FFFE]"),
        ("😀", "[U+1F600]"),
        (
            'error: PDF/A: the text `"ü"` could not 株',
            'error: PDF/A: the text `"ü"` could not [U+682A]',
        ),
        ("\ufffe\u0339", "[U+FFFE]"),
        ("\x18\u0b82\u1644\U0010f417", "[U+0018][U+0B82][U+1644][U+10F417]"),
        ("\u7649\U000f3840\u1be8\x10", "[U+7649][U+F3840][U+1BE8][U+0010]"),
    ],
)
def test_what_cannot_be_shown_is_named(typesetter: Typesetter, text: str, shown: str) -> None:
    """A character that no font has, that has no shape, or that turns others round, is its code point."""
    made = invoice([line(description=text)], customer=customer(company=text))
    assert joined(typesetter.pdf(made)).count("".join(shown.split())) >= 3


def test_characters_are_named_alike_whatever_came_before() -> None:
    """What a typesetter met in other documents leaves no trace."""
    document = invoice([line(description="日本 abc")])
    before = Typesetter()
    before.pdf(invoice([line(description="abc 日 cab")]))
    assert Typesetter().pdf(document) == before.pdf(document)


def test_a_folder_of_fonts_shows_what_others_cannot(typesetter: Typesetter, tmp_path: Path) -> None:
    """A character that only a font of the folder has is shown as it is."""
    document = invoice([line(description="\u2d30")])  # a letter of Tifinagh
    assert "[U+2D30]" in joined(typesetter.pdf(document))
    assert "[U+2D30]" in joined(Typesetter(tmp_path).pdf(document))
    if not FONT.exists():
        pytest.skip(f"there is no {FONT} on this machine")
    shutil.copy(FONT, tmp_path)
    assert "\u2d30" in joined(Typesetter(tmp_path).pdf(document))


def test_extreme_figures_are_told_in_full(typesetter: Typesetter) -> None:
    """The longest quantity, price and amounts stand apart, with every digit."""
    one = line(
        amount_minor=2**62, quantity="9" * 16 + "." + "1" * 12, unit_price="8" * 16, taxes=[]
    )
    text = text_of(typesetter.pdf(invoice([one], taxes=[])))
    assert "46,116,860,184,273,879.04" in text
    assert "9,999,999,999,999,999.111111111111 × 8,888,888,888,888,888" in text


def test_a_statement_adds_up(typesetter: Typesetter) -> None:
    """Opening balance, every line with the balance after it, closing balance, aging."""
    text = text_of(typesetter.pdf(statement(disputed_minor=7_00)))
    for expected in (
        "Period Jul 1, 2020 – Jul 31, 2020",
        "Known at position 17-4711",
        "Jul 1, 2020 Opening balance 500.00",
        f"Jul 1, 2020 Payment p-0 Card {MINUS}1.00 499.00",
        f"Jul 1, 2020 Payment p-1 Card {MINUS}1.00 498.00",
        "Jul 31, 2020 Closing balance 498.00",
        "Not yet late 1–30 days 31–60 days 61–90 days Over 90 days Open",
        "498.00 0.00 0.00 0.00 0.00 498.00",
        "Of which disputed 7.00",
        "Account HARBOUR-1\nAmount due USD 498.00",
    ):
        assert expected in text, text


@pytest.mark.parametrize(
    ("kind", "detail", "shown"),
    [
        ("payment_processed", "cash_check", "Payment p-0 Cash or check"),
        ("payment_reinstated", "card", "Payment reinstated p-0 Card"),
        ("payment_unprocessed", "bank_transfer", "Payment taken back p-0 Bank transfer"),
        ("payment_returned", "card", "Payment returned p-0 card"),
        ("write_off_recovered", "payment:p-1", "Write-off recovered p-0 Payment p-1"),
        ("write_off_recovered", "credit:k-1", "Write-off recovered p-0 Credit k-1"),
    ],
)
def test_a_statement_names_methods_and_sources_in_words(
    typesetter: Typesetter, kind: str, detail: str, shown: str
) -> None:
    """A payment's method and what recovered a write-off are in the customer's words, not in codes;
    reasons are as they were given."""
    made = statement(1)
    [listed] = made.lines
    told = msgspec.structs.replace(listed, kind=kind, detail=detail)
    assert shown in text_of(typesetter.pdf(msgspec.structs.replace(made, lines=[told])))


def test_a_statement_that_follows_another_says_so(typesetter: Typesetter) -> None:
    """Whose balance it opens at, and which lines that one did not know."""
    made = statement(after="17-4000")
    first, second = made.lines
    late = msgspec.structs.replace(first, effective_on=date(2020, 6, 3), late=True)
    text = text_of(typesetter.pdf(msgspec.structs.replace(made, lines=[late, second])))
    assert "Known at position 17-4711\nFollows position 17-4000" in text
    assert f"Jun 3, 2020 Payment p-0 Card; known late {MINUS}1.00 499.00" in text
    assert 1 == text.count("known late")


def test_a_slip_is_for_who_pays_by_check(typesetter: Typesetter) -> None:
    """Nobody else gets one, and nobody who has nothing to pay."""
    assert "Remittance slip" in text_of(typesetter.pdf(invoice()))
    by_card = customer(payment_method="card")
    assert "Remittance slip" not in text_of(typesetter.pdf(invoice(customer=by_card)))
    paid = Applied(kind="credit", reference="k-1", on=date(2020, 7, 31), amount_minor=11_00)
    text = text_of(typesetter.pdf(invoice(applied=[paid])))
    assert "nothing to pay" in text
    assert "Remittance slip" not in text


def test_a_debit_note_says_what_it_is_for(typesetter: Typesetter) -> None:
    """A debit item has no lines, only the payment that was returned after it had been refunded."""
    made = invoice([], kind="debit", period=None, returned_payment="p-17", total_minor=5_00)
    made = msgspec.structs.replace(made, categories=[], taxes=[])
    text = text_of(typesetter.pdf(made))
    assert "Debit note" in text
    assert "Payment p-17, refunded and then returned by the bank" in text
    assert "Total USD 5.00" in text
    assert "New charges" not in text
