"""Charges: what the customer owes, unbilled until an invoice takes it."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from operator import attrgetter

import msgspec

from ledger.account import (
    CHARGE_DAYS_AHEAD_MAX,
    CHARGE_DAYS_KEPT_MAX,
    Account,
    DayAmount,
    is_billed,
    is_freed,
    unbilled_day,
)
from ledger.calendar import month_end
from ledger.commands import PostCharge, ReverseCharge
from ledger.deciding import Deciding
from ledger.errors import AccountClosed, AlreadyReversed, ChargeAlreadyBilled, TooManyAhead
from ledger.events import ChargePosted, ChargeReversed
from ledger.fold import Fold
from ledger.items import ChargeItem, DayLines, NamedTotal, UnbilledItem
from ledger.movements import line_total
from ledger.needs import Known, Named, Query
from ledger.parts import CategoryTotal, Lines, Tax, TaxTotal


def needs_post(account: Account, known: Known, command: PostCharge, today: date) -> Iterator[Query]:
    yield Named("charge", command.charge_id)
    yield unbilled_month(account, command.effective_on or today)


def decide_post(deciding: Deciding, command: PostCharge) -> None:
    account = deciding.account
    if account.closed_on is not None:
        raise AccountClosed(account_number=account.account_number, closed_on=account.closed_on)
    deciding.refuse_taken(ChargeItem, command.charge_id)
    effective_on = deciding.effective(command.effective_on, ahead=True)
    ahead = effective_on > deciding.today
    if ahead:
        days = {day.on for day in account.ahead if day.on > deciding.today} | {effective_on}
        if len(days) > CHARGE_DAYS_AHEAD_MAX:
            raise TooManyAhead(what="charges", limit=CHARGE_DAYS_AHEAD_MAX)
    deciding.record(
        ChargePosted(
            effective_on=effective_on,
            charge_id=command.charge_id,
            amount_minor=command.amount_minor,
            taxes=command.taxes,
            category=command.category,
            description=command.description,
            quantity=command.quantity,
            unit_price=command.unit_price,
            late=account.billed_through is not None and effective_on <= account.billed_through,
            ahead=ahead,
        )
    )


def evolve_posted(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, ChargePosted)
    charge = ChargeItem(
        id=event.charge_id,
        seq=fold.version,
        effective_on=event.effective_on,
        amount_minor=event.amount_minor,
        taxes=event.taxes,
        category=event.category,
        ahead=event.ahead,
    )
    fold.put(charge)
    add_unbilled(
        fold,
        event.effective_on,
        charge_lines(event.amount_minor, event.taxes, event.category, count=1),
    )
    if event.ahead:
        fold.set(ahead=_with_day_ahead(fold.before, event.effective_on, charge.total_minor))


def needs_reverse(
    account: Account, known: Known, command: ReverseCharge, today: date
) -> Iterator[Query]:
    yield Named("charge", command.charge_id)
    charge = known.items.get(("charge", command.charge_id))
    if isinstance(charge, ChargeItem):
        yield unbilled_month(account, charge.effective_on)


def decide_reverse(deciding: Deciding, command: ReverseCharge) -> None:
    charge = deciding.item(ChargeItem, command.charge_id)
    if charge.reversed:
        raise AlreadyReversed(kind="charge", id=charge.id)
    if is_billed(deciding.account, charge.effective_on, charge.seq):
        raise ChargeAlreadyBilled(charge_id=charge.id)
    causes = [("the charge", charge.effective_on)]
    freed_on = deciding.account.freed_on
    if freed_on and is_freed(deciding.account, charge.effective_on, charge.seq):
        causes.append(("the invoice's cancellation", freed_on))
    ahead = command.effective_on == charge.effective_on
    deciding.record(
        ChargeReversed(
            effective_on=deciding.effective(command.effective_on, *causes, ahead=ahead),
            charge_id=charge.id,
            amount_minor=charge.amount_minor,
            taxes=charge.taxes,
            category=charge.category,
            reason=command.reason,
        )
    )


def evolve_reversed(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, ChargeReversed)
    charge = fold.find("charge", event.charge_id)
    assert isinstance(charge, ChargeItem), event
    fold.put(msgspec.structs.replace(charge, reversed=True))
    lines = charge_lines(event.amount_minor, event.taxes, event.category, count=1)
    add_unbilled(fold, charge.effective_on, negated(lines))
    if charge.ahead:
        fold.set(ahead=_with_day_ahead(fold.before, event.effective_on, -charge.total_minor))


def unbilled_month(account: Account, effective_on: date) -> Named:
    """The item that totals the unbilled lines which count with those of a day."""
    return month_of(unbilled_day(account, effective_on))


def month_of(day: date) -> Named:
    """The item that totals the unbilled lines of a day's month."""
    return Named("unbilled", _month(day))


