"""Books to close: charges that a test remembers by itself, and what must be true of the invoices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ledger import commands as c
from ledger.calendar import BillingCycle, Net
from ledger.closing import MonthEnd, MonthEnds
from ledger.events import InvoiceIssued
from ledger.store.append import decode_account
from ledger.store.committer import Ledger
from ledger.store.log import Log
from ledger.store.outcomes import Accepted
from ledger.store.roles import AUDITOR
from tests.store.databases import Database

OPENED_ON = date(2019, 12, 1)
TODAY = date(2021, 6, 10)
ACTOR = "finance"


@dataclass
class Closing:
    """A database, what was posted to it, and its month ends."""

    database: Database
    ledger: Ledger
    month_ends: MonthEnds = field(init=False)
    posted: dict[str, dict[date, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    """Σ amount and tax of charges, by account and effective day."""
    key: str = "t"
    """What the keys of its own commands begin with."""
    _sent: int = 0

    def __post_init__(self) -> None:
        self.month_ends = MonthEnds(self.database.service_url)

    def send(self, number: str, *commands: c.AnyCommand, today: date = TODAY) -> list[Accepted]:
        """The commands are done."""
        return self.send_all([(number, command) for command in commands], today)

    def send_all(
        self, asked: Sequence[tuple[str, c.AnyCommand]], today: date = TODAY
    ) -> list[Accepted]:
        requests = []
        for number, command in asked:
            self._sent += 1
            requests.append(
                c.Request(
                    account_number=number, key=f"{self.key}-{self._sent}", command=command, actor="t",
                    today=today,
                )
            )  # fmt: skip  # arguments by what they are for
            if isinstance(command, c.PostCharge):
                on = command.effective_on or today
                total = command.amount_minor + sum(tax.amount_minor for tax in command.taxes)
                self.posted[number][on] += total
        outcomes = self.ledger.handle_now(requests)
        for outcome in outcomes:
            assert isinstance(outcome, Accepted), outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Accepted)]

    def close(self, period: str, issued_on: date | None = None, *, today: date = TODAY) -> MonthEnd:
        """The period's run, finished."""
        self.month_ends.ask(period, issued_on, actor=ACTOR, today=today)
        self.month_ends.work(self.ledger)
        run = self.month_ends.status(period)
        assert run is not None
        assert run.state == "finished"
        assert [] == self.month_ends.unfinished()
        return run

    def invoices(self, number: str) -> list[InvoiceIssued]:
        """The account's invoices, in order."""
        events = (recorded.event for recorded in self.database.recorded(number))
        return [event for event in events if isinstance(event, InvoiceIssued)]

    def under_key(self, period: str) -> dict[str, list[InvoiceIssued]]:
        """Every account's invoices under the period's key, read from the log."""
        log = Log(self.database.acting_as(AUDITOR))
        found: dict[str, list[InvoiceIssued]] = {}
        numbers = dict(self.database.rows("SELECT account_id, account_number FROM ledger.account"))
        try:
            for lane in range(64):
                for recorded in map(log.recorded, log.lane(lane)):
                    of_account = found.setdefault(numbers[recorded.account_id], [])
                    if recorded.key == f"month-end:{period}":
                        assert isinstance(recorded.event, InvoiceIssued), recorded
                        of_account.append(recorded.event)
        finally:
            log.close()
        return found

    def unbilled(self, number: str) -> int:
        """What is unbilled of the account, in minor units."""
        [state] = self.database.rows(
            "SELECT state FROM ledger.account WHERE account_number = %s", number
        )
        return decode_account(state).unbilled_minor

    def events(self) -> int:
        """How many events the log holds."""
        [count] = self.database.rows("SELECT sum(position)::bigint FROM ledger.lane_head")
        assert isinstance(count, int)
        return count

    def posted_through(self, number: str, last_on: date, first_on: date = date.min) -> int:
        """The independent sum: what was charged for days of a range, in minor units."""
        days = self.posted[number].items()
        return sum(amount for day, amount in days if first_on <= day <= last_on)


def opening(
    cycle: BillingCycle = "month_end", currency: str = "USD", opened_on: date = OPENED_ON
) -> c.OpenAccount:
    return c.OpenAccount(
        company="Example Conferencing Inc.",
        country="USA",
        currency=currency,
        billing_cycle=cycle,
        terms=Net(30),
        opened_on=opened_on,
    )


def charge(id: str, on: date, amount_minor: int, **given: Any) -> c.PostCharge:
    return c.PostCharge(
        charge_id=id,
        amount_minor=amount_minor,
        effective_on=on,
        description="a call",
        category="usage",
        **given,
    )


def credit(id: str, on: date, amount_minor: int) -> c.IssueCredit:
    """A credit for the next invoice."""
    return c.IssueCredit(
        credit_id=id,
        amount_minor=amount_minor,
        applies_to="next_invoice",
        reason="goodwill",
        effective_on=on,
    )


def many(closing: Closing, accounts: int, day: date) -> list[str]:
    """Accounts with three charges each on a day; their numbers."""
    numbers = [f"M-{n:04}" for n in range(accounts)]
    closing.send_all([(number, opening()) for number in numbers])
    closing.send_all(
        [
            (number, charge(f"c-{k}", day, 100 + 7 * n + k))
            for n, number in enumerate(numbers)
            for k in range(3)
        ]
    )
    return numbers


def check_each_billed_once(closing: Closing, period: str, last_on: date) -> None:
    """Every account that was charged has one invoice under the period's key, over all its charges."""
    for number, invoices in closing.under_key(period).items():
        wanted = [closing.posted_through(number, last_on)] if closing.posted[number] else []
        assert wanted == [invoice.total_minor for invoice in invoices], number
    assert closing.database.first_break() is None
