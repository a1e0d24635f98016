"""Appends and projections that fail at each of their steps: done once, or not at all and then once."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import psycopg
import pytest

from ledger.commands import AnyCommand, IssueInvoice
from ledger.store import writer
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted
from projections.follower import Follower
from projections.receivables import RECEIVABLES
from tests.faults import results
from tests.faults.failpoints import Side, StepProxy, arm, has_failed, plant_failpoints
from tests.faults.judge import Judge
from tests.store.databases import US, Database
from tests.store.scenario import charge, every_command, opening, payment, requests

CODES = {
    "40001": "could not serialize",
    "40P01": "deadlock",
    "53100": "disk full",
    "57P01": "shutting down",
}
SIDES: tuple[Side, ...] = get_args(Side)
STEPS_MAX = 200
COMMANDS: tuple[AnyCommand, ...] = (
    opening(),
    charge("c1"),
    IssueInvoice(number="I1"),
    payment("p1", 400, "I1"),
)
EVENTS = 5
"""Of the commands together."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BACKOFF_S", 0.0005)


@pytest.fixture
def proxy(database: Database) -> Iterator[StepProxy]:
    with closing(StepProxy(database.service_url)) as stepping:
        yield stepping


def send(door: Ledger, number: str) -> None:
    """The commands of an account, in two flushes, each accepted; the second reads more than once."""
    asked = requests(number, [*COMMANDS])
    outcomes = [*door.handle_now(asked[:2]), *door.handle_now(asked[2:])]
    assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes


def judge(url: str, numbers: list[str], events: int) -> None:
    """Each account has its events once, and everything made of them is whole."""
    found = Judge(url, numbers)
    found.views()
    assert not found.verdict.wrong, found.verdict.says
    assert {events} == {len(recorded) for recorded in found.recorded.values()}


def test_an_append_that_fails_at_any_statement(
    database: Database,
    ledger: Ledger,
    tmp_path: Path,
) -> None:
    """After each statement of the append, with each error that may pass: done once in the end."""
    steps = plant_failpoints(database, "append")
    numbers = []
    for step in range(1, steps + 1):
        for code in CODES:
            arm(database, step, code)
            numbers.append(f"A-{step}-{code}")
            send(ledger, numbers[-1])
            assert has_failed(database), (step, code)
    judge(database.service_url, numbers, EVENTS)
    results.tell("failpoints-append", 0, {"steps": steps, "failures": len(numbers)}, tmp_path)
    assert steps >= 8


def test_a_flush_that_is_cut_at_any_statement(
    database: Database,
    proxy: StepProxy,
    tmp_path: Path,
) -> None:
    """From the look-up of keys to the append, asked or answered: done once in the end."""
    numbers = []
    with closing(Ledger(proxy.url, US.code)) as through:
        for side in SIDES:
            for step in range(1, STEPS_MAX):
                proxy.arm(step, side)
                numbers.append(f"F-{side}-{step}")
                send(through, numbers[-1])
                if not proxy.has_cut:
                    break
    judge(database.service_url, numbers, EVENTS)
    cuts = len(numbers) - len(SIDES)
    results.tell("failpoints-flush", 0, {"cuts": cuts}, tmp_path)
    assert cuts >= 8


def test_a_projection_that_is_cut_at_any_statement(
    database: Database,
    ledger: Ledger,
    proxy: StepProxy,
    tmp_path: Path,
) -> None:
    """From the look at the heads to the commit, asked or answered: every event is taken once."""
    numbers, commands = [], every_command()
    with closing(Follower(proxy.url, RECEIVABLES)) as follower:
        for side in SIDES:
            for step in range(1, STEPS_MAX):
                numbers.append(f"P-{side}-{step}")
                for outcome in ledger.handle_now(requests(numbers[-1], commands)):
                    assert isinstance(outcome, Accepted), outcome
                proxy.arm(step, side)
                follow(follower)
                if not proxy.has_cut:
                    break
    cuts = len(numbers) - len(SIDES)
    counts = {len(recorded) for recorded in Judge(database.service_url, numbers).recorded.values()}
    judge(database.service_url, numbers, counts.pop())
    results.tell("failpoints-projection", 0, {"cuts": cuts}, tmp_path)
    assert cuts >= 20


def follow(follower: Follower) -> None:
    """Catches up, on a fresh connection whenever one is lost."""
    while True:
        try:
            follower.catch_up()
        except psycopg.OperationalError:
            follower.close()
        else:
            return
