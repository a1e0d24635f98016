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
from ledger.month_end import Period, month_of
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


Currencies = dict[str, CurrencyReport]


class LaneReport(msgspec.Struct, kw_only=True):
    """Events read and what they came to, by currency; of a lane, a part of one, or many.

    `earlier` are the reports of months before, by month, as far as they were asked for and anything
    was invoiced or posted in them.
    """

    events: int = 0
    currencies: Currencies = msgspec.field(default_factory=dict)
    earlier: dict[str, Currencies] = msgspec.field(default_factory=dict)

    def __add__(self, other: Self) -> Self:
        """The report of both, which have no event in common.

        An account counts once for each of them that holds an invoice of it.
        """
        months = self.earlier.keys() | other.earlier.keys()
        return type(self)(
            events=self.events + other.events,
            currencies=_of_both(self.currencies, other.currencies),
            earlier={
                month: _of_both(self.earlier.get(month, {}), other.earlier.get(month, {}))
                for month in sorted(months)
            },
        )


def fold_lane(
    events: Iterable[tuple[int, Recorded]],
    *,
    lane: int,
    period: Period,
    posting_period: PostingPeriod,
    currency_of: Callable[[UUID], str],
    since: Period | None = None,
) -> LaneReport:
    """The report of a lane's events, each with its position, or of a stretch of them.

    `currency_of` is asked for accounts that were opened before the stretch. With `since`, months
    from then on are reported beside the period.
    """
    folding = _Folding(lane, since or period, period, posting_period, currency_of)
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
    since: Period | None = None,
) -> LaneReport:
    """The report of a lane of the log past one position up to another; `since` as in `fold_lane`."""

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
        events(),
        lane=lane,
        period=period,
        posting_period=posting_period,
        currency_of=currency_of,
        since=since,
    )


class _Folding:
    """Reports of months in the making."""

    def __init__(
        self,
        lane: int,
        since: Period,
        period: Period,
        posting_period: PostingPeriod,
        currency_of: Callable[[UUID], str],
    ) -> None:
        self._lane = lane
        self._since = str(since)
        self._period = str(period)
        self._posting_period = posting_period
        self._currency_of = currency_of
        self._known: dict[UUID, str] = {}
        self._billed: dict[str, set[UUID]] = {}
        self._events = 0
        self._months: dict[str, Currencies] = {self._period: {}}

    def take(self, position: int, recorded: Recorded) -> None:
        self._events += 1
        event, account_id = recorded.event, recorded.account_id
        if isinstance(event, AccountOpened):
            self._known[account_id] = event.currency
        if isinstance(event, InvoiceIssued) and self._is_asked(month := month_of(recorded.key)):
            report = self._of(month, account_id)
            billed = self._billed.setdefault(month, set())
            report.accounts += account_id not in billed
            billed.add(account_id)
            report.invoices.add(event)
        posted = postings(event)  # none of an invoice over nothing, which is one all the same
        if not posted:
            return
        self._of(self._period, account_id)
        balances: dict[date, int] = {}
        for posting in posted:
            balances[posting.on] = balances.get(posting.on, 0) + posting.amount_minor
        assert not any(balances.values()), f"debits are not credits: {recorded}"
        movements = {
            on: self._of(month, account_id).movements
            for on in balances
            if self._is_asked(month := self._posting_period(self._lane, position, on))
        }
        for to, on, amount_minor in posted:
            if on in movements:
                movements[on][to] = movements[on].get(to, 0) + amount_minor

    def report(self) -> LaneReport:
        for currencies in self._months.values():
            for report in currencies.values():
                report.movements = _summed((report.movements,))
        earlier = {
            month: held
            for month, currencies in sorted(self._months.items())
            if month != self._period and (held := _not_empty(currencies))
        }
        currencies = self._months[self._period]
        return LaneReport(events=self._events, currencies=currencies, earlier=earlier)

    def _is_asked(self, month: str) -> bool:
        return self._since <= month <= self._period

    def _of(self, month: str, account_id: UUID) -> CurrencyReport:
        currency = self._known.get(account_id)
        if currency is None:
            currency = self._known[account_id] = self._currency_of(account_id)
        return self._months.setdefault(month, {}).setdefault(currency, CurrencyReport())


def _of_both(one: Currencies, other: Currencies) -> Currencies:
    both = dict(one)
    for currency, report in other.items():
        both[currency] = both.get(currency, CurrencyReport()) + report
    return both


def _not_empty(currencies: Currencies) -> Currencies:
    return {
        currency: report
        for currency, report in currencies.items()
        if report.invoices.invoices or report.movements
    }


def _summed(many: Iterable[dict[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for movements in many:
        for to, amount_minor in movements.items():
            sums[to] = sums.get(to, 0) + amount_minor
    return {to: amount_minor for to, amount_minor in sums.items() if amount_minor}
