"""The three pure questions of the write side: what must be known, what happens, what becomes.

`decide` holds the rules and may refuse; `evolve` is total and never refuses history. Neither reads
a clock or does I/O.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import msgspec

from ledger import (
    charges,
    commands,
    credits,
    disputes,
    events,
    invoicing,
    opening,
    payments,
    refunds,
    returns,
    write_offs,
)
from ledger.account import Account
from ledger.deciding import Deciding
from ledger.errors import (
    AccountChanged,
    AccountExists,
    AccountUnknown,
    CurrencyMismatch,
    Refusal,
    VersionMismatch,
)
from ledger.fold import Fold
from ledger.items import Item, Ref
from ledger.money import state_amounts
from ledger.needs import Known, Named, Query

Needs = Callable[[Account, Known, Any, date], Iterator[Query]]
Decide = Callable[[Deciding, Any], None]

_RULES: dict[type[commands.Command], tuple[Needs, Decide]] = {
    commands.ChangeSettings: (opening.no_needs, opening.decide_change_settings),
    commands.PostCharge: (charges.needs_post, charges.decide_post),
    commands.ReverseCharge: (charges.needs_reverse, charges.decide_reverse),
    commands.IssueCredit: (credits.needs_issue, credits.decide_issue),
    commands.ReverseCredit: (credits.needs_reverse, credits.decide_reverse),
    commands.SubmitPayment: (payments.needs_submit, payments.decide_submit),
    commands.ProcessPayment: (payments.needs_process, payments.decide_process),
    commands.FailPayment: (payments.needs_fail, payments.decide_fail),
    commands.ReturnPayment: (returns.needs_return, returns.decide_return),
    commands.ReinstatePayment: (returns.needs_reinstate, returns.decide_reinstate),
    commands.UnprocessPayment: (payments.needs_unprocess, payments.decide_unprocess),
    commands.ReallocatePayment: (payments.needs_reallocate, payments.decide_reallocate),
    commands.IssueRefund: (refunds.needs_issue, refunds.decide_issue),
    commands.ReverseRefund: (refunds.needs_reverse, refunds.decide_reverse),
    commands.WriteOffInvoice: (write_offs.needs_write_off, write_offs.decide_write_off),
    commands.ReverseWriteOff: (write_offs.needs_reverse, write_offs.decide_reverse),
    commands.OpenDispute: (disputes.needs_open, disputes.decide_open),
    commands.ResolveDispute: (disputes.needs_resolve, disputes.decide_resolve),
    commands.IssueInvoice: (invoicing.needs_issue, invoicing.decide_issue),
    commands.CancelInvoice: (invoicing.needs_cancel, invoicing.decide_cancel),
    commands.PostMessage: (opening.needs_message, opening.decide_message),
    commands.CloseAccount: (opening.needs_close, opening.decide_close),
}

_EVOLUTIONS: dict[type[events.Event], Callable[[Fold], None]] = {
    events.SettingsChanged: opening.evolve_settings_changed,
    events.ChargePosted: charges.evolve_posted,
    events.ChargeReversed: charges.evolve_reversed,
    events.CreditIssued: credits.evolve_issued,
    events.CreditReversed: credits.evolve_reversed,
    events.PaymentSubmitted: payments.evolve_submitted,
    events.PaymentProcessed: payments.evolve_processed,
    events.PaymentFailed: payments.evolve_failed,
    events.PaymentReturned: returns.evolve_returned,
    events.PaymentReinstated: returns.evolve_reinstated,
    events.PaymentUnprocessed: payments.evolve_unprocessed,
    events.PaymentReallocated: payments.evolve_reallocated,
    events.RefundIssued: refunds.evolve_issued,
    events.RefundReversed: refunds.evolve_reversed,
    events.InvoiceWrittenOff: write_offs.evolve_written_off,
    events.WriteOffReversed: write_offs.evolve_reversed,
    events.DisputeOpened: disputes.evolve_opened,
    events.DisputeResolved: disputes.evolve_resolved,
    events.InvoiceIssued: invoicing.evolve_issued,
    events.InvoiceCancelled: invoicing.evolve_cancelled,
    events.MessagePosted: opening.evolve_message,
    events.AccountClosed: opening.evolve_closed,
}


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The events of an accepted command, and the account and changed items after them."""

    events: tuple[events.Event, ...]
    account: Account
    changed: dict[Ref, Item]


