"""Reads an account's standing and open invoices from the views, live and as of any two clocks.

Never older than asked for: a position the views have not reached is waited for, then refused.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import class_row

from ledger.standing import Aging, OpenItem, Standing
from ledger.store.lanes import lane_of
from ledger.store.log import known_at_refusal
from ledger.store.roles import READER, acting_as
from ledger.store.sql import load
from projections.follower import ViewBehind
from projections.model import Connection

WAIT_S = 1.0
"""How long a read waits for a position that its caller has seen."""
POLL_S = 0.005
EVERYTHING = "*"

_SQL = load("projections", "reading.sql")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One row of receivables.summary: identity, settings and figures; amounts in minor units.

    `position` is where the answer stands in the account's lane.
    """

    lane: int
    account_id: UUID
    account_number: str
    client_id: str | None
    company: str
    country: str
    currency: str
    opened_on: date
    closed_on: date | None
    billing_cycle: str | int | None
    terms: dict[str, Any] | None
    invoice_delivery: str | None
    delivery_channel: str | None
    payment_method: str | None
    language: str | None
    settings_version: int
    open_minor: int
    unapplied_minor: int
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
    last_payment_minor: int | None
    last_payment_on: date | None
    last_payment_method: str | None
    messages: int
    version: int
    position: int
    effective_on: date

    @property
    def standing(self) -> Standing:
        """The figures in the form that ledger.standing defines."""
        return Standing(
            balance_minor=self.balance_minor,
            total_amount_due_minor=self.total_amount_due_minor,
            available_credit_minor=self.available_credit_minor,
            due_on=self.due_on,
            past_due_minor=self.past_due_minor,
            days_past_due=self.days_past_due,
            current_activity_minor=self.current_activity_minor,
            pending_payments_minor=self.pending_payments_minor,
            payable_now_minor=self.payable_now_minor,
            aging=Aging(
                current=self.current_minor,
                d1_30=self.d1_30_minor,
                d31_60=self.d31_60_minor,
                d61_90=self.d61_90_minor,
                d91=self.d91_minor,
                disputed=self.disputed_minor,
                oldest_days=self.oldest_days,
            ),
        )


class Reading:
    """Reads accounts within a scope: '*', or account ids separated by commas. Used by one thread."""

    def __init__(self, url: str, scope: str = EVERYTHING) -> None:
        self._scope = scope
        self._connection: Connection = psycopg.connect(
            acting_as(url, READER, timezone="UTC"), autocommit=True
        )

    def close(self) -> None:
        self._connection.close()

    def summary(
        self, account_id: UUID, effective_on: date, position: int | None = None
    ) -> Summary | None:
        """The account on a day, as known at a position of its lane; without one as known now.

        On the region's today without a position it is the live row. None when it was not known.
        Raises ViewBehind when the views have not reached the position.
        """
        given = {"account_id": account_id, "lane": lane_of(account_id), "day": effective_on}
        with self._transaction():
            if position is None:
                return self._summary("live", given)
            self._refuse_ahead(account_id, position)
            return self._summary("as_of", {**given, "position": position})

    def open_items(
        self, account_id: UUID, effective_on: date, position: int | None = None
    ) -> list[OpenItem]:
        """What is open, by due date, then order of issue; raises ViewBehind."""
        given = {
            "account_id": account_id,
            "lane": lane_of(account_id),
            "day": effective_on,
            "position": position,
        }
        with self._transaction():
            if position is not None:
                self._refuse_ahead(account_id, position)
            with self._connection.cursor(row_factory=class_row(OpenItem)) as cursor:
                return cursor.execute(_SQL["open_items"], given).fetchall()

    def known_position(self, account_id: UUID, known_at: datetime) -> int:
        """The position of the account's lane that an instant resolves to, for ever.

        Raises KnownAtInFuture.
        """
        given = {"lane": lane_of(account_id), "known_at": known_at}
        try:
            row = self._connection.execute(_SQL["known_position"], given).fetchone()
        except psycopg.Error as fault:
            refusal = known_at_refusal(fault, known_at)
            if refusal is None:
                raise
            raise refusal from fault
        assert row is not None
        return cast(int, row[0])

    def reached(self, account_id: UUID) -> int:
        """The position up to which what is read of the account is complete."""
        with self._transaction():
            return self._reached(account_id)

    def wait_for(self, account_id: UUID, position: int, timeout_s: float = WAIT_S) -> None:
        """Returns when the views have reached a position of the account's lane.

        Raises ViewBehind after the timeout: an answer would be older than what the caller knows.
        """
        deadline = time.monotonic() + timeout_s
        while (reached := self.reached(account_id)) < position:
            if time.monotonic() > deadline:
                raise ViewBehind(f"the views are at {reached}, not at {position} yet")
            time.sleep(POLL_S)

    def _summary(self, query: str, given: dict[str, Any]) -> Summary | None:
        with self._connection.cursor(row_factory=class_row(Summary)) as cursor:
            return cursor.execute(_SQL[query], given).fetchone()

    def _refuse_ahead(self, account_id: UUID, position: int) -> None:
        reached = self._reached(account_id)
        if position > reached:
            raise ViewBehind(f"the views are at {reached}, not at {position} yet")

    def _reached(self, account_id: UUID) -> int:
        given = {"account_id": account_id, "lane": lane_of(account_id)}
        row = self._connection.execute(_SQL["reached"], given).fetchone()
        assert row is not None
        return cast(int, row[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._connection.transaction():
            self._connection.execute(_SQL["scope"], {"scope": self._scope})
            yield
