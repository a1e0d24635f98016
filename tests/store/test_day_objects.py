"""Day totals stored as objects, by older releases: they count like any other, and turn into arrays."""

from datetime import date

import msgspec
import pytest

from ledger import commands as c
from ledger.events import InvoiceIssued
from ledger.items import DayLines, NamedTotal, UnbilledItem
from ledger.parts import CategoryTotal
from ledger.store.append import decode_item, encode
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted
from tests.store.databases import Database
from tests.store.scenario import charge, opening, requests

BEFORE = b"""{"id":"2020-07-31","seq":2,"days":[
    {"on":"2020-07-01","lines":{"count":3,"charges_minor":700,"credits_minor":20,"tax_minor":56,
        "categories":[{"category":"fees","amount_minor":200},{"category":"usage","amount_minor":500}],
        "taxes":[{"name":"VAT","amount_minor":56}]}},
    {"on":"2020-07-09","lines":{"count":1,"charges_minor":5,"credits_minor":0,"tax_minor":0,
        "categories":[{"category":"usage","amount_minor":5}]}}]}"""


def test_day_totals_of_before_are_read() -> None:
    """Objects become the same totals as arrays; other items and malformed ones are still refused."""
    month = decode_item("unbilled", BEFORE)
    assert isinstance(month, UnbilledItem)
    assert (
        DayLines(
            date(2020, 7, 1), 3, 700, 20, 56,
            (NamedTotal("fees", 200), NamedTotal("usage", 500)), (NamedTotal("VAT", 56),),
        ),
        DayLines(date(2020, 7, 9), 1, 5, 0, 0, (NamedTotal("usage", 5),)),
    ) == month.days  # fmt: skip  # a day as it is stored
    assert month == decode_item("unbilled", encode(month))
    assert UnbilledItem(id="2020-08-31", seq=4) == decode_item(
        "unbilled", b'{"id":"2020-08-31","seq":4}'
    )
    for kind, state in (
        ("unbilled", b'{"id":"2020-07-31","seq":2,"days":[7]}'),
        ("charge", BEFORE),
    ):
        with pytest.raises(msgspec.ValidationError):
            decode_item(kind, state)


def test_an_account_goes_on_from_day_totals_of_before(ledger: Ledger, database: Database) -> None:
    """A charge adds to what an older release stored, or still stores beside this one, and an
    invoice takes all of it."""
    commands = [opening(), charge("c1"), charge("c2", 500), c.IssueInvoice(number="I1")]
    *first, second, bill = requests("A-1", commands)
    ledger.handle_now(first)
    state = (
        '{"id":"2020-07-31","seq":2,"days":[{"on":"2020-07-15","lines":{"count":1,"charges_minor":1000,'
        '"credits_minor":0,"tax_minor":0,"categories":[{"category":"usage","amount_minor":1000}]}}]}'
    )
    database.run(f"UPDATE ledger.item SET state = '{state}' WHERE kind = 'unbilled'")
    billed = ledger.handle_now([second, bill])[1]
    assert isinstance(billed, Accepted)
    [issued] = (recorded.event for recorded in billed.events)
    assert isinstance(issued, InvoiceIssued)
    assert (2, 1_500) == (issued.lines.count, issued.total_minor)
    assert (CategoryTotal("usage", 1_500),) == issued.lines.categories
    assert () == issued.lines.taxes
