"""Payments: promised, received wholly or in part, failed, put right, moved."""

from datetime import timedelta

import msgspec
import pytest

from ledger import commands as c
from ledger.account import figures
from ledger.errors import (
    AllocationExceedsPayment,
    AmountNeeded,
    EffectiveBeforeCause,
    EffectiveInFuture,
    IdTaken,
    InvoiceNeeded,
    InvoiceNotOpen,
    ItemUnknown,
    NothingToPay,
    PaymentNotPending,
    PaymentNotProcessed,
    PaymentRefunded,
    ProcessedExceedsSubmitted,
)
from ledger.events import (
    PaymentFailed,
    PaymentProcessed,
    PaymentReallocated,
    PaymentSubmitted,
    PaymentUnprocessed,
)
from ledger.items import InvoiceItem
from ledger.parts import Allocation, Undoing
from tests.examples import TODAY, Given, billed, day, payment, refund, returned

PENDING = payment("P", 50, status="pending")


def owing() -> Given:
    """Two invoices: N of 100, due first, and M of 60."""
    return Given(*billed(("N", 100, day(8, 1)), ("M", 60, day(8, 9))))


def test_a_promised_payment_is_pending() -> None:
    """It changes nothing but what is pending."""
    given = owing()
    expected = PaymentSubmitted(
        effective_on=TODAY, payment_id="P", amount_minor=50, pay="amount", method="card"
    )
    assert [expected] == given.when(PENDING)
    assert given.book.account
    shown = figures(given.book.account, TODAY)
    assert (160, 50, 110) == (
        shown.total_amount_due_minor,
        shown.pending_payments_minor,
        shown.payable_now_minor,
    )


def test_a_processed_payment_counts_and_is_allocated() -> None:
    """Said by who may say so, it is submitted and processed at once."""
    happened = owing().when(payment("P", 50, reference="cheque 7"))
    assert [
        PaymentSubmitted(
            effective_on=TODAY,
            payment_id="P",
            amount_minor=50,
            pay="amount",
            method="card",
            reference="cheque 7",
        ),
        PaymentProcessed(
            effective_on=TODAY,
            payment_id="P",
            submitted_minor=50,
            amount_minor=50,
            method="card",
            allocations=(Allocation("payment:P", "N", 50, TODAY),),
        ),
    ] == happened


def test_pay_the_total_is_what_is_payable_now() -> None:
    """What is pending is not paid twice."""
    given = owing()
    given.ask(PENDING)
    (submitted,) = given.when(payment("Q", pay="total", status="pending"))
    assert 110 == submitted.amount_minor


def test_pay_an_invoice_is_what_is_open_of_it() -> None:
    """In full, and for that invoice."""
    given = owing()
    given.ask(payment("P", 10, invoice="M"))
    submitted, processed = given.when(payment("Q", pay="invoice", invoice="M"))
    assert 50 == submitted.amount_minor
    assert (Allocation("payment:Q", "M", 50, TODAY),) == processed.allocations


def test_an_invoice_is_not_paid_twice_while_a_payment_of_it_is_pending() -> None:
    """What is on its way to it by name is not offered again; other money is no matter."""
    given = owing()
    in_full = payment("P", pay="invoice", invoice="N", status="pending")
    given.ask(payment("O", 30, status="pending"))
    given.ask(payment("M", 60, invoice="M", status="pending"))
    (submitted,) = given.ask(in_full)
    assert isinstance(submitted, PaymentSubmitted)
    assert 100 == submitted.amount_minor
    again = msgspec.structs.replace(in_full, payment_id="Q")
    assert NothingToPay(what="invoice N") == given.when(again)


