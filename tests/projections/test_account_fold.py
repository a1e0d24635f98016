"""Reconciliation's own fold: lines and entries of made-up accounts agree, and one that is changed does not."""

import random
from collections.abc import Sequence
from datetime import date

import msgspec

from ledger import events as e
from ledger.movements import movements
from ledger.parts import Lines, Range, Tax
from projections.journal.entries import entries
from projections.reconciliation.account_fold import AccountFold, untied
from projections.reconciliation.unbilled_lines import Wrong
from tests.projections.books import books

ACCOUNTS, STEPS = 60, 80
DAY = date(2020, 7, 1)


def folded(events: Sequence[e.Event]) -> tuple[AccountFold, list[Wrong]]:
    """The account's fold, and what its invoices say wrongly of their lines."""
    fold, wrong = AccountFold(), list[Wrong]()
    for n, event in enumerate(events, 1):
        moved = movements(event)
        wrong += fold.take(n, n, DAY, event, moved)
    return fold, wrong


def test_made_up_accounts_agree_with_their_lines_and_entries() -> None:
    """Whatever was billed, reversed, cancelled and billed again; and the totals are the account's."""
    seed = random.randrange(2**32)
    print("seed", seed)
    cancelled = 0
    for account in books(seed, ACCOUNTS, STEPS):
        events = account.book.events
        fold, wrong = folded(events)
        assert [] == wrong, account.number
        assert [[]] * len(events) == [untied(movements(one), entries(one)) for one in events]
        state = account.book.account
        assert state is not None
        for figure in ("open", "unapplied", "unbilled", "pending"):
            assert fold.figures[figure].amount_minor == getattr(state, f"{figure}_minor")
        assert fold.disputed_minor == state.disputed_minor
        cancelled += sum(isinstance(event, e.InvoiceCancelled) for event in events)
    assert cancelled > 0


def test_an_invoice_that_does_not_total_its_lines_is_named() -> None:
    """Any total of made-up accounts' invoices a cent more, or one line more than there are."""
    seed = random.randrange(2**32)
    print("seed", seed)
    changed = 0
    for account in books(seed, ACCOUNTS // 4, STEPS):
        events = list(account.book.events)
        for n, event in enumerate(events):
            if isinstance(event, e.InvoiceIssued):
                for figure, other in _others(event).items():
                    _, wrong = folded([*events[:n], other])
                    assert figure in [one.figure for one in wrong], (account.number, n)
                    changed += 1
    assert changed > 0


def _others(event: e.InvoiceIssued) -> dict[str, e.InvoiceIssued]:
    """The event with each of its totals changed, by the figure that is then wrong."""
    lines = event.lines
    amounts = {
        "lines": msgspec.structs.replace(lines, count=lines.count + 1),
        "charges": msgspec.structs.replace(lines, charges_minor=lines.charges_minor + 1),
        "credits": msgspec.structs.replace(lines, credits_minor=lines.credits_minor + 1),
        "tax": msgspec.structs.replace(lines, tax_minor=lines.tax_minor + 1),
    }
    others = {figure: msgspec.structs.replace(event, lines=one) for figure, one in amounts.items()}
    others["total"] = msgspec.structs.replace(event, total_minor=event.total_minor + 1)
    return others


def test_a_line_reversed_twice_or_with_another_amount_is_named() -> None:
    """Also when its invoice was cancelled, and it came back among others."""
    opened = books(1, 1, 3)[0].book.events[0]
    tax = (Tax("sales", "8.0", 8),)
    charge = e.ChargePosted(
        effective_on=DAY,
        charge_id="c",
        amount_minor=100,
        taxes=tax,
        description="a call",
        category="usage",
    )
    reversal = e.ChargeReversed(
        effective_on=DAY, charge_id="c", amount_minor=100, taxes=tax, category="usage", reason="r"
    )
    less = msgspec.structs.replace(reversal, amount_minor=99)
    assert [Wrong("charges", 100, 99)] == folded([opened, charge, less])[1]
    assert [Wrong("lines", 0, 1)] == folded([opened, charge, reversal, reversal])[1]
    lines = Lines(count=1, charges_minor=100, credits_minor=0, tax_minor=8)
    billed = {
        "effective_on": DAY,
        "number": "I1",
        "lines": lines,
        "ranges": (Range(DAY, DAY, 1, 2),),
        "total_minor": 108,
    }
    issued = e.InvoiceIssued(period_start=DAY, period_end=DAY, due_on=DAY, **billed)
    cancelled = e.InvoiceCancelled(reason="r", **billed)
    assert [] == folded([opened, charge, issued, cancelled, reversal])[1]
    assert [] == folded([opened, charge, issued, cancelled, issued])[1]
    twice = folded([opened, charge, issued, cancelled, reversal, reversal])[1]
    assert [Wrong("lines", 0, 1)] == twice
    assert [Wrong("lines", 0, 1)] == folded([opened, charge, issued, reversal])[1]
