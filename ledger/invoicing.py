"""Invoices: unbilled lines become an amount that is due; a cancellation makes them unbilled again."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import lru_cache

import msgspec

from ledger import calendar
from ledger.account import (
    FREED_RANGES_MAX,
    Account,
    billing_cycle_on,
    ranges_through,
    terms_on,
)
from ledger.allocation import needs_after_reopening, needs_for_money, taken_back
from ledger.charges import add_unbilled, summed, unbilled_month
from ledger.commands import CancelInvoice, IssueInvoice
from ledger.deciding import Deciding
from ledger.errors import (
    CreditAlreadyRefunded,
    DueBeforeIssue,
    InvoiceIsCancelled,
    InvoiceSettled,
    NothingToBill,
    NumberReserved,
    PeriodBilled,
    TooManyItems,
)
from ledger.events import InvoiceCancelled, InvoiceIssued
from ledger.fold import Fold
from ledger.items import (
    AllocationItem,
    CarriedItem,
    DayLines,
    InvoiceItem,
    UnbilledItem,
    source_ref,
)
from ledger.needs import (
    AllocationsOf,
    AllocationsTo,
    Known,
    Named,
    Query,
    SpareSources,
)
from ledger.returns import is_debit_number


def needs_issue(
    account: Account, known: Known, command: IssueInvoice, today: date
) -> Iterator[Query]:
    freed_on = account.freed_on if account.freed and account.freed_on else today
    period_end = command.period_end or command.issued_on or max(today, freed_on)
    yield Named("invoice", command.number or _next_number(account, period_end))
    months = _unbilled_months(account, period_end)
    yield from months
    if not known.missing(iter(months)):
        found = [known.items.get(("unbilled", month.id)) for month in months]
        days = _days_through((m for m in found if isinstance(m, UnbilledItem)), period_end)
        total_minor = sum([day.total_minor for day in days])
        if total_minor < 0:
            yield from needs_for_money(account, known, {"carried": -total_minor})
        elif account.unapplied_minor:  # else no credit is moved, nor covers what opens
            yield from needs_after_reopening(account, known, (), 0)
            if total_minor:
                yield SpareSources(min(account.unapplied_minor, total_minor))


def decide_issue(deciding: Deciding, command: IssueInvoice) -> None:
    account = deciding.account
    issued_on, period_end = _days(deciding, command)
    number = command.number or _next_number(account, period_end)
    if command.number is not None:
        _refuse_reserved(account, command.number, period_end)
    deciding.refuse_taken(InvoiceItem, number)
    lines = summed(_days_through(deciding.all(UnbilledItem), period_end))
    if not lines.count:
        raise NothingToBill(period_end=period_end)
    due_on = command.due_on or calendar.due_date(terms_on(account, issued_on), issued_on)
    if due_on < issued_on:
        raise DueBeforeIssue(due_on=due_on, issued_on=issued_on)
    carried_minor = max(-lines.total_minor, 0)
    event = InvoiceIssued(
        effective_on=issued_on,
        number=number,
        period_start=_period_start(account, period_end),
        period_end=period_end,
        due_on=due_on,
        lines=lines,
        ranges=ranges_through(account, period_end),
        carried_minor=carried_minor,
        total_minor=lines.total_minor + carried_minor,
    )
    deciding.record_settled(event)


def _days(deciding: Deciding, command: IssueInvoice) -> tuple[date, date]:
    account = deciding.account
    causes = []
    if command.period_end is not None:
        causes.append(("the period's end", command.period_end))
    if account.freed and account.freed_on:
        causes.append(("the cancellation of an invoice", account.freed_on))
    if command.period_end is not None:
        deciding.effective(command.period_end)
    issued_on = deciding.effective(command.issued_on, *causes)
    period_end = command.period_end or issued_on
    if account.billed_through is not None and period_end < account.billed_through:
        raise PeriodBilled(billed_through=account.billed_through)
    return issued_on, period_end


def _period_start(account: Account, period_end: date) -> date:
    if account.billed_through is not None and account.billed_through < period_end:
        return account.billed_through + timedelta(days=1)
    return calendar.period_start(billing_cycle_on(account, period_end), period_end)


@lru_cache(maxsize=1024)
def _period(period_end: date) -> str:
    return period_end.isoformat()[:7]


def _next_number(account: Account, period_end: date) -> str:
    period = _period(period_end)
    count = account.number_count if account.number_period == period else 0
    return number_of(account.account_number, period_end, count + 1)


def number_of(account_number: str, period_end: date, n: int) -> str:
    """The number generated for an account's so manieth invoice of a period."""
    return f"{account_number}-{_period(period_end)}-{n}"


