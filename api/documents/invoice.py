"""An invoice as its template takes it: lines, totals, taxes and the slip, all of them text."""

import re

from api.documents.content import Invoice, Line
from api.documents.wording import View, Words, column_pt, fit, fit_id
from ledger.calendar import due_date

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_CATEGORY_PT = 74.0
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
        "details": _details(invoice, words),
        "due": {
            "label": words.say("amount_due"),
            "amount": words.money(due_minor),
            "by": words.say("by", day=due_on) if due_minor > 0 else words.say("nothing_due"),
        },
        "lines": _lines(invoice, words) if invoice.is_listed else None,
        "note": _note(invoice, words),
        "categories": {
            "head": [words.say("by_category"), words.say("amount")],
            "rows": [
                (fit(one.category), words.amount(one.amount_minor)) for one in invoice.categories
            ],
        },
        "taxes": _taxes(invoice, words),
        "totals": _totals(invoice, words),
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
    rows = [_row(line, words, is_beside=is_beside, has_tax=has_tax) for line in lines]
    dates = column_pt(head[0], (row[0] for row in rows))
    numbers = [column_pt(head[n], (row[n + 1] for row in rows)) for n in range(3, len(columns))]
    return {
        "head": head,
        "widths": [dates, None, _CATEGORY_PT, *numbers],
        "left": 3,
        "rows": rows,
    }


def _factors_chars(lines: list[Line]) -> int:
    """How long the longest quantity and the longest unit price are together."""
    return sum(
        max(len(factor or "") for factor in factors)
        for factors in zip(*((line.quantity, line.unit_price) for line in lines), strict=True)
    )


def _row(line: Line, words: Words, *, is_beside: bool, has_tax: bool) -> list[str]:
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
    return [
        formats.day(line.effective_on),
        fit(description),
        "; ".join(notes),
        fit(line.category or ""),
        *(factors if is_beside else []),
        words.amount(line.amount_minor),
        *([words.amount(tax_minor)] if has_tax else []),
    ]


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
    names = ("tax_name", "tax_rate", "tax_base", "amount")
    return {"head": [words.say(name) for name in names], "rows": rows}


def _rate(rate: str, words: Words) -> str:
    """A rate as it was given: events of other origins may hold more than a number."""
    return words.formats.number(rate) if _DECIMAL.fullmatch(rate) else fit(rate)


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
