"""Credits: less is owed on an invoice, on the account, or on the next invoice."""

from collections.abc import Iterator
from datetime import date

import msgspec

from ledger.account import Account, is_billed, is_freed
from ledger.allocation import needs_after_reopening, needs_for_money, taken_back
from ledger.charges import add_unbilled, negated, unbilled_month
from ledger.commands import IssueCredit, ReverseCredit
from ledger.deciding import Deciding
from ledger.errors import (
    AccountClosed,
    AlreadyReversed,
    CreditAlreadyBilled,
    CreditAlreadyRefunded,
    CreditExceedsInvoice,
    InvoiceIsCancelled,
    InvoiceNeeded,
    TaxExceedsInvoice,
)
from ledger.events import CreditIssued, CreditReversed
from ledger.fold import Fold
from ledger.items import AllocationItem, CreditItem, InvoiceItem
from ledger.movements import line_total
from ledger.needs import AllocationsOf, Known, Named, Query
from ledger.parts import Lines, Tax, TaxTotal


def needs_issue(
    account: Account, known: Known, command: IssueCredit, today: date
) -> Iterator[Query]:
    yield Named("credit", command.credit_id)
    if command.applies_to == "next_invoice":
        yield unbilled_month(account, command.effective_on or today)
        return
    source = f"credit:{command.credit_id}"
    total_minor = line_total(command.amount_minor, command.taxes)
    targets = [(source, command.invoice, total_minor)] if command.invoice else []
    yield from needs_for_money(account, known, {source: total_minor}, targets)


def decide_issue(deciding: Deciding, command: IssueCredit) -> None:
    if (command.applies_to == "invoice") != (command.invoice is not None):
        raise InvoiceNeeded(what="credit")
    if command.applies_to == "next_invoice" and deciding.account.closed_on is not None:
        raise AccountClosed(
            account_number=deciding.account.account_number, closed_on=deciding.account.closed_on
        )
    deciding.refuse_taken(CreditItem, command.credit_id)
    causes = []
    if command.invoice is not None:
        invoice = deciding.item(InvoiceItem, command.invoice)
        refuse_excess(invoice, command.amount_minor, command.taxes)
        causes = [("the invoice", invoice.issued_on)]
    record_credit(
        deciding,
        CreditIssued(
            effective_on=deciding.effective(command.effective_on, *causes),
            credit_id=command.credit_id,
            amount_minor=command.amount_minor,
            taxes=command.taxes,
            applies_to=command.applies_to,
            invoice=command.invoice,
            reason=command.reason,
        ),
    )


def record_credit(deciding: Deciding, event: CreditIssued) -> None:
    """Records a credit with the allocations it causes."""
    if event.applies_to == "next_invoice":
        deciding.record(event)
        return
    source = f"credit:{event.credit_id}"
    total_minor = line_total(event.amount_minor, event.taxes)
    targets = [(source, event.invoice, total_minor)] if event.invoice else []
    deciding.record_settled(event, targets=targets)


def refuse_excess(invoice: InvoiceItem, amount_minor: int, taxes: tuple[Tax, ...]) -> None:
    """Refuses a credit note past the invoice's total, or past its tax of a name.

    Raises InvoiceIsCancelled, CreditExceedsInvoice, TaxExceedsInvoice; what earlier credit notes
    took counts.
    """
    if invoice.cancelled:
        raise InvoiceIsCancelled(invoice=invoice.id)
    total_minor = line_total(amount_minor, taxes)
    left_minor = invoice.total_minor - invoice.credited_minor
    if total_minor > left_minor:
        raise CreditExceedsInvoice(
            invoice=invoice.id, left_minor=left_minor, amount_minor=total_minor
        )
    left = taxes_left(invoice)
    for tax in taxes:
        left[tax.name] = left.get(tax.name, 0) - tax.amount_minor
        if left[tax.name] < 0:
            raise TaxExceedsInvoice(
                invoice=invoice.id,
                name=tax.name,
                left_minor=left[tax.name] + tax.amount_minor,
                amount_minor=tax.amount_minor,
            )


def taxes_left(invoice: InvoiceItem) -> dict[str, int]:
    """The invoice's tax by name, less what credit notes took of it; never below zero."""
    left = {tax.name: tax.amount_minor for tax in (invoice.lines.taxes if invoice.lines else ())}
    for tax in invoice.credited_taxes:
        left[tax.name] = left.get(tax.name, 0) - tax.amount_minor
    return {name: max(amount, 0) for name, amount in left.items()}