_KIND_OF = {
    "charge_id": "charge",
    "credit_id": "credit",
    "payment_id": "payment",
    "refund_id": "refund",
    "write_off_id": "write_off",
    "dispute_id": "dispute",
    "message_id": "message",
    "invoice": "invoice",
    "number": "invoice",
}
"""The kind of item that a command's field of this name names."""

_NAMING: dict[type[commands.Command], list[tuple[str, str]]] = {
    command: [(_KIND_OF[f], f) for f in command.__struct_fields__ if f in _KIND_OF]
    for command in _RULES
}


def names(request: commands.Request) -> Iterator[Named]:
    """Items that the command is likely to need, whatever the account: worth reading with it.

    What it does need, `needs` says.
    """
    command, today = request.command, request.today
    for kind, field in _NAMING.get(type(command), ()):
        id = getattr(command, field)
        if id is not None:
            yield Named(kind, id)
    if isinstance(command, commands.PostCharge):
        yield charges.month_of(command.effective_on or today)
    if isinstance(command, commands.IssueInvoice):
        period_end = command.period_end or command.issued_on or today
        yield charges.month_of(period_end)
        if command.number is None:
            yield Named("invoice", invoicing.number_of(request.account_number, period_end, 1))


def needs(
    account: Account | None, known: Known, command: commands.AnyCommand, today: date
) -> Iterator[Query]:
    """What must be read before the command can be decided.

    To be asked again with what was read, until nothing new is named. What is named follows from
    the answers to what was named before it, so who answers each at once is told all in one go.
    """
    if account is None or isinstance(command, commands.OpenAccount):
        return iter(())
    return _RULES[type(command)][0](account, known, command, today)


def decide(account: Account | None, known: Known, request: commands.Request) -> Decision:
    """What the command makes happen to the account; raises the Refusal when the rules forbid it.

    The refusal's sentence states amounts in the account's currency.
    """
    command = request.command
    if isinstance(command, commands.OpenAccount):
        if account is not None:
            raise AccountExists(account_number=request.account_number)
        event = opening.opened(command, request.account_number, request.today)
        return Decision(events=(event,), account=opening.account_from(event), changed={})
    if account is None:
        raise AccountUnknown(account_number=request.account_number)
    if request.currency not in (None, account.currency):
        raise CurrencyMismatch(expected=account.currency, currency=request.currency or "")
    if request.if_settings is not None and account.settings_version not in request.if_settings:
        raise VersionMismatch(settings_version=account.settings_version)
    if request.if_version not in (None, account.version):
        raise AccountChanged(
            account_number=account.account_number,
            version=account.version,
            expected=request.if_version or 0,
        )
    deciding = Deciding(account, known, request.today, _apply)
    try:
        _RULES[type(command)][1](deciding, command)
    except Refusal as refusal:
        state_amounts(refusal, account.currency)
        raise
    assert deciding.events, command
    return Decision(
        events=tuple(deciding.events), account=deciding.account, changed=deciding.changed
    )


def evolve(
    account: Account | None, items: Mapping[Ref, Item], event: events.Event
) -> tuple[Account, dict[Ref, Item]]:
    """The account after an event, and the items that it changed.

    `items` must hold those the event names. `due_on` stays as it was: it is known only together
    with all open invoices.
    """
    if isinstance(event, events.AccountOpened):
        return opening.account_from(event), {}
    assert account is not None, event
    fold = Fold(account, items, event)
    _apply(fold)
    for allocation in getattr(event, "allocations", ()):
        fold.allocate(allocation)
    return fold.account(), fold.changed


def _apply(fold: Fold) -> None:
    _EVOLUTIONS[type(fold.event)](fold)
