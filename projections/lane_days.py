"""The first position that each lane recorded on a day (UTC), of any read model: table `lane_day`.

It turns a position into the days that were over by then, whose movements are kept as sums.
"""

from datetime import date
from typing import NamedTuple

from ledger.store.sql import load
from projections.model import At
from projections.writing import statement


class LaneDayRow(NamedTuple):
    lane: int
    recorded_day: date
    first_position: int


class LaneDays:
    """The days on which a batch's lanes recorded something."""

    def __init__(self) -> None:
        self.rows: list[LaneDayRow] = []
        self.last = date.min
        self._seen: set[tuple[int, date]] = set()

    def note(self, at: At) -> date:
        """The day that the event was recorded on, which its lane has now."""
        day = at.recorded_at.date()
        if (at.lane, day) not in self._seen:
            self._seen.add((at.lane, day))
            self.rows.append(LaneDayRow(at.lane, day, at.position))
            self.last = max(self.last, day)
        return day


NOTE_LANE_DAY = statement(
    load("projections", "writing.sql")["note_lane_day"], LaneDayRow, counted=False
)
