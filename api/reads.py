"""Signed-in reading: requests of one turn of the event loop become one call of one SQL function.

That function checks every token and grant, sets the transaction's scope and reads, so a revoked
token fails on the very next request without a second round trip.
"""

import asyncio
from datetime import date, datetime
from uuid import UUID

import msgspec

from api.database import Line
from api.entering import refuse_never_given
from api.gathering import Gathering
from api.security.scope import READ_ACCOUNT
from api.settings import Region
from ledger.store.arrays import Bytea, Date, Instant, Int4, Int8, Text, Uuid, packed
from ledger.store.roles import READER
from ledger.store.sql import load

_SQL = load("api", "reads.sql")
_READERS = (packed(Text, READ_ACCOUNT.roles), str(READ_ACCOUNT.scope).encode())
"""Who may read an account, as access.read_summaries is told."""


LIVE_LINES = 2


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

    @property
    def is_live(self) -> bool:
        """Whether it is how the account stands today."""
        return self.known_at is None and self.at is None and self.effective_on == self.today


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
    """Reads the summaries of one region over two lines that act as billing_reader.

    Live ones over one, for a call answers many for little more than one; those as of another moment
    over the other, because they may read much, or wait for an append.
    """

    def __init__(self, region: Region, service_url: str) -> None:
        self.region = region
        self._past_line = Line(service_url, READER)
        self._live = Gathering([Line(service_url, READER) for _ in range(LIVE_LINES)], _answers)
        self._past = Gathering([self._past_line], _answers)

    def read(self, asked: Asked) -> "asyncio.Future[Row]":
        """The answer to one request, or DatabaseUnavailable; otherwise as Gathering.ask."""
        return (self._live if asked.is_live else self._past).ask(asked)

    async def refuse_never_given(self, verdict: str, wanted: tuple[int, int]) -> None:
        """As entering.refuse_never_given; raises DatabaseUnavailable too."""
        await refuse_never_given(self._past_line, verdict, wanted)

    async def close(self) -> None:
        """What was asked is answered, and no connection is left."""
        await self._live.close()
        await self._past.close()


async def _answers(line: Line, asked: list[Asked]) -> list[Row]:
    rows = [Row(*values) for values in await line.quickly(_SQL["summaries"], _packed(asked))]
    return sorted(rows, key=lambda row: row.n)


def _packed(asked: list[Asked]) -> list[bytes]:
    """The parameters of access.read_summaries, in its order."""
    moments = ([one.known_at for one in asked], [one.at for one in asked])
    return [
        *_READERS,
        packed(Bytea, [one.token_sha256 for one in asked]),
        packed(Int4, [one.lane for one in asked]),
        packed(Uuid, [one.account_id.bytes for one in asked]),
        packed(Date, [one.today for one in asked]),
        packed(Date, [one.effective_on for one in asked]),
        packed(Instant, moments[0], nullable=True),
        packed(Int8, moments[1], nullable=True),
        packed(Int4, [one.wait_lane for one in asked], nullable=True),
    ]
