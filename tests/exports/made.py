"""Exports of entries that were made up in memory, with names as hostile as they may be, and worse."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from api.exports.books import Balances, Month, Outline, Row, Tally
from api.exports.writing import FORMS
from ledger.month_end import Period
from projections.journal.entries import CASH, CREDITS, RECEIVABLE, REVENUE, TAX, UNBILLED

HOSTILE = (
    *(
        "usage",
        "Usage",
        "USAGE",
        "uSAGE",
        "late fee",
        "late_fee",
        "late-fee",
        "Late fee",
        "late  fee",
    ),
    *("_usage", "usage_", " usage", "usage ", "1 usage", "-usage", "--usage", "=1+1", "+1", "@x"),
    *("x", "X", "X----", "x----", "X---", "x---2d-", "x---2d", "2d", "-", "_", " ", ":", "a:b"),
    *('say "no"', "it's", "back\\slash", "semi;colon", "; comment", "# hash", "(virtual)", "[bal]"),
    *(
        "tab\there",
        "two\nlines",
        "cr\rhere",
        "nul\0",
        "  two",
        "a  b",
        "€uro",
        "Übergröße",
        "ßharp",
    ),
    *("Ŵales", "ǅungla", "İstanbul", "ıstanbul", "ﬁne", "ﬀ", "السعر", "שלום", "電話", "電話 料金"),
    *(
        "\u200eLRM",
        "e\u0301",
        "é",
        "😀",
        "0",
        "٣",
        "ა",
        "Ⴀ",
        "ᲀ",
        "2020-01-01",
        "1.00 USD",
        "=",
        "'",
    ),
    *("x" * 64, "😀" * 64, "a\u2028b", "* x", "! x", "A|B", "<x>", "%41", "{}", "~ 0.00"),
)
"""Text that no door takes is among them: what was recorded otherwise must not break a file."""
CURRENCIES = ("USD", "JPY", "KWD", "UYW")
JULY, AUGUST = (Period(date(2020, month, 1)) for month in (7, 8))
LARGEST = 2**63 - 1


def row(position: int, on: date, debit: str, credit: str, minor: int, currency: str) -> Row:
    """An entry of account A-1."""
    return Row(
        lane=7,
        position=position,
        n=0,
        recorded_at=datetime(2020, 8, 5, 9, 0, 0, 1, tzinfo=UTC),
        effective_on=on,
        currency=currency,
        amount_minor=minor,
        kind="charge",
        debit=debit,
        credit=credit,
        document="charge:c-1",
        invoice=None,
        account_number="A-1",
    )


def july() -> list[Row]:
    """Entries of July: every hostile name as a category and as a tax, in every currency; one is late."""
    found = []
    for n, text in enumerate(HOSTILE):
        for credit in (f"{REVENUE}{text}", f"{TAX}{text}"):
            day, currency = date(2020, 7, 1 + n % 31), CURRENCIES[n % len(CURRENCIES)]
            found.append(row(len(found), day, UNBILLED, credit, 1001 + n, currency))
    late = row(len(found), date(2020, 5, 31), f"{CASH}cash_check", CREDITS, 5, "USD")
    event = [
        row(len(found) + 1, date(2020, 7, 9), CREDITS, RECEIVABLE, LARGEST, "JPY")._replace(
            n=n, kind=kind, document=f"payment:p-{n}", invoice=f"i-{n}"
        )
        for n, kind in enumerate(("allocation", "allocation", "undoing"))
    ]
    return [late, *found, *event]


OPENING: Balances = {
    ("JPY", RECEIVABLE): LARGEST * 100,
    ("JPY", UNBILLED): -LARGEST * 100,
    ("USD", f"{CASH}card"): 1_005,
    ("USD", f"{REVENUE}usage"): -1_005,
}


def outlined(rows: Sequence[Row]) -> Outline:
    """July with these entries after the opening, and August with none."""
    tally = Tally(OPENING)
    tally.add(rows)
    after = dict(sorted(tally.balances.items()))
    months = [Month(JULY, len(rows), after, ()), Month(AUGUST, 0, after, ())]
    return Outline("us", "an-opaque-position", 0, OPENING, months)


def exported(form: str, rows: Sequence[Row]) -> bytes:
    """The file of July and August."""
    outline = outlined(rows)
    writer = FORMS[form].writer(outline)
    first, second = outline.months
    parts = (
        writer.head(),
        *(writer.events(first, [one]) for one in rows[:5]),
        writer.events(first, rows[5:]),
        writer.balances(first),
        writer.balances(second),
        writer.tail(),
    )
    return b"".join(parts)
