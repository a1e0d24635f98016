"""The posting period of a journal line: the month its books belong to, once months are closed.

It is the month of the line's effective day, or the first month still open if that one had been cut
off when the line's event was recorded. A cut is the position of a lane up to which events belong to
the month they say, so it is decided by the log's own order, and every rebuild decides the same.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from ledger.calendar import months_later


class Cut(NamedTuple):
    """A lane's events past `position` are in none of the months up to that of `period`, its first day."""

    lane: int
    period: date
    position: int


def first_of(day: date) -> date:
    """The first day of the day's month."""
    return day if day.day == 1 else day.replace(day=1)


class Cuts:
    """The cuts of some lanes, and what they make of a line's day."""

    def __init__(self, cuts: Iterable[Cut] = ()) -> None:
        by_lane: dict[int, list[Cut]] = {}
        for cut in sorted(cuts, key=lambda cut: (cut.lane, cut.position, cut.period)):
            by_lane.setdefault(cut.lane, []).append(cut)
        self._at: Mapping[int, tuple[list[int], list[date]]] = {
            lane: ([cut.position for cut in found], _open_after(found))
            for lane, found in by_lane.items()
        }

    def period(self, lane: int, position: int, effective_on: date) -> date:
        """The first day of the posting period of a line that an event at a position has on a day."""
        month = first_of(effective_on)
        found = self._at.get(lane)
        if found is None:
            return month
        positions, opens = found
        before = bisect_left(positions, position)
        return max(month, opens[before - 1]) if before else month


def _open_after(cuts: list[Cut]) -> list[date]:
    """The first open month after each cut, latest month cut so far counted."""
    opens, latest = list[date](), date.min
    for cut in cuts:
        latest = max(latest, months_later(cut.period, 1, 1))
        opens.append(latest)
    return opens
