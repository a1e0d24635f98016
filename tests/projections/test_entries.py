"""What each event debits and credits: the table of entries by hand, and ties over made-up histories."""

import random
from collections import Counter
from datetime import date, timedelta

import pytest

from ledger import commands as c
from ledger import events as e
from ledger.history import as_of
from ledger.movements import movements
from ledger.parts import Tax
from projections.journal.entries import CONTROLS, CREDITS, RECEIVABLE, UNBILLED, Entry, entries
from tests.examples import (
    TODAY,
    Given,
    billed,
    charge,
    credit,
    day,
    opening,
    payment,
    refund,
    returned,
    write_off,
)
from tests.projections.books import made_up

HISTORIES = 150
CLOCKS = 80
"""Random pairs of clocks at which each history's control accounts are compared: 12,000 in all."""
SIGNS = {UNBILLED: 1, RECEIVABLE: 1, CREDITS: -1}
"""Customer credits are what we owe: a credit balance."""
FIGURES = {UNBILLED: "unbilled", RECEIVABLE: "open", CREDITS: "unapplied"}
VAT = (Tax("vat", "0.1", 10),)


def short(found: list[Entry]) -> list[tuple[str, str, int]]:
    return [(entry.debit, entry.credit, entry.amount_minor) for entry in found]


def of(given: Given, asked: c.Command) -> list[tuple[str, str, int]]:
    """What the events of a command debit, credit and move."""
    return short([entry for event in given.ask(asked) for entry in entries(event)])


def test_a_charge_and_its_reversal() -> None:
    """Amount and tax, each to its own account, and back."""
    given = Given(opening())
    assert [
        ("unbilled_receivables", "revenue:usage", 100),
        ("unbilled_receivables", "tax_payable:vat", 10),
    ] == of(given, charge("A", 100, taxes=VAT))
    assert [
        ("revenue:usage", "unbilled_receivables", 100),
        ("tax_payable:vat", "unbilled_receivables", 10),
    ] == of(given, c.ReverseCharge(charge_id="A"))


def test_an_invoice_and_its_cancellation() -> None:
    """What was unbilled is receivable."""
    given = Given(opening(), charge("A", 100, taxes=VAT))
    assert [("accounts_receivable", "unbilled_receivables", 110)] == of(
        given, c.IssueInvoice(number="N")
    )
    assert [("unbilled_receivables", "accounts_receivable", 110)] == of(
        given, c.CancelInvoice(number="N", reason="wrong address")
    )


def test_credits_in_excess_of_charges() -> None:
    """A credit for the next invoice lowers what is unbilled; the excess becomes account credit."""
    given = Given(opening(), charge("A", 100))
    assert [
        ("allowances", "unbilled_receivables", 120),
        ("tax_payable:vat", "unbilled_receivables", 10),
    ] == of(given, credit("R", 120, "next_invoice", taxes=VAT))
    assert [("unbilled_receivables", "customer_credits", 30)] == of(
        given, c.IssueInvoice(number="N")
    )


def test_a_credit_note_is_put_on_its_invoice() -> None:
    """Through customer credits, so that each entry has its own day."""
    given = Given(*billed(("N", 50, day(8, 1))))
    assert [
        ("allowances", "customer_credits", 20),
        ("customer_credits", "accounts_receivable", 20),
    ] == of(given, credit("R", 20, "invoice", invoice="N"))
    assert [
        ("customer_credits", "allowances", 20),
        ("accounts_receivable", "customer_credits", 20),
    ] == of(given, c.ReverseCredit(credit_id="R"))


def test_a_payment_its_return_and_what_was_refunded() -> None:
    """Money refunded cannot be taken back: its return is receivable at once."""
    given = Given(*billed(("N", 50, day(8, 1))))
    assert [
        ("cash:card", "customer_credits", 80),
        ("customer_credits", "accounts_receivable", 50),
    ] == of(given, payment("P", 80))
    assert [("customer_credits", "cash:card", 30)] == of(given, refund("R", 30))
    assert [
        ("customer_credits", "cash:card", 50),
        ("accounts_receivable", "cash:card", 30),
        ("accounts_receivable", "customer_credits", 50),
    ] == of(given, returned("P"))


