"""Posting periods: the month of the day, until it was cut off before the line was recorded."""

from datetime import date

import pytest

from ledger.posting import Cut, Cuts

JUNE, JULY, AUGUST = (date(2020, month, 1) for month in (6, 7, 8))
CUTS = Cuts([Cut(3, JULY, 50), Cut(3, JUNE, 20), Cut(4, JUNE, 0)])


@pytest.mark.parametrize(
    ("lane", "position", "on", "period"),
    [
        (5, 99, date(2020, 6, 30), JUNE),
        (3, 20, date(2020, 6, 30), JUNE),
        (3, 21, date(2020, 6, 30), JULY),
        (3, 21, date(2019, 1, 5), JULY),
        (3, 21, date(2020, 8, 5), AUGUST),
        (3, 50, date(2020, 7, 31), JULY),
        (3, 51, date(2020, 6, 30), AUGUST),
        (3, 51, date(2020, 7, 31), AUGUST),
        (4, 1, date(2020, 6, 30), JULY),
    ],
)
def test_what_is_late_is_posted_in_the_first_open_month(
    lane: int, position: int, on: date, period: date
) -> None:
    """By the position of the lane at which the month was cut off; the event at it is in time."""
    assert period == CUTS.period(lane, position, on)


def test_an_earlier_month_cut_off_later_opens_nothing_again() -> None:
    """Once July is closed, June is, too."""
    cuts = Cuts([Cut(0, JULY, 10), Cut(0, JUNE, 30)])
    assert AUGUST == cuts.period(0, 31, date(2020, 6, 1))
