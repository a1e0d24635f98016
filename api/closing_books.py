"""Closing a month's books: cut off, then proved lane by lane by the events, the journal and the views."""

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import date

import msgspec

from api import logs
from api.wiring import Database
from ledger.closing_report import read_lane
from ledger.month_end import period_of
from ledger.period_close import Disagreement, PeriodClose
from projections.month_proof import MonthProof

CATCH_UP_S_MAX = 600.0


def prove_books(
    database: Database, period: str, progress: Callable[[int, int], None] = lambda done, of: None
) -> tuple[PeriodClose, list[Disagreement]]:
    """The month is closed if everything that is cut off of it agrees; what disagrees, lane by lane.

    Earlier months that were open are closed with it, each with its own report, from one reading.
    Lanes proved before are not looked at again; what disagrees is kept of the others. `progress` is
    given lanes done and their number. Raises ViewBehind when the views do not reach the cut, and
    Corrupt at a gap in the log.
    """
    database.catch_up(CATCH_UP_S_MAX)
    month = period_of(period)
    disagreeing: list[Disagreement] = []
    with ExitStack() as held:
        closes = held.enter_context(closing(database.period_closes()))
        log = held.enter_context(closing(database.log()))
        since = closes.first_closed_with(month)
        proof = held.enter_context(closing(MonthProof(database.service_url, month, since)))
        cuts, lanes = closes.cuts(), closes.lanes(period)

        def posting_period(lane: int, position: int, effective_on: date) -> str:
            return cuts.period(lane, position, effective_on).isoformat()[:7]

        for done, cut in enumerate(lanes, start=1):
            if not cut.is_proved:
                report = read_lane(
                    log, cut.lane, month, posting_period, through=cut.position, since=since
                )
                differing = proof.lane(cut.lane, cut.position, report)
                disagreeing += differing
                if differing:
                    closes.disagree(month, cut.lane, differing)
                else:
                    closes.prove(month, cut.lane, report)
            progress(done, len(lanes))
        found = closes.find(period)
    assert found is not None, period
    _log(database.region.code, found, disagreeing)
    return found, disagreeing


def _log(region: str, found: PeriodClose, disagreeing: list[Disagreement]) -> None:
    if not disagreeing:
        logs.event("books_closed", region=region, period=found.period)
        return
    logs.event(
        "books_disagree",
        level=logging.ERROR,
        region=region,
        period=found.period,
        lanes=sorted({one.lane for one in disagreeing}),
        first=msgspec.structs.asdict(disagreeing[0]),
    )