def test_a_write_off_and_its_recovery() -> None:
    """A payment of bad debt first takes the loss back."""
    given = Given(*billed(("N", 50, day(8, 1))))
    assert [("bad_debt", "accounts_receivable", 50)] == of(given, write_off("W", "N"))
    assert [
        ("cash:card", "customer_credits", 20),
        ("accounts_receivable", "bad_debt", 20),
        ("customer_credits", "accounts_receivable", 20),
    ] == of(given, payment("P", 20, invoice="N"))
    assert [("accounts_receivable", "bad_debt", 30)] == of(
        given, c.ReverseWriteOff(write_off_id="W")
    )


def test_each_entry_has_its_own_day() -> None:
    """A payment of last week waits as a credit until the invoice of today takes it."""
    given = Given(opening(), payment("P", 80, effective_on=day(6, 1)), charge("A", 50))
    [issued] = given.ask(c.IssueInvoice(number="N", issued_on=TODAY))
    taken = [entry for entry in entries(issued) if entry.kind == "allocation"]
    assert [("payment:P", "N", TODAY)] == [(e.document, e.invoice, e.on) for e in taken]


def test_an_amount_below_zero_is_no_entry() -> None:
    """Such an event cannot be folded: its account is parked rather than booked the wrong way."""
    posted = e.ChargePosted(
        effective_on=TODAY, charge_id="A", amount_minor=-1, category="usage", description="a call"
    )
    with pytest.raises(AssertionError):
        entries(posted)


def net(event: e.Event) -> Counter[tuple[str, date]]:
    """What the event's entries add to each control account, by day; debits positive."""
    found = Counter[tuple[str, date]]()
    for entry in entries(event):
        found[entry.debit, entry.on] += entry.amount_minor
        found[entry.credit, entry.on] -= entry.amount_minor
    return Counter({key: amount for key, amount in found.items() if amount and key[0] in CONTROLS})


def moved(event: e.Event) -> Counter[tuple[str, date]]:
    """The same by the movements that figures are sums of."""
    found = Counter[tuple[str, date]]()
    for account, figure in FIGURES.items():
        for movement in movements(event):
            if movement.figure == figure:
                found[account, movement.on] += SIGNS[account] * movement.amount_minor
    return Counter({key: amount for key, amount in found.items() if amount})


def test_control_accounts_tie_at_any_two_clocks() -> None:
    """Unbilled receivables, accounts receivable and customer credits are the figures they control:
    event by event, and in sum at made-up pairs of clocks over made-up histories."""
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    compared = 0
    for n in range(HISTORIES):
        held = made_up(dice, f"M-{n}", dice.randint(5, 60)).book.events
        for event in held:
            assert moved(event) == net(event), event
        if not held:
            continue
        first = min(event.effective_on for event in held)
        days = (max(event.effective_on for event in held) - first).days + 3
        for _ in range(CLOCKS):
            known = dice.randint(1, len(held))
            on = first + timedelta(days=dice.randint(-1, days))
            assert figures(held[:known], on) == balances(held[:known], on), (n, known, on)
            compared += 1
    assert compared >= 10_000


def balances(held: list[e.Event], on: date) -> dict[str, int]:
    """The control accounts' balances on a day, as what they control."""
    found = dict.fromkeys(CONTROLS, 0)
    for event in held:
        for (account, counted_on), amount in net(event).items():
            if counted_on <= on:
                found[account] += SIGNS[account] * amount
    return found


def figures(held: list[e.Event], on: date) -> dict[str, int]:
    """The figures that they control."""
    past = as_of(held, on)
    unapplied = sum(past.unapplied_minor.values())
    return {
        UNBILLED: past.standing.current_activity_minor,
        RECEIVABLE: past.standing.balance_minor + unapplied,
        CREDITS: unapplied,
    }
