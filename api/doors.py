"""What a serving process has of each region: its lines, its ledger and its calendar."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Protocol

from eventsourcing.persistence import InterfaceError, OperationalError

from api import metrics
from api.cursors import CursorKey
from api.database import DatabaseUnavailable, Line, LinePool
from api.entering import Entered, Place
from api.entrance import Entrance
from api.feed import Feed
from api.handover import Handover
from api.heads import HeadWatch
from api.problems import Problem
from api.reads import SummaryReader
from api.regions import Region
from api.security.roles import REGISTRAR, SIGN_IN
from api.security.scope import Permission
from ledger.closing import MonthEnds
from ledger.commands import Request
from ledger.period_close import PeriodCloses
from ledger.store.committer import Ledger
from ledger.store.faults import LedgerClosed, StoreUnavailable
from ledger.store.outcomes import Outcome
from ledger.store.roles import READER
from ledger.store.waiting import Order

READING_LINES = 4
ENTRANCE_LINES = 1
KEEPING_LINES = 1
SIGNING_LINES = 1
FEED_LINES = 2
"""Of their own: who catches up on years of events does not keep account reads waiting."""
BOOKS_LINES = 2
"""Of their own as well: reads of a whole region take their time."""
BOOKS_SETTINGS = {
    "statement_timeout": "60s",
    "work_mem": "32MB",
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
}
"""A statement over a region is planned for what is asked: that is worth more than planning costs."""

COMMANDS_MAX = 96
"""Single commands of a region under way in a process: some tenths of a second of work."""
RETRY_AFTER_S = 1


class Reachable(Protocol):
    """A region's database as doors need it."""

    @property
    def region(self) -> Region: ...
    @property
    def service_url(self) -> str: ...
    def ledger(self) -> Ledger:
        """The door to the region's log; to be closed."""

    def month_ends(self) -> MonthEnds:
        """The region's month ends; to be closed."""

    def period_closes(self) -> PeriodCloses:
        """The region's closed months; to be closed."""

    def catch_up(self, timeout_s: float) -> None:
        """Every view holds what the log holds by now; raises the follower's ViewBehind."""


class RegionDoor:
    """One region of a serving process; made outside an event loop, used inside."""

    def __init__(
        self, database: Reachable, summaries: SummaryReader, closing: asyncio.Event
    ) -> None:
        self.region = database.region
        self.service_url = database.service_url
        self.summaries = summaries
        self.reading = LinePool(database.service_url, READER, READING_LINES)
        self.keeping = LinePool(database.service_url, REGISTRAR, KEEPING_LINES)
        self.entrance = Entrance(
            [Line(database.service_url, READER) for _ in range(ENTRANCE_LINES)]
        )
        self.signing = LinePool(database.service_url, SIGN_IN, SIGNING_LINES)
        self.cursor_key = CursorKey(self.reading)
        self.books = LinePool(database.service_url, READER, BOOKS_LINES, **BOOKS_SETTINGS)
        self.feed = Feed(database.region.code, LinePool(database.service_url, READER, FEED_LINES))
        self.watch = HeadWatch(self.feed, closing)
        self._database = database
        self._ledger: Ledger | None = None
        self._handover: Handover[list[Outcome]] | None = None
        self._commands = 0
        self._opening = asyncio.Lock()

    def today(self) -> date:
        """The region's business day, by this machine's clock: to be asked once a request."""
        return self.region.today()

    @property
    def is_busy(self) -> bool:
        """Whether as many single commands are under way as may be at once."""
        return self._commands >= COMMANDS_MAX

    def refuse_if_busy(self) -> None:
        """Raises Problem while the region is busy: whoever comes is told at once to come back.

        More would only wait longer.
        """
        if self.is_busy:
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem("overloaded", "too many commands at once: try again", headers=wait)

    async def enter(self, permission: Permission, token: bytes, at: Place | None) -> Entered:
        """Who wants a command done; as `Entrance.enter`, and raises Problem when too many do.

        It is under way meanwhile, but not while its body comes: that is for the caller to say.
        """
        self.refuse_if_busy()
        self._commands += 1
        try:
            return await self.entrance.enter(permission, token, at)
        finally:
            self._commands -= 1

    async def handle_one(self, request: Request) -> Outcome:
        """As `handle`, for a command that came alone; raises Problem when too many do."""
        self.refuse_if_busy()
        self._commands += 1
        try:
            [outcome] = await self.handle([request])
        finally:
            self._commands -= 1
        return outcome

    async def handle(self, requests: Sequence[Request]) -> list[Outcome]:
        """The outcomes of requests; raises StoreUnavailable, LedgerClosed, DatabaseUnavailable.

        A ledger whose thread has ended is opened anew for whoever comes next.
        """
        ledger = await self._opened()
        return await self._answer(requests, ledger, self._asked(requests, ledger))

    async def enqueue(
        self, requests: Sequence[Request], order: Order
    ) -> "asyncio.Task[list[Outcome]]":
        """As `handle`, for callers who go on meanwhile: in order, with all of that order, from now on.

        Raises DatabaseUnavailable; the rest is raised to whoever awaits the outcomes.
        """
        ledger = await self._opened()
        asked = self._asked(requests, ledger, order)
        return asyncio.create_task(self._answer(requests, ledger, asked))

    def _asked(
        self, requests: Sequence[Request], ledger: Ledger, order: Order | None = None
    ) -> "asyncio.Future[list[Outcome]]":
        metrics.queued(self.region.code, ledger.waiting + len(requests))
        try:
            if self._handover is None:
                self._handover = Handover()
            return self._handover.awaited(ledger.enqueue(requests, order))
        except (StoreUnavailable, LedgerClosed) as fault:
            refused = asyncio.get_running_loop().create_future()
            refused.set_exception(fault)
            return refused

    async def _answer(
        self,
        requests: Sequence[Request],
        ledger: Ledger,
        asked: "asyncio.Future[list[Outcome]]",
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            outcomes = await asked
        except LedgerClosed:
            if self._ledger is ledger:
                self._ledger = None
            raise
        finally:
            metrics.queued(self.region.code, ledger.waiting)
            metrics.commands(requests, outcomes)
        return outcomes

    def month_ends(self) -> MonthEnds:
        """The region's month ends, for a thread; to be closed."""
        return self._database.month_ends()

    def period_closes(self) -> PeriodCloses:
        """The region's closed months, for a thread; to be closed."""
        return self._database.period_closes()

    @property
    def database(self) -> Reachable:
        """The region's database, for a process beside this one."""
        return self._database

    def catch_up(self, timeout_s: float) -> None:
        """Every view holds what the log holds by now, for a thread; raises the follower's ViewBehind."""
        self._database.catch_up(timeout_s)

    async def close(self) -> None:
        """What was taken is done, and no connection is left."""
        if self._ledger is not None:
            await asyncio.to_thread(self._ledger.close)
        await self.summaries.close()
        await self.reading.close()
        await self.books.close()
        await self.entrance.close()
        await self.keeping.close()
        await self.signing.close()
        await self.watch.close()
        await self.feed.close()

    async def _opened(self) -> Ledger:
        if self._ledger is None:
            async with self._opening:
                if self._ledger is None:
                    self._ledger = await self._open()
        return self._ledger

    async def _open(self) -> Ledger:
        try:
            return await asyncio.to_thread(self._database.ledger)
        except (OperationalError, InterfaceError) as fault:
            raise DatabaseUnavailable from fault
