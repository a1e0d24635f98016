"""Interest that is charged by the month: given what was owed and when it runs, then exactly these lines."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from ledger import commands as c
from ledger.dunning import Assessment, interest_id, mark
from ledger.dunning_facts import facts_of
from ledger.dunning_policy import Interest, Percent, Policy, Step
from ledger.past_due import Spell
from tests.domain.test_dunning import DUE, FLAT, YEARLY, asked_for, done, past, policy
from tests.examples import Given, charge, dispute, payment


def by_the(every: Any, *, since: date = date(2020, 1, 1), **more: Any) -> Policy:
    """A tenth of a percent a day: 10 minor units of the invoice N, of 100.00, due on 10 August."""
    return policy(since=since, interest=Interest(annual=YEARLY, every=every, **more))


MONTHLY = by_the("month")


def on(month: int, day: int) -> date:
    return date(2020, month, day)


def told(found: list[Assessment]) -> list[tuple[str, str, int]]:
    """The first and the last day of each line, and its amount."""
    return [
        (f"{one.spells[0].first_on:%m-%d}", f"{one.spells[-1].last_on:%m-%d}", one.amount_minor)
        for one in found
    ]


def lines(given: Given, by: Policy, *days: date) -> list[list[tuple[str, str, int]]]:
    """What runs on these days charge, each."""
    return [told(done(given, by, day)) for day in days]


@pytest.mark.parametrize(
    ("day", "through"),
    [
        (date(2020, 8, 1), date(2020, 7, 31)),
        (date(2020, 8, 30), date(2020, 7, 31)),
        (date(2020, 8, 31), date(2020, 8, 31)),
        (date(2020, 2, 28), date(2020, 1, 31)),
        (date(2020, 2, 29), date(2020, 2, 29)),
        (date(2021, 2, 28), date(2021, 2, 28)),
        (date(2021, 1, 1), date(2020, 12, 31)),
    ],
)
def test_a_month_is_charged_from_its_last_day_on(day: date, through: date) -> None:
    """A run charges the months that are over, of which one that ends on its day is; by the day, its day."""
    assert through == Interest(annual=YEARLY, every="month").through(day)
    assert day == Interest(annual=YEARLY).through(day)


def test_daily_runs_make_a_line_a_month() -> None:
    """On its last day; a step's fee is charged on its own day all the same."""
    by = policy(Step(after_days=7, fee=FLAT), interest=MONTHLY.interest)
    given = past()
    found = [
        (day, one.kind, one.amount_minor)
        for day in (DUE + timedelta(n) for n in range(1, 83))  # through 31 October
        for one in done(given, by, day)
    ]
    assert [
        (on(8, 18), "late_fee", 1_500),
        (on(8, 31), "interest", 210),
        (on(9, 30), "interest", 300),
        (on(10, 31), "interest", 310),
    ] == found


def test_a_line_names_its_days_and_counts_from_the_run() -> None:
    """Run on the third: effective then, for the month before; its id is of the last day charged."""
    given = past()
    [line] = done(given, MONTHLY, on(9, 3))
    assert interest_id("N", on(8, 31)) == line.id
    assert (Spell(on(8, 11), on(8, 31), 10_000),) == line.spells
    command = line.command(on(9, 3))
    assert isinstance(command, c.PostCharge)
    assert (on(9, 3), 210) == (command.effective_on, command.amount_minor)
    assert line.says.endswith("21 days from 2020-08-11 to 2020-08-31 on 100.00 USD")
    assert {mark("N"): on(8, 31)} == facts_of(given.book.events, on(9, 3)).charged_through


@pytest.mark.parametrize("days", [(on(9, 1), on(9, 2), on(9, 29)), (on(9, 17), on(9, 17)),
                                  (on(8, 31), on(9, 1))])  # fmt: skip  # days of one month
def test_a_second_run_adds_nothing_before_the_next_month_is_over(days: tuple[date, ...]) -> None:
    """Whichever days it runs on, and after a month without a run both are one line."""
    given = past()
    assert [[("08-11", "08-31", 210)], *([] for _ in days[1:])] == lines(given, MONTHLY, *days)
    assert [[("09-01", "10-31", 610)]] == lines(given, MONTHLY, on(11, 15))


def test_what_is_paid_or_disputed_meanwhile_bears_interest_for_the_days_before() -> None:
    """They are charged with the month they lie in, though nothing is past due when it is over."""
    given = past()
    given.ask(dispute("d", "N", 4_000), on(9, 6))
    given.ask(payment("p", 6_000, invoice="N"), on(9, 11))
    assert [[("08-11", "08-31", 210)]] == lines(given, MONTHLY, on(9, 20))
    [line] = done(given, MONTHLY, on(10, 2))
    assert (Spell(on(9, 1), on(9, 5), 10_000), Spell(on(9, 6), on(9, 10), 6_000)) == line.spells
    assert 80 == line.amount_minor
    assert [[]] == lines(given, MONTHLY, on(11, 1))


