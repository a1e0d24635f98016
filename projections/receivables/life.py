"""Rows of an account's life: opened, its settings changed, messages to its owner, closed."""

import msgspec

from ledger import events as e
from projections.model import At
from projections.receivables import account_rows as a
from projections.receivables.changes import Changes

_encode = msgspec.json.Encoder().encode


def opened(rows: Changes, at: At, event: e.AccountOpened) -> None:
    settings = event.settings
    rows.make(
        a.SettingRow(
            at.lane,
            at.account_id,
            at.version,
            at.position,
            at.recorded_at,
            event.effective_on,
            settings.invoice_delivery,
            settings.delivery_channel,
            settings.payment_method,
            settings.language,
            _encode(event.billing_cycle),
            _encode(event.terms),
        )
    )


def settings_changed(rows: Changes, at: At, event: e.SettingsChanged) -> None:
    changes = event.changes
    rows.make(
        a.SettingRow(
            at.lane,
            at.account_id,
            at.version,
            at.position,
            at.recorded_at,
            event.effective_on,
            changes.invoice_delivery,
            changes.delivery_channel,
            changes.payment_method,
            changes.language,
            _optional(changes.billing_cycle),
            _optional(changes.terms),
        )
    )


def message_posted(rows: Changes, at: At, event: e.MessagePosted) -> None:
    rows.make(
        a.MessageRow(
            at.lane,
            at.account_id,
            event.message_id,
            at.version,
            at.position,
            at.recorded_at,
            event.effective_on,
            event.digest,
        )
    )
    rows.accounts[at.account_id].messages += 1


def closed(rows: Changes, at: At, event: e.AccountClosed) -> None:
    account = rows.accounts[at.account_id]
    account.closed_on, account.closed_position = event.effective_on, at.position


def _optional(value: object) -> bytes | None:
    return None if value is None else _encode(value)
