"""Two services under load while everything they stand on fails: nothing lost, doubled or seen wrong."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.api.consumer import read_journal
from tests.faults import results
from tests.faults.clients import BulkClient, Client, Seen, SingleClient
from tests.faults.fleet import TOKEN, Fleet, until
from tests.faults.judge import Judge
from tests.faults.load import ACCOUNTS
from tests.faults.plan import campaign

MINUTES = "SOAK_MINUTES"
BETWEEN = 50
"""Commands acknowledged between two faults, on average."""
ACKNOWLEDGED = 8_000
AFTERWARDS = 300
"""Commands that must be acknowledged after the last fault."""


def one_campaign(name: str, seed: int, directory: Path) -> None:
    """A fleet, its clients, every fault of the plan, and the judgement."""
    dice, seen, started = random.Random(seed), Seen(), time.monotonic()
    with Fleet(seed, directory) as fleet:
        ports = [served.port for served in fleet.services]
        clients: list[Client] = [
            kind(1_000 * seed + n, ports, TOKEN, seen)
            for n, kind in enumerate([BulkClient, SingleClient] * 2)
        ]
        for client in clients:
            client.start()
        done = campaign(dice, fleet, seen, BETWEEN)
        before = seen.accepted
        while seen.accepted < max(before + AFTERWARDS, ACKNOWLEDGED):
            assert seen.more(AFTERWARDS, 60), "no progress after the last fault"
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(60)
            assert not client.is_alive(), client
        until(fleet.answers, "PostgreSQL answers")
        judge = Judge(fleet.database.service_url, ACCOUNTS)
        judge.clients(seen.history)
        judge.views()
        for consumer in fleet.consumers:
            await_end(consumer.journal, judge.verdict.events)
            judge.consumer(consumer.journal)
        logs = [served.log for served in fleet.services]
    verdict = judge.verdict
    counts = {
        "faults": len(done),
        **verdict.counts(),
        "seconds": round(time.monotonic() - started, 1),
    }
    facts = {"faults": [one._asdict() for one in done], "answers": dict(seen.told)}
    results.tell(name, seed, counts, directory, facts)
    assert not seen.odd, seen.odd
    assert not verdict.wrong, (verdict.wrong, verdict.says)
    assert crashes(logs) == []
    assert counts["faults"] >= 80
    assert verdict.acknowledged >= ACKNOWLEDGED
    assert verdict.transactions >= 3_000
    assert verdict.tailed >= 20_000


def await_end(journal: Path, events: int) -> None:
    """Returns once a consumer has noted so many events."""

    def noted() -> bool:
        return sum(len(taken.events) for taken in read_journal(journal)) >= events

    until(noted, f"{journal.name} has {events} events")


def crashes(logs: list[Path]) -> list[str]:
    """What services logged that no fault of what they stand on explains."""
    signs = ("internal_error", "log_corrupt", "account_parked", "AssertionError", "follower_died")
    return [
        line
        for log in logs
        for line in log.read_text().splitlines()
        if any(sign in line for sign in signs)
    ]


def test_a_campaign_loses_doubles_and_misses_nothing(tmp_path: Path) -> None:
    """At least 80 faults of 16 kinds under load: every acknowledged command is stored once, hashes
    chain, lanes are contiguous, views equal folds, what clients and consumers saw is one order."""
    one_campaign("campaign", results.seed(), tmp_path)


@pytest.mark.soak
def test_campaigns_for_as_long_as_wanted(tmp_path: Path) -> None:
    """The same again and again, each on a fresh database with another seed, for SOAK_MINUTES."""
    deadline = time.monotonic() + 60 * float(os.environ.get(MINUTES, "60"))
    n, first = 0, results.seed()
    while not n or time.monotonic() < deadline:
        directory = tmp_path / str(n)
        directory.mkdir()
        one_campaign("soak", first + n, directory)
        n += 1