def test_a_minimum_holds_a_month_back_and_loses_none() -> None:
    """Until the invoice's interest of the months that are over reaches it, then all of it is charged; it
    holds no later month back. What never reaches it is never charged."""
    by = by_the("month", minimum_minor=220)
    assert [[], [("08-11", "09-30", 510)], [("10-01", "10-31", 310)]] == lines(
        past(), by, on(8, 31), on(9, 30), on(10, 31)
    )
    assert [[]] == lines(past(), by, on(9, 2))  # reached by days of a month that is not over
    paid = past()
    paid.ask(payment("p", 10_000), on(9, 1))
    assert [[], []] == lines(paid, by, on(9, 1), on(10, 1))


def test_days_of_grace_bear_nothing() -> None:
    """The first month has the days after them; a month with none has no line."""
    by = by_the("month", after_days=30)
    assert [[], [("09-10", "09-30", 210)]] == lines(past(), by, on(9, 1), on(10, 1))


def test_what_was_taken_back_is_not_charged_again() -> None:
    """Nor are its days charged with the next month."""
    given = past()
    [line] = done(given, MONTHLY, on(9, 3))
    given.ask(c.ReverseCharge(charge_id=line.id), on(9, 4))
    assert [[], [("09-01", "09-30", 300)]] == lines(given, MONTHLY, on(9, 20), on(10, 1))


def test_a_day_given_before_today_charges_the_months_over_by_then() -> None:
    """A run that was missed is made up for; one of a day before another's adds nothing."""
    given = past()
    [line] = done(given, MONTHLY, on(9, 3), today=on(10, 5))
    assert [("08-11", "08-31", 210)] == told([line])
    assert [[("09-01", "09-30", 300)]] == lines(given, MONTHLY, on(10, 5))
    assert [] == asked_for(given, MONTHLY, on(9, 20))
    assert [] == asked_for(given, MONTHLY, on(8, 31))


def test_a_policy_may_change_between_day_and_month() -> None:
    """No day is lost, none charged twice."""
    daily = by_the("day")
    given = past()
    assert [[("08-11", "09-14", 350)]] == lines(given, daily, on(9, 14))
    assert [[], [("09-15", "09-30", 160)]] == lines(given, MONTHLY, on(9, 20), on(10, 1))
    assert [[("10-01", "10-03", 30)]] == lines(given, daily, on(10, 3))


def test_another_rate_counts_from_its_day() -> None:
    """From the first of a month: each month at its rate. From within one: the old policy's days of
    that month are of no month that is over, and are not charged."""
    twice = Interest(annual=Percent(2 * YEARLY.micros), every="month")
    for since, first in ((on(9, 1), "09-01"), (on(9, 15), "09-15")):
        given = past()
        assert [[("08-11", "08-31", 210)]] == lines(given, MONTHLY, since)
        [line] = done(given, policy(since=since, interest=twice), on(10, 1))
        assert [(first, "09-30", 20 * line.days)] == told([line])


def test_a_closed_account_and_a_cancelled_invoice_bear_nothing() -> None:
    """Charges are refused there, also for days of a month that was not over when it was closed."""
    for command in (c.CloseAccount(final_bill=True), c.CancelInvoice(number="N")):
        given = past()
        assert [[("08-11", "08-31", 210)]] == lines(given, MONTHLY, on(9, 1))
        given.ask(command, on(9, 20))
        assert [[]] == lines(given, MONTHLY, on(10, 1))


@pytest.mark.parametrize(
    ("end", "category", "posted_on", "first"),
    [
        ("20200831", "interest", on(9, 3), "09-01"),  # as a run makes it
        ("20200831", "interest", on(10, 3), "08-11"),  # of the month before last
        ("20200831", "interest", on(8, 30), "08-11"),  # of a month that was not over
        ("20200831", "usage", on(9, 3), "08-11"),
        ("20200830", "interest", on(9, 3), "08-11"),  # ends no month
    ],
)
def test_only_interest_of_the_month_before_says_that_it_was_charged(
    end: str, category: str, posted_on: date, first: str
) -> None:
    """What looks like it hides no day, and its id taken keeps no later month."""
    given = past()
    alike = charge(f"interest:{mark('N')}:{end}", 1, category=category, effective_on=posted_on)
    given.ask(alike, on(10, 3))
    assert [(first, "10-31")] == [line[:2] for line in lines(given, MONTHLY, on(10, 31))[0]]