def _generated_period(account_number: str, number: str) -> tuple[str, int] | None:
    """The period and count of a number of the generated form; None for any other."""
    prefix, _, rest = number.partition(f"{account_number}-")
    period, _, count = rest.rpartition("-")
    if prefix or len(period) != 7 or not count.isdecimal() or len(count) > 9:
        return None
    return period, int(count)


def _refuse_reserved(account: Account, number: str, period_end: date) -> None:
    """Keeps free the numbers that are still to be generated: no return may find its own taken."""
    generated = _generated_period(account.account_number, number)
    of_another_period = generated is not None and generated[0] != _period(period_end)
    if of_another_period or is_debit_number(account, number):
        raise NumberReserved(number=number)


def evolve_issued(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, InvoiceIssued)
    fold.put(
        InvoiceItem(
            id=event.number,
            seq=fold.version,
            issued_on=event.effective_on,
            due_on=event.due_on,
            total_minor=event.total_minor,
            open_minor=event.total_minor,
            lines=event.lines,
            ranges=event.ranges,
            carried_minor=event.carried_minor,
        )
    )
    for named in _unbilled_months(fold.before, event.period_end):
        month = fold.find("unbilled", named.id)
        if isinstance(month, UnbilledItem):
            left = () if _ends_by(month, event.period_end) else month.days
            left = tuple([day for day in left if day.on > event.period_end])
            fold.put(msgspec.structs.replace(month, days=left))
    if event.carried_minor:
        fold.put(
            CarriedItem(
                id=event.number,
                seq=fold.version,
                issued_on=event.effective_on,
                unapplied_minor=event.carried_minor,
            )
        )
    fold.move("unbilled_minor", -event.lines.total_minor)
    fold.move_lines(-event.lines.count)
    fold.move("billed_minor", event.total_minor)
    fold.move("credited_minor", event.carried_minor)
    before = fold.before
    fold.set(
        billed_through=event.period_end,
        billed_version=before.version,
        freed=(),
        ahead=tuple(day for day in before.ahead if day.on > event.period_end),
    )
    generated = _generated_period(before.account_number, event.number)
    if generated is not None:
        same = before.number_period == generated[0]
        count = max(generated[1], before.number_count if same else 0)
        fold.set(number_period=generated[0], number_count=count)


def needs_cancel(
    account: Account, known: Known, command: CancelInvoice, today: date
) -> Iterator[Query]:
    yield Named("invoice", command.number)
    invoice = known.items.get(("invoice", command.number))
    if not isinstance(invoice, InvoiceItem):
        return
    yield unbilled_month(account, date.min)
    yield Named("carried", invoice.id)
    yield AllocationsTo(invoice.id)
    if invoice.carried_minor:
        yield AllocationsOf(f"carried:{invoice.id}", invoice.carried_minor)
    allocations = [i for i in known.items.values() if isinstance(i, AllocationItem)]
    for allocation in allocations:
        yield Named(*source_ref(allocation.source))
        yield Named("invoice", allocation.invoice)
    reopened = invoice.carried_minor + sum(a.amount_minor for a in allocations)
    numbers = {invoice.id} | {a.invoice for a in allocations}
    yield from needs_after_reopening(account, known, numbers, reopened)


