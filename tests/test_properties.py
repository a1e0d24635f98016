"""Properties of money, calendar, allocation order and of what is written down."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import commands as c
from ledger.calendar import (
    DayOfMonth,
    EndOfMonth,
    Net,
    Terms,
    due_date,
    month_end,
    months_later,
    period_end,
    period_start,
)
from ledger.errors import AmountOverflow, InvalidAmount
from ledger.events import PaymentProcessed
from ledger.ids import ID
from ledger.money import (
    AMOUNT_MINOR_MAX,
    decimal_text,
    exponent,
    minor_units,
    rounded,
    split,
    within_64_bits,
)
from ledger.parts import Allocation, Tax
from tests import examples
from tests.counting import counted, thorough

CURRENCIES = ("USD", "JPY", "KWD", "EUR", "CLF")
AMOUNTS = st.integers(0, AMOUNT_MINOR_MAX) | st.integers(0, 10_000)
DAYS = st.dates(date(1900, 1, 1), date(2300, 12, 31))
CYCLES = st.just("month_end") | st.integers(1, 31)
TERMS = st.one_of(
    st.builds(Net, st.integers(0, 366)),
    st.builds(EndOfMonth, st.integers(0, 366)),
    st.builds(DayOfMonth, st.integers(1, 31), st.integers(1, 31)),
)


# Money


@thorough(2_000)
@given(AMOUNTS, st.lists(st.integers(0, 10**12), min_size=1, max_size=12).filter(any))
@counted
def test_a_split_loses_no_unit(total: int, weights: list[int]) -> None:
    """Shares sum to the total, each within one unit of its exact part, none for no weight."""
    shares = split(total, weights)
    assert total == sum(shares)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - Fraction(total * weight, sum(weights))) < 1
        assert weight or not share


@thorough(1_000)
@given(AMOUNTS, st.lists(st.integers(0, 1_000), min_size=2, max_size=8).filter(any))
@counted
def test_units_left_of_a_split_go_to_the_largest_remainders(total: int, weights: list[int]) -> None:
    """Who was rounded up had no smaller remainder than who was not; ties go to the earlier."""
    whole = sum(weights)
    shares = split(total, weights)
    ranked = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    up = [shares[i] - total * weights[i] // whole for i in ranked]
    assert sorted(up, reverse=True) == up
    assert set(up) <= {0, 1}


@thorough(2_000)
@given(st.integers(-(10**30), 10**30) | st.integers(-500, 500), st.integers(1, 10**6))
@counted
def test_rounding_is_half_away_from_zero(numerator: int, denominator: int) -> None:
    """The whole unit nearest to the exact value; of two as near, the one farther from zero."""
    exact = Fraction(numerator, denominator)
    unit = rounded(numerator, denominator)
    assert abs(unit - exact) <= Fraction(1, 2)
    if abs(unit - exact) == Fraction(1, 2):
        assert abs(unit) > abs(exact)
    assert -unit == rounded(-numerator, denominator)


@thorough(2_000)
@given(st.integers(0, 10**16 - 1), st.sampled_from(CURRENCIES))
@counted
def test_an_amount_reads_back_as_it_is_written(minor: int, currency: str) -> None:
    """decimal_text and minor_units are inverse, and the text has the currency's decimals."""
    text = decimal_text(minor, currency)
    assert minor == minor_units(text, currency)
    assert exponent(currency) == len(text.partition(".")[2])
    assert f"-{text}" == decimal_text(-minor, currency) or minor == 0


@thorough(2_000)
@given(st.text(max_size=24), st.sampled_from(CURRENCIES))
@counted
def test_any_text_is_an_amount_or_refused(text: str, currency: str) -> None:
    """Whatever a stranger sends is a non-negative amount in its own words, or InvalidAmount."""
    try:
        minor = minor_units(text, currency)
    except (InvalidAmount, AmountOverflow):
        return
    assert text.isascii()
    assert Fraction(text) * 10 ** exponent(currency) == minor >= 0


