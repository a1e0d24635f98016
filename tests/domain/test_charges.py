"""Charges: posted once, unbilled until an invoice takes them, reversed once before that."""

from datetime import timedelta

from ledger import commands as c
from ledger.account import figures
from ledger.errors import (
    AlreadyReversed,
    AmountOverflow,
    ChargeAlreadyBilled,
    EffectiveBeforeCause,
    IdTaken,
    ItemUnknown,
)
from ledger.events import ChargePosted, ChargeReversed, InvoiceIssued
from ledger.money import AMOUNT_MINOR_MAX
from tests.examples import OPENED_ON, TODAY, VAT, Given, charge, day, invoice, opening


def test_a_charge_is_posted_as_asked() -> None:
    """Quantity and price are informative: they need not multiply to the amount."""
    asked = charge("C", 100, taxes=(VAT,), quantity="3", unit_price="0.999", effective_on=day(7, 1))
    expected = ChargePosted(
        effective_on=day(7, 1),
        charge_id="C",
        amount_minor=100,
        taxes=(VAT,),
        category="usage",
        description="Conference call",
        quantity="3",
        unit_price="0.999",
    )
    assert [expected] == Given(opening()).when(asked)


def test_a_charge_counts_with_its_tax() -> None:
    """Current activity is amount and tax, the balance still nothing."""
    given = Given(opening(), charge("C", 100, taxes=(VAT,)))
    assert given.book.account
    shown = figures(given.book.account, TODAY)
    assert (120, 0) == (shown.current_activity_minor, shown.balance_minor)


def test_a_charge_of_nothing_is_a_line() -> None:
    """Free calls are shown on the bill."""
    (posted,) = Given(opening()).when(charge("C", 0))
    assert 0 == posted.amount_minor


def test_a_charge_id_is_used_once() -> None:
    """Even when the first was reversed."""
    given = Given(opening(), charge("C", 1), c.ReverseCharge(charge_id="C"))
    assert IdTaken(kind="charge", id="C") == given.when(charge("C", 1))


def test_a_charge_may_lie_ahead_and_counts_from_its_day() -> None:
    """It is not in today's current activity."""
    given = Given(opening())
    (posted,) = given.when(charge("C", 9, effective_on=TODAY + timedelta(days=2)))
    assert posted.ahead
    account = given.book.account
    assert account
    assert 0 == figures(account, TODAY).current_activity_minor
    assert 9 == figures(account, TODAY + timedelta(days=2)).current_activity_minor


def test_a_charge_does_not_precede_its_account() -> None:
    """There was nobody to charge."""
    early = OPENED_ON - timedelta(days=1)
    refused = Given(opening()).when(charge("C", 1, effective_on=early))
    assert EffectiveBeforeCause(effective_on=early, cause="the account", cause_on=OPENED_ON) == (
        refused
    )


def test_a_charge_in_a_billed_period_is_late() -> None:
    """It goes to the next invoice and is marked; what is billed stays as it was."""
    given = Given(
        opening(),
        (charge("C", 1, effective_on=day(6, 1)), day(6, 30)),
        (c.IssueInvoice(number="N"), day(6, 30)),
    )
    (posted,) = given.when(charge("L", 2, effective_on=day(6, 15)))
    assert posted.late
    (bill,) = given.when(c.IssueInvoice(number="M"))
    assert isinstance(bill, InvoiceIssued)
    assert (1, 2) == (bill.lines.count, bill.total_minor)


def test_a_charge_beyond_64_bits_is_refused() -> None:
    """Amounts never wrap, nor do sums of them."""
    refused = Given(opening()).when(charge("C", AMOUNT_MINOR_MAX, taxes=(VAT,)))
    assert AmountOverflow(amount_minor=str(AMOUNT_MINOR_MAX + 20)) == refused
    given = Given(opening(), charge("C", AMOUNT_MINOR_MAX))
    assert AmountOverflow(amount_minor=str(AMOUNT_MINOR_MAX + 1)) == given.when(charge("D", 1))


def test_an_unbilled_charge_is_reversed() -> None:
    """The reversal repeats the amounts, so it stands alone."""
    given = Given(opening(), charge("C", 100, taxes=(VAT,)))
    expected = ChargeReversed(
        effective_on=TODAY,
        charge_id="C",
        amount_minor=100,
        taxes=(VAT,),
        category="usage",
        reason="twice",
    )
    assert [expected] == given.when(c.ReverseCharge(charge_id="C", reason="twice"))


def test_a_charge_is_reversed_once() -> None:
    """The second time there is nothing left to reverse."""
    reversal = c.ReverseCharge(charge_id="C")
    refused = Given(opening(), charge("C", 1), reversal).when(reversal)
    assert AlreadyReversed(kind="charge", id="C") == refused


def test_a_billed_charge_is_not_reversed() -> None:
    """It is corrected by a credit note for its invoice."""
    given = Given(opening(), charge("C", 1), invoice("N", TODAY))
    assert ChargeAlreadyBilled(charge_id="C") == given.when(c.ReverseCharge(charge_id="C"))


def test_an_unknown_charge_is_not_reversed() -> None:
    """The refusal names it."""
    refused = Given(opening()).when(c.ReverseCharge(charge_id="C"))
    assert ItemUnknown(kind="charge", id="C") == refused


def test_a_charge_is_not_reversed_before_its_day() -> None:
    """The cause and its day are in the refusal."""
    given = Given(opening(), charge("C", 1, effective_on=day(7, 20)))
    refused = given.when(c.ReverseCharge(charge_id="C", effective_on=day(7, 19)))
    assert isinstance(refused, EffectiveBeforeCause)
    assert (day(7, 19), day(7, 20)) == (refused.effective_on, refused.cause_on)
