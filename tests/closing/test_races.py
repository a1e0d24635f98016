"""Month ends beside everybody else at work: nothing is billed twice, and nothing is lost."""

import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing as closed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

import pytest

from ledger import closing as closing_module
from ledger import commands as c
from ledger import events as e
from ledger.calendar import BillingCycle
from ledger.closing import MonthEnds
from ledger.closing_preview import PreviewedInvoice
from ledger.month_end import key_of, period_of
from ledger.parts import Range, SettingsChange, Tax
from ledger.store.append import decode_account
from ledger.store.committer import Ledger
from ledger.store.mapper import Recorded
from ledger.store.outcomes import Accepted, Outcome, Refused
from ledger.store.reads import Seen
from tests.closing.books import ACTOR, TODAY, Closing, charge, credit, opening
from tests.counting import seed
from tests.store.databases import US, Database

ACCOUNTS = 48
PERIODS = ("2020-01", "2020-02", "2020-03")
FIRST_ON = date(2019, 12, 20)
DAYS = 110
ROUNDS_MIN = 40
"""Rounds that each of the writers makes at least, of some commands each."""
CYCLES: tuple[BillingCycle, ...] = ("month_end", *range(1, 32))
WRITERS = 3
LIMIT_S = 60.0


@dataclass
class Writer:
    """Somebody who posts, pays, cancels and changes cycles, and remembers what was accepted."""

    database: Database
    numbers: list[str]
    name: str
    dice: random.Random
    charged: Counter[str] = field(default_factory=Counter)
    """Σ of lines with tax, credits for the next invoice negative, by account."""
    lines: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)

    def work(self, over: threading.Event) -> None:
        with closed(Ledger(self.database.service_url, US.code)) as ledger:
            while not over.is_set() or self.rounds < ROUNDS_MIN:
                self.rounds += 1
                self._round(ledger)

    def _round(self, ledger: Ledger) -> None:
        asked = [
            c.Request(
                account_number=number,
                key=f"{self.name}-{self.rounds}-{n}",
                command=self._command(number, f"{self.name}-{self.rounds}-{n}"),
                actor=self.name,
                today=TODAY,
            )
            for n, number in enumerate(self.dice.choices(self.numbers, k=6))
        ]
        for request, outcome in zip(asked, ledger.handle_now(asked), strict=True):
            kind = type(request.command).__name__
            if isinstance(outcome, Refused):
                assert isinstance(request.command, c.CancelInvoice), outcome
                self.refused[outcome.refusal.code] += 1
                continue
            assert isinstance(outcome, Accepted)
            self.made[kind] += 1
            if isinstance(request.command, c.PostCharge | c.IssueCredit):
                tax = sum(one.amount_minor for one in request.command.taxes)
                sign = 1 if isinstance(request.command, c.PostCharge) else -1
                amount_minor = request.command.amount_minor
                assert amount_minor is not None
                self.charged[request.account_number] += sign * (amount_minor + tax)
                self.lines[request.account_number] += 1

    def _command(self, account_number: str, id: str) -> c.AnyCommand:
        on = FIRST_ON + timedelta(days=self.dice.randrange(DAYS))
        match self.dice.randrange(10):
            case 0 | 1:
                amount_minor = self.dice.randrange(1, 3_000)
                return c.SubmitPayment(
                    payment_id=id, amount_minor=amount_minor, pay="amount", method="card",
                    status="processed", effective_on=on,
                )  # fmt: skip  # arguments by what they are for
            case 2:
                number = f"{account_number}-{self.dice.choice(PERIODS)}-1"
                return c.CancelInvoice(number=number, reason="wrong")
            case 3:
                changes = SettingsChange(billing_cycle=self.dice.choice(CYCLES))
                return c.ChangeSettings(changes=changes, effective_on=on)
            case 4:
                return credit(id, on, self.dice.randrange(1, 400))
            case _:
                taxes = (Tax("VAT", "0.1", self.dice.randrange(50)),)
                return charge(id, on, self.dice.randrange(1, 2_000), taxes=taxes)


