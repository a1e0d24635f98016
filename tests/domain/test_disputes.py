"""Disputes: what they flag, and what becomes of it."""

from ledger import commands as c
from ledger.errors import (
    AmountNotApplicable,
    DisputeExceeded,
    DisputeNotOpen,
    NothingToDispute,
)
from ledger.events import CreditIssued, DisputeOpened, DisputeResolved
from ledger.parts import Allocation, Tax
from tests.examples import TODAY, Given, billed, charge, day, dispute, invoice, opening, payment

REJECT = c.ResolveDispute(dispute_id="D", outcome="rejected")
UPHOLD = c.ResolveDispute(dispute_id="D", outcome="upheld")


def owing(*asked: c.Command) -> Given:
    return Given(*billed(("N", 100, day(8, 1))), *asked)


def test_a_dispute_flags_what_is_open() -> None:
    """All of it unless an amount is said; the balance stays."""
    given = owing(payment("P", 30))
    expected = DisputeOpened(
        effective_on=TODAY, dispute_id="D", invoice="N", amount_minor=70, reason="not mine"
    )
    assert [expected] == given.when(dispute("D", "N"))
    assert given.book.account
    assert (70, 70) == (given.book.account.balance_minor, given.book.account.disputed_minor)


def test_a_dispute_of_more_flags_what_is_open() -> None:
    """It is not refused."""
    (event,) = owing().when(dispute("D", "N", 500))
    assert 100 == event.amount_minor


def test_what_is_disputed_already_is_not_disputed_again() -> None:
    """A second dispute flags the rest, a third nothing."""
    given = owing(dispute("D", "N", 60))
    (second,) = given.when(dispute("E", "N"))
    assert 40 == second.amount_minor
    assert NothingToDispute(invoice="N") == given.when(dispute("F", "N"))


def test_a_rejected_dispute_is_due_again() -> None:
    """Unapplied money pays it at once; the due date is the old one."""
    given = owing(dispute("D", "N"), payment("P", 30))
    expected = DisputeResolved(
        effective_on=TODAY,
        dispute_id="D",
        invoice="N",
        amount_minor=100,
        outcome="rejected",
        allocations=(Allocation("payment:P", "N", 30, TODAY),),
    )
    assert [expected] == given.when(REJECT)
    assert given.book.account
    assert day(8, 1) == given.book.account.due_on


def test_an_upheld_dispute_is_a_credit_note() -> None:
    """Of the invoice, under the dispute's id."""
    credit_note = CreditIssued(
        effective_on=TODAY,
        credit_id="D",
        amount_minor=60,
        applies_to="invoice",
        invoice="N",
        dispute_id="D",
        reason="dispute upheld",
        allocations=(Allocation("credit:D", "N", 60, TODAY),),
    )
    resolved = DisputeResolved(
        effective_on=TODAY,
        dispute_id="D",
        invoice="N",
        amount_minor=60,
        outcome="upheld",
        credit_id="D",
    )
    assert [credit_note, resolved] == owing(dispute("D", "N", 60)).when(UPHOLD)


def test_an_upheld_part_leaves_the_rest_due() -> None:
    """Nothing stays flagged."""
    given = owing(dispute("D", "N", 60))
    partly = c.ResolveDispute(dispute_id="D", outcome="upheld", amount_minor=25)
    credit_note, _ = given.when(partly)
    assert 25 == credit_note.amount_minor
    assert given.book.account
    assert (75, 0) == (given.book.account.balance_minor, given.book.account.disputed_minor)


def test_a_credit_note_of_a_dispute_holds_its_share_of_tax() -> None:
    """A quarter of an invoice with a tax of 10: 2.5, half away from zero."""
    given = Given(
        opening(),
        charge("C", 90, taxes=(Tax("VAT", "0.11", 6), Tax("city", "0.05", 4))),
        invoice("N", TODAY),
        dispute("D", "N", 25),
    )
    credit_note, _ = given.when(UPHOLD)
    assert 22 == credit_note.amount_minor
    assert (Tax("VAT", "", 2), Tax("city", "", 1)) == credit_note.taxes


def test_no_more_than_is_disputed_is_upheld() -> None:
    """More is a credit of its own."""
    asked = c.ResolveDispute(dispute_id="D", outcome="upheld", amount_minor=61)
    refused = owing(dispute("D", "N", 60)).when(asked)
    assert DisputeExceeded(dispute_id="D", flagged_minor=60, amount_minor=61) == refused


def test_a_rejected_dispute_has_no_amount() -> None:
    """All of it is rejected."""
    asked = c.ResolveDispute(dispute_id="D", outcome="rejected", amount_minor=1)
    assert AmountNotApplicable() == owing(dispute("D", "N")).when(asked)


def test_a_dispute_is_resolved_once() -> None:
    """Its outcome stands."""
    assert DisputeNotOpen(dispute_id="D") == owing(dispute("D", "N"), REJECT).when(UPHOLD)