HOSTILE = (
    "", " 1", "1 ", "1\n", "+1", "-1", "1e3", "1_000", "1,5", ".5", "5.", "01", "00.1", "1.234",
    "0x10", "NaN", "inf", "١٢.50", "１２", "1.5٠", "1..5", "1.5.5", "²", "10000000000000000", "1\x00",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_amount_is_refused(text: str) -> None:
    """Only ASCII digits with at most the currency's decimals are an amount."""
    with pytest.raises(InvalidAmount):
        minor_units(text, "USD")


@thorough(1_000)
@given(st.integers(-(2**70), 2**70))
@counted
def test_an_amount_fits_64_bits_or_is_refused(minor: int) -> None:
    """Overflow is refused, never wrapped."""
    try:
        assert minor == within_64_bits(minor)
    except AmountOverflow:
        assert abs(minor) > AMOUNT_MINOR_MAX


# Calendar


@thorough(2_000)
@given(CYCLES, DAYS)
@counted
def test_every_day_is_in_exactly_one_period(cycle: str | int, day: date) -> None:
    """A period holds its day; the next begins the day after it ends."""
    start, end = period_start(cycle, day), period_end(cycle, day)
    assert start <= day <= end
    assert period_start(cycle, end + timedelta(days=1)) == end + timedelta(days=1)
    assert (start, end) == (period_start(cycle, start), period_end(cycle, end))
    assert 28 <= (end - start).days + 1 <= 31 or cycle in (29, 30, 31)


@thorough(1_000)
@given(st.integers(1, 31), DAYS)
@counted
def test_a_cycle_day_clamps_and_keeps_its_anchor(anchor: int, day: date) -> None:
    """Every period ends on the anchor day, or on the last day of a month too short for it."""
    for _ in range(14):
        day = period_end(anchor, day)
        assert day.day == min(anchor, month_end(day).day)
        day += timedelta(days=1)


@thorough(1_000)
@given(DAYS, st.integers(0, 40), st.integers(1, 31))
@counted
def test_months_later_is_in_the_month_so_many_later(day: date, months: int, anchor: int) -> None:
    """The month is exactly so many later, the day the anchor or the month's last."""
    later = months_later(day, months, anchor)
    assert later.year * 12 + later.month == day.year * 12 + day.month + months
    assert later.day == min(anchor, month_end(later).day)


@thorough(1_000)
@given(TERMS, DAYS)
@counted
def test_an_invoice_is_never_due_before_its_issue(terms: Terms, issued_on: date) -> None:
    """And each kind of terms gives the day it says."""
    due_on = due_date(terms, issued_on)
    assert due_on >= issued_on
    match terms:
        case Net(days):
            assert (due_on - issued_on).days == days
        case EndOfMonth(days):
            assert due_on - timedelta(days=days) == month_end(issued_on)
        case DayOfMonth(day, cutoff):
            months = due_on.year * 12 + due_on.month - issued_on.year * 12 - issued_on.month
            assert months == (1 if issued_on.day <= cutoff else 2)
            assert due_on.day == min(day, month_end(due_on).day)


# Allocation

INVOICES = st.lists(
    st.tuples(st.integers(1, 300), st.integers(0, 6), st.sampled_from((0, 0, 0, 40, 500))),
    min_size=1,
    max_size=6,
)
"""Amount, due in so many days, amount disputed."""


def with_invoices(invoices: list[tuple[int, int, int]]) -> examples.Given:
    due = [(f"N{i}", a, examples.TODAY + timedelta(d)) for i, (a, d, _) in enumerate(invoices)]
    disputes = [
        examples.dispute(f"D{i}", f"N{i}", amount)
        for i, (_, _, amount) in enumerate(invoices)
        if amount
    ]
    return examples.Given(*examples.billed(*due), *disputes)


@thorough(1_000)
@given(INVOICES, st.integers(1, 1_500))
@counted
def test_unnamed_money_goes_by_due_date_then_order_of_issue(
    invoices: list[tuple[int, int, int]], amount: int
) -> None:
    """Each invoice gets what is undisputed of it before a later one gets anything."""
    events = with_invoices(invoices).ask(examples.payment("P", amount))
    expected, left = [], amount
    for i in sorted(range(len(invoices)), key=lambda i: (invoices[i][1], i)):
        owed, _, disputed = invoices[i]
        part = min(left, max(owed - disputed, 0))
        left -= part
        if part:
            expected.append(Allocation("payment:P", f"N{i}", part, examples.TODAY))
    assert isinstance(events[-1], PaymentProcessed)
    assert expected == list(events[-1].allocations)


@thorough(500)
@given(INVOICES, st.lists(st.tuples(st.integers(1, 400), st.integers(0, 5)), max_size=4))
@counted
def test_the_balance_does_not_depend_on_which_invoices_are_paid(
    invoices: list[tuple[int, int, int]], payments: list[tuple[int, int]]
) -> None:
    """The same money, named for invoices or not, leaves the same balance."""
    named, unnamed = with_invoices(invoices), with_invoices(invoices)
    for i, (amount, which) in enumerate(payments):
        number = f"N{which % len(invoices)}"
        named.ask(examples.payment(f"P{i}", amount, invoice=number))
        unnamed.ask(examples.payment(f"P{i}", amount))
        assert named.book.account
        assert unnamed.book.account
        assert named.book.account.balance_minor == unnamed.book.account.balance_minor


# What is written down

IDS = st.from_regex(rf"\A{ID.pattern}\Z")
TAXES = st.lists(
    st.builds(Tax, st.text(min_size=1, max_size=20), st.just("0.2"), st.integers(0, 999)),
    max_size=4,
).map(tuple)
CHARGES = st.builds(
    c.PostCharge,
    charge_id=IDS,
    amount_minor=AMOUNTS,
    taxes=TAXES,
    description=st.text(max_size=500),
    category=st.text(min_size=1, max_size=64),
    effective_on=st.none() | DAYS,
)
PAYMENTS = st.builds(
    c.SubmitPayment,
    payment_id=IDS,
    pay=st.sampled_from(("total", "invoice", "amount")),
    amount_minor=st.none() | st.integers(1, AMOUNT_MINOR_MAX),
    invoice=st.none() | IDS,
    method=st.just("card"),
    effective_on=st.none() | DAYS,
)
OPENINGS = st.builds(
    c.OpenAccount,
    company=st.text(min_size=1, max_size=200),
    country=st.text(min_size=1, max_size=64),
    currency=st.sampled_from(CURRENCIES),
    billing_cycle=CYCLES,
    terms=TERMS,
    opened_on=st.none() | DAYS,
)
DECODER = msgspec.json.Decoder(c.AnyCommand)


@thorough(2_000)
@given(CHARGES | PAYMENTS | OPENINGS)
@counted
def test_a_command_has_one_encoding(command: c.Command) -> None:
    """A decoded command encodes to the same bytes, so its hash is that of what was asked."""
    written = msgspec.json.encode(command, order="deterministic")
    read = DECODER.decode(written)
    assert command == read
    assert written == msgspec.json.encode(read, order="deterministic")


@thorough(1_000)
@given(CHARGES | PAYMENTS, st.text(min_size=1, max_size=12))
@counted
def test_an_unknown_field_is_refused(command: c.Command, name: str) -> None:
    """Nothing that a caller says is dropped in silence."""
    fields = msgspec.to_builtins(command)
    if name in command.__struct_fields__ or name == "type":
        return
    with pytest.raises(msgspec.ValidationError):
        DECODER.decode(msgspec.json.encode(fields | {name: 1}))


@thorough(1_000)
@given(st.text(max_size=70).filter(lambda text: not text.isascii() or " " in text or not text))
@counted
def test_an_id_is_ascii_letters_digits_and_four_signs(text: str) -> None:
    """No other text is an id."""
    body = {"type": "reverse_charge", "charge_id": text}
    with pytest.raises(msgspec.ValidationError):
        DECODER.decode(msgspec.json.encode(body))


WRONG_IN_FORM = (
    {"amount_minor": -1},
    {"amount_minor": 2**63},
    {"amount_minor": 1.5},
    {"amount_minor": "1"},
    {"amount_minor": True},
    {"taxes": [{"name": "VAT", "rate": "0.2", "amount_minor": -1}]},
    {"taxes": [{"name": "VAT", "rate": "0.2", "amount_minor": 1}] * 17},
    {"effective_on": "2020-02-30"},
    {"category": ""},
    {"description": "x" * 501},
)


@pytest.mark.parametrize("wrong", WRONG_IN_FORM, ids=str)
def test_a_charge_wrong_in_form_is_refused(wrong: dict[str, object]) -> None:
    """What cannot be a charge is never a command."""
    plain = {"type": "post_charge", "charge_id": "C", "amount_minor": 1}
    plain |= {"description": "", "category": "usage"}
    assert isinstance(DECODER.decode(msgspec.json.encode(plain)), c.PostCharge)
    with pytest.raises(msgspec.ValidationError):
        DECODER.decode(msgspec.json.encode(plain | wrong))
