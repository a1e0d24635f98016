"""Disputes: an amount of an invoice that the customer contests, until it is resolved."""

from collections.abc import Iterator
from datetime import date

import msgspec

from ledger.account import Account
from ledger.allocation import needs_after_reopening, needs_for_money
from ledger.commands import OpenDispute, ResolveDispute
from ledger.credits import record_credit, refuse_excess, taxes_left
from ledger.deciding import Deciding
from ledger.errors import (
    AmountNotApplicable,
    DisputeExceeded,
    DisputeNotOpen,
    NothingToDispute,
)
from ledger.events import CreditIssued, DisputeOpened, DisputeResolved
from ledger.fold import Fold
from ledger.items import CreditItem, DisputeItem, InvoiceItem
from ledger.money import rounded, split
from ledger.needs import Known, Named, Query
from ledger.parts import Tax


def needs_open(
    account: Account, known: Known, command: OpenDispute, today: date
) -> Iterator[Query]:
    yield Named("dispute", command.dispute_id)
    yield from needs_after_reopening(account, known, (command.invoice,), 0)


def decide_open(deciding: Deciding, command: OpenDispute) -> None:
    deciding.refuse_taken(DisputeItem, command.dispute_id)
    invoice = deciding.item(InvoiceItem, command.invoice)
    amount_minor = min(command.amount_minor or invoice.open_minor, invoice.undisputed_minor)
    if not amount_minor:
        raise NothingToDispute(invoice=invoice.id)
    deciding.record(
        DisputeOpened(
            effective_on=deciding.effective(
                command.effective_on, ("the invoice", invoice.issued_on)
            ),
            dispute_id=command.dispute_id,
            invoice=invoice.id,
            amount_minor=amount_minor,
            reason=command.reason,
        )
    )


def evolve_opened(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, DisputeOpened)
    _flag(fold, event.invoice, event.amount_minor)
    fold.put(
        DisputeItem(
            id=event.dispute_id,
            seq=fold.version,
            effective_on=event.effective_on,
            invoice=event.invoice,
            flagged_minor=event.amount_minor,
        )
    )


def needs_resolve(
    account: Account, known: Known, command: ResolveDispute, today: date
) -> Iterator[Query]:
    yield Named("dispute", command.dispute_id)
    dispute = known.items.get(("dispute", command.dispute_id))
    if not isinstance(dispute, DisputeItem):
        return
    flagged_minor = dispute.flagged_minor
    if command.outcome == "upheld":
        yield Named("credit", command.dispute_id)
        source = f"credit:{command.dispute_id}"
        targets = [(source, dispute.invoice, flagged_minor)]
        yield from needs_for_money(account, known, {source: flagged_minor}, targets)
    yield from needs_after_reopening(account, known, (dispute.invoice,), flagged_minor)


def decide_resolve(deciding: Deciding, command: ResolveDispute) -> None:
    dispute = deciding.item(DisputeItem, command.dispute_id)
    if dispute.resolved:
        raise DisputeNotOpen(dispute_id=dispute.id)
    if command.outcome == "rejected" and command.amount_minor is not None:
        raise AmountNotApplicable()
    upheld_minor = command.amount_minor or dispute.flagged_minor
    if upheld_minor > dispute.flagged_minor:
        raise DisputeExceeded(
            dispute_id=dispute.id, flagged_minor=dispute.flagged_minor, amount_minor=upheld_minor
        )
    on = deciding.effective(command.effective_on, ("the dispute", dispute.effective_on))
    upheld = command.outcome == "upheld"
    if upheld:
        _credit(deciding, dispute, upheld_minor, on)
    deciding.record_settled(
        DisputeResolved(
            effective_on=on,
            dispute_id=dispute.id,
            invoice=dispute.invoice,
            amount_minor=dispute.flagged_minor,
            outcome=command.outcome,
            credit_id=dispute.id if upheld else None,
        )
    )


def _credit(deciding: Deciding, dispute: DisputeItem, upheld_minor: int, on: date) -> None:
    deciding.refuse_taken(CreditItem, dispute.id)
    invoice = deciding.item(InvoiceItem, dispute.invoice)
    taxes = _tax_within(invoice, upheld_minor)
    amount_minor = upheld_minor - sum(tax.amount_minor for tax in taxes)
    refuse_excess(invoice, amount_minor, taxes)
    record_credit(
        deciding,
        CreditIssued(
            effective_on=on,
            credit_id=dispute.id,
            amount_minor=amount_minor,
            taxes=taxes,
            applies_to="invoice",
            invoice=invoice.id,
            dispute_id=dispute.id,
            reason="dispute upheld",
        ),
    )


def _tax_within(invoice: InvoiceItem, amount_minor: int) -> tuple[Tax, ...]:
    """The tax that an amount (tax included) of an invoice holds, in proportion, by name."""
    left = {name: tax for name, tax in taxes_left(invoice).items() if tax}
    if not left or invoice.total_minor <= 0:
        return ()
    whole = invoice.lines.tax_minor if invoice.lines else 0
    tax_minor = min(rounded(amount_minor * max(whole, 0), invoice.total_minor), sum(left.values()))
    tax_minor = min(tax_minor, amount_minor)
    shares = split(tax_minor, list(left.values()))
    return tuple(
        Tax(name=name, rate="", amount_minor=share)
        for name, share in zip(left, shares, strict=True)
        if share
    )


def evolve_resolved(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, DisputeResolved)
    _flag(fold, event.invoice, -event.amount_minor)
    dispute = fold.find("dispute", event.dispute_id)
    assert isinstance(dispute, DisputeItem), event
    fold.put(msgspec.structs.replace(dispute, resolved=True))


def _flag(fold: Fold, number: str, amount_minor: int) -> None:
    invoice = fold.invoice(number)
    flagged_minor = invoice.flagged_minor + amount_minor
    fold.put(msgspec.structs.replace(invoice, flagged_minor=flagged_minor))
