"""A statement of account as its template takes it: lines with the balance after each, and aging."""

from api.documents.content import Statement, StatementLine
from api.documents.wording import View, Words, column_pt, fit, fit_id

_HEAD = ("date", "description", "reference", "detail", "amount", "balance")
_REFERENCE_PT_MAX = 120.0
_METHODS = ("cash_check", "card", "bank_transfer", "direct_debit")


def statement_view(statement: Statement) -> View:
    """What the template of statements is given."""
    words = Words(statement.biller, statement.customer)
    formats = words.formats
    kind = words.say("statement")
    closes_on = formats.day(statement.last_on)
    return {
        **words.frame(statement.biller, statement.customer, kind, statement.last_on),
        "kind": kind,
        "details": _details(statement, words),
        "due": {
            "label": words.say("closing_balance"),
            "amount": words.money(statement.closing_minor),
            "by": closes_on,
        },
        "lines": _lines(statement, words),
        "aging": _aging(statement, words),
        "slip": words.slip(statement.customer, statement.closing_minor),
    }


def _details(statement: Statement, words: Words) -> list[tuple[str, str]]:
    customer = statement.customer
    details = [(words.say("account_number"), fit_id(customer.account_number))]
    if customer.client_id is not None:
        details.append((words.say("client_id"), fit_id(customer.client_id)))
    period = words.formats.days((statement.first_on, statement.last_on))
    details.append((words.say("period"), period))
    details.append((words.say("terms"), words.terms(customer.terms)))
    details.append((words.say("payment_method"), words.say(customer.payment_method)))
    details.append((words.say("as_known"), statement.position))
    if statement.after is not None:
        details.append((words.say("follows"), statement.after))
    return details


def _lines(statement: Statement, words: Words) -> View:
    """The lines, between the balance before and the balance after them."""
    head = [words.say(name) for name in _HEAD]
    rows = [_row(line, words) for line in statement.lines]
    opening, closing = (
        (words.formats.day(on), words.say(label), words.amount(balance_minor))
        for on, label, balance_minor in (
            (statement.first_on, "opening_balance", statement.opening_minor),
            (statement.last_on, "closing_balance", statement.closing_minor),
        )
    )
    dates = column_pt(head[0], (row[0] for row in rows))
    kinds = column_pt(head[1], (row[1] for row in rows))
    references = column_pt(head[2], (row[2] for row in rows))
    amounts = column_pt(head[4], (row[4] for row in rows))
    balances = column_pt(head[5], [opening[2], closing[2], *(row[5] for row in rows)])
    return {
        "head": head,
        "widths": [dates, kinds, min(references, _REFERENCE_PT_MAX), None, amounts, balances],
        "left": 4,
        "opening": opening,
        "rows": rows,
        "closing": closing,
    }


def _row(line: StatementLine, words: Words) -> tuple[str, ...]:
    detail = _detail(line, words)
    if line.late:
        detail = "; ".join([*([detail] if detail else []), words.say("known_late")])
    return (
        words.formats.day(line.effective_on),
        words.say(line.kind),
        fit_id(line.reference),
        detail,
        words.amount(line.amount_minor),
        words.amount(line.balance_minor),
    )


def _detail(line: StatementLine, words: Words) -> str:
    detail = line.detail or ""
    if line.period is not None:
        return words.formats.days(line.period)
    if line.kind in ("payment_processed", "payment_reinstated") and detail in _METHODS:
        return words.say(detail)
    return fit(detail)


def _aging(statement: Statement, words: Words) -> View:
    """The buckets and their sum; what is not put on invoices; and what of all is disputed."""
    open_minor = sum(bucket.amount_minor for bucket in statement.aging)
    unapplied_minor = open_minor - statement.closing_minor
    further = []
    if unapplied_minor:
        further.append((words.say("unapplied"), words.amount(-unapplied_minor), False))
        further.append((words.say("closing_balance"), words.money(statement.closing_minor), True))
    if statement.disputed_minor:
        further.append((words.say("disputed"), words.amount(statement.disputed_minor), False))
    return {
        "label": words.say("aging", day=words.formats.day(statement.last_on)),
        "head": [*(words.say(bucket.name) for bucket in statement.aging), words.say("open")],
        "amounts": [
            *(words.amount(bucket.amount_minor) for bucket in statement.aging),
            words.amount(open_minor),
        ],
        "further": further,
    }
