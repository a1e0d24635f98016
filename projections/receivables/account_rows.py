"""Rows of accounts themselves: totals, settings, messages, and the movements behind every figure.

The order of the fields is the order of the statements' parameters in makes.sql and changes.sql.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


@dataclass(slots=True)
class AccountRow:
    lane: int
    account_id: bytes
    account_number: str
    client_id: str | None
    company: str
    country: str
    currency: str
    opened_on: date
    first_position: int
    version: int
    position: int
    recorded_at: datetime
    closed_on: date | None = None
    closed_position: int | None = None
    open_minor: int = 0
    unapplied_minor: int = 0
    unbilled_minor: int = 0
    pending_minor: int = 0
    messages: int = 0


@dataclass(slots=True)
class AccountChange:
    lane: int
    account_id: bytes
    first_version: int
    version: int
    position: int
    recorded_at: datetime
    closed_on: date | None = None
    closed_position: int | None = None
    open_minor: int = 0
    unapplied_minor: int = 0
    unbilled_minor: int = 0
    pending_minor: int = 0
    messages: int = 0


class SettingRow(NamedTuple):
    lane: int
    account_id: bytes
    version: int
    position: int
    recorded_at: datetime
    effective_on: date
    invoice_delivery: str | None
    delivery_channel: str | None
    payment_method: str | None
    language: str | None
    billing_cycle: bytes | None
    terms: bytes | None


class MessageRow(NamedTuple):
    lane: int
    account_id: bytes
    message_id: str
    seq: int
    position: int
    recorded_at: datetime
    effective_on: date
    digest: str


class MovementRow(NamedTuple):
    lane: int
    account_id: bytes
    position: int
    n: int
    version: int
    recorded_at: datetime
    effective_on: date
    figure: str
    item: str
    amount_minor: int


@dataclass(slots=True)
class DailyRow:
    lane: int
    account_id: bytes
    effective_on: date
    recorded_day: date
    version: int
    open_minor: int = 0
    unapplied_minor: int = 0
    unbilled_minor: int = 0
    pending_minor: int = 0
    flagged_minor: int = 0
