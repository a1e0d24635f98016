"""The facts that assessments follow from, read off an account's events: the definition of them.

The read side finds the same for many accounts at once; a test holds the two against each other.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

from ledger import events as e
from ledger.dunning import CATEGORIES, MARK_CHARS, Facts, Return
from ledger.movements import movements
from ledger.past_due import Debt, Moved

_INTEREST = re.compile(rf"interest:([0-9a-f]{{{MARK_CHARS}}}):([0-9]{{8}})", re.ASCII)


def facts_of(events: Iterable[e.Event], on: date) -> Facts:
    """What is known of an account on a day, from its events in order, the first included.

    Every event given is known; what counts from a later day moves nothing.
    """
    events = list(events)
    opened = events[0]
    assert isinstance(opened, e.AccountOpened), opened
    posted = [_id_of(event) for event in events]
    done = frozenset(id for id in posted if id is not None)
    return Facts(
        account_number=opened.account_number,
        currency=opened.currency,
        version=len(events),
        is_closed=any(isinstance(event, e.AccountClosed) for event in events),
        debts=tuple(_debts(events, on)),
        unapplied=tuple(_unapplied(events, on)),
        returns=tuple(_returns(events)),
        done=done,
        charged_through=_charged_through(events),
    )


def _charged_through(events: Iterable[e.Event]) -> dict[str, date]:
    """The last day that interest was charged for, by the invoice's mark.

    It is charged as interest, and its id ends with the day it was charged through: that of the run, or
    the last of the month before (Interest.through). Ids of others may look like it, and be of any day
    or of none.
    """
    found: dict[str, date] = {}
    for event in events:
        if not isinstance(event, e.ChargePosted) or event.category != "interest":
            continue
        match, on = _INTEREST.fullmatch(event.charge_id), event.effective_on
        for through in (on, on - timedelta(days=on.day)):
            if match and match[2] == f"{through:%Y%m%d}":
                found[match[1]] = max(found.get(match[1], through), through)
    return found


def _id_of(event: e.Event) -> str | None:
    match event:
        case e.ChargePosted():
            return event.charge_id
        case e.MessagePosted():
            return event.message_id
        case _:
            return None


def _debts(events: list[e.Event], on: date) -> Iterable[Debt]:
    moved: dict[str, defaultdict[date, list[int]]] = {}
    for event in events:
        for movement in movements(event):
            if movement.figure in ("open", "flagged") and movement.on <= on:
                days = moved.setdefault(movement.item, defaultdict(lambda: [0, 0]))
                days[movement.on][movement.figure == "flagged"] += movement.amount_minor
    cancelled = {event.number for event in events if isinstance(event, e.InvoiceCancelled)}
    for version, event in enumerate(events, start=1):
        match event:
            case e.InvoiceIssued():
                number, due_on, total_minor = event.number, event.due_on, event.total_minor
                fees_minor = sum(
                    category.amount_minor
                    for category in event.lines.categories
                    if category.category in CATEGORIES
                )
            case e.PaymentReturned(debit=debit) if debit is not None:
                number, due_on = debit.number, event.effective_on
                total_minor, fees_minor = debit.amount_minor, 0
            case _:
                continue
        if due_on < on and number in moved:
            yield Debt(
                number=number,
                due_on=due_on,
                seq=version,
                total_minor=total_minor,
                fees_minor=fees_minor,
                moved=tuple(Moved(day, *by) for day, by in sorted(moved[number].items())),
                is_cancelled=number in cancelled,
            )


def _unapplied(events: list[e.Event], on: date) -> Iterable[tuple[date, int]]:
    days: defaultdict[date, int] = defaultdict(int)
    for event in events:
        for movement in movements(event):
            if movement.figure == "unapplied" and movement.on <= on:
                days[movement.on] += movement.amount_minor
    return ((day, amount_minor) for day, amount_minor in sorted(days.items()) if amount_minor)


def _returns(events: list[e.Event]) -> Iterable[Return]:
    live: dict[int, Return] = {}
    for version, event in enumerate(events, start=1):
        match event:
            case e.PaymentReturned():
                live[version] = Return(
                    version=version,
                    payment_id=event.payment_id,
                    amount_minor=event.amount_minor,
                    on=event.effective_on,
                )
            case e.PaymentReinstated():
                live = {v: r for v, r in live.items() if r.payment_id != event.payment_id}
            case _:
                pass
    return live.values()
