"""Turnover: all that ever came into an account's totals, which bounds every sum of its history."""

import pytest

from ledger import commands as c
from ledger.errors import AmountOverflow
from ledger.events import PaymentReturned
from ledger.money import AMOUNT_MINOR_MAX, minor_units
from tests.checking import Checked
from tests.examples import (
    NUMBER,
    TODAY,
    Given,
    charge,
    credit,
    day,
    dispute,
    invoice,
    opening,
    payment,
    refund,
    returned,
    write_off,
)

LARGEST = minor_units("9999999999999999.99", "USD")
LIFE = (charge("C", LARGEST), invoice("N", TODAY), payment("P", pay="invoice", invoice="N"))
"""One full life of the largest amount that can be written."""


def turnover(given: Given) -> int:
    assert given.book.account
    return given.book.account.turnover_minor


def test_what_is_posted_and_reversed_over_and_over_is_refused() -> None:
    """Current activity is small at the end, but the sum of one day of it would not fit."""
    given = Given(opening(), *(charge(f"C-{n}", LARGEST, effective_on=day(1, 5)) for n in range(9)))
    refused = given.when(c.ReverseCharge(charge_id="C-0"))
    assert isinstance(refused, AmountOverflow)
    assert str(10 * LARGEST) == refused.amount_minor
    assert str(refused).startswith("99999999999999999.90 USD is beyond the 64 bits")


def test_one_life_of_the_largest_amount_fits() -> None:
    """Charged, billed and paid, an amount counts seven times; the invoice is closed."""
    given = Given(opening(), *LIFE)
    assert 7 * LARGEST == turnover(given)
    assert given.book.account
    assert 0 == given.book.account.open_minor


def test_a_return_beyond_the_limit_is_not_refused() -> None:
    """Its turnover stays at the limit, its money comes back, and what adds to it is refused."""
    given = Given(opening(), *LIFE)
    (event,) = given.ask(returned("P"))
    assert isinstance(event, PaymentReturned)
    assert AMOUNT_MINOR_MAX == turnover(given)
    assert given.book.account
    assert LARGEST == given.book.account.open_minor
    assert isinstance(given.when(c.ReinstatePayment(payment_id="P")), AmountOverflow)
    assert isinstance(given.when(charge("D", 1)), AmountOverflow)


@pytest.mark.parametrize(
    ("asked", "counts"),
    [
        (charge("D", 30), 30),  # unbilled
        (c.ReverseCharge(charge_id="U"), 40),  # unbilled, which may be below zero, counts back too
        (credit("K", 30, "next_invoice"), 30),
        (credit("K", 30, "account"), 2 * 30),  # credited, unapplied; then off what is open
        (payment("Q", 30, status="pending"), 30),
        (payment("Q", 30), 3 * 30),  # pending, processed, unapplied
        (c.FailPayment(payment_id="W", reason="no"), 0),
        (returned("P", 60), 3 * 60),  # unapplied, open, returned
        (refund("R", 60), 3 * 60),  # unapplied, open, refunded
        (write_off("B", "N", 30), 2 * 30),  # written off for ever, and at present
        (dispute("E", "N", 30), 30),
        (c.PostMessage(message_id="M", text="hello"), 0),
        (c.IssueInvoice(number="M"), 3 * 40),  # unbilled goes, open and billed come
    ],
)
def test_what_comes_into_a_total_counts_once(asked: c.Command, counts: int) -> None:
    """Whatever leaves a total has come into it before, and is not counted again."""
    given = Given(
        opening(),
        charge("C", 160),
        invoice("N", TODAY),
        payment("P", 60),
        payment("W", 10, status="pending"),
        charge("U", 40),
    )
    before = turnover(given)
    given.ask(asked)
    assert counts == turnover(given) - before


def test_sums_of_every_day_fit_at_the_limit() -> None:
    """Refunds and returns of the largest amount, on days of their own, leave no sum that does not."""
    checked = Checked()
    asked = (
        opening(),
        payment("P", 2 * LARGEST, effective_on=day(2, 1)),
        refund("R", LARGEST, effective_on=day(3, 1)),
        returned("P", effective_on=day(2, 2)),
        c.ReinstatePayment(payment_id="P"),
        refund("S", LARGEST),
    )
    for n, command in enumerate(asked):
        checked.handle(
            c.Request(
                account_number=NUMBER, key=f"key-{n}", command=command, actor="tests", today=TODAY
            )
        )
        checked.check(TODAY, days_back=178)
    assert (4, 2) == (checked.accepted, checked.refused)
