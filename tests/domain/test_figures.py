"""The figures, live and effective on a day as known at a version."""

from datetime import timedelta

import pytest

from ledger import commands as c
from ledger.account import figures
from ledger.history import as_of
from ledger.parts import SettingsChange
from ledger.standing import Standing
from tests.examples import (
    TODAY,
    Given,
    billed,
    charge,
    credit,
    day,
    dispute,
    opening,
    payment,
    returned,
)


def standing(given: Given, on: object = TODAY, known: int | None = None) -> Standing:
    assert not isinstance(on, str)
    return as_of(given.book.events[:known], on).standing  # type: ignore[arg-type]  # a date


def test_the_home_page_example() -> None:
    """61.11 is due on 30 July, and there is no current activity."""
    given = Given(*billed(("N", 6111, TODAY)))
    assert given.book.account
    shown = figures(given.book.account, TODAY)
    assert (6111, TODAY, 0) == (
        shown.total_amount_due_minor,
        shown.due_on,
        shown.current_activity_minor,
    )


def test_we_owe_the_customer_when_the_balance_is_negative() -> None:
    """Nothing is due then, and there is credit to show."""
    shown = standing(Given(opening(), payment("P", 40)))
    assert (-40, 0, 40, None) == (
        shown.balance_minor,
        shown.total_amount_due_minor,
        shown.available_credit_minor,
        shown.due_on,
    )


def test_payable_now_is_never_negative() -> None:
    """More may be pending than is due."""
    given = Given(*billed(("N", 50, TODAY)), payment("P", 80, status="pending"))
    shown = standing(given)
    assert (50, 80, 0) == (
        shown.total_amount_due_minor,
        shown.pending_payments_minor,
        shown.payable_now_minor,
    )


def test_unapplied_credit_covers_what_is_due_first() -> None:
    """Disputed or not: the next date that is not covered is shown."""
    given = Given(
        *billed(("N", 50, day(8, 1)), ("M", 50, day(8, 9))),
        dispute("D", "N"),
        dispute("E", "M"),
        payment("P", 50),
    )
    shown = standing(given)
    assert (50, day(8, 9)) == (shown.balance_minor, shown.due_on)


def test_the_due_day_itself_is_not_late() -> None:
    """The day after it is one day past due."""
    given = Given(*billed(("N", 50, TODAY)))
    assert (0, 0) == (standing(given).past_due_minor, standing(given).days_past_due)
    next_day = standing(given, TODAY + timedelta(days=1))
    assert (50, 1) == (next_day.past_due_minor, next_day.days_past_due)


def test_what_is_disputed_is_not_past_due() -> None:
    """It is in the aging all the same, and shown apart."""
    given = Given(*billed(("N", 50, TODAY)), dispute("D", "N", 20))
    shown = standing(given, TODAY + timedelta(days=40))
    assert (30, 40) == (shown.past_due_minor, shown.days_past_due)
    assert (50, 20, 40) == (shown.aging.d31_60, shown.aging.disputed, shown.aging.oldest_days)


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (0, "current"), (1, "d1_30"), (30, "d1_30"), (31, "d31_60"), (60, "d31_60"),
        (61, "d61_90"), (90, "d61_90"), (91, "d91"),
    ],
)  # fmt: skip
def test_an_open_amount_is_in_one_bucket(days: int, bucket: str) -> None:
    """By days past due."""
    aging = standing(Given(*billed(("N", 50, TODAY))), TODAY + timedelta(days=days)).aging
    found = {name: getattr(aging, name) for name in ("current", "d1_30", "d31_60", "d61_90", "d91")}
    assert {name: 50 if name == bucket else 0 for name in found} == found


def test_buckets_less_unapplied_credit_are_the_balance() -> None:
    """Also when credit waits beside a disputed amount."""
    given = Given(*billed(("N", 50, TODAY)), dispute("D", "N"), payment("P", 20))
    shown = standing(given)
    assert (50, 30) == (shown.aging.current, shown.balance_minor)


def test_only_what_was_known_is_counted() -> None:
    """A backdated payment changes its day, and not what was known before."""
    given = Given(*billed(("N", 50, TODAY)))
    known = len(given.book.events)
    tomorrow = TODAY + timedelta(days=1)
    given.ask(payment("P", 50, effective_on=TODAY), tomorrow)
    assert 50 == standing(given, TODAY, known).balance_minor
    assert 0 == standing(given, TODAY).balance_minor


def test_every_event_counts_from_its_own_day() -> None:
    """An invoice from its issue, a payment and its return from theirs."""
    given = Given(
        opening(),
        charge("C", 50, effective_on=day(5, 5)),
        c.IssueInvoice(number="N", period_end=day(5, 31), issued_on=day(6, 1)),
        payment("P", 50, effective_on=day(6, 10)),
        returned("P", effective_on=day(6, 20)),
    )
    days = (day(5, 4), day(5, 5), day(6, 1), day(6, 10), day(6, 20))
    assert [(0, 0), (0, 50), (50, 0), (0, 0), (50, 0)] == [
        (standing(given, on).balance_minor, standing(given, on).current_activity_minor)
        for on in days
    ]


def test_a_prepayment_waits_until_its_invoice() -> None:
    """As of a day between, it is unapplied credit."""
    given = Given(
        opening(),
        payment("P", 80, effective_on=day(5, 1)),
        charge("C", 50, effective_on=day(5, 5)),
        c.IssueInvoice(number="N", issued_on=day(6, 1)),
    )
    before, after = as_of(given.book.events, day(5, 31)), as_of(given.book.events, day(6, 1))
    assert ({"payment:P": 80}, {"payment:P": 30}) == (before.unapplied_minor, after.unapplied_minor)


def test_today_and_now_is_the_live_figure() -> None:
    """One account, two ways to its figures."""
    given = Given(*billed(("N", 50, TODAY)), credit("R", 5, "account"), charge("C", 7))
    shown = standing(given)
    assert given.book.account
    live = figures(given.book.account, TODAY)
    assert live.balance_minor == shown.balance_minor
    assert live.due_on == shown.due_on
    assert live.current_activity_minor == shown.current_activity_minor


def test_settings_have_two_clocks_too() -> None:
    """The terms of a day are the latest change on or before it."""
    change = c.ChangeSettings(changes=SettingsChange(language="de"), effective_on=day(3, 1))
    given = Given(opening(), change)
    assert "en" == as_of(given.book.events, day(2, 29)).settings["language"]
    assert "de" == as_of(given.book.events, day(3, 1)).settings["language"]
    assert "en" == as_of(given.book.events[:1], day(3, 1)).settings["language"]
