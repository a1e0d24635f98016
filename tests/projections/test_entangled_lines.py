"""Lines that are freed, taken again, late, or reversed across invoices: right at every two clocks."""

from contextlib import closing
from datetime import date

import msgspec

from ledger import commands as c
from ledger.book import Book
from ledger.store.committer import Ledger
from projections.follower import Follower
from tests.projections.books import MadeUp, append
from tests.projections.listing import Lists, Past, lines_differ, past_of, told, unlike
from tests.projections.told_lines import Lines
from tests.store.databases import Database
from tests.store.scenario import opening

JANUARY = date(2020, 1, 1)


def entangled() -> list[c.Request]:
    """Lines taken, freed, taken again, late, and reversed on days before or after the invoices'."""

    def charge(id: str, on: date | None = None) -> c.PostCharge:
        made = c.PostCharge(
            charge_id=id, amount_minor=100, description=id, category="usage", effective_on=on
        )
        return msgspec.structs.replace(made, amount_minor=100 + 7 * ord(id[-1]))

    def credit(id: str, on: date | None = None) -> c.IssueCredit:
        return c.IssueCredit(
            credit_id=id, amount_minor=9, applies_to="next_invoice", reason=id, effective_on=on
        )

    january = [
        (5, opening(opened_on=JANUARY)),
        (5, charge("a")),
        (6, charge("b")),
        (6, credit("n")),
        (8, charge("z")),
        (8, credit("y")),
        (20, c.ReverseCharge(charge_id="z", effective_on=january_day(18))),
        (20, c.ReverseCredit(credit_id="y", effective_on=january_day(19))),
        (20, bill("I1", january_day(15))),
        (21, charge("late", january_day(10))),
        (22, c.CancelInvoice(number="I1", reason="wrong")),
        (24, c.ReverseCharge(charge_id="a", reason="twice")),
        (25, bill("I2", january_day(25))),
        (26, charge("later", january_day(20))),
        (26, credit("m", january_day(19))),
        (27, c.CancelInvoice(number="I2", reason="wrong again")),
        (28, charge("ahead", january_day(30))),
        (28, charge("gone", january_day(29))),
        (28, c.ReverseCharge(charge_id="gone", effective_on=january_day(29))),
        (28, bill("I3", january_day(28))),
        (29, c.CancelInvoice(number="I3", reason="and again")),
    ]
    return [
        c.Request(account_number="E-1", key=f"k{n}", command=x, actor="t", today=january_day(on))
        for n, (on, x) in enumerate(january)
    ]


def january_day(day: int) -> date:
    return JANUARY.replace(day=day)


def bill(number: str, on: date) -> c.IssueInvoice:
    return c.IssueInvoice(number=number, issued_on=on, period_end=on)


def test_entangled_lines_at_every_two_clocks(
    database: Database, ledger: Ledger, follower: Follower
) -> None:
    """Invoices cancelled and made again, late lines, and reversals that count from before or after
    what they overtook: right on every day, as known at every position."""
    asked = entangled()
    append(ledger, asked)
    follower.catch_up()
    book = Book()
    for request in asked:
        book.handle(request)
    past = past_of(database, MadeUp("E-1", asked, book))
    found: list[str] = []
    with closing(Lists(database)) as lists:
        for day in map(january_day, range(4, 32)):
            for position in past.positions:
                found += differences(lists, past, day, position)
    assert "" == "\n".join(found[:5])


def differences(lists: Lists, past: Past, day: date, position: int) -> list[str]:
    known, where = past.upto(position), f"on {day} at {position}"
    expected = told(past, day, known)
    found = []
    for name in ("charges", "unbilled_charges", "reversed_charges", "activity", "credits"):
        shown = lists.newest(name, past.id, day, position)
        found += unlike(f"{where}: {name}", expected[name], shown)
    for number in Lines(known).bills:
        found += lines_differ(lists, past, number, day, position)
    return found
