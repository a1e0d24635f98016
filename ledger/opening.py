"""An account's life: opened, its settings changed, messages to its owner, closed."""

from collections.abc import Iterator
from datetime import date
from hashlib import sha256

import msgspec

from ledger.account import SETTINGS_AHEAD_MAX, Account, with_settings
from ledger.commands import (
    ChangeSettings,
    CloseAccount,
    IssueInvoice,
    OpenAccount,
    PostMessage,
)
from ledger.deciding import Deciding
from ledger.errors import (
    AccountClosed,
    AccountNotSettled,
    EffectiveInFuture,
    NothingToChange,
    TooManyAhead,
)
from ledger.events import AccountClosed as AccountClosedEvent
from ledger.events import AccountOpened, MessagePosted, SettingsChanged
from ledger.fold import Fold
from ledger.invoicing import decide_issue, needs_issue
from ledger.items import MessageItem
from ledger.money import exponent
from ledger.needs import Known, Named, Query
from ledger.parts import SettingsChange


def opened(command: OpenAccount, account_number: str, today: date) -> AccountOpened:
    """The event that opens an account; raises EffectiveInFuture, UnknownCurrency."""
    exponent(command.currency)
    opened_on = command.opened_on or today
    if opened_on > today:
        raise EffectiveInFuture(effective_on=opened_on, today=today)
    return AccountOpened(
        effective_on=opened_on,
        account_number=account_number,
        client_id=command.client_id,
        company=command.company,
        country=command.country,
        currency=command.currency,
        billing_cycle=command.billing_cycle,
        terms=command.terms,
        settings=command.settings,
    )


def account_from(event: AccountOpened) -> Account:
    """The state of an account just opened."""
    settings = event.settings
    account = Account(
        version=1,
        account_number=event.account_number,
        currency=event.currency,
        opened_on=event.effective_on,
    )
    changes = SettingsChange(
        invoice_delivery=settings.invoice_delivery,
        delivery_channel=settings.delivery_channel,
        payment_method=settings.payment_method,
        language=settings.language,
        billing_cycle=event.billing_cycle,
        terms=event.terms,
    )
    kept = with_settings(account, event.effective_on, changes)
    return msgspec.structs.replace(account, settings=kept)


def no_needs(account: Account, known: Known, command: object, today: date) -> Iterator[Query]:
    """For commands that the account's state alone decides."""
    return iter(())


def decide_change_settings(deciding: Deciding, command: ChangeSettings) -> None:
    if command.changes == SettingsChange():
        raise NothingToChange()
    on = deciding.effective(command.effective_on, ahead=True)
    ahead = [entry for entry in deciding.account.settings if entry.on > deciding.today]
    if on > deciding.today and len(ahead) >= SETTINGS_AHEAD_MAX:
        raise TooManyAhead(what="settings changes", limit=SETTINGS_AHEAD_MAX)
    deciding.record(SettingsChanged(effective_on=on, changes=command.changes))


def evolve_settings_changed(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, SettingsChanged)
    fold.set(
        settings=with_settings(fold.before, event.effective_on, event.changes),
        settings_version=fold.version,
    )


def needs_message(
    account: Account, known: Known, command: PostMessage, today: date
) -> Iterator[Query]:
    yield Named("message", command.message_id)


def decide_message(deciding: Deciding, command: PostMessage) -> None:
    deciding.refuse_taken(MessageItem, command.message_id)
    deciding.record(
        MessagePosted(
            effective_on=deciding.effective(command.effective_on),
            message_id=command.message_id,
            digest=sha256(command.text.encode()).hexdigest(),
        )
    )


def evolve_message(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, MessagePosted)
    fold.put(MessageItem(id=event.message_id, seq=fold.version))


def needs_close(
    account: Account, known: Known, command: CloseAccount, today: date
) -> Iterator[Query]:
    if command.final_bill and account.unbilled_lines:
        yield from needs_issue(account, known, _final_bill(command), today)


def decide_close(deciding: Deciding, command: CloseAccount) -> None:
    account = deciding.account
    if account.closed_on is not None:
        raise AccountClosed(account_number=account.account_number, closed_on=account.closed_on)
    if command.final_bill and account.unbilled_lines:
        decide_issue(deciding, _final_bill(command))
    account = deciding.account
    if account.pending_minor or account.unbilled_lines:
        raise AccountNotSettled(
            account_number=account.account_number,
            pending_minor=account.pending_minor,
            unbilled_lines=account.unbilled_lines,
        )
    deciding.record(
        AccountClosedEvent(
            effective_on=deciding.effective(command.effective_on), reason=command.reason
        )
    )


def _final_bill(command: CloseAccount) -> IssueInvoice:
    return IssueInvoice(period_end=command.effective_on, issued_on=command.effective_on)


def evolve_closed(fold: Fold) -> None:
    assert isinstance(fold.event, AccountClosedEvent)
    fold.set(closed_on=fold.event.effective_on)