@contextmanager
def writing(closing: Closing, numbers: list[str], dice: random.Random) -> Iterator[list[Writer]]:
    """Writers are at work; afterwards they are done, and what any of them met is raised."""
    over = threading.Event()
    writers = [
        Writer(closing.database, numbers, f"writer-{n}", random.Random(dice.random()))
        for n in range(WRITERS)
    ]
    with ThreadPoolExecutor(WRITERS) as threads:
        working = [threads.submit(writer.work, over) for writer in writers]
        try:
            yield writers
        finally:
            over.set()
        for one in working:
            one.result(LIMIT_S)


def work_at_once(closing: Closing, runners: int) -> None:
    """So many runners, each with a door of its own, work until no run is unfinished."""

    def run(_: int) -> None:
        url = closing.database.service_url
        with closed(Ledger(url, US.code)) as ledger, closed(MonthEnds(url)) as month_ends:
            month_ends.work(ledger)

    with ThreadPoolExecutor(runners) as threads:
        list(threads.map(run, range(runners)))


def test_each_charge_is_on_one_invoice_whatever_goes_on_meanwhile(
    closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three months are closed over and over by two runners while three writers post charges and
    credits, pay, cancel invoices and change cycles: every line is on one live invoice or unbilled, each
    invoice holds the lines that its total is of, no month bills an account twice, and what was
    accepted, all of it, is on the invoices in the end."""
    monkeypatch.setattr(closing_module, "BATCH_MAX", 4)
    dice = random.Random(seed())
    numbers = [f"R-{n}" for n in range(ACCOUNTS)]
    closing.send_all([(number, opening(dice.choice(CYCLES))) for number in numbers])
    issued = 0
    with writing(closing, numbers, dice) as writers:
        while not issued or min(writer.rounds for writer in writers) < ROUNDS_MIN:
            for period in PERIODS:
                closing.month_ends.ask(period, None, actor=ACTOR, today=TODAY)
            work_at_once(closing, 2)
            for run in map(closing.month_ends.status, PERIODS):
                assert run is not None
                assert (ACCOUNTS, 0) == (run.accounts, run.refused), run
                issued += run.issued
    made = sum((writer.made for writer in writers), Counter[str]())
    kinds = {"PostCharge", "IssueCredit", "SubmitPayment", "CancelInvoice", "ChangeSettings"}
    assert kinds <= set(made), made
    assert issued > ACCOUNTS
    check(closing, numbers, writers)
    assert 0 == closing.close("2020-12").refused
    check(closing, numbers, writers)
    assert [0] * ACCOUNTS == [closing.unbilled(number) for number in numbers]
    assert closing.database.first_break() is None


def check(closing: Closing, numbers: list[str], writers: list[Writer]) -> None:
    states = dict(closing.database.rows("SELECT account_number, state FROM ledger.account"))
    for number in numbers:
        events = closing.database.recorded(number)
        lines = _lines(events)
        live = _live(events)
        assert sum(writer.lines[number] for writer in writers) == len(lines)
        held = {
            version: _holding(live.values(), line[0], version) for version, line in lines.items()
        }
        assert all(len(holding) <= 1 for holding in held.values()), (number, held)
        for invoice in live.values():
            taken = [lines[v][1] for v, holding in held.items() if holding == [invoice.number]]
            assert (len(taken), sum(taken)) == (invoice.lines.count, invoice.lines.total_minor)
        unbilled = [lines[version][1] for version, holding in held.items() if not holding]
        assert sum(unbilled) == decode_account(states[number]).unbilled_minor
        billed = sum(invoice.lines.total_minor for invoice in live.values())
        assert sum(writer.charged[number] for writer in writers) == billed + sum(unbilled)
        keys = [one.key for one in events if isinstance(one.event, e.InvoiceIssued)]
        assert len(set(keys)) == len(keys), number
        assert set(keys) <= {key_of(period_of(period)) for period in (*PERIODS, "2020-12")}


def _lines(events: list[Recorded]) -> dict[int, tuple[date, int]]:
    """Day and signed total of every line that an invoice may take, by version."""
    found = {}
    for recorded in events:
        event = recorded.event
        if isinstance(event, e.ChargePosted | e.CreditIssued):
            total = event.amount_minor + sum(tax.amount_minor for tax in event.taxes)
            sign = 1 if isinstance(event, e.ChargePosted) else -1
            found[recorded.version] = event.effective_on, sign * total
    return found


def _live(events: list[Recorded]) -> dict[str, e.InvoiceIssued]:
    live: dict[str, e.InvoiceIssued] = {}
    for recorded in events:
        if isinstance(recorded.event, e.InvoiceIssued):
            live[recorded.event.number] = recorded.event
        elif isinstance(recorded.event, e.InvoiceCancelled):
            del live[recorded.event.number]
    return live


def _holding(live: Iterable[e.InvoiceIssued], on: date, version: int) -> list[str]:
    """The numbers of the live invoices that have taken the line."""
    return [
        invoice.number
        for invoice in live
        if any(_holds(taken, on, version) for taken in invoice.ranges)
    ]


def _holds(taken: Range, on: date, version: int) -> bool:
    in_days = taken.first_on <= on <= taken.last_on
    return in_days and taken.first_version <= version <= taken.last_version


class Late(Ledger):
    """A door before which somebody is quicker, at the last moment."""

    def __init__(self, url: str, first: c.Request) -> None:
        super().__init__(url, US.code)
        self._first = [first]

    def handle_now(self, requests: Sequence[c.Request]) -> list[Outcome]:
        if requests and self._first:
            super().handle_now([self._first.pop()])
        return super().handle_now(requests)

    def handle_seen(self, seen: Sequence[tuple[c.Request, UUID, Seen]]) -> list[Outcome]:
        if seen and self._first:
            super().handle_now([self._first.pop()])
        return super().handle_seen(seen)


@pytest.mark.parametrize(
    ("quicker", "total_minor"),
    [
        (charge("d", date(2020, 7, 31), 30), 130),
        (c.IssueInvoice(period_end=date(2020, 7, 15), issued_on=date(2020, 7, 15)), 100),
    ],
)
def test_an_account_changed_between_look_up_and_append(
    closing: Closing, quicker: c.AnyCommand, total_minor: int
) -> None:
    """What was read of it is of the past: a charge is billed with the others, and an invoice that
    somebody else has just issued under the month's key stays the only one."""
    closing.send("A", opening(), charge("c", date(2020, 7, 3), 100))
    is_invoice = isinstance(quicker, c.IssueInvoice)
    request = c.Request(
        account_number="A", key="month-end:2020-07" if is_invoice else "late", command=quicker,
        actor="t", today=TODAY,
    )  # fmt: skip  # arguments by what they are for
    closing.month_ends.ask("2020-07", None, actor=ACTOR, today=TODAY)
    with closed(Late(closing.database.service_url, request)) as ledger:
        closing.month_ends.work(ledger)
    run = closing.month_ends.status("2020-07")
    assert run is not None
    assert (1, 1, 0) == (run.accounts, run.issued, run.refused)
    [invoice] = closing.invoices("A")
    assert total_minor == invoice.total_minor


@pytest.mark.parametrize("is_preview", [False, True])
def test_an_invoice_cancelled_between_look_up_and_append(
    closing: Closing, is_preview: bool
) -> None:
    """Its lines are to be billed again, from the day of the cancellation: the account is looked at
    again, and not refused for the earlier day that was good before; previewed as it is billed."""
    closing.send("A", opening(), charge("c", date(2020, 2, 3), 100))
    closing.close("2020-02")
    closing.send("A", charge("d", date(2020, 3, 3), 30))
    cancelling = c.Request(
        account_number="A", key="late", actor="t", today=TODAY,
        command=c.CancelInvoice(number="A-2020-02-1", reason="wrong"),
    )  # fmt: skip  # arguments by what they are for
    with closed(Late(closing.database.service_url, cancelling)) as ledger:
        if is_preview:
            shown = closing.month_ends.preview("2020-03", None, today=TODAY)
            previewed = [one for batch in shown.batches(ledger) for one in batch]
        else:
            closing.month_ends.ask("2020-03", None, actor=ACTOR, today=TODAY)
            closing.month_ends.work(ledger)
    run = closing.close("2020-03")
    assert (1 - is_preview, 0) == (run.replayed, run.refused)
    invoice = closing.invoices("A")[-1]
    assert (130, date(2020, 3, 31), TODAY) == (
        invoice.total_minor, invoice.period_end, invoice.effective_on,
    )  # fmt: skip  # field by field
    if is_preview:
        assert [PreviewedInvoice("A", "USD", invoice)] == previewed
