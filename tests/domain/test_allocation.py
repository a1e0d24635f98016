"""The rule: the invoice named, then open ones by due date, then by order of issue."""

from ledger import commands as c
from ledger.events import InvoiceIssued
from ledger.parts import Allocation
from tests.examples import TODAY, Given, billed, charge, credit, day, dispute, opening, payment


def allocated(given: Given, asked: c.Command) -> list[tuple[str, int]]:
    """The invoices and amounts that the last event allocates."""
    return [(a.invoice, a.amount_minor) for a in given.ask(asked)[-1].allocations]


def test_money_goes_to_what_is_due_first() -> None:
    """However late it was issued."""
    given = Given(*billed(("N", 50, day(9, 1)), ("M", 50, day(8, 1))))
    assert [("M", 50), ("N", 10)] == allocated(given, payment("P", 60))


def test_of_two_due_on_one_day_the_first_issued_is_paid_first() -> None:
    """Whatever their numbers."""
    given = Given(*billed(("Z", 50, day(8, 1)), ("A", 50, day(8, 1))))
    assert [("Z", 50), ("A", 10)] == allocated(given, payment("P", 60))


def test_the_invoice_named_comes_before_any_other() -> None:
    """The rest goes by the rule for unnamed money."""
    given = Given(*billed(("N", 50, day(8, 1)), ("M", 30, day(9, 1)), ("L", 30, day(9, 2))))
    asked = payment("P", 90, invoice="M")
    assert [("M", 30), ("N", 50), ("L", 10)] == allocated(given, asked)


def test_unnamed_money_skips_what_is_disputed() -> None:
    """And stays unapplied rather than pay it."""
    given = Given(*billed(("N", 50, day(8, 1))), dispute("D", "N", 20))
    assert [("N", 30)] == allocated(given, payment("P", 50))
    assert given.book.account
    assert (20, 20) == (given.book.account.unapplied_minor, given.book.account.open_minor)


def test_named_money_pays_what_is_disputed() -> None:
    """The customer has changed his mind."""
    given = Given(*billed(("N", 50, day(8, 1))), dispute("D", "N"))
    assert [("N", 50)] == allocated(given, payment("P", 50, invoice="N"))


def test_a_credit_goes_by_the_same_rule() -> None:
    """Named for an invoice, or to what is due first."""
    given = Given(*billed(("N", 50, day(8, 1)), ("M", 30, day(9, 1))))
    assert [("M", 5)] == allocated(given, credit("R", 5, "invoice", invoice="M"))
    assert [("N", 50), ("M", 10)] == allocated(given, credit("S", 60, "account"))


def test_what_is_left_waits_for_the_next_invoice() -> None:
    """It is used at once, from the day of issue."""
    given = Given(opening(), payment("P", 80), charge("A", 50))
    (issued,) = given.ask(c.IssueInvoice(number="N", issued_on=TODAY))
    assert isinstance(issued, InvoiceIssued)
    assert (Allocation("payment:P", "N", 50, TODAY),) == issued.allocations
    assert given.book.account
    assert 30 == given.book.account.unapplied_minor


def test_an_allocation_counts_from_source_and_invoice() -> None:
    """A backdated payment pays an invoice from its issue, not before."""
    given = Given(*billed(("N", 50, day(8, 1))))
    _, processed = given.ask(payment("P", 50, effective_on=day(7, 1)))
    assert (Allocation("payment:P", "N", 50, TODAY),) == processed.allocations
    assert day(7, 1) == processed.effective_on
