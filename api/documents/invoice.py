"""An invoice as its template takes it: lines, totals, taxes and the slip, all of them text."""

import re

from api.documents.content import Invoice, Line
from api.documents.room import (
    TEXT_PT,
    View,
    column_pt,
    listing,
    pairs,
    room_pt,
    share_pt,
    sums,
)
from api.documents.wording import Words, fit, fit_id
from ledger.calendar import due_date

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_CATEGORY_PT = 74.0
_RATE_PT_MAX = 60.0
_FACTORS_CHARS_MAX = 26
"""Longer quantities and prices stand below the description: amounts need the room beside it."""


def invoice_view(invoice: Invoice) -> View:
    """What the template of invoices is given."""
    words = Words(invoice.biller, invoice.customer)
    title = f"{words.say(invoice.kind)} {invoice.number}"
    due_on = words.formats.day(invoice.due_on)
    due_minor = invoice.due_minor
    return {
        **words.frame(invoice.biller, invoice.customer, title, invoice.issued_on),
        "kind": words.say(invoice.kind),
        "details": pairs(_details(invoice, words), share_pt(words.formats.paper, 1.25 / 2.25)),
        "due": {
            "label": words.say("amount_due"),
            "amount": words.money(due_minor),
            "by": words.say("by", day=due_on) if due_minor > 0 else words.say("nothing_due"),
        },
        "lines": _lines(invoice, words) if invoice.is_listed else None,
        "note": _note(invoice, words),
        "categories": _categories(invoice, words) if invoice.categories else None,
        "taxes": _taxes(invoice, words) if invoice.taxes else None,
        "totals": sums(_totals(invoice, words), share_pt(words.formats.paper, 1 / 2.25)),
        "slip": words.slip(invoice.customer, due_minor, invoice.number, due_on),
    }


def _details(invoice: Invoice, words: Words) -> list[tuple[str, str]]:
    customer, formats = invoice.customer, words.formats
    details = [(words.say("number"), fit_id(invoice.number))]
    details.append((words.say("account_number"), fit_id(customer.account_number)))
    if customer.client_id is not None:
        details.append((words.say("client_id"), fit_id(customer.client_id)))
    if invoice.period is not None:
        details.append((words.say("period"), formats.days(invoice.period)))
    details.append((words.say("issued_on"), formats.day(invoice.issued_on)))
    details.append((words.say("due_on"), formats.day(invoice.due_on)))
    # A due date that was given, as in a migration, is not what the terms say.
    if invoice.due_on == due_date(customer.terms, invoice.issued_on):
        details.append((words.say("terms"), words.terms(customer.terms)))
    details.append((words.say("payment_method"), words.say(customer.payment_method)))
    return details


def _note(invoice: Invoice, words: Words) -> str:
    if invoice.kind == "debit":
        return words.say("returned", reference=fit_id(invoice.returned_payment or ""))
    if invoice.is_listed:
        return ""
    is_wanted = invoice.customer.invoice_delivery == "full_detail"
    count = words.formats.number(str(invoice.lines_count))
    return words.say("too_many" if is_wanted else "summary", count=count)


def _lines(invoice: Invoice, words: Words) -> View:
    lines = invoice.lines or []
    has_tax = any(line.taxes for line in lines)
    has_factors = any(line.quantity or line.unit_price for line in lines)
    is_beside = has_factors and _factors_chars(lines) <= _FACTORS_CHARS_MAX
    columns = ["date", "description", "category"]
    columns += ["quantity", "unit_price"] if is_beside else []
    columns += ["amount", *(["tax"] if has_tax else [])]
    head = [words.say(name) for name in columns]
    notes: dict[int, str] = {}
    rows = []
    for n, line in enumerate(lines, start=1):
        cells, note = _row(line, words, is_beside=is_beside, has_tax=has_tax)
        rows.append(cells)
        if note:
            notes[n] = note
    widths = [column_pt(column) for column in zip(head, *rows, strict=True)]
    return listing(
        head,
        rows,
        [widths[0], None, _CATEGORY_PT, *widths[3:]],
        left=3,
        room=room_pt(words.formats.paper),
        notes=notes,
    )