@pytest.mark.parametrize(
    ("ending", "left"),
    [
        ((c.FailPayment(payment_id="P", reason="no funds"),), 100),
        ((c.ProcessPayment(payment_id="P", amount_minor=30),), 70),
        ((c.ProcessPayment(payment_id="P"), c.UnprocessPayment(payment_id="P")), 60),
        ((c.ProcessPayment(payment_id="P"), returned("P")), 100),
    ],
)
def test_what_is_left_to_pay_of_an_invoice_follows_its_payments(
    ending: tuple[c.Command, ...], left: int
) -> None:
    """A payment that names it counts as long as it is pending, for what was submitted."""
    given = owing()
    given.ask(payment("P", 40, invoice="N", status="pending"))
    for asked in ending:
        given.ask(asked)
    (submitted, *_) = given.ask(payment("Q", pay="invoice", invoice="N"))
    assert isinstance(submitted, PaymentSubmitted)
    assert left == submitted.amount_minor


def test_more_may_be_promised_than_an_invoice_has_open() -> None:
    """An amount that the customer states is taken; in full, there is nothing left to pay."""
    given = owing()
    for n in range(3):
        given.ask(payment(f"P-{n}", 60, invoice="N", status="pending"))
    in_full = payment("Q", pay="invoice", invoice="N")
    assert NothingToPay(what="invoice N") == given.when(in_full)


def test_an_item_from_before_pending_amounts_were_kept_is_read() -> None:
    """Without the field nothing is pending of it, and a payment that ends takes nothing away."""
    given = owing()
    given.ask(payment("P", 40, invoice="N", status="pending"))
    stored = msgspec.json.decode(msgspec.json.encode(given.book.items["invoice", "N"]))
    del stored["pending_minor"]
    given.book.items["invoice", "N"] = msgspec.convert(stored, InvoiceItem, strict=False)
    given.ask(c.FailPayment(payment_id="P", reason="no funds"))
    (submitted, *_) = given.ask(payment("Q", pay="invoice", invoice="N"))
    assert isinstance(submitted, PaymentSubmitted)
    assert 100 == submitted.amount_minor


def test_there_must_be_something_to_pay() -> None:
    """Ahead, an amount is stated."""
    given = owing()
    given.ask(payment("P", pay="total"))
    assert isinstance(given.when(payment("Q", pay="total")), NothingToPay)
    assert isinstance(given.when(payment("Q", pay="invoice", invoice="N")), NothingToPay)
    assert 2 == len(given.ask(payment("Q", 5)))


def test_an_amount_is_stated_exactly_when_the_caller_chooses_it() -> None:
    """The other two are computed."""
    assert AmountNeeded() == owing().when(payment("P"))
    assert AmountNeeded() == owing().when(payment("P", 5, pay="total"))
    assert isinstance(owing().when(payment("P", pay="invoice")), InvoiceNeeded)


def test_a_payment_for_an_unknown_invoice_is_refused() -> None:
    """Before anything is promised."""
    assert ItemUnknown(kind="invoice", id="X") == owing().when(payment("P", 5, invoice="X"))


def test_a_payment_id_is_used_once() -> None:
    """Also after it failed."""
    given = owing()
    given.ask(PENDING)
    given.ask(c.FailPayment(payment_id="P", reason="no funds"))
    assert IdTaken(kind="payment", id="P") == given.when(PENDING)


def test_a_payment_is_not_received_in_the_future() -> None:
    """A promised payment stays pending."""
    tomorrow = TODAY + timedelta(days=1)
    refused = owing().when(payment("P", 5, effective_on=tomorrow))
    assert EffectiveInFuture(effective_on=tomorrow, today=TODAY) == refused


def test_a_part_is_received_and_the_rest_fails() -> None:
    """Nothing of it stays pending."""
    given = owing()
    given.ask(PENDING)
    expected = PaymentProcessed(
        effective_on=TODAY,
        payment_id="P",
        submitted_minor=50,
        amount_minor=30,
        method="card",
        allocations=(Allocation("payment:P", "N", 30, TODAY),),
    )
    assert [expected] == given.when(c.ProcessPayment(payment_id="P", amount_minor=30))
    assert given.book.account
    assert 0 == figures(given.book.account, TODAY).pending_payments_minor


def test_more_than_was_submitted_is_not_received() -> None:
    """That would be another payment."""
    given = owing()
    given.ask(PENDING)
    refused = given.when(c.ProcessPayment(payment_id="P", amount_minor=51))
    assert ProcessedExceedsSubmitted(payment_id="P", submitted_minor=50, amount_minor=51) == refused


