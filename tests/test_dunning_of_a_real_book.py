"""A real book of receivables: the interest it would have borne, against the file's own dates."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import msgspec
import pytest

from ledger.dunning import assess, mark
from ledger.dunning_facts import facts_of
from ledger.dunning_policy import Interest, Percent, Policy
from ledger.events import Event
from ledger.money import minor_units
from tests import truth
from tests.test_truth import TODAY, imported

POLICY = Policy(
    currency="USD", since=date(2012, 1, 1), interest=Interest(annual=Percent(9_000_000))
)
QUARTERS = [date(year, month, 28) for year in (2012, 2013) for month in (3, 6, 9, 12)]
pytestmark = pytest.mark.needs("TEST_DATA")


def day(text: str) -> date:
    """The day of a text like 7/16/2012."""
    month, day_of_month, year = map(int, text.split("/"))
    return date(year, month, day_of_month)


def expected() -> dict[str, int]:
    """Invoices and their interest, from the rows of the file: 9 % a year from the day after the due
    day to the day before it was settled, half a cent up; none of those that were disputed."""
    found = {}
    with truth.receivables().open(newline="") as file:
        for row in csv.DictReader(file):
            due, settled = day(row["DueDate"]), day(row["SettledDate"])
            days = 0 if row["Disputed"] == "Yes" else max((settled - due).days - 1, 0)
            cents = minor_units(row["InvoiceAmount"], "USD")
            interest = (2 * cents * days * 9 + 36_500) // 73_000
            if interest:
                found[row["invoiceNumber"]] = interest
    return found


def charged(events: Sequence[Event], days: Sequence[date]) -> dict[str, int]:
    """The interest that runs on these days charge, by invoice."""
    through: dict[str, date] = {}
    found: dict[str, int] = defaultdict(int)
    for on in days:
        facts = msgspec.structs.replace(facts_of(events, on), charged_through=dict(through))
        for one in assess(facts, POLICY, on, "the biller").assessments:
            assert one.invoice is not None
            found[one.invoice] += one.amount_minor
            through[mark(one.invoice)] = on
    return found


@pytest.mark.parametrize("days", [[TODAY], [*QUARTERS, TODAY]], ids=["once", "quarterly"])
def test_every_invoice_bears_what_the_file_says(days: list[date]) -> None:
    """Of 2,466 invoices, whether the book is looked at once or every quarter."""
    found: dict[str, int] = {}
    for book in imported().of.values():
        found |= charged(book.events, days)
    assert expected() == found
    assert 445 == len(found)
