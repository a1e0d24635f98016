"""The journal: trial balances at any two clocks or by posting period, and the entries behind them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec

from api import parameters
from api.amounts import Money, money
from api.carrying import LINES, Line, carriers
from api.cursors import list_of, seal, unseal
from api.damage import view_damaged
from api.doors import RegionDoor
from api.entering import account_unknown, place
from api.operations import Operation
from api.parameters import CURSOR, FROM, LIMIT, LIMIT_DEFAULT, TO, Parameter
from api.problems import invalid_query
from api.region_reads import NOT_OLDER_THAN, REGION_AS_OF, RegionRead, RegionReading
from api.security.scope import READ_BOOKS
from ledger.calendar import month_end
from ledger.month_end import PERIOD, period_of
from ledger.store.sql import load
from projections.journal.accounts import CHART, PATTERN, Type, books_account, described

LAST_OF_DAYS, _FIRST_OF_DAYS = date.max, date.min
_LANE_MAX, _POSITION_MAX, _N_MAX = 63, 2**63 - 1, 2**31 - 1
_PERIOD_SCHEMA = {"type": "string", "pattern": f"^{PERIOD.pattern}$"}

_LISTED = ("journal", "receivables")
"""What entries are listed from: of late ones the invoices that carried them are told too."""

Period = Annotated[str, msgspec.Meta(pattern=f"^{PERIOD.pattern}$")]
"""A posting period, such as 2020-07."""
Side = Literal["debit", "credit"]

_SQL = load("projections.journal", "reading.sql")


def _period(text: str) -> date:
    """The first day of a month like 2020-07; raises ValueError."""
    if not PERIOD.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a month such as 2020-07")
    return period_of(text).first_on


PERIOD_GIVEN = Parameter(
    "period",
    _period,
    _PERIOD_SCHEMA,
    "Only what is posted in this month, by posting period and not by day.",
)
ACCOUNT = Parameter(
    "account",
    lambda text: books_account(parameters.words(text)),
    {**parameters.WORDS_SCHEMA, "pattern": f"^{PATTERN}$"},
    f"Only entries that debit or credit this account of the books, one of {', '.join(CHART)}.",
)
ACCOUNT_NUMBER = Parameter(
    "account_number",
    parameters.words,
    parameters.WORDS_SCHEMA,
    "Only entries of this customer's account; 404 if there is none at the moment asked for.",
)
LATE = Parameter(
    "late",
    parameters.flag,
    {"type": "boolean", "default": False},
    "True: only what was posted later than in the month of its day, which was closed by then.",
)


class BalanceOf(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the books: what it had, what moved it, what it has. Debit balances are positive."""

    account: str
    title: str
    type: Type
    opening: Money
    debit: Money
    credit: Money
    balance: Money


