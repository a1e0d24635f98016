"""Refunds: unapplied credit, then processed payments, never more and never credits."""

from datetime import timedelta

from ledger import commands as c
from ledger.errors import (
    AlreadyReversed,
    CreditAlreadyRefunded,
    EffectiveBeforeCause,
    IdTaken,
    ItemUnknown,
    RefundExceedsPaid,
)
from ledger.events import RefundIssued, RefundReversed
from ledger.parts import Allocation, Draw, Undoing
from tests.examples import TODAY, Given, billed, credit, day, opening, payment, refund


def balance(given: Given) -> int:
    assert given.book.account
    return given.book.account.balance_minor


def test_a_refund_uses_unapplied_credit_oldest_first() -> None:
    """Money and credits alike."""
    given = Given(opening(), credit("R", 30, "account"), payment("P", 50))
    expected = RefundIssued(
        effective_on=TODAY,
        refund_id="F",
        amount_minor=60,
        method="card",
        reason="overpaid",
        drawn=(Draw("credit:R", 30), Draw("payment:P", 30)),
    )
    assert [expected] == given.when(refund("F", 60))


def test_a_refund_then_takes_the_latest_payments_off_their_invoices() -> None:
    """Those invoices are open again."""
    given = Given(*billed(("N", 100, TODAY)), payment("P", 40), payment("Q", 70))
    expected = RefundIssued(
        effective_on=TODAY,
        refund_id="F",
        amount_minor=80,
        method="card",
        reason="overpaid",
        undone=(
            Undoing("7.0", "payment:Q", "N", 60, TODAY),
            Undoing("5.0", "payment:P", "N", 10, TODAY),
        ),
        drawn=(Draw("payment:Q", 70), Draw("payment:P", 10)),
    )
    (event,) = given.when(refund("F", 80))
    assert expected == event


def test_a_refund_of_a_payment_named_reopens_only_what_that_one_paid() -> None:
    """Its own unapplied rest comes first."""
    given = Given(*billed(("N", 100, TODAY)), payment("P", 40), payment("Q", 60))
    (event,) = given.when(refund("F", 25, payment_id="P"))
    assert (Undoing("5.0", "payment:P", "N", 25, TODAY),) == event.undone
    assert (Draw("payment:P", 25),) == event.drawn


def test_no_more_than_was_paid_is_refunded() -> None:
    """Allocated credits are no money."""
    given = Given(*billed(("N", 100, TODAY)), credit("R", 60, "account"), payment("P", 40))
    assert RefundExceedsPaid(left_minor=40, amount_minor=41) == given.when(refund("F", 41))


def test_a_refund_plus_a_credit_of_the_amount_leaves_the_debt() -> None:
    """A goodwill refund."""
    given = Given(*billed(("N", 100, TODAY)), payment("P", 40))
    before = balance(given)
    given.ask(refund("F", 25))
    given.ask(credit("R", 25, "account"))
    assert before == balance(given)


def test_a_refund_id_is_used_once() -> None:
    """Money would leave twice."""
    given = Given(opening(), payment("P", 50), refund("F", 5))
    assert IdTaken(kind="refund", id="F") == given.when(refund("F", 5))


def test_a_refund_of_an_unknown_payment_is_refused() -> None:
    """Whatever else there is to give back."""
    given = Given(opening(), payment("P", 50))
    refused = given.when(refund("F", 5, payment_id="X"))
    assert ItemUnknown(kind="payment", id="X") == refused


def test_a_refund_does_not_precede_its_money() -> None:
    """As of that day there was nothing to give back."""
    given = Given(opening(), payment("P", 50))
    refused = given.when(refund("F", 5, effective_on=TODAY - timedelta(days=1)))
    assert isinstance(refused, EffectiveBeforeCause)


def test_a_refunded_credit_is_not_reversed() -> None:
    """The refund is reversed first."""
    given = Given(opening(), credit("R", 30, "account"), refund("F", 10))
    refused = given.when(c.ReverseCredit(credit_id="R"))
    assert isinstance(refused, CreditAlreadyRefunded)
    assert 10 == refused.refunded_minor


def test_a_bounced_refund_goes_back_to_the_invoices_it_reopened() -> None:
    """Not to one that is due before."""
    given = Given(
        *billed(("N", 100, day(8, 1)), ("M", 60, day(8, 9))), payment("P", 60, invoice="M")
    )
    given.ask(refund("F", 60))
    expected = RefundReversed(
        effective_on=TODAY,
        refund_id="F",
        amount_minor=60,
        method="card",
        reason="bounced",
        drawn=(Draw("payment:P", 60),),
        allocations=(Allocation("payment:P", "M", 60, TODAY),),
    )
    assert [expected] == given.when(c.ReverseRefund(refund_id="F", reason="bounced"))


def test_a_refund_is_reversed_once() -> None:
    """The money came back once."""
    reversal = c.ReverseRefund(refund_id="F")
    given = Given(opening(), payment("P", 50), refund("F", 5), reversal)
    assert AlreadyReversed(kind="refund", id="F") == given.when(reversal)
