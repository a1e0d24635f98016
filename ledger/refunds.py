"""Refunds: money given back, out of unapplied credit first, then out of what payments paid."""

from collections.abc import Iterable, Iterator
from datetime import date

import msgspec

from ledger.account import Account
from ledger.allocation import Target, needs_after_reopening, needs_for_money, taken_back
from ledger.commands import IssueRefund, ReverseRefund
from ledger.deciding import Deciding
from ledger.errors import AlreadyReversed, RefundExceedsPaid, TooManyItems
from ledger.events import RefundIssued, RefundReversed
from ledger.fold import Fold, latest
from ledger.items import (
    AllocationItem,
    PaymentItem,
    RefundItem,
    Reopened,
    SourceItem,
    source_ref,
)
from ledger.needs import (
    PAYMENTS_MAX,
    AllocationsOf,
    Known,
    Named,
    PaidPayments,
    Query,
    SpareSources,
)
from ledger.parts import Draw, Undoing
from ledger.payments import own_allocations, processed_payment


def needs_issue(
    account: Account, known: Known, command: IssueRefund, today: date
) -> Iterator[Query]:
    yield Named("refund", command.refund_id)
    if account.unapplied_minor:
        yield SpareSources(min(account.unapplied_minor, command.amount_minor))
    rest = command.amount_minor - account.unapplied_minor
    if command.payment_id is not None:
        yield Named("payment", command.payment_id)
        if rest > 0:
            yield AllocationsOf(f"payment:{command.payment_id}", rest)
    elif rest > 0:
        paid = PaidPayments(rest)
        yield paid
        if known.missing(iter([paid])):
            return
        for payment in _paid(known.items.values()):
            yield AllocationsOf(payment.source, payment.allocated_minor)
    allocations = (i for i in known.items.values() if isinstance(i, AllocationItem))
    reopened = [a.invoice for a in allocations]
    yield from needs_after_reopening(account, known, reopened, command.amount_minor)


def _paid(items: Iterable[object]) -> list[PaymentItem]:
    paid = [i for i in items if isinstance(i, PaymentItem) and i.allocated_minor]
    return sorted(paid, key=lambda payment: -payment.seq)


def decide_issue(deciding: Deciding, command: IssueRefund) -> None:
    deciding.refuse_taken(RefundItem, command.refund_id)
    account = deciding.account
    named = None
    if command.payment_id is not None:
        named = processed_payment(deciding, command.payment_id)
    draws: dict[str, int] = {}
    rest = _draw_unapplied(deciding, command.amount_minor, named, draws)
    payments = [named] if named else _paid(deciding.all(PaymentItem))[:PAYMENTS_MAX]
    from_payments: list[tuple[PaymentItem, int]] = []
    for payment in payments:
        part = min(rest, payment.allocated_minor)
        if part:
            from_payments.append((payment, part))
            draws[payment.source] = draws.get(payment.source, 0) + part
        rest -= part
    if rest and len(payments) >= PAYMENTS_MAX:
        raise TooManyItems(what="payments", limit=PAYMENTS_MAX)
    if rest:
        raise RefundExceedsPaid(
            left_minor=command.amount_minor - rest, amount_minor=command.amount_minor
        )
    causes = _causes(deciding, draws)
    if named is not None:
        causes.append(("the payment", named.counts_from))
    on = deciding.effective(command.effective_on, *causes)
    undone: list[Undoing] = []
    for payment, part in from_payments:
        undone += taken_back(own_allocations(deciding, payment), part, on)
    assert account.unapplied_minor + sum(u.amount_minor for u in undone) >= command.amount_minor
    deciding.record_settled(
        RefundIssued(
            effective_on=on,
            refund_id=command.refund_id,
            amount_minor=command.amount_minor,
            payment_id=command.payment_id,
            method=command.method,
            reason=command.reason,
            undone=tuple(undone),
            drawn=tuple(Draw(source, amount) for source, amount in draws.items()),
        )
    )


def _draw_unapplied(
    deciding: Deciding, amount_minor: int, named: PaymentItem | None, draws: dict[str, int]
) -> int:
    """Draws on unapplied rests, the named payment's first, then the oldest; gives what is left."""
    kinds = (i for cls in SourceItem.__subclasses__() for i in deciding.all(cls))
    sources = sorted(kinds, key=lambda source: (source != named, source.seq))
    for source in sources:
        part = min(amount_minor, source.unapplied_minor)
        if part:
            draws[source.source] = part
        amount_minor -= part
    return amount_minor


def _causes(deciding: Deciding, draws: dict[str, int]) -> list[tuple[str, date]]:
    causes = []
    for name in draws:
        source = deciding.find(*source_ref(name))
        assert isinstance(source, SourceItem), name
        causes.append((name, source.available_on))
    return causes


def evolve_issued(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, RefundIssued)
    for undoing in event.undone:
        fold.undo(undoing)
    for draw in event.drawn:
        source = fold.source(draw.source)
        fold.put(
            msgspec.structs.replace(
                source,
                unapplied_minor=source.unapplied_minor - draw.amount_minor,
                refunded_minor=source.refunded_minor + draw.amount_minor,
            )
        )
    fold.put(
        RefundItem(
            id=event.refund_id,
            seq=fold.version,
            effective_on=event.effective_on,
            amount_minor=event.amount_minor,
            method=event.method,
            drawn=event.drawn,
            reopened=tuple(Reopened(u.source, u.invoice, u.amount_minor) for u in event.undone),
        )
    )
    fold.move("refunded_minor", event.amount_minor)


def needs_reverse(
    account: Account, known: Known, command: ReverseRefund, today: date
) -> Iterator[Query]:
    yield Named("refund", command.refund_id)
    refund = known.items.get(("refund", command.refund_id))
    if isinstance(refund, RefundItem):
        for draw in refund.drawn:
            yield Named(*source_ref(draw.source))
        freed: dict[str, int] = {}
        for draw in refund.drawn:
            freed[draw.source] = freed.get(draw.source, 0) + draw.amount_minor
        yield from needs_for_money(account, known, freed, _targets(refund))


def decide_reverse(deciding: Deciding, command: ReverseRefund) -> None:
    refund = deciding.item(RefundItem, command.refund_id)
    if refund.reversed:
        raise AlreadyReversed(kind="refund", id=refund.id)
    deciding.record_settled(
        RefundReversed(
            effective_on=deciding.effective(
                command.effective_on, ("the refund", refund.effective_on)
            ),
            refund_id=refund.id,
            amount_minor=refund.amount_minor,
            method=refund.method,
            reason=command.reason,
            drawn=refund.drawn,
        ),
        targets=_targets(refund),
    )


def _targets(refund: RefundItem) -> list[Target]:
    """Where a bounced refund's money goes first: back to what it had been taken from."""
    return [(r.source, r.invoice, r.amount_minor) for r in refund.reopened]


def evolve_reversed(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, RefundReversed)
    for draw in event.drawn:
        source = fold.source(draw.source)
        fold.put(
            msgspec.structs.replace(
                source,
                unapplied_minor=source.unapplied_minor + draw.amount_minor,
                refunded_minor=source.refunded_minor - draw.amount_minor,
                freed_on=latest(source.freed_on, event.effective_on),
            )
        )
    refund = fold.find("refund", event.refund_id)
    assert isinstance(refund, RefundItem), event
    fold.put(msgspec.structs.replace(refund, reversed=True))
    fold.move("refunded_minor", -event.amount_minor)