class TrialBalance(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of a currency; what is debited in all is credited in all."""

    currency: str
    accounts: list[BalanceOf]
    debit: Money
    credit: Money


class TrialBalances(msgspec.Struct, frozen=True, kw_only=True):
    """A trial balance for each currency: openings are from before `from`, or before the period."""

    currencies: list[TrialBalance]
    first_on: date | None
    period: Period | None
    effective_on: date
    known_at: datetime | None
    position: str


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An amount that one account is debited with and another credited.

    `position` is that of its event; `late`: its period is later than the month of its day, which was
    closed when it was recorded. `carried_by` is the invoice that a late charge, or credit for the next
    invoice, is on: null while it is on none, and of other entries.
    """

    position: str
    n: int
    kind: str
    effective_on: date
    period: Period
    late: bool
    recorded_at: datetime
    account_number: str
    debit: str
    credit: str
    amount: Money
    document: str
    invoice: str | None
    carried_by: str | None


class LedgerBalance(msgspec.Struct, frozen=True, kw_only=True):
    """What an account of the books had in a currency before the days or period asked for, and after."""

    currency: str
    opening: Money
    closing: Money


class JournalPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of entries, the latest day first.

    `balances` are of the account of the books asked for, unless only some of its entries are.
    """

    balances: list[LedgerBalance]

    data: list[JournalEntry]
    next_cursor: str | None
    effective_on: date
    known_at: datetime | None
    position: str


def journal_operations(doors: Mapping[str, RegionDoor]) -> list[Operation]:
    """The operations of the journal."""
    balances = parameters.named(*REGION_AS_OF, FROM, PERIOD_GIVEN)
    entries = parameters.named(
        *REGION_AS_OF, FROM, TO, PERIOD_GIVEN, ACCOUNT, ACCOUNT_NUMBER, LATE, LIMIT, CURSOR
    )
    return [
        Operation(
            method="GET",
            path="/v1/finance/trial-balance",
            name="get_trial_balance",
            says="What every account of the books has, per currency",
            details="As of a day, or by posting period; with `from` or `period` also what there was "
            "before, and what moved it since.",
            tag="finance",
            permission=READ_BOOKS,
            handle=RegionRead(doors, READ_BOOKS, balances, _trial_balance, views=("journal",)),
            replies={200: TrialBalances},
            headers=(NOT_OLDER_THAN,),
            parameters=balances,
            problems=(401, 403, 422, 503),
            codes=("view_damaged",),
        ),
        Operation(
            method="GET",
            path="/v1/finance/journal",
            name="list_journal",
            says="Entries, the latest day first",
            details="Of an account of the books (its general ledger), a customer, a posting period, "
            "or days; each names the event it is of.",
            tag="finance",
            permission=READ_BOOKS,
            handle=RegionRead(doors, READ_BOOKS, entries, _journal, views=_LISTED),
            replies={200: JournalPage},
            headers=(NOT_OLDER_THAN,),
            parameters=entries,
            problems=(401, 403, 404, 422, 503),
            codes=("account_unknown", "view_damaged"),
        ),
    ]


def _month(first_on: date) -> str:
    return first_on.isoformat()[:7]


def _one_basis(given: Mapping[str, Any]) -> None:
    """Raises Problem (422) when both a posting period and days are asked for."""
    for days in ("from", "to", "effective_on"):
        parameters.not_both(given, "period", days)


async def _trial_balance(reading: RegionReading) -> TrialBalances:
    given = reading.given
    _one_basis(given)
    period: date | None = given.get("period")
    if "from" in given and given["from"] > reading.effective_on:
        raise invalid_query("from", f"{given['from']} is after {reading.effective_on}")
    rows = await reading.named(
        _SQL["trial_balance"], **{"from": given.get("from"), "period": period}
    )
    by_currency: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_currency.setdefault(row["currency"], []).append(row)
    return TrialBalances(
        currencies=[_of_currency(currency, found) for currency, found in by_currency.items()],
        first_on=given.get("from"),
        period=_month(period) if period else None,
        effective_on=month_end(period) if period else reading.effective_on,
        known_at=reading.known_at,
        position=reading.position,
    )


def _of_currency(currency: str, rows: Sequence[Mapping[str, Any]]) -> TrialBalance:
    def sums(name: str) -> int:
        return sum(_minor(row, name) for row in rows)

    if sums("opening") or sums("debit") != sums("credit") or sums("balance"):
        raise view_damaged("journal", f"debits and credits of {currency} are not equal in its sums")
    return TrialBalance(
        currency=currency,
        accounts=[_balance(row) for row in rows],
        debit=money(sums("debit"), currency),
        credit=money(sums("credit"), currency),
    )


def _balance(row: Mapping[str, Any]) -> BalanceOf:
    try:
        title, type, _ = described(row["account"])
    except KeyError:
        raise view_damaged("journal", "a sum is of an account that no entry names") from None
    amounts = {
        name: money(_minor(row, name), row["currency"])
        for name in ("opening", "debit", "credit", "balance")
    }
    return BalanceOf(account=row["account"], title=title, type=type, **amounts)


def _minor(row: Mapping[str, Any], name: str) -> int:
    """A sum in minor units; raises Problem for one that no entries have, such as half a cent."""
    try:
        return int(row[name])
    except ValueError:
        raise view_damaged("journal", "a sum is no whole number of minor units") from None


async def _journal(reading: RegionReading) -> JournalPage:
    given = reading.given
    _one_basis(given)
    period: date | None = given.get("period")
    limit = given.get("limit", LIMIT_DEFAULT)
    filters = {n: v for n, v in given.items() if n not in ("limit", "cursor")}
    kind = list_of("journal", reading.region, filters)
    before = LAST_OF_DAYS, _LANE_MAX, _POSITION_MAX, _N_MAX
    if "cursor" in given:
        before = unseal(reading.key, kind, given["cursor"], tuple[date, int, int, int])
    first_on, last_on = _days(reading, period)
    asked = {
        "from": first_on,
        "to": last_on,
        "period": period,
        "account": given.get("account"),
        "late": given.get("late", False),
        "limit": limit + 1,
        **dict(
            zip(("before_on", "before_lane", "before_position", "before_n"), before, strict=True)
        ),
    }
    rows = await _rows(reading, asked)
    next_cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        place = (last["effective_on"], last["lane"], last["position"], last["n"])
        next_cursor = seal(reading.key, kind, place)
    return JournalPage(
        balances=await _balances(reading, asked),
        data=await _entries(reading, rows[:limit]),
        next_cursor=next_cursor,
        effective_on=reading.effective_on,
        known_at=reading.known_at,
        position=reading.position,
    )


def _days(reading: RegionReading, period: date | None) -> tuple[date, date]:
    """The first and last day asked for; raises Problem (422) for days that are none."""
    if period is not None:
        return period, month_end(period)
    first_on = reading.given.get("from", _FIRST_OF_DAYS)
    last_on = min(reading.given.get("to", LAST_OF_DAYS), reading.effective_on)
    if first_on > last_on:
        raise invalid_query("from", f"{first_on} is after {last_on}")
    return first_on, last_on


async def _balances(reading: RegionReading, asked: Mapping[str, Any]) -> list[LedgerBalance]:
    if asked["account"] is None or asked["late"] or "account_number" in reading.given:
        return []
    names = ("account", "period", "from", "to")
    rows = await reading.named(_SQL["ledger_balances"], **{name: asked[name] for name in names})
    return [
        LedgerBalance(
            currency=row["currency"],
            opening=money(_minor(row, "opening"), row["currency"]),
            closing=money(_minor(row, "closing"), row["currency"]),
        )
        for row in rows
    ]


async def _rows(reading: RegionReading, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a page and one more; raises Problem (404) for a customer's account that is none."""
    number = reading.given.get("account_number")
    if number is None and asked["account"] is None:
        return await reading.named(_SQL["entries"], **asked)
    if number is None:
        days = {"from": _FIRST_OF_DAYS, "to": LAST_OF_DAYS} if asked["period"] else {}
        return await reading.named(_SQL["entries_on"], **asked | days)
    at = place(reading.region, number)
    own = {"lane": at.lane, "account_id": at.account_id}
    if not (await reading.rows(_SQL["is_opened"], **own))[0][0]:
        raise account_unknown()
    asked = {name: value for name, value in asked.items() if name != "before_lane"}
    return await reading.named(_SQL["entries_of"], **own, **asked)


async def _entries(reading: RegionReading, rows: Sequence[dict[str, Any]]) -> list[JournalEntry]:
    """The entries as they are shown, late lines with the invoice that carries them.

    By posting period invoices count whatever their day, as entries do.
    """
    late = [n for n, row in enumerate(rows) if row["kind"] in LINES and _is_late(row)]
    lines = [
        Line(row["lane"], reading.positions[row["lane"]], row["account_number"], row["document"])
        for row in map(rows.__getitem__, late)
    ]
    day = LAST_OF_DAYS if "period" in reading.given else reading.effective_on
    carried = dict(zip(late, await carriers(reading.transaction.rows, lines, day=day), strict=True))
    return [_entry(row, carried.get(n)) for n, row in enumerate(rows)]


def _is_late(row: Mapping[str, Any]) -> bool:
    late: bool = row["period"] > row["effective_on"]
    return late


def _entry(row: dict[str, Any], carried_by: str | None) -> JournalEntry:
    late = _is_late(row)
    lane, amount_minor, currency = row.pop("lane"), row.pop("amount_minor"), row.pop("currency")
    return JournalEntry(
        **row | {"position": f"{lane}-{row['position']}", "period": _month(row["period"])},
        late=late,
        carried_by=carried_by,
        amount=money(amount_minor, currency),
    )