def test_a_payment_is_not_received_before_it_was_submitted() -> None:
    """An event may not precede what it acts on."""
    given = owing()
    given.ask(PENDING)
    refused = given.when(c.ProcessPayment(payment_id="P", effective_on=TODAY - timedelta(days=1)))
    assert isinstance(refused, EffectiveBeforeCause)


def test_a_failed_payment_no_longer_waits() -> None:
    """Its event says what is no longer pending."""
    given = owing()
    given.ask(PENDING)
    expected = PaymentFailed(
        effective_on=TODAY, payment_id="P", submitted_minor=50, reason="no funds"
    )
    assert [expected] == given.when(c.FailPayment(payment_id="P", reason="no funds"))


@pytest.mark.parametrize(
    "asked", [c.ProcessPayment(payment_id="P"), c.FailPayment(payment_id="P", reason="no")], ids=str
)
def test_only_a_pending_payment_is_received_or_fails(asked: c.Command) -> None:
    """Once processed it is returned or unprocessed instead."""
    given = owing()
    given.ask(payment("P", 50))
    assert PaymentNotPending(payment_id="P", status="processed") == given.when(asked)


def test_a_booking_in_error_makes_a_payment_pending_again() -> None:
    """Its money leaves the invoices, and the whole submission waits again."""
    given = owing()
    given.ask(PENDING)
    given.ask(c.ProcessPayment(payment_id="P", amount_minor=30))
    expected = PaymentUnprocessed(
        effective_on=TODAY,
        payment_id="P",
        submitted_minor=50,
        amount_minor=30,
        method="card",
        undone=(Undoing("7.0", "payment:P", "N", 30, TODAY),),
    )
    assert [expected] == given.when(c.UnprocessPayment(payment_id="P"))
    assert 1 == len(given.ask(c.ProcessPayment(payment_id="P")))


def test_a_returned_or_refunded_payment_is_not_unprocessed() -> None:
    """That is undone first."""
    for undoing in (returned("P", 5), refund("R", 5, payment_id="P")):
        given = owing()
        given.ask(payment("P", 50))
        given.ask(undoing)
        assert PaymentRefunded(payment_id="P") == given.when(c.UnprocessPayment(payment_id="P"))


def test_a_payment_moves_to_the_invoices_named_and_the_rest_by_the_rule() -> None:
    """All it paid is undone first."""
    given = owing()
    given.ask(payment("P", 50))
    expected = PaymentReallocated(
        effective_on=TODAY,
        payment_id="P",
        undone=(Undoing("7.0", "payment:P", "N", 50, TODAY),),
        allocations=(
            Allocation("payment:P", "M", 20, TODAY),
            Allocation("payment:P", "N", 30, TODAY),
        ),
    )
    targets = (c.Target("M", 20),)
    assert [expected] == given.when(c.ReallocatePayment(payment_id="P", targets=targets))


def test_a_target_must_fit_what_is_open() -> None:
    """An allocation never exceeds its invoice."""
    given = owing()
    given.ask(payment("P", 100))
    refused = given.when(c.ReallocatePayment(payment_id="P", targets=(c.Target("M", 61),)))
    assert InvoiceNotOpen(invoice="M", open_minor=60, amount_minor=61) == refused


def test_targets_must_fit_the_payment() -> None:
    """An allocation never exceeds its source."""
    given = owing()
    given.ask(payment("P", 50))
    refused = given.when(c.ReallocatePayment(payment_id="P", targets=(c.Target("M", 51),)))
    assert AllocationExceedsPayment(payment_id="P", left_minor=50, amount_minor=51) == refused


def test_only_processed_money_moves() -> None:
    """A promise pays nothing yet."""
    given = owing()
    given.ask(PENDING)
    refused = given.when(c.ReallocatePayment(payment_id="P"))
    assert PaymentNotProcessed(payment_id="P", status="pending") == refused
