"""Returns, which are never refused, and reinstatements."""

from datetime import timedelta

from ledger import commands as c
from ledger.errors import (
    EffectiveBeforeCause,
    NumberReserved,
    PaymentNotProcessed,
    PaymentNotReturned,
    ReturnExceedsProcessed,
)
from ledger.events import PaymentReinstated, PaymentReturned
from ledger.items import InvoiceItem
from ledger.parts import Allocation, DebitItem, Undoing
from tests.examples import (
    TODAY,
    Given,
    billed,
    charge,
    credit,
    day,
    invoice,
    opening,
    payment,
    refund,
    returned,
)

REINSTATE = c.ReinstatePayment(payment_id="P")


def paid(amount_minor: int) -> Given:
    """Invoices N of 100 and M of 60, and a payment P."""
    invoices = billed(("N", 100, day(8, 1)), ("M", 60, day(8, 9)))
    return Given(*invoices, payment("P", amount_minor))


def balance(given: Given) -> int:
    assert given.book.account
    return given.book.account.balance_minor


def test_a_return_takes_the_unapplied_rest_first() -> None:
    """No invoice reopens for it."""
    expected = PaymentReturned(
        effective_on=TODAY, payment_id="P", amount_minor=40, method="card", reason="NSF"
    )
    assert [expected] == paid(200).when(returned("P", 40))


def test_a_return_then_takes_the_latest_allocations() -> None:
    """Those invoices are open again."""
    expected = PaymentReturned(
        effective_on=TODAY,
        payment_id="P",
        amount_minor=160,
        method="card",
        reason="NSF",
        undone=(
            Undoing("7.1", "payment:P", "M", 60, TODAY),
            Undoing("7.0", "payment:P", "N", 60, TODAY),
        ),
    )
    assert [expected] == paid(200).when(returned("P", 160))


def test_all_that_was_processed_is_returned_unless_said_otherwise() -> None:
    """And the debt is what it was before."""
    given = paid(150)
    given.ask(returned("P"))
    assert 160 == balance(given)


def test_what_was_refunded_already_becomes_a_debit_item() -> None:
    """Due at once, open and payable like an invoice."""
    given = paid(200)
    given.ask(refund("R", 40))
    (event,) = given.when(returned("P"))
    assert DebitItem("A-1-D1", 40) == event.debit
    item = given.book.items["invoice", "A-1-D1"]
    assert isinstance(item, InvoiceItem)
    assert (40, TODAY, TODAY) == (item.open_minor, item.issued_on, item.due_on)
    assert 200 == balance(given)


def test_no_invoice_takes_the_number_of_a_debit_item() -> None:
    """Or a return, which is never refused, would find its number taken."""
    given = Given(opening(), charge("C", 100))
    refused = given.when(invoice("A-1-D1", TODAY))
    assert isinstance(refused, NumberReserved)
    for number in ("A-1-D", "A-1-DX", "A-2-D1"):
        given.ask(charge(f"for-{number}", 1))
        assert isinstance(given.when(invoice(number, TODAY)), list), number


def test_a_reopened_invoice_takes_unapplied_credit_at_once() -> None:
    """Credit never waits beside an open amount."""
    given = paid(160)
    given.ask(credit("R", 30, "account"))
    (event,) = given.when(returned("P"))
    assert (Allocation("credit:R", "N", 30, TODAY),) == event.allocations


def test_no_more_than_was_processed_is_returned() -> None:
    """In all returns together."""
    given = paid(50)
    given.ask(returned("P", 20))
    refused = given.when(returned("P", 31))
    assert ReturnExceedsProcessed(payment_id="P", left_minor=30, amount_minor=31) == refused


def test_a_pending_payment_is_not_returned() -> None:
    """It fails instead."""
    given = Given(*billed(("N", 1, TODAY)), payment("P", 5, status="pending"))
    assert PaymentNotProcessed(payment_id="P", status="pending") == given.when(returned("P"))


def test_a_return_does_not_precede_the_payment() -> None:
    """An event may not precede what it acts on."""
    refused = paid(50).when(returned("P", effective_on=TODAY - timedelta(days=1)))
    assert isinstance(refused, EffectiveBeforeCause)


def test_a_reinstatement_applies_afresh_to_the_same_invoices() -> None:
    """Not to the one that is due first."""
    given = Given(
        *billed(("N", 100, day(8, 1)), ("M", 60, day(8, 9))), payment("P", 60, invoice="M")
    )
    given.ask(returned("P"))
    expected = PaymentReinstated(
        effective_on=TODAY,
        payment_id="P",
        amount_minor=60,
        method="card",
        allocations=(Allocation("payment:P", "M", 60, TODAY),),
    )
    assert [expected] == given.when(REINSTATE)


def test_a_reinstatement_closes_its_debit_item_first() -> None:
    """Then the invoices that were reopened."""
    given = paid(160)
    given.ask(refund("R", 40))
    given.ask(returned("P"))
    (event,) = given.when(REINSTATE)
    assert ("A-1-D1", 40) == (event.allocations[0].invoice, event.allocations[0].amount_minor)
    assert 160 == sum(allocation.amount_minor for allocation in event.allocations)
    assert 40 == balance(given)


def test_only_what_was_returned_is_reinstated() -> None:
    """Once."""
    given = paid(50)
    assert PaymentNotReturned(payment_id="P") == given.when(REINSTATE)
    given.ask(returned("P"))
    given.ask(REINSTATE)
    assert PaymentNotReturned(payment_id="P") == given.when(REINSTATE)


def test_a_payment_can_be_returned_again_after_its_reinstatement() -> None:
    """All of it."""
    given = paid(50)
    given.ask(returned("P"))
    given.ask(REINSTATE)
    (event,) = given.when(returned("P"))
    assert 50 == event.amount_minor
