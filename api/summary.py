"""The summary as replies show it: money as amount and currency, null where nothing is known."""

from datetime import date, datetime
from typing import Annotated

import msgspec

from api.amounts import Money, money
from api.reads import Row
from api.settings import Region
from api.wire_values import billing_cycle, or_null

REPRESENTATION = "1"
"""Part of the ETag: another form of the same figures is another representation."""
BILLING_CYCLE = or_null(billing_cycle.schema)
"""Null before the account was opened."""
_NULL = msgspec.Raw(b"null")
_encoder = msgspec.json.Encoder()


class Aging(msgspec.Struct, frozen=True):
    """Open amounts by days past due; `disputed` is part of them, and shown apart."""

    current: Money
    d1_30: Money
    d31_60: Money
    d61_90: Money
    d91: Money
    disputed: Money
    oldest_days: int


class SettingsShown(msgspec.Struct, frozen=True):
    """The settings in force; null before the account was opened."""

    invoice_delivery: str | None
    delivery_channel: str | None
    payment_method: str | None
    language: str | None


class LastPayment(msgspec.Struct, frozen=True):
    """The payment processed last of which something is left."""

    payment_id: str
    amount: Money
    effective_on: date
    method: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The answer; amounts are Money."""

    account_number: str
    client_id: str | None
    company: str
    region: str
    country: str
    currency: str
    billing_cycle: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=BILLING_CYCLE)]
    settings: SettingsShown
    balance: Money
    total_amount_due: Money
    available_credit: Money
    due_on: date | None
    past_due: Money
    days_past_due: int
    current_activity: Money
    pending_payments: Money
    payable_now: Money
    aging: Aging
    last_payment: LastPayment | None
    unread_messages: int
    version: int
    position: str
    effective_on: date
    known_at: datetime | None


def etag(row: Row) -> str:
    """The version of the account, the day the figures are for, and the form they are shown in."""
    return f'"{row.version}.{row.effective_on}.{REPRESENTATION}"'


def shown(row: Row, region: Region, lane: int) -> bytes:
    """The body of a summary."""
    return _encoder.encode(_summary(row, region, lane))


def _summary(row: Row, region: Region, lane: int) -> Summary:
    currency = row.currency
    return Summary(
        account_number=row.account_number,
        client_id=row.client_id,
        company=row.company,
        region=region.code,
        country=row.country,
        currency=currency,
        billing_cycle=msgspec.Raw(row.billing_cycle.encode()) if row.billing_cycle else _NULL,
        settings=SettingsShown(
            invoice_delivery=row.invoice_delivery,
            delivery_channel=row.delivery_channel,
            payment_method=row.payment_method,
            language=row.language,
        ),
        balance=money(row.balance_minor, currency),
        total_amount_due=money(row.total_amount_due_minor, currency),
        available_credit=money(row.available_credit_minor, currency),
        due_on=row.due_on,
        past_due=money(row.past_due_minor, currency),
        days_past_due=row.days_past_due,
        current_activity=money(row.current_activity_minor, currency),
        pending_payments=money(row.pending_payments_minor, currency),
        payable_now=money(row.payable_now_minor, currency),
        aging=_aging(row),
        last_payment=_last_payment(row),
        unread_messages=row.messages,
        version=row.version,
        position=f"{lane}-{row.position}",
        effective_on=row.effective_on,
        known_at=row.known_at,
    )


def _aging(row: Row) -> Aging:
    currency = row.currency
    return Aging(
        current=money(row.current_minor, currency),
        d1_30=money(row.d1_30_minor, currency),
        d31_60=money(row.d31_60_minor, currency),
        d61_90=money(row.d61_90_minor, currency),
        d91=money(row.d91_minor, currency),
        disputed=money(row.disputed_minor, currency),
        oldest_days=row.oldest_days,
    )


def _last_payment(row: Row) -> LastPayment | None:
    if row.last_payment_id is None:
        return None
    return LastPayment(
        payment_id=row.last_payment_id,
        amount=money(row.last_payment_minor, row.currency),
        effective_on=row.last_payment_on,
        method=row.last_payment_method,
    )