def evolve_issued(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, CreditIssued)
    total_minor = line_total(event.amount_minor, event.taxes)
    to_next = event.applies_to == "next_invoice"
    fold.put(
        CreditItem(
            id=event.credit_id,
            seq=fold.version,
            effective_on=event.effective_on,
            amount_minor=event.amount_minor,
            taxes=event.taxes,
            applies_to=event.applies_to,
            invoice=event.invoice,
            unapplied_minor=0 if to_next else total_minor,
        )
    )
    if to_next:
        add_unbilled(fold, event.effective_on, _credit_lines(event.amount_minor, event.taxes))
        return
    fold.move("credited_minor", total_minor)
    if event.invoice is not None:
        _note_credit(fold, event.invoice, event.amount_minor, event.taxes, 1)


def needs_reverse(
    account: Account, known: Known, command: ReverseCredit, today: date
) -> Iterator[Query]:
    yield Named("credit", command.credit_id)
    credit = known.items.get(("credit", command.credit_id))
    if not isinstance(credit, CreditItem):
        return
    if credit.applies_to == "next_invoice":
        yield unbilled_month(account, credit.effective_on)
        return
    yield AllocationsOf(credit.source, credit.allocated_minor)
    allocations = [i for i in known.items.values() if isinstance(i, AllocationItem)]
    reopened = {a.invoice for a in allocations} | ({credit.invoice} if credit.invoice else set())
    moved_minor = credit.allocated_minor + credit.unapplied_minor
    yield from needs_after_reopening(account, known, reopened, moved_minor)


def decide_reverse(deciding: Deciding, command: ReverseCredit) -> None:
    credit = deciding.item(CreditItem, command.credit_id)
    account = deciding.account
    if credit.reversed:
        raise AlreadyReversed(kind="credit", id=credit.id)
    causes = [("the credit", credit.available_on)]
    if credit.applies_to == "next_invoice":
        if is_billed(account, credit.effective_on, credit.seq):
            raise CreditAlreadyBilled(credit_id=credit.id)
        if account.freed_on and is_freed(account, credit.effective_on, credit.seq):
            causes.append(("the cancellation of an invoice", account.freed_on))
    if credit.refunded_minor:
        raise CreditAlreadyRefunded(source=credit.source, refunded_minor=credit.refunded_minor)
    on = deciding.effective(command.effective_on, *causes)
    deciding.record_settled(
        CreditReversed(
            effective_on=on,
            credit_id=credit.id,
            amount_minor=credit.amount_minor,
            taxes=credit.taxes,
            applies_to=credit.applies_to,
            reason=command.reason,
            undone=taken_back(
                (a for a in deciding.all(AllocationItem) if a.source == credit.source),
                credit.allocated_minor,
                on,
            ),
        )
    )


def evolve_reversed(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, CreditReversed)
    for undoing in event.undone:
        fold.undo(undoing)
    credit = fold.credit(event.credit_id)
    if event.applies_to == "next_invoice":
        lines = _credit_lines(event.amount_minor, event.taxes)
        add_unbilled(fold, credit.effective_on, negated(lines))
        fold.put(msgspec.structs.replace(credit, reversed=True))
        return
    total_minor = line_total(event.amount_minor, event.taxes)
    fold.put(
        msgspec.structs.replace(
            credit, reversed=True, unapplied_minor=credit.unapplied_minor - total_minor
        )
    )
    fold.move("credited_minor", -total_minor)
    if credit.invoice is not None:
        _note_credit(fold, credit.invoice, event.amount_minor, event.taxes, -1)


def _note_credit(
    fold: Fold, number: str, amount_minor: int, taxes: tuple[Tax, ...], sign: int
) -> None:
    invoice = fold.invoice(number)
    credited = {tax.name: tax.amount_minor for tax in invoice.credited_taxes}
    for tax in taxes:
        credited[tax.name] = credited.get(tax.name, 0) + sign * tax.amount_minor
    fold.put(
        msgspec.structs.replace(
            invoice,
            credited_minor=invoice.credited_minor + sign * line_total(amount_minor, taxes),
            credited_taxes=tuple(TaxTotal(n, a) for n, a in sorted(credited.items()) if a),
        )
    )


def _credit_lines(amount_minor: int, taxes: tuple[Tax, ...]) -> Lines:
    return Lines(
        count=1,
        charges_minor=0,
        credits_minor=amount_minor,
        tax_minor=-line_total(0, taxes),
        taxes=tuple(TaxTotal(tax.name, -tax.amount_minor) for tax in taxes),
    )
