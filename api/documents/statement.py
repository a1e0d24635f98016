"""A statement of account as its template takes it: lines with the balance after each, and aging."""

from api.documents.content import Statement, StatementLine
from api.documents.room import View, column_pt, listing, pairs, room_pt, share_pt, sums
from api.documents.wording import Words, fit, fit_id

_HEAD = ("date", "description", "reference", "detail", "amount", "balance")
_REFERENCE_PT_MAX = 120.0
_METHODS = ("cash_check", "card", "bank_transfer", "direct_debit")
_BY_METHOD = ("payment_processed", "payment_reinstated", "payment_unprocessed")
"""Kinds of lines whose detail is the payment's method."""
_SOURCES = {"payment": "payment_processed", "credit": "credit_issued"}
"""What recovers a write-off, by the kind in `<kind>:<id>`."""


def statement_view(statement: Statement) -> View:
    """What the template of statements is given."""
    words = Words(statement.biller, statement.customer)
    formats = words.formats
    kind = words.say("statement")
    closes_on = formats.day(statement.last_on)
    return {
        **words.frame(statement.biller, statement.customer, kind, statement.last_on),
        "kind": kind,
        "details": pairs(_details(statement, words), share_pt(words.formats.paper, 1.25 / 2.25)),
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
    opening, closing = (
        (words.formats.day(on), words.say(label), "", "", "", words.amount(balance_minor))
        for on, label, balance_minor in (
            (statement.first_on, "opening_balance", statement.opening_minor),
            (statement.last_on, "closing_balance", statement.closing_minor),
        )
    )
    rows = [opening, *(_row(line, words) for line in statement.lines), closing]
    widths = [column_pt(column) for column in zip(head, *rows, strict=True)]
    return listing(
        head,
        rows,
        [*widths[:2], min(widths[2], _REFERENCE_PT_MAX), None, *widths[4:]],
        left=4,
        room=room_pt(words.formats.paper),
        bold=(1, len(rows)),
    )


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
    if line.kind in _BY_METHOD and detail in _METHODS:
        return words.say(detail)
    kind, _, id = detail.partition(":")
    if line.kind == "write_off_recovered" and kind in _SOURCES:
        return f"{words.say(_SOURCES[kind])} {fit_id(id)}"
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
    head = [*(words.say(bucket.name) for bucket in statement.aging), words.say("open")]
    amounts = [bucket.amount_minor for bucket in statement.aging]
    row = [words.amount(minor) for minor in (*amounts, open_minor)]
    paper = words.formats.paper
    return {
        "label": words.say("aging", day=words.formats.day(statement.last_on)),
        "amounts": listing(head, [row], [None] * len(head), left=0, room=room_pt(paper)),
        "further": sums(further, share_pt(paper, 1 / 2)) if further else None,
    }
