"""Large months closed by real commands that are killed on the way, held against a model."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing as closed
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

import psycopg
import pytest

from api.embedded import EmbeddedServer
from api.wiring import Database
from ledger import commands as c
from ledger.closing import MonthEnd, MonthEnds
from ledger.closing_report import LaneReport, read_lanes
from ledger.invoice_totals import InvoiceTotals
from ledger.month_end import key_of, period_of
from ledger.parts import Tax
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.serving import COMMAND, WAIT_LIMIT_S, environment_of
from tests.closing.books import ACTOR, opening
from tests.counting import LINES as TOLD

PERIOD = "2020-07"
LAST_ON = date(2020, 7, 31)
OPENED_ON = date(2020, 6, 1)
LINES = 20
CATEGORIES = ("usage", "line rental", "equipment")
TAXES = ("VAT", "city")
TOGETHER = 5_000
"""Commands handed to the door at once."""
KILLED_AT = (0.1, 0.5)
"""Shares of the accounts after which a command is killed, with its processes."""
STARTED = 0.05
"""Share of the accounts that a command bills before its pace counts: its second process starts meanwhile."""
POLL_S = 0.03
"""A look at how far a run is takes part of what it measures."""
CLOSE_S_MAX = 300.0


@dataclass
class Model:
    """What the accounts were charged, by sums that know nothing of invoices."""

    accounts: int
    by_category: Counter[str] = field(default_factory=Counter)
    by_tax: Counter[str] = field(default_factory=Counter)
    total_of: dict[str, int] = field(default_factory=dict)

    def requests(self, today: date) -> Iterator[c.Request]:
        """Each account opened and charged LINES times, one account after the other."""
        for n in range(self.accounts):
            number = f"S-{n}"
            yield _request(number, "open", opening(opened_on=OPENED_ON), today)
            for k in range(LINES):
                yield _request(number, f"c-{k}", self._charge(number, n, k), today)

    def _charge(self, number: str, n: int, k: int) -> c.PostCharge:
        category = CATEGORIES[k % len(CATEGORIES)]
        amount_minor = 100 + (7 * n + 13 * k) % 997
        taxes = {name: amount_minor // (9 + i) for i, name in enumerate(TAXES) if k % 5 == i}
        self.by_category[category] += amount_minor
        self.by_tax.update(taxes)
        so_far = self.total_of.get(number, 0)
        self.total_of[number] = so_far + amount_minor + sum(taxes.values())
        return c.PostCharge(
            charge_id=f"c-{k}",
            amount_minor=amount_minor,
            taxes=tuple(Tax(name, "0.1", minor) for name, minor in taxes.items()),
            category=category,
            description="a call",
            effective_on=LAST_ON - timedelta(days=k),
        )


def _request(number: str, key: str, command: c.AnyCommand, today: date) -> c.Request:
    return c.Request(account_number=number, key=key, command=command, actor=ACTOR, today=today)


def fill(database: Database, model: Model) -> None:
    left = model.requests(database.today())
    with closed(database.ledger()) as ledger:
        while part := list(islice(left, TOGETHER)):
            _done(ledger, part)


def _done(ledger: Ledger, requests: list[c.Request]) -> None:
    for outcome in ledger.handle_now(requests):
        assert isinstance(outcome, Accepted), outcome


@dataclass
class Pace:
    """How fast accounts were closed, while commands were at it and not only starting."""

    accounts: int = 0
    seconds: float = 0.0
    commands: int = 0

    @property
    def rate(self) -> float:
        return self.accounts / self.seconds if self.seconds else 0.0


def close_until(
    database: Database, environment: Mapping[str, str], pace: Pace, accounts: int, starting: int
) -> MonthEnd:
    """The run as `close-month` left it, killed with all its processes once it is past so many accounts.

    Its pace counts once `starting` more are billed than before.
    """
    with closed(database.month_ends()) as month_ends:
        before = month_ends.status(PERIOD)
        command = subprocess.Popen(
            [*COMMAND, "close-month", PERIOD, "--workers", "2"],
            env=dict(environment),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            began = _awaited(month_ends, starting + (before.accounts if before else 0))
            started = time.monotonic()
            now = _awaited(month_ends, accounts)
            ended = time.monotonic()
        finally:
            os.killpg(command.pid, signal.SIGKILL)
        assert -signal.SIGKILL == command.wait(WAIT_LIMIT_S)
        if now.accounts > began.accounts:
            pace.accounts += now.accounts - began.accounts
            pace.seconds += ended - started
        pace.commands += 1
        left = month_ends.status(PERIOD)
        assert left is not None
        return left


def _awaited(month_ends: MonthEnds, accounts: int) -> MonthEnd:
    """The run once it has looked at so many accounts."""
    deadline = time.monotonic() + CLOSE_S_MAX
    while True:
        run = month_ends.status(PERIOD)
        if run is not None and run.accounts >= accounts:
            return run
        assert time.monotonic() < deadline, run
        time.sleep(POLL_S)


def month(lane: int, position: int, on: date) -> str:
    """No month was closed before: everything posts to the month of its day."""
    return on.isoformat()[:7]


def report_of(database: Database, lanes: list[tuple[int, int]]) -> LaneReport:
    with closed(database.log()) as log:
        return read_lanes(log, lanes, period_of(PERIOD), month)


def reported(database: Database) -> LaneReport:
    """The report of all lanes, each half of them by a process of its own."""
    with closed(database.log()) as log:
        heads = [(head.lane, head.position) for head in log.heads()]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        halves = pool.starmap(report_of, [(database, heads[n::2]) for n in range(2)])
    return halves[0] + halves[1]


def billed(database: Database) -> list[tuple[str, int]]:
    """Number and total of every invoice under the period's key."""
    assert database.owner_url is not None
    with closed(psycopg.connect(database.owner_url, autocommit=True)) as owner:
        return owner.execute(
            b"SELECT a.account_number, (e.state -> 'data' ->> 'total_minor')::bigint FROM ("
            b" SELECT lane, account_id, convert_from(state, 'UTF8')::jsonb AS state"
            b" FROM ledger.event WHERE topic = 'invoice_issued:1') AS e"
            b" JOIN ledger.account AS a USING (lane, account_id)"
            b" WHERE e.state ->> 'key' = %s",
            (key_of(period_of(PERIOD)),),
        ).fetchall()


