"""What a month end came to, folded from the events alone, to hold the journal and the views against.

The log is read lane by lane. Reports of different lanes, or of parts of one, add up to the report
of both, so lanes may be read by several processes; none keeps more than the accounts of a lane.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Self
from uuid import UUID

import msgspec

from ledger.events import AccountOpened, InvoiceIssued
from ledger.invoice_totals import InvoiceTotals
from ledger.month_end import Period, key_of
from ledger.postings import postings
from ledger.store.log import Log
from ledger.store.mapper import Recorded

PostingPeriod = Callable[[int, int, date], str]
"""The month, such as 2020-07, that what lane and position recorded posts to from a day on."""


class CurrencyReport(msgspec.Struct, kw_only=True):
    """One currency's share of a report.

    `accounts` got `invoices` under the period's key, as they were issued, cancelled since or not.
    `movements` are what was posted to the period, in minor units, debits positive; none is zero.
    """

    accounts: int = 0
    invoices: InvoiceTotals = msgspec.field(default_factory=InvoiceTotals)
    movements: dict[str, int] = msgspec.field(default_factory=dict)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            accounts=self.accounts + other.accounts,
            invoices=self.invoices + other.invoices,
            movements=_summed((self.movements, other.movements)),
        )


class LaneReport(msgspec.Struct, kw_only=True):
    """Events read and what they came to, by currency; of a lane, a part of one, or many."""

    events: int = 0
    currencies: dict[str, CurrencyReport] = msgspec.field(default_factory=dict)

    def __add__(self, other: Self) -> Self:
        """The report of both, which have no event in common.

        An account counts once for each of them that holds an invoice of it.
        """
        both = dict(self.currencies)
        for currency, report in other.currencies.items():
            both[currency] = both.get(currency, CurrencyReport()) + report
        return type(self)(events=self.events + other.events, currencies=both)


def fold_lane(
    events: Iterable[tuple[int, Recorded]],
    *,
    lane: int,
    period: Period,
    posting_period: PostingPeriod,
    currency_of: Callable[[UUID], str],
) -> LaneReport:
    """The report of a lane's events, each with its position, or of a stretch of them.

    `currency_of` is asked for accounts that were opened before the stretch.
    """
    folding = _Folding(lane, period, posting_period, currency_of)
    for position, recorded in events:
        folding.take(position, recorded)
    return folding.report()


def read_lanes(
    log: Log, lanes: Sequence[tuple[int, int]], period: Period, posting_period: PostingPeriod
) -> LaneReport:
    """The report of lanes of the log, each up to a position."""
    report = LaneReport()
    for lane, through in lanes:
        report += read_lane(log, lane, period, posting_period, through=through)
    return report


def read_lane(
    log: Log,
    lane: int,
    period: Period,
    posting_period: PostingPeriod,
    *,
    through: int,
    after: int = 0,
) -> LaneReport:
    """The report of a lane of the log past one position up to another."""

    def events() -> Iterator[tuple[int, Recorded]]:
        for stored in log.lane(lane, after):
            if stored.position > through:
                return
            yield stored.position, log.recorded(stored)

    def currency_of(account_id: UUID) -> str:
        [first] = log.read_account(account_id, 0, 1)
        opened = log.recorded(first).event
        assert isinstance(opened, AccountOpened), opened
        return opened.currency

    return fold_lane(
        events(), lane=lane, period=period, posting_period=posting_period, currency_of=currency_of
    )


class _Folding:
    """A report in the making."""

    def __init__(
        self,
        lane: int,
        period: Period,
        posting_period: PostingPeriod,
        currency_of: Callable[[UUID], str],
    ) -> None:
        self._lane = lane
        self._period = str(period)
        self._key = key_of(period)
        self._posting_period = posting_period
        self._currency_of = currency_of
        self._known: dict[UUID, str] = {}
        self._billed = set[UUID]()
        self._events = 0
        self._currencies: dict[str, CurrencyReport] = {}

    def take(self, position: int, recorded: Recorded) -> None:
        self._events += 1
        event, account_id = recorded.event, recorded.account_id
        if isinstance(event, AccountOpened):
            self._known[account_id] = event.currency
        if isinstance(event, InvoiceIssued) and recorded.key == self._key:
            report = self._of(account_id)
            report.accounts += account_id not in self._billed
            self._billed.add(account_id)
            report.invoices.add(event)
        posted = postings(event)  # none of an invoice over nothing, which is one all the same
        if not posted:
            return
        report = self._of(account_id)
        balances: dict[date, int] = {}
        for posting in posted:
            balances[posting.on] = balances.get(posting.on, 0) + posting.amount_minor
        assert not any(balances.values()), f"debits are not credits: {recorded}"
        in_period = {
            on for on in balances if self._posting_period(self._lane, position, on) == self._period
        }
        for to, on, amount_minor in posted:
            if on in in_period:
                report.movements[to] = report.movements.get(to, 0) + amount_minor

    def report(self) -> LaneReport:
        for report in self._currencies.values():
            report.movements = _summed((report.movements,))
        return LaneReport(events=self._events, currencies=self._currencies)

    def _of(self, account_id: UUID) -> CurrencyReport:
        currency = self._known.get(account_id)
        if currency is None:
            currency = self._known[account_id] = self._currency_of(account_id)
        return self._currencies.setdefault(currency, CurrencyReport())


def _summed(many: Iterable[dict[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for movements in many:
        for to, amount_minor in movements.items():
            sums[to] = sums.get(to, 0) + amount_minor
    return {to: amount_minor for to, amount_minor in sums.items() if amount_minor}
