"""How an account stood: its figures effective on a day, as known after some of its events.

What was known at a moment is a prefix of the account's events; among them every movement counts
from its own day.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

import msgspec

from ledger.account import Account, chosen_on
from ledger.events import AccountOpened, Event, InvoiceIssued, PaymentReturned, SettingsChanged
from ledger.movements import movements
from ledger.opening import account_from
from ledger.standing import OpenItem, Standing, standing


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """An account effective on a day: figures, open invoices, unapplied rests, settings."""

    effective_on: date
    version: int
    standing: Standing
    open_items: tuple[OpenItem, ...]
    unapplied_minor: dict[str, int]
    settings: dict[str, object]


def as_of(events: Iterable[Event], effective_on: date) -> AsOf:
    """The account effective on a day, from the events known, in order, the first included.

    `unapplied_minor` is by source; `settings` holds every setting, the billing cycle and the
    terms in force, and is empty before the account was opened.
    """
    sums: dict[str, defaultdict[str, int]] = {
        figure: defaultdict(int)
        for figure in ("open", "unapplied", "unbilled", "pending", "flagged")
    }
    due: dict[str, tuple[date, int]] = {}
    account: Account | None = None
    changes: list[SettingsChanged] = []
    version = 0
    for version, event in enumerate(events, start=1):
        if isinstance(event, AccountOpened):
            account = account_from(event)
        elif isinstance(event, SettingsChanged):
            changes.append(event)
        elif isinstance(event, InvoiceIssued):
            due[event.number] = (event.due_on, version)
        elif isinstance(event, PaymentReturned) and event.debit:
            due[event.debit.number] = (event.effective_on, version)
        for movement in movements(event):
            if movement.on <= effective_on:
                sums[movement.figure][movement.item] += movement.amount_minor
    items = tuple(
        OpenItem(
            number=number,
            due_on=due[number][0],
            seq=due[number][1],
            open_minor=open_minor,
            disputed_minor=max(min(open_minor, sums["flagged"][number]), 0),
        )
        for number, open_minor in sums["open"].items()
        if open_minor
    )
    unapplied = {source: amount for source, amount in sums["unapplied"].items() if amount}
    return AsOf(
        effective_on=effective_on,
        version=version,
        standing=standing(
            items,
            unapplied_minor=sum(unapplied.values()),
            unbilled_minor=sums["unbilled"][""],
            pending_minor=sum(sums["pending"].values()),
            on=effective_on,
        ),
        open_items=tuple(sorted(items, key=lambda item: (item.due_on, item.seq))),
        unapplied_minor=unapplied,
        settings=_settings(account, changes, effective_on),
    )


def _settings(
    account: Account | None, changes: Iterable[SettingsChanged], effective_on: date
) -> dict[str, object]:
    if account is None or effective_on < account.opened_on:
        return {}
    chosen = chosen_on(account, effective_on)
    for change in sorted(changes, key=lambda event: event.effective_on):
        if change.effective_on <= effective_on:
            for name in change.changes.__struct_fields__:
                value = getattr(change.changes, name)
                if value is not None:
                    chosen[name] = value
    return chosen
