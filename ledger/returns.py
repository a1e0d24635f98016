"""Returned payments: the bank takes processed money back, and sometimes gives it again."""

from collections.abc import Iterator
from datetime import date

import msgspec

from ledger.account import Account
from ledger.allocation import Target, needs_after_reopening, needs_for_money, taken_back
from ledger.commands import ReinstatePayment, ReturnPayment
from ledger.deciding import Deciding
from ledger.errors import PaymentNotReturned, ReturnExceedsProcessed
from ledger.events import PaymentReinstated, PaymentReturned
from ledger.fold import Fold, latest
from ledger.items import AllocationItem, InvoiceItem, PaymentItem
from ledger.needs import AllocationsOf, Known, Named, Query
from ledger.parts import DebitItem, Draw
from ledger.payments import own_allocations, processed_payment


def needs_return(
    account: Account, known: Known, command: ReturnPayment, today: date
) -> Iterator[Query]:
    yield Named("payment", command.payment_id)
    yield Named("invoice", _next_debit(account))
    payment = known.items.get(("payment", command.payment_id))
    if not isinstance(payment, PaymentItem):
        return
    amount_minor = command.amount_minor or payment.processed_minor - payment.returned_minor
    from_allocations = min(max(amount_minor - payment.unapplied_minor, 0), payment.allocated_minor)
    yield AllocationsOf(payment.source, from_allocations)
    allocations = (i for i in known.items.values() if isinstance(i, AllocationItem))
    reopened = [a.invoice for a in allocations]
    yield from needs_after_reopening(account, known, reopened, amount_minor)


def decide_return(deciding: Deciding, command: ReturnPayment) -> None:
    payment = processed_payment(deciding, command.payment_id)
    left_minor = payment.processed_minor - payment.returned_minor
    amount_minor = command.amount_minor or left_minor
    if not 0 < amount_minor <= left_minor:
        raise ReturnExceedsProcessed(
            payment_id=payment.id, left_minor=left_minor, amount_minor=amount_minor
        )
    causes = [("the payment", payment.counts_from)]
    if payment.reinstated_on is not None:
        causes.append(("the payment's reinstatement", payment.reinstated_on))
    on = deciding.effective(command.effective_on, *causes)
    rest = amount_minor - min(amount_minor, payment.unapplied_minor)
    undone = taken_back(own_allocations(deciding, payment), rest, on)
    rest -= sum(undoing.amount_minor for undoing in undone)
    debit = None
    if rest:
        number = _next_debit(deciding.account)
        deciding.refuse_taken(InvoiceItem, number)
        debit = DebitItem(number, rest)
    deciding.record_settled(
        PaymentReturned(
            effective_on=on,
            payment_id=payment.id,
            amount_minor=amount_minor,
            method=payment.method,
            reason=command.reason,
            undone=undone,
            debit=debit,
        )
    )


def _next_debit(account: Account) -> str:
    return f"{account.account_number}-D{account.debits + 1}"


def is_debit_number(account: Account, number: str) -> bool:
    """Whether a number has the form of the account's debit items."""
    prefix, _, count = number.rpartition("-D")
    return prefix == account.account_number and count.isdecimal()


def evolve_returned(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, PaymentReturned)
    for undoing in event.undone:
        fold.undo(undoing)
    payment = fold.payment(event.payment_id)
    debit_minor = event.debit.amount_minor if event.debit else 0
    fold.put(
        msgspec.structs.replace(
            payment,
            unapplied_minor=payment.unapplied_minor - (event.amount_minor - debit_minor),
            returned_minor=payment.returned_minor + event.amount_minor,
            returned_on=latest(payment.returned_on, event.effective_on),
            taken_back=(
                *payment.taken_back,
                *(Draw(undoing.invoice, undoing.amount_minor) for undoing in event.undone),
            ),
            debits=(*payment.debits, event.debit.number) if event.debit else payment.debits,
        )
    )
    fold.move("returned_minor", event.amount_minor)
    if event.debit:
        fold.put(
            InvoiceItem(
                id=event.debit.number,
                seq=fold.version,
                issued_on=event.effective_on,
                due_on=event.effective_on,
                total_minor=debit_minor,
                open_minor=debit_minor,
            )
        )
        fold.set(debits=fold.before.debits + 1)


def needs_reinstate(
    account: Account, known: Known, command: ReinstatePayment, today: date
) -> Iterator[Query]:
    yield Named("payment", command.payment_id)
    payment = known.items.get(("payment", command.payment_id))
    if isinstance(payment, PaymentItem):
        freed = {payment.source: payment.returned_minor}
        yield from needs_for_money(account, known, freed, _targets(payment))


def decide_reinstate(deciding: Deciding, command: ReinstatePayment) -> None:
    payment = processed_payment(deciding, command.payment_id)
    if not payment.returned_minor or payment.returned_on is None:
        raise PaymentNotReturned(payment_id=payment.id)
    amount_minor = payment.returned_minor
    returned = ("the payment's return", payment.returned_on)
    deciding.record_settled(
        PaymentReinstated(
            effective_on=deciding.effective(command.effective_on, returned),
            payment_id=payment.id,
            amount_minor=amount_minor,
            method=payment.method,
        ),
        targets=_targets(payment),
        recover=payment.source,
    )


def _targets(payment: PaymentItem) -> list[Target]:
    """Where returned money goes first when it comes back: to what its return left and took back."""
    source = payment.source
    debits = [(source, number, payment.returned_minor) for number in payment.debits]
    return debits + [(source, back.source, back.amount_minor) for back in payment.taken_back]


def evolve_reinstated(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, PaymentReinstated)
    payment = fold.payment(event.payment_id)
    fold.put(
        msgspec.structs.replace(
            payment,
            unapplied_minor=payment.unapplied_minor + event.amount_minor,
            returned_minor=payment.returned_minor - event.amount_minor,
            freed_on=latest(payment.freed_on, event.effective_on),
            reinstated_on=latest(payment.reinstated_on, event.effective_on),
            taken_back=(),
            debits=(),
        )
    )
    fold.move("returned_minor", -event.amount_minor)