def decide_cancel(deciding: Deciding, command: CancelInvoice) -> None:
    account = deciding.account
    invoice = deciding.item(InvoiceItem, command.number)
    if invoice.lines is None:
        raise InvoiceSettled(invoice=invoice.id)
    if invoice.cancelled:
        raise InvoiceIsCancelled(invoice=invoice.id)
    carried = deciding.find("carried", invoice.id)
    if isinstance(carried, CarriedItem) and carried.refunded_minor:
        raise CreditAlreadyRefunded(source=carried.source, refunded_minor=carried.refunded_minor)
    allocations = [a for a in deciding.all(AllocationItem) if a.amount_minor]
    on_it = [a for a in allocations if a.invoice == invoice.id]
    if (
        invoice.credited_minor
        or invoice.written_off_minor
        or invoice.flagged_minor
        or not all(a.releasable for a in on_it)
        or invoice.open_minor + sum(a.amount_minor for a in on_it) != invoice.total_minor
    ):
        raise InvoiceSettled(invoice=invoice.id)
    if len(account.freed) + len(invoice.ranges) > FREED_RANGES_MAX:
        raise TooManyItems(what="ranges of cancelled lines", limit=FREED_RANGES_MAX)
    own = [a for a in allocations if a.source == f"carried:{invoice.id}"]
    causes = [("the invoice", invoice.grown_on)]
    causes += [("an allocation of it", a.on) for a in (*on_it, *own)]
    on = deciding.effective(command.effective_on, *causes)
    released = sum(a.amount_minor for a in (*on_it, *own))
    deciding.record_settled(
        InvoiceCancelled(
            effective_on=on,
            number=invoice.id,
            lines=invoice.lines,
            ranges=invoice.ranges,
            carried_minor=invoice.carried_minor,
            total_minor=invoice.total_minor,
            reason=command.reason,
            undone=taken_back([*on_it, *own], released, on),
        )
    )


def evolve_cancelled(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, InvoiceCancelled)
    for undoing in event.undone:
        fold.undo(undoing)
    invoice = fold.invoice(event.number)
    fold.put(
        msgspec.structs.replace(
            invoice, open_minor=invoice.open_minor - event.total_minor, cancelled=True
        )
    )
    if event.carried_minor:
        carried = fold.source(f"carried:{event.number}")
        unapplied_minor = carried.unapplied_minor - event.carried_minor
        fold.put(msgspec.structs.replace(carried, unapplied_minor=unapplied_minor))
    before = fold.before
    add_unbilled(fold, date.min, event.lines)
    fold.move("billed_minor", -event.total_minor)
    fold.move("credited_minor", -event.carried_minor)
    freed_on = event.effective_on
    if before.freed and before.freed_on:
        freed_on = max(freed_on, before.freed_on)
    fold.set(freed=(*before.freed, *event.ranges), freed_on=freed_on)


def _unbilled_months(account: Account, period_end: date) -> tuple[Named, ...]:
    """The items that total what an invoice through `period_end` takes."""
    return _named_months(
        calendar.month_end(account.billed_through or account.opened_on),
        calendar.month_end(period_end),
    )


@lru_cache(maxsize=1024)
def _named_months(first: date, last: date) -> tuple[Named, ...]:
    """The items of calendar months, given and named by their last days."""
    months = []
    while first <= last:
        months.append(Named("unbilled", first.isoformat()))
        first = calendar.months_later(first, 1, 31)
    return tuple(months)


def _ends_by(month: UnbilledItem, period_end: date) -> bool:
    """Whether an invoice through `period_end` takes all days of a month, which are in order."""
    return not month.days or month.days[-1].on <= period_end


def _days_through(months: Iterable[UnbilledItem], period_end: date) -> list[DayLines]:
    """The days that an invoice through `period_end` takes."""
    days: list[DayLines] = []
    for month in months:
        if _ends_by(month, period_end):
            days += month.days
        else:
            days += [day for day in month.days if day.on <= period_end]
    return days
