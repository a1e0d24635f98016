"""Signed-in reading: requests of one turn of the event loop become one call of one SQL function.

That function checks every token and grant, sets the transaction's scope and reads, so a revoked
token fails on the very next request without a second round trip.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from api.database import Line
from api.entering import refuse_never_given
from api.gathering import Gathering
from api.security.scope import READ_ACCOUNT
from api.settings import Region
from ledger.store.sql import load

_SQL = load("api", "reads.sql")


class Asked(msgspec.Struct, frozen=True):
    """One summary asked for; `known_at` or `at`, not both. `wait_lane` asks for its position."""

    token_sha256: bytes
    lane: int
    account_id: UUID
    today: date
    effective_on: date
    known_at: datetime | None = None
    at: int | None = None
    wait_lane: int | None = None


class Row(msgspec.Struct, frozen=True, array_like=True):
    """What access.read_summaries answers for one place, in its order of columns."""

    n: int
    verdict: str
    reached: int | None
    known_at: datetime | None
    account_number: str
    client_id: str | None
    company: str
    country: str
    currency: str
    billing_cycle: str | None
    invoice_delivery: str | None
    delivery_channel: str | None
    payment_method: str | None
    language: str | None
    balance_minor: int
    total_amount_due_minor: int
    available_credit_minor: int
    due_on: date | None
    past_due_minor: int
    days_past_due: int
    current_activity_minor: int
    pending_payments_minor: int
    payable_now_minor: int
    current_minor: int
    d1_30_minor: int
    d31_60_minor: int
    d61_90_minor: int
    d91_minor: int
    disputed_minor: int
    oldest_days: int
    last_payment_id: str | None
    last_payment_minor: int
    last_payment_on: date
    last_payment_method: str
    messages: int
    version: int
    position: int
    effective_on: date


class SummaryReader:
    """Reads the summaries of one region over a few lines that act as billing_reader."""

    def __init__(self, region: Region, lines: Sequence[Line]) -> None:
        self.region = region
        self._lines = lines
        self._gathering = Gathering(lines, _answers)

    async def read(self, asked: Asked) -> Row:
        """The answer to one request; raises DatabaseUnavailable, and as Gathering.ask."""
        return await self._gathering.ask(asked)

    async def refuse_never_given(self, verdict: str, wanted: tuple[int, int]) -> None:
        """As entering.refuse_never_given; raises DatabaseUnavailable too."""
        await refuse_never_given(self._lines[0], verdict, wanted)

    async def close(self) -> None:
        """What was asked is answered, and no connection is left."""
        await self._gathering.close()


async def _answers(line: Line, asked: list[Asked]) -> list[Row]:
    rows = [Row(*values) for values in await line.rows(_SQL["summaries"], _arrays(asked))]
    return sorted(rows, key=lambda row: row.n)


def _arrays(asked: list[Asked]) -> list[Any]:
    return [
        list(READ_ACCOUNT.roles),
        READ_ACCOUNT.scope,
        [one.token_sha256 for one in asked],
        [one.lane for one in asked],
        [one.account_id for one in asked],
        [one.today for one in asked],
        [one.effective_on for one in asked],
        [one.known_at for one in asked],
        [one.at for one in asked],
        [one.wait_lane for one in asked],
    ]
