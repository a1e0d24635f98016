"""Closing a month's books: cut off lane by lane, and closed once what the cut holds is proved.

The cut is made in one transaction under all heads, in order of lane as appends lock them, and never
moves: what is recorded after it is posted in the first open month (ledger/posting.py). A month is
closed when every lane's part was found to be the same by the events, the journal and the views;
until then it is cut off, and proving it can be tried again.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal, cast

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from ledger.calendar import months_later
from ledger.closing_report import LaneReport
from ledger.errors import MonthNotBilled, PeriodClosedBefore, PeriodNotOver
from ledger.month_end import Period, period_of
from ledger.posting import Cut, Cuts
from ledger.store.lanes import LANES
from ledger.store.roles import WRITER, acting_as
from ledger.store.sql import load

STATEMENT_TIMEOUT = "30s"
FIRST_ON = date.min
"""The first day of the first month that there is."""
DISAGREEMENTS_KEPT_MAX = 16
"""Disagreements a lane keeps; all are counted."""

_SQL = load("ledger", "period_close.sql")

Connection = psycopg.Connection[tuple[Any, ...]]


class LaneCut(msgspec.Struct, frozen=True):
    """Where a lane was cut off, and whether what it holds is proved."""

    lane: int
    position: int
    is_proved: bool


class Disagreement(msgspec.Struct, frozen=True):
    """A figure of a lane's part of a month: what the events come to, and what a view says instead.

    `period` is the month: that which was cut off, or an earlier one that is closed with it.

    `view` is a table of the journal (`figure` is then an account of the books) or receivables
    (a figure of the invoices). What was counted is a number, amounts are minor units of the currency;
    as texts, because they may be of any size. `found` is any text where a damaged view has no such.
    """

    lane: int
    period: str
    view: str
    currency: str
    figure: str
    events: str
    found: str


class PeriodClose(msgspec.Struct, frozen=True, kw_only=True):
    """A month's books: cut off at positions of the lanes, closed once all of them are proved.

    `report` is what the events up to the cut come to: of the lanes proved so far. `disagreements`
    were found when the others were last looked at, at `disagreed_at`; `disagreeing` are the first of
    each lane. `closed_with` is the month whose close this is: its own, or the first later one when it
    was still open then. `also_closed` are the earlier months that are closed with it and have a report.
    """

    period: str
    closed_with: str
    also_closed: tuple[str, ...]
    state: Literal["cut_off", "closed"]
    actor: str
    cut_at: datetime
    closed_at: datetime | None
    positions: tuple[int, ...]
    lanes_proved: int
    report: LaneReport
    disagreements: int
    disagreeing: tuple[Disagreement, ...]
    disagreed_at: datetime | None


class PeriodCloses:
    """The closed months of one region; used by one thread, connected as the writer when used."""

    def __init__(self, url: str) -> None:
        self._conninfo = acting_as(url, WRITER, statement_timeout=STATEMENT_TIMEOUT, timezone="UTC")
        self._connection: Connection | None = None

    def cut_off(self, period: str, *, actor: str, today: date) -> PeriodClose:
        """The month is cut off, and with it every month before; done before, nothing changes.

        Appends wait meanwhile. Raises InvalidPeriod, PeriodNotOver, MonthNotBilled unless a month end
        of it was asked for when it was over, and is finished with nobody refused; and, when a later
        month was cut off without this one, PeriodClosedBefore.
        """
        asked = period_of(period)
        if asked.last_on >= today:
            raise PeriodNotOver(period=period, today=today)
        given = {"period": period, "actor": actor}
        connection = self._open()
        with connection.transaction():
            heads = connection.execute(_SQL["lock_heads"]).fetchall()
            assert len(heads) == LANES, heads
            if not connection.execute(_SQL["is_cut"], given).fetchone():
                covering = connection.execute(_SQL["covering"], given).fetchone()
                if covering is not None:
                    raise PeriodClosedBefore(period=period, closed=str(covering[0]))
                _refuse_unbilled(asked, connection.execute(_SQL["run"], given).fetchone())
                connection.execute(_SQL["cut"], given)
        found = self.find(period)
        assert found is not None, period
        return found

    def find(self, period: str) -> PeriodClose | None:
        """The month's books; None when they are open. Raises InvalidPeriod."""
        given = {"period": str(period_of(period))}
        connection, closed_with = self._open(), period
        if not connection.execute(_SQL["is_cut"], given).fetchone():
            covering = connection.execute(_SQL["covering"], given).fetchone()
            if covering is None:
                return None
            closed_with = str(covering[0])
        given["closed_with"] = closed_with
        return _close_of(
            period, closed_with, connection.execute(_SQL["of_period"], given).fetchall()
        )

    def first_closed_with(self, period: Period) -> Period:
        """The first month that is closed with one: the one after that which was cut off before it."""
        before = self._open().execute(_SQL["before"], {"period": str(period)}).fetchone()
        return Period(months_later(period_of(before[0]).first_on, 1, 1) if before else FIRST_ON)

    def lanes(self, period: str) -> list[LaneCut]:
        """Where each lane was cut off; none when the month's books are open."""
        given = {"period": str(period_of(period))}
        return [LaneCut(*row) for row in self._open().execute(_SQL["lanes"], given).fetchall()]

    def cuts(self) -> Cuts:
        """Every cut that was made."""
        rows = cast(list[Any], self._open().execute(_SQL["cuts"]).fetchall())
        return Cuts(Cut(lane, period_of(period).first_on, at) for lane, period, at in rows)

    def unproved(self) -> list[str]:
        """The months that are cut off and not closed, in order."""
        return [period for (period,) in self._open().execute(_SQL["unproved"]).fetchall()]

    def prove(self, period: Period, lane: int, report: LaneReport) -> None:
        """What the lane's part of the month comes to was found by every account of it."""
        kept = Jsonb(msgspec.to_builtins(report, str_keys=True))
        given = {"period": str(period), "lane": lane, "report": kept}
        self._open().execute(_SQL["prove"], given)

    def disagree(self, period: Period, lane: int, found: Sequence[Disagreement]) -> None:
        """What of the lane's part disagrees, in place of what did when it was last looked at."""
        kept = msgspec.to_builtins(found[:DISAGREEMENTS_KEPT_MAX])
        given = {"period": str(period), "lane": lane, "disagreements": len(found)}
        self._open().execute(_SQL["disagree"], given | {"disagreeing": Jsonb(kept)})

    def close(self) -> None:
        """No connection is open; the next use opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
        return self._connection


def _close_of(period: str, closed_with: str, rows: Sequence[tuple[Any, ...]]) -> PeriodClose:
    """A month's books from the rows of the lanes of its close."""
    report, also_closed, disagreeing = LaneReport(), set[str](), list[Disagreement]()
    proved, disagreed = list[datetime | None](), list[datetime]()
    for *_, proved_at, kept, earlier, _, differing, disagreed_at in rows:
        proved.append(proved_at)
        if kept is not None:
            report += msgspec.convert(kept, LaneReport)
        also_closed.update(earlier)
        disagreeing += msgspec.convert(differing, list[Disagreement])
        if disagreed_at is not None:
            disagreed.append(disagreed_at)
    done = [proved_at for proved_at in proved if proved_at is not None]
    is_closed = len(done) == len(proved)
    _, _, actor, cut_at, *_ = rows[0]
    return PeriodClose(
        period=period,
        closed_with=closed_with,
        also_closed=tuple(sorted(also_closed)),
        state="closed" if is_closed else "cut_off",
        actor=actor,
        cut_at=cut_at,
        closed_at=max(done) if is_closed else None,
        positions=tuple(position for _, position, *_ in rows),
        lanes_proved=len(done),
        report=report,
        disagreements=sum(count for *_, count, _, _ in rows),
        disagreeing=tuple(disagreeing),
        disagreed_at=max(disagreed, default=None),
    )


def _refuse_unbilled(period: Period, run: tuple[Any, ...] | None) -> None:
    """Raises MonthNotBilled unless the month end was for all of the month, and has billed it."""
    assert run is not None
    lanes, is_finished, asked_on, not_due, refused = run
    if not lanes:
        why = "its month end was never asked for"
    elif not is_finished:
        why = "its month end is not finished"
    elif asked_on <= period.last_on or not_due:
        why = "its month end was asked for before every account was due: ask for it again"
    elif refused:
        why = f"{refused} accounts were refused: mend them and ask for the month end again"
    else:
        return
    raise MonthNotBilled(period=str(period), why=why)