def _factors_chars(lines: list[Line]) -> int:
    """How long the longest quantity and the longest unit price are together."""
    return sum(
        max(len(factor or "") for factor in factors)
        for factors in zip(*((line.quantity, line.unit_price) for line in lines), strict=True)
    )


def _row(line: Line, words: Words, *, is_beside: bool, has_tax: bool) -> tuple[list[str], str]:
    """The cells of a line, and what is noted below its description."""
    formats, notes = words.formats, []
    factors = [formats.number(one) if one else "" for one in (line.quantity, line.unit_price)]
    if not is_beside and any(factors):
        notes.append(" × ".join(one for one in factors if one))
    if line.belongs_to is not None:
        notes.append(words.say("late", period=formats.days(line.belongs_to)))
    description = line.description
    if line.category is None:  # a credit
        description = (
            words.say("credit_for", reason=description) if description else words.say("credit")
        )
    tax_minor = sum(tax.amount_minor for tax in line.taxes)
    cells = [
        formats.day(line.effective_on),
        fit(description),
        fit(line.category or ""),
        *(factors if is_beside else []),
        words.amount(line.amount_minor),
        *([words.amount(tax_minor)] if has_tax else []),
    ]
    return cells, "; ".join(notes)


def _categories(invoice: Invoice, words: Words) -> View:
    head = [words.say("by_category"), words.say("amount")]
    rows = [(fit(one.category), words.amount(one.amount_minor)) for one in invoice.categories]
    width = column_pt((head[1], *(amount for _, amount in rows)), TEXT_PT)
    room = share_pt(words.formats.paper, 1.25 / 2.25)
    return listing(head, rows, [None, width], left=1, room=room, size=TEXT_PT)


def _taxes(invoice: Invoice, words: Words) -> View:
    rows = [
        (
            fit(tax.name),
            _rate(tax.rate or "", words),
            "" if tax.base_minor is None else words.amount(tax.base_minor),
            words.amount(tax.amount_minor),
        )
        for tax in invoice.taxes
    ]
    head = [words.say(name) for name in ("tax_name", "tax_rate", "tax_base", "amount")]
    widths = [column_pt(column, TEXT_PT) for column in zip(head, *rows, strict=True)]
    widths[1] = min(widths[1], _RATE_PT_MAX)
    room = share_pt(words.formats.paper, 1.25 / 2.25)
    return listing(head, rows, [None, *widths[1:]], left=1, room=room, size=TEXT_PT)


def _rate(rate: str, words: Words) -> str:
    """A rate in percent; as it was given where events of other origins hold more than a number."""
    return fit(words.formats.percent(rate) if _DECIMAL.fullmatch(rate) else rate)


def _totals(invoice: Invoice, words: Words) -> list[tuple[str, str, bool]]:
    """Label, amount and whether it is a sum, from the new charges to what was to be paid."""
    totals = [(words.say("new_charges"), words.amount(invoice.charges_minor), False)]
    if invoice.credits_minor:
        totals.append((words.say("credits"), words.amount(-invoice.credits_minor), False))
    if invoice.taxes:
        totals.append((words.say("tax"), words.amount(invoice.tax_minor), False))
    if invoice.carried_minor:
        totals.append((words.say("carried"), words.amount(invoice.carried_minor), False))
    if invoice.kind == "debit":
        totals = []
    totals.append((words.say("total"), words.money(invoice.total_minor), True))
    for one in invoice.applied:
        label = words.say(
            f"applied_{one.kind}", reference=fit_id(one.reference), day=words.formats.day(one.on)
        )
        totals.append((label, words.amount(-one.amount_minor), False))
    if invoice.applied:
        totals.append((words.say("amount_due"), words.money(invoice.due_minor), True))
    return totals
