"""Payments: money on its way, received, or not; only what was processed counts."""

from collections.abc import Iterator
from datetime import date

import msgspec

from ledger.account import Account, figures
from ledger.allocation import needs_after_reopening, needs_for_money, taken_back
from ledger.commands import (
    FailPayment,
    ProcessPayment,
    ReallocatePayment,
    SubmitPayment,
    UnprocessPayment,
)
from ledger.deciding import Deciding
from ledger.errors import (
    AllocationExceedsPayment,
    AmountNeeded,
    InvoiceIsCancelled,
    InvoiceNeeded,
    InvoiceNotOpen,
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
from ledger.fold import Fold
from ledger.items import AllocationItem, InvoiceItem, PaymentItem
from ledger.needs import AllocationsOf, Known, Named, Query


def needs_submit(
    account: Account, known: Known, command: SubmitPayment, today: date
) -> Iterator[Query]:
    yield Named("payment", command.payment_id)
    if command.invoice is not None:
        yield Named("invoice", command.invoice)
    if command.status == "processed":
        amount_minor = command.amount_minor or account.open_minor
        invoice = known.items.get(("invoice", command.invoice or ""))
        if command.pay == "invoice" and isinstance(invoice, InvoiceItem):
            amount_minor = invoice.payable_minor
        source = f"payment:{command.payment_id}"
        targets = [(source, command.invoice, amount_minor)] if command.invoice else []
        yield from needs_for_money(account, known, {source: amount_minor}, targets)


def decide_submit(deciding: Deciding, command: SubmitPayment) -> None:
    deciding.refuse_taken(PaymentItem, command.payment_id)
    amount_minor = _amount_to_pay(deciding, command)
    if command.invoice is not None:
        invoice = deciding.item(InvoiceItem, command.invoice)
        if invoice.cancelled:
            raise InvoiceIsCancelled(invoice=invoice.id)
    deciding.record(
        PaymentSubmitted(
            effective_on=deciding.effective(command.effective_on),
            payment_id=command.payment_id,
            amount_minor=amount_minor,
            pay=command.pay,
            invoice=command.invoice,
            method=command.method,
            reference=command.reference,
        )
    )
    if command.status == "processed":
        process = ProcessPayment(payment_id=command.payment_id, effective_on=command.effective_on)
        decide_process(deciding, process)


def _amount_to_pay(deciding: Deciding, command: SubmitPayment) -> int:
    if (command.pay == "amount") != (command.amount_minor is not None):
        raise AmountNeeded()
    if command.pay == "invoice" and command.invoice is None:
        raise InvoiceNeeded(what="payment")
    if command.pay == "total" and command.invoice is not None:
        raise InvoiceNeeded(what="payment")
    if command.amount_minor is not None:
        return command.amount_minor
    if command.invoice is not None:
        invoice = deciding.item(InvoiceItem, command.invoice)
        if invoice.cancelled:
            raise InvoiceIsCancelled(invoice=invoice.id)
        if not invoice.payable_minor:
            raise NothingToPay(what=f"invoice {invoice.id}")
        return invoice.payable_minor
    payable = figures(deciding.account, deciding.today).payable_now_minor
    if not payable:
        raise NothingToPay(what=f"account {deciding.account.account_number}")
    return payable


def evolve_submitted(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, PaymentSubmitted)
    fold.put(
        PaymentItem(
            id=event.payment_id,
            seq=fold.version,
            status="pending",
            submitted_minor=event.amount_minor,
            pending_from=event.effective_on,
            pay=event.pay,
            invoice=event.invoice,
            method=event.method,
        )
    )
    _move_pending(fold, event.invoice, event.amount_minor)


def _move_pending(fold: Fold, invoice: str | None, amount_minor: int) -> None:
    """Moves what is pending of the account, and of the invoice that the payment names.

    An item written before invoices had such a total may lack a payment that ends now.
    """
    fold.move("pending_minor", amount_minor)
    if invoice is not None:
        item = fold.invoice(invoice)
        pending_minor = max(item.pending_minor + amount_minor, 0)
        fold.put(msgspec.structs.replace(item, pending_minor=pending_minor))


def needs_process(
    account: Account, known: Known, command: ProcessPayment, today: date
) -> Iterator[Query]:
    yield Named("payment", command.payment_id)
    payment = known.items.get(("payment", command.payment_id))
    if isinstance(payment, PaymentItem):
        amount_minor = command.amount_minor or payment.submitted_minor
        targets = [(payment.source, payment.invoice, amount_minor)] if payment.invoice else []
        yield from needs_for_money(account, known, {payment.source: amount_minor}, targets)


def decide_process(deciding: Deciding, command: ProcessPayment) -> None:
    payment = _pending(deciding, command.payment_id)
    amount_minor = command.amount_minor or payment.submitted_minor
    if amount_minor > payment.submitted_minor:
        raise ProcessedExceedsSubmitted(
            payment_id=payment.id,
            submitted_minor=payment.submitted_minor,
            amount_minor=amount_minor,
        )
    pending = ("the payment", payment.pending_from)
    targets = [(payment.source, payment.invoice, amount_minor)] if payment.invoice else []
    deciding.record_settled(
        PaymentProcessed(
            effective_on=deciding.effective(command.effective_on, pending),
            payment_id=payment.id,
            submitted_minor=payment.submitted_minor,
            amount_minor=amount_minor,
            method=payment.method,
            reference=command.reference,
        ),
        targets=targets,
        recover=payment.source,
    )


def _pending(deciding: Deciding, payment_id: str) -> PaymentItem:
    payment = deciding.item(PaymentItem, payment_id)
    if payment.status != "pending":
        raise PaymentNotPending(payment_id=payment.id, status=payment.shown_status)
    return payment


def evolve_processed(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, PaymentProcessed)
    payment = fold.payment(event.payment_id)
    fold.put(
        msgspec.structs.replace(
            payment,
            seq=fold.version,
            status="processed",
            processed_on=event.effective_on,
            processed_minor=event.amount_minor,
            unapplied_minor=event.amount_minor,
        )
    )
    _move_pending(fold, payment.invoice, -event.submitted_minor)
    fold.move("processed_minor", event.amount_minor)


def needs_fail(
    account: Account, known: Known, command: FailPayment, today: date
) -> Iterator[Query]:
    yield Named("payment", command.payment_id)
    payment = known.items.get(("payment", command.payment_id))
    if isinstance(payment, PaymentItem) and payment.invoice:
        yield Named("invoice", payment.invoice)


def decide_fail(deciding: Deciding, command: FailPayment) -> None:
    payment = _pending(deciding, command.payment_id)
    pending = ("the payment", payment.pending_from)
    deciding.record(
        PaymentFailed(
            effective_on=deciding.effective(command.effective_on, pending),
            payment_id=payment.id,
            submitted_minor=payment.submitted_minor,
            reason=command.reason,
        )
    )


def evolve_failed(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, PaymentFailed)
    payment = fold.payment(event.payment_id)
    fold.put(msgspec.structs.replace(payment, status="failed"))
    _move_pending(fold, payment.invoice, -event.submitted_minor)


def needs_unprocess(
    account: Account, known: Known, command: UnprocessPayment, today: date
) -> Iterator[Query]:
    yield Named("payment", command.payment_id)
    payment = known.items.get(("payment", command.payment_id))
    if isinstance(payment, PaymentItem):
        yield AllocationsOf(payment.source, payment.allocated_minor)
        allocations = (i for i in known.items.values() if isinstance(i, AllocationItem))
        reopened = {a.invoice for a in allocations} | (
            {payment.invoice} if payment.invoice else set()
        )
        moved_minor = payment.allocated_minor + payment.unapplied_minor
        yield from needs_after_reopening(account, known, reopened, moved_minor)


def decide_unprocess(deciding: Deciding, command: UnprocessPayment) -> None:
    payment = processed_payment(deciding, command.payment_id)
    held_minor = payment.unapplied_minor + payment.allocated_minor
    if payment.returned_minor or payment.refunded_minor or held_minor != payment.processed_minor:
        raise PaymentRefunded(payment_id=payment.id)
    on = deciding.effective(command.effective_on, ("the payment's money", payment.available_on))
    deciding.record_settled(
        PaymentUnprocessed(
            effective_on=on,
            payment_id=payment.id,
            submitted_minor=payment.submitted_minor,
            amount_minor=payment.processed_minor,
            method=payment.method,
            undone=taken_back(own_allocations(deciding, payment), payment.allocated_minor, on),
        )
    )


def evolve_unprocessed(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, PaymentUnprocessed)
    for undoing in event.undone:
        fold.undo(undoing)
    payment = fold.payment(event.payment_id)
    fold.put(
        msgspec.structs.replace(
            payment,
            status="pending",
            pending_from=event.effective_on,
            processed_on=None,
            processed_minor=0,
            unapplied_minor=payment.unapplied_minor - event.amount_minor,
            freed_on=None,
        )
    )
    _move_pending(fold, payment.invoice, event.submitted_minor)
    fold.move("processed_minor", -event.amount_minor)


def needs_reallocate(
    account: Account, known: Known, command: ReallocatePayment, today: date
) -> Iterator[Query]:
    yield Named("payment", command.payment_id)
    payment = known.items.get(("payment", command.payment_id))
    if not isinstance(payment, PaymentItem):
        return
    yield AllocationsOf(payment.source, payment.allocated_minor)
    allocations = (i for i in known.items.values() if isinstance(i, AllocationItem))
    reopened = {a.invoice for a in allocations} | {t.invoice for t in command.targets}
    money_minor = payment.allocated_minor + payment.unapplied_minor
    yield from needs_after_reopening(account, known, reopened, money_minor)


def decide_reallocate(deciding: Deciding, command: ReallocatePayment) -> None:
    """What is not named goes to open amounts and then stays unapplied: only names recover."""
    payment = processed_payment(deciding, command.payment_id)
    left_minor = payment.unapplied_minor + payment.allocated_minor
    wanted_minor = sum(target.amount_minor for target in command.targets)
    if wanted_minor > left_minor:
        raise AllocationExceedsPayment(
            payment_id=payment.id, left_minor=left_minor, amount_minor=wanted_minor
        )
    allocations = [a for a in own_allocations(deciding, payment) if a.amount_minor]
    room: dict[str, int] = {}
    for target in command.targets:
        invoice = deciding.item(InvoiceItem, target.invoice)
        freed = sum(a.amount_minor for a in allocations if a.invoice == invoice.id)
        owed = invoice.open_minor + freed + invoice.written_off_minor
        room[invoice.id] = room.get(invoice.id, owed) - target.amount_minor
        if room[invoice.id] < 0:
            raise InvoiceNotOpen(
                invoice=invoice.id, open_minor=owed, amount_minor=target.amount_minor
            )
    on = deciding.effective(command.effective_on, ("the payment's money", payment.available_on))
    deciding.record_settled(
        PaymentReallocated(
            effective_on=on,
            payment_id=payment.id,
            undone=taken_back(allocations, payment.allocated_minor, on),
        ),
        targets=[(payment.source, t.invoice, t.amount_minor) for t in command.targets],
    )


def evolve_reallocated(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, PaymentReallocated)
    for undoing in event.undone:
        fold.undo(undoing)


def processed_payment(deciding: Deciding, payment_id: str) -> PaymentItem:
    """The payment; raises ItemUnknown, or PaymentNotProcessed when it is pending or failed."""
    payment = deciding.item(PaymentItem, payment_id)
    if payment.status != "processed":
        raise PaymentNotProcessed(payment_id=payment.id, status=payment.status)
    return payment


def own_allocations(deciding: Deciding, payment: PaymentItem) -> list[AllocationItem]:
    """The payment's allocations at hand."""
    return [a for a in deciding.all(AllocationItem) if a.source == payment.source]
