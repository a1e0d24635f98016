"""What a policy asks for on a day: given an account's past, when it is assessed, then exactly this."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from ledger import commands as c
from ledger.dunning import Assessment, assess, fee_id, interest_id, mark, reminder_id
from ledger.dunning_facts import facts_of
from ledger.dunning_policy import Fee, Interest, Percent, Policy, Step
from ledger.errors import AmountOverflow
from ledger.money import AMOUNT_MINOR_MAX
from ledger.past_due import Spell
from tests.examples import (
    Given,
    billed,
    charge,
    credit,
    dispute,
    invoice,
    opening,
    payment,
    refund,
    returned,
    write_off,
)

DUE = date(2020, 8, 10)
"""Of the invoice N, of 100.00, issued on 30 July."""
BILLER = "Example Conferencing Inc."
FLAT = Fee(flat_minor=1_500)
TEN_PERCENT = Percent(10_000_000)
YEARLY = Percent(3_650_000 * 10)
"""36.5 %: a tenth of a percent a day."""


def late(days: int) -> date:
    """The day so many days past due."""
    return DUE + timedelta(days)


def policy(*steps: Step, since: date = date(2020, 1, 1), **more: Any) -> Policy:
    return Policy(currency="USD", since=since, steps=steps, **more)


def past(*asked: Any) -> Given:
    """The invoice N, and what was asked after it, each on its day."""
    return Given(*billed(("N", 10_000, DUE)), *asked)


def asked_for(given: Given, by: Policy, on: date) -> list[Assessment]:
    return list(assess(facts_of(given.book.events, on), by, on, BILLER).assessments)


def done(given: Given, by: Policy, on: date, today: date | None = None) -> list[Assessment]:
    """As a run does: what is asked for is posted."""
    found = asked_for(given, by, on)
    for one in found:
        given.ask(one.command(on), today or on)
    return found


def told(found: list[Assessment]) -> list[tuple[str, int | None, int]]:
    return [(one.kind, one.step, one.amount_minor) for one in found]


FEE_AFTER_7 = policy(Step(after_days=7, fee=FLAT))


@pytest.mark.parametrize(("days", "fees"), [(-5, 0), (0, 0), (1, 0), (7, 0), (8, 1), (400, 1)])
def test_days_of_grace_pass_before_a_fee(days: int, fees: int) -> None:
    """After seven days: on the seventh day past due nothing yet, on the eighth the fee."""
    assert fees == len(asked_for(past(), FEE_AFTER_7, late(days)))


def test_a_fee_says_what_it_is_for() -> None:
    """Invoice, step, base, days, and a charge that states them, effective on the day."""
    [fee] = asked_for(past(), policy(Step(after_days=7, fee=Fee(percent=TEN_PERCENT))), late(8))
    assert ("N", 7, 10_000, 8, 1_000, DUE) == (
        fee.invoice, fee.step, fee.base_minor, fee.days, fee.amount_minor, fee.due_on,
    )  # fmt: skip  # as they are named
    assert fee.key == f"dunning:{fee_id('N', 7)}"
    assert fee.command(late(8)) == c.PostCharge(
        charge_id=fee_id("N", 7),
        amount_minor=1_000,
        description="Late fee on invoice N, due 2020-08-10, 8 days past due, 10% of 100.00 USD",
        category="late_fee",
        effective_on=late(8),
    )


@pytest.mark.parametrize(
    ("fee", "amount"),
    [
        (FLAT, 1_500),
        (Fee(percent=TEN_PERCENT), 1_000),
        (Fee(percent=TEN_PERCENT, minimum_minor=1_001), 1_001),
        (Fee(percent=TEN_PERCENT, minimum_minor=999), 1_000),
        (Fee(percent=Percent(25_000)), 3),  # 2.5 minor units
        (Fee(percent=Percent(24_999)), 2),
        (Fee(percent=Percent(4_999)), 0),
    ],
)
def test_a_fee_is_flat_or_a_percentage_with_a_minimum(fee: Fee, amount: int) -> None:
    """Rounded half away from zero; one of nothing is not charged."""
    found = asked_for(past(), policy(Step(after_days=0, fee=fee)), late(1))
    assert [amount] * bool(amount) == [one.amount_minor for one in found]


def test_a_fee_is_charged_once_for_an_invoice_and_step() -> None:
    """Another run asks for nothing; a later step is another fee; another invoice has its own."""
    by = policy(Step(after_days=7, fee=FLAT), Step(after_days=14, fee=Fee(flat_minor=2_000)))
    given = past(charge("c2", 500), invoice("M", DUE + timedelta(5)))
    assert [("late_fee", 7, 1_500)] == told(done(given, by, late(8)))
    assert [] == done(given, by, late(8))
    assert [("late_fee", 7, 1_500)] == told(done(given, by, late(13)))  # of M
    found = done(given, by, late(15))
    assert [("late_fee", 14, 2_000)] == told(found)
    assert ["N"] == [one.invoice for one in found]


def test_steps_that_were_missed_are_made_up_for() -> None:
    """A run that comes late charges what daily runs would have; of reminders the last is sent alone."""
    by = policy(
        Step(after_days=3, reminder=True),
        Step(after_days=7, fee=FLAT, reminder=True),
        Step(after_days=14, fee=FLAT, reminder=True),
    )
    given = past()
    assert [("late_fee", 7, 1_500), ("late_fee", 14, 1_500), ("reminder", 14, 0)] == told(
        done(given, by, late(20))
    )
    assert [] == done(given, by, late(21))


@pytest.mark.parametrize("company", ["Example Conferencing Inc.", "Example Conferencing Inc"])
def test_a_reminder_is_a_sentence_of_whom_it_is_from(company: str) -> None:
    """It names the biller, with one full stop whether the name ends with one or not, what is past due
    and since when."""
    facts = facts_of(past().book.events, late(4))
    [reminder] = assess(
        facts, policy(Step(after_days=3, reminder=True)), late(4), company
    ).assessments
    assert (
        "Payment reminder from Example Conferencing Inc.\n"
        "Invoice N was due on 2020-08-10. On 2020-08-14, 4 days later, 100.00 USD of it had not been "
        "paid. If you have paid since, thank you."
    ) == reminder.says


def test_what_was_reversed_or_credited_is_not_charged_again() -> None:
    """A fee taken back before billing, one credited on its invoice: the next run leaves both alone."""
    by = policy(Step(after_days=7, fee=FLAT), Step(after_days=14, fee=FLAT))
    given = past()
    done(given, by, late(8))
    given.ask(c.ReverseCharge(charge_id=fee_id("N", 7)), late(9))
    assert [] == done(given, by, late(9))
    done(given, by, late(15))
    given.ask(invoice("F", late(60), late(15)), late(15))
    given.ask(credit("k", 1_500, "invoice", invoice="F"), late(16))
    assert [] == done(given, by, late(30))


def test_disputed_amounts_are_left_out() -> None:
    """A fee on what is undisputed, none while all of it is disputed; a rejected dispute is late again."""
    by = policy(Step(after_days=7, fee=Fee(percent=TEN_PERCENT), reminder=True))
    part = past(dispute("d", "N", 4_000))
    assert [("late_fee", 7, 600), ("reminder", 7, 0)] == told(asked_for(part, by, late(8)))
    whole = past(dispute("d", "N"))
    assert [] == asked_for(whole, by, late(8))
    whole.ask(c.ResolveDispute(dispute_id="d", outcome="rejected"), late(10))
    assert [("late_fee", 7, 1_000), ("reminder", 7, 0)] == told(asked_for(whole, by, late(10)))


def test_what_is_paid_credited_written_off_or_covered_is_not_late() -> None:
    """Nothing is asked for of an invoice with nothing past due on the day."""
    by = policy(Step(after_days=0, fee=FLAT, reminder=True))
    for settling in (
        payment("p", 10_000),
        credit("k", 10_000, "account"),
        write_off("w", "N"),
        c.CancelInvoice(number="N"),
    ):
        assert [] == asked_for(past(settling), by, late(30))
    disputed = past(dispute("d", "N"), payment("p", 12_000))  # unnamed: stays unapplied
    disputed.ask(c.ResolveDispute(dispute_id="d", outcome="rejected"), late(5))
    assert [] == asked_for(disputed, by, late(30))


def test_a_reminder_names_what_is_owed() -> None:
    """Biller, invoice, due date, amount: an ordinary message, once."""
    given = past()
    by = policy(Step(after_days=2, reminder=True))
    [reminder] = done(given, by, late(3))
    command = reminder.command(late(3))
    assert isinstance(command, c.PostMessage)
    assert command.message_id == reminder_id("N", 2)
    for words in (BILLER, "Invoice N ", "2020-08-10", "100.00 USD", "3 days later"):
        assert words in command.text
    assert [] == done(given, by, late(4))


def test_interest_is_for_each_day_past_due() -> None:
    """ACT/365, simple, from the day after the due day: ten days of 0.1 % of 100.00 are 1.00."""
    by = policy(interest=Interest(annual=YEARLY))
    given = past()
    assert [] == asked_for(given, by, DUE)
    [interest] = done(given, by, late(10))
    assert (100, 10, 10_000) == (interest.amount_minor, interest.days, interest.base_minor)
    assert (Spell(late(1), late(10), 10_000),) == interest.spells
    assert interest.id == interest_id("N", late(10))
    assert interest.says == (
        "Interest at 36.5% a year on invoice N, due 2020-08-10: 10 days from 2020-08-11 to "
        "2020-08-20 on 100.00 USD"
    )
    assert [] == done(given, by, late(10))
    [more] = done(given, by, late(12))
    assert (20, (Spell(late(11), late(12), 10_000),)) == (more.amount_minor, more.spells)
    assert [] == done(given, by, late(11), late(12))  # a day that was charged for


def test_interest_follows_what_was_owed_day_by_day() -> None:
    """Days with less owed bear less, disputed days none of what is disputed; what is paid by the day
    of the run still bears it for the days before."""
    by = policy(interest=Interest(annual=YEARLY, after_days=2))
    given = past()
    given.ask(payment("p", 4_000), late(5))
    given.ask(dispute("d", "N", 1_000), late(8))
    given.ask(payment("q", 6_000, invoice="N"), late(10))
    [interest] = asked_for(given, by, late(30))
    owed = (
        Spell(late(3), late(4), 10_000),
        Spell(late(5), late(7), 6_000),
        Spell(late(8), late(9), 5_000),
    )
    assert owed == interest.spells
    assert 48 == interest.amount_minor
    assert 7 == interest.days
    assert "50.00 USD to 100.00 USD" in interest.says


def test_a_cancelled_invoice_bears_nothing() -> None:
    """It no longer stands: no interest for the days before it was cancelled either."""
    by = policy(Step(after_days=0, fee=FLAT, reminder=True), interest=Interest(annual=YEARLY))
    given = past()
    given.ask(c.CancelInvoice(number="N"), late(20))
    assert [] == asked_for(given, by, late(30))
    assert [] == asked_for(given, by, late(10))


def test_interest_waits_until_it_reaches_the_minimum() -> None:
    """Less is not charged, nor lost: the days count once it is reached."""
    by = policy(interest=Interest(annual=YEARLY, minimum_minor=100))
    given = past()
    assert [] == done(given, by, late(9))
    assert [100] == [one.amount_minor for one in done(given, by, late(10))]
    assert [10] == [one.amount_minor for one in done(given, by, late(11))]


def test_fees_and_interest_bear_none() -> None:
    """Of an invoice with charges for late payment only the rest does, and payments go to those first."""
    by = policy(Step(after_days=7, fee=Fee(percent=TEN_PERCENT), reminder=True),
                interest=Interest(annual=YEARLY))  # fmt: skip  # two kinds
    given = Given(
        opening(),
        charge("c", 10_000),
        charge("f", 1_500, category="late_fee"),
        charge("i", 500, category="interest"),
        invoice("N", DUE),
    )
    fee, reminder, interest = asked_for(given, by, late(10))
    assert (10_000, 1_000) == (fee.base_minor, fee.amount_minor)
    assert (10_000, 100) == (interest.base_minor, interest.amount_minor)
    assert 12_000 == reminder.base_minor
    given.ask(payment("p", 2_000))
    assert 10_000 == asked_for(given, by, late(10))[0].base_minor
    given.ask(payment("q", 1_000))
    assert 9_000 == asked_for(given, by, late(10))[0].base_minor
    alone = Given(opening(), charge("f", 1_500, category="return_fee"), invoice("N", DUE))
    assert ["reminder"] == [one.kind for one in asked_for(alone, by, late(10))]


RETURN_FEE = policy(return_fee_minor=2_500)


def test_each_return_has_its_fee() -> None:
    """One for each return, wholly or in part; a second run asks for none."""
    given = past(payment("p", 3_000), returned("p", 1_000), returned("p"))
    found = done(given, RETURN_FEE, late(1))
    assert [("return_fee", None, 2_500)] * 2 == told(found)
    assert ["p", "p"] == [one.payment_id for one in found]
    assert [1_000, 2_000] == [one.base_minor for one in found]
    assert [] == done(given, RETURN_FEE, late(2))


def test_a_reinstated_return_has_none_and_an_unprocessed_payment_neither() -> None:
    """Undone before the run: no fee. Returned again: one fee for that."""
    given = past(payment("p", 3_000), returned("p"), c.ReinstatePayment(payment_id="p"))
    given.ask(payment("u", 500))
    given.ask(c.UnprocessPayment(payment_id="u"))
    assert [] == asked_for(given, RETURN_FEE, late(1))
    given.ask(returned("p"), late(1))
    assert [3_000] == [one.base_minor for one in asked_for(given, RETURN_FEE, late(1))]
    assert [] == asked_for(given, RETURN_FEE, DUE)  # before it was returned


def test_a_debit_item_is_late_like_an_invoice() -> None:
    """What a return of refunded money left is due at once, and bears fee and interest."""
    given = Given(opening(), payment("p", 10_000), refund("r", 10_000), (returned("p"), DUE))
    by = policy(Step(after_days=7, fee=FLAT), interest=Interest(annual=YEARLY))
    assert [("late_fee", 7, 1_500), ("interest", None, 100)] == told(asked_for(given, by, late(10)))


def test_nothing_before_the_policy_came_into_force() -> None:
    """No step whose day was before, no day of interest, no return: whatever is late already."""
    by = policy(
        Step(after_days=7, fee=FLAT, reminder=True),
        Step(after_days=14, fee=FLAT),
        since=late(9),
        interest=Interest(annual=YEARLY),
        return_fee_minor=100,
    )
    given = past(payment("p", 1_000), (returned("p"), late(8)))
    found = asked_for(given, by, late(15))
    assert [("late_fee", 14, 1_500), ("interest", None, 70)] == told(found)
    assert late(9) == found[1].spells[0].first_on


def test_a_closed_account_is_reminded_and_not_charged() -> None:
    """Charges are refused there; what is open is owed all the same."""
    by = policy(
        Step(after_days=7, fee=FLAT, reminder=True),
        interest=Interest(annual=YEARLY),
        return_fee_minor=100,
    )
    given = past(payment("p", 1_000), returned("p"), c.CloseAccount())
    assert ["reminder"] == [one.kind for one in asked_for(given, by, late(10))]


def test_amounts_of_another_currency_are_left_out_and_counted() -> None:
    """Where the policy states an amount, it means its own currency; percentages hold in any."""
    by = policy(
        Step(after_days=0, fee=FLAT, reminder=True),
        Step(after_days=1, fee=Fee(percent=TEN_PERCENT)),
        Step(after_days=2, fee=Fee(percent=TEN_PERCENT, minimum_minor=1)),
        interest=Interest(annual=YEARLY),
        return_fee_minor=100,
    )
    given = Given(opening(currency="JPY"), charge("c", 10_000), invoice("N", DUE))
    given.ask(payment("p", 1_000))
    given.ask(returned("p"))
    assessed = assess(facts_of(given.book.events, late(10)), by, late(10), BILLER)
    assert [("late_fee", 1, 1_000), ("reminder", 0, 0), ("interest", None, 100)] == told(
        list(assessed.assessments)
    )
    assert 3 == assessed.left_out
    assert "10000 JPY" in assessed.assessments[1].says


def test_news_of_days_that_were_charged_changes_nothing_charged() -> None:
    """A payment of an earlier day that becomes known later: the days to come bear less, those charged
    stay as they are, to be corrected by whoever entered it."""
    by = policy(interest=Interest(annual=YEARLY))
    given = past()
    assert [100] == [one.amount_minor for one in done(given, by, late(10))]
    given.ask(payment("p", 9_000, effective_on=late(3)), late(11))
    assert [20] == [one.amount_minor for one in done(given, by, late(30))]


def test_only_interest_says_through_which_day_it_was_charged() -> None:
    """By an id of its own day: not what looks like it, of another category, of another day, or of none."""
    by = policy(interest=Interest(annual=YEARLY))
    given = past()
    for n, (category, end) in enumerate(
        [("usage", "20200825"), ("interest", "20991231"), ("interest", "20200231"), ("usage", "x")]
    ):
        alike = f"interest:{mark('N')}:{end}"
        given.ask(charge(alike, 1, category=category, effective_on=late(15)), late(15 + n))
    assert [200] == [one.amount_minor for one in done(given, by, late(20))]
    assert {mark("N"): late(20)} == facts_of(given.book.events, late(21)).charged_through


def test_an_amount_beyond_64_bits_is_refused() -> None:
    """Nothing is wrapped, nothing is charged."""
    given = Given(opening(), charge("c", AMOUNT_MINOR_MAX // 8), invoice("N", DUE))
    by = policy(interest=Interest(annual=Percent(999_000_000)))
    with pytest.raises(AmountOverflow):
        asked_for(given, by, late(1_000))