@lru_cache(maxsize=4_096)
def _month(day: date) -> str:
    return month_end(day).isoformat()


def charge_lines(amount_minor: int, taxes: tuple[Tax, ...], category: str, count: int) -> Lines:
    """The totals of one charge."""
    return Lines(
        count=count,
        charges_minor=amount_minor,
        credits_minor=0,
        tax_minor=line_total(0, taxes),
        categories=(CategoryTotal(category, amount_minor),),
        taxes=tuple([TaxTotal(tax.name, tax.amount_minor) for tax in taxes]),
    )


def negated(lines: Lines) -> Lines:
    """The totals with every sign turned, to take them away."""
    return Lines(
        count=-lines.count,
        charges_minor=-lines.charges_minor,
        credits_minor=-lines.credits_minor,
        tax_minor=-lines.tax_minor,
        categories=tuple(CategoryTotal(c.category, -c.amount_minor) for c in lines.categories),
        taxes=tuple(TaxTotal(tax.name, -tax.amount_minor) for tax in lines.taxes),
    )


def summed(days: Iterable[DayLines]) -> Lines:
    """The totals of all the days; categories and taxes sorted by name, zeros left out."""
    count = charges_minor = credits_minor = tax_minor = 0
    categories: dict[str, int] = {}
    taxes: dict[str, int] = {}
    for day in days:
        count += day.count
        charges_minor += day.charges_minor
        credits_minor += day.credits_minor
        tax_minor += day.tax_minor
        for total in day.categories:
            categories[total.name] = categories.get(total.name, 0) + total.amount_minor
        for total in day.taxes:
            taxes[total.name] = taxes.get(total.name, 0) + total.amount_minor
    return Lines(
        count=count,
        charges_minor=charges_minor,
        credits_minor=credits_minor,
        tax_minor=tax_minor,
        categories=tuple(CategoryTotal(n, a) for n, a in sorted(categories.items()) if a),
        taxes=tuple(TaxTotal(n, a) for n, a in sorted(taxes.items()) if a),
    )


def add_unbilled(fold: Fold, effective_on: date, lines: Lines) -> None:
    """Adds lines (negated ones to take away) to the unbilled totals of their day."""
    on = unbilled_day(fold.before, effective_on)
    id = _month(on)
    month = fold.find("unbilled", id)
    assert month is None or isinstance(month, UnbilledItem), id
    days = month.days if month else ()
    at = bisect_left(days, on, key=_on)
    found = days[at] if at < len(days) and days[at].on == on else None
    day = _day_with(found, on, lines)
    kept = (*days[:at], *((day,) if day.count else ()), *days[at + (found is not None) :])
    fold.put(UnbilledItem(id=id, seq=month.seq if month else fold.version, days=kept))
    fold.move("unbilled_minor", lines.total_minor)
    fold.move_lines(lines.count)


_on = attrgetter("on")


def _day_with(day: DayLines | None, on: date, lines: Lines) -> DayLines:
    """The totals of a day, if it has any, and more lines."""
    categories = [(total.category, total.amount_minor) for total in lines.categories]
    taxes = [(tax.name, tax.amount_minor) for tax in lines.taxes]
    if day is None:
        day = DayLines(on, 0, 0, 0, 0)
    return DayLines(
        on,
        day.count + lines.count,
        day.charges_minor + lines.charges_minor,
        day.credits_minor + lines.credits_minor,
        day.tax_minor + lines.tax_minor,
        _with_totals(day.categories, categories),
        _with_totals(day.taxes, taxes),
    )


def _with_totals(
    totals: tuple[NamedTotal, ...], more: Sequence[tuple[str, int]]
) -> tuple[NamedTotal, ...]:
    """The totals with amounts added, sorted by name, zeros left out."""
    if not more:
        return totals
    amounts = {total.name: total.amount_minor for total in totals}
    for name, amount_minor in more:
        amounts[name] = amounts.get(name, 0) + amount_minor
    return tuple([NamedTotal(name, amounts[name]) for name in sorted(amounts) if amounts[name]])


def _with_day_ahead(account: Account, on: date, amount_minor: int) -> tuple[DayAmount, ...]:
    days = {day.on: day.amount_minor for day in account.ahead}
    if amount_minor < 0 and on not in days:
        return account.ahead
    days[on] = days.get(on, 0) + amount_minor
    entries = [DayAmount(day, days[day]) for day in sorted(days)]
    return tuple(entries[-CHARGE_DAYS_KEPT_MAX:])
