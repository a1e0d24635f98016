"""Accounts with late invoices in a database, runs over them, and what was posted as the log has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta

import msgspec

from api.dunning import AssessmentLine, Run, RunTotals
from ledger import commands as c
from ledger import events as e
from ledger.calendar import Net
from ledger.dunning_policy import Fee, Interest, Percent, Policy, Step
from ledger.store.committer import Ledger
from ledger.store.lanes import account_id
from ledger.store.log import Log
from ledger.store.mapper import Recorded
from ledger.store.outcomes import Accepted, Outcome
from ledger.store.roles import AUDITOR
from projections.dunning import DunningReading
from projections.follower import Follower
from projections.receivables import RECEIVABLES
from tests.store.databases import US, Database

ISSUED_ON = date(2020, 7, 31)
DUE = date(2020, 8, 30)
BILLER = "Example Conferencing Inc."
WAIT_S = 30.0
POLICY = Policy(
    currency="USD",
    since=date(2020, 1, 1),
    steps=(
        Step(after_days=3, reminder=True),
        Step(after_days=7, fee=Fee(flat_minor=1_500)),
        Step(after_days=14, fee=Fee(percent=Percent(10_000_000), minimum_minor=500), reminder=True),
    ),
    interest=Interest(annual=Percent(36_500_000), after_days=2),
    return_fee_minor=2_500,
)
FEE_ALONE = Policy(
    currency="USD",
    since=date(2020, 1, 1),
    steps=(Step(after_days=7, fee=Fee(percent=Percent(10_000_000))),),
)


def late(days: int) -> date:
    """The day so many days past due."""
    return DUE + timedelta(days)


def catch_up(database: Database) -> None:
    """The views hold what the log holds."""
    with closing(Follower(database.service_url, RECEIVABLES)) as follower:
        follower.catch_up(timeout_s=WAIT_S)


@dataclass
class Dunned:
    """A database, and the door to its log."""

    database: Database
    ledger: Ledger
    sent: int = 0

    def send(self, asked: Sequence[tuple[str, c.AnyCommand]], today: date) -> None:
        """The commands are done."""
        requests = []
        for number, command in asked:
            self.sent += 1
            requests.append(
                c.Request(
                    account_number=number, key=f"t-{self.sent}", command=command, actor="t",
                    today=today,
                )
            )  # fmt: skip  # arguments by what they are for
        for outcome in self.ledger.handle_now(requests):
            assert isinstance(outcome, Accepted), outcome

    def many(self, accounts: int, first: int = 0) -> list[str]:
        """Accounts with an invoice each, of 100.00 and a little more, due on DUE."""
        numbers = [f"M-{n:04}" for n in range(first, first + accounts)]
        opening = c.OpenAccount(
            company="Harbour", country="USA", currency="USD", terms=Net(30),
            opened_on=date(2020, 1, 1),
        )  # fmt: skip  # arguments by what they are for
        self.send([(number, opening) for number in numbers], ISSUED_ON)
        self.send(
            [
                (number, c.PostCharge(charge_id="c", amount_minor=10_000 + n, description="calls",
                                      category="usage"))
                for n, number in enumerate(numbers)
            ],
            ISSUED_ON,
        )  # fmt: skip  # arguments by what they are for
        self.send([(number, c.IssueInvoice(number="N")) for number in numbers], ISSUED_ON)
        return numbers

    def pay(self, number: str, payment_id: str, amount_minor: int, on: date) -> None:
        """The payment is processed."""
        command = c.SubmitPayment(
            payment_id=payment_id, pay="amount", amount_minor=amount_minor, method="card",
            status="processed",
        )  # fmt: skip  # arguments by what they are for
        self.send([(number, command)], on)

    def run(
        self,
        on: date,
        policy: Policy = POLICY,
        *,
        dry_run: bool = False,
        today: date | None = None,
        send: Callable[[Sequence[c.Request]], list[Outcome]] | None = None,
    ) -> tuple[list[AssessmentLine], RunTotals]:
        """A run's lines and totals; `send` stands for the door to the log."""
        with closing(DunningReading(self.database.service_url, policy, on)) as reading:
            run = Run(
                reading=reading,
                policy=policy,
                on=on,
                today=today or on,
                biller=BILLER,
                actor="finance",
                send=None if dry_run else send or self.ledger.handle_now,
                catch_up=lambda: catch_up(self.database),
            )
            lines = [line for part in run.parts() for line in part]
            return lines, run.totals()

    def posted(self) -> dict[tuple[str, str], tuple[str, int, date]]:
        """What runs posted: kind, amount and day by account and id; read from the log."""
        found: dict[tuple[str, str], tuple[str, int, date]] = {}
        for number, recorded in self.recorded():
            event = recorded.event
            if not recorded.key.startswith("dunning:"):
                continue
            if isinstance(event, e.ChargePosted):
                kind, amount_minor, id = event.category, event.amount_minor, event.charge_id
            else:
                assert isinstance(event, e.MessagePosted), event
                kind, amount_minor, id = "reminder", 0, event.message_id
            assert (number, id) not in found
            assert recorded.key == f"dunning:{id}"
            found[number, id] = kind, amount_minor, event.effective_on
        return found

    def recorded(self) -> Iterator[tuple[str, Recorded]]:
        """Every event of every account, in order, with the account's number."""
        with closing(Log(self.database.acting_as(AUDITOR))) as log:
            for number in self.numbers():
                for stored in log.account(account_id(US.code, number)):
                    yield number, log.recorded(stored)

    def numbers(self) -> list[str]:
        return self.database.rows("SELECT account_number FROM ledger.account ORDER BY 1")


def proposed(lines: Sequence[AssessmentLine]) -> list[AssessmentLine]:
    """The same lines as a preview tells them."""
    return [
        msgspec.structs.replace(line, status="proposed", position=None)
        for line in lines
        if line.status == "posted"
    ]


def told(lines: Sequence[AssessmentLine], on: date) -> dict[tuple[str, str], tuple[str, int, date]]:
    """What was posted by the lines, in the form of Dunned.posted."""
    found = {}
    for line in lines:
        assert line.kind is not None
        assert line.id is not None
        amount = line.amount.amount.replace(".", "") if line.amount else "0"
        found[line.account_number, line.id] = line.kind, int(amount), on
    return found