@pytest.mark.parametrize("accounts", [10_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_a_large_month_killed_twice(server: EmbeddedServer, tmp_path: Path, accounts: int) -> None:
    """Accounts with 20 lines each, closed by commands of two processes that are killed with -9 on the
    way, twice, and once more when all is done but the views: each account has one invoice, of what it
    was charged, and the report's lines, categories, taxes and postings are the model's."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    model, pace = Model(accounts), Pace()
    fill(database, model)
    environment = environment_of(regions_file(tmp_path, database))
    starting = round(STARTED * accounts)
    for share in KILLED_AT:
        left = close_until(database, environment, pace, round(share * accounts), starting)
        assert ("running", 0) == (left.state, left.replayed)
        assert share * accounts <= left.issued < accounts
    run = close_until(database, environment, pace, accounts, starting)
    assert ("finished", accounts, accounts) == (run.state, run.accounts, run.issued)
    TOLD.append(
        f"month end of {accounts:,} accounts, {LINES} lines each: {pace.rate:,.0f} a second"
    )
    invoices = billed(database)
    assert accounts == len(invoices)
    assert model.total_of == dict(invoices)
    report = reported(database)
    assert accounts * (LINES + 2) == report.events
    [usd] = report.currencies.values()
    charged, taxed = model.by_category.total(), model.by_tax.total()
    assert InvoiceTotals(
        invoices=accounts, lines=accounts * LINES, charges_minor=charged, tax_minor=taxed,
        total_minor=charged + taxed, categories=dict(model.by_category), taxes=dict(model.by_tax),
    ) == usd.invoices  # fmt: skip  # arguments by what they are for
    assert accounts == usd.accounts
    assert {
        "accounts_receivable": charged + taxed,
        **{f"revenue:{name}": -minor for name, minor in model.by_category.items()},
        **{f"tax_payable:{name}": -minor for name, minor in model.by_tax.items()},
    } == usd.movements
