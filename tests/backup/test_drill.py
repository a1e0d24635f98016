"""The drill: a backup under load, total loss of the data directory, and what a restore brings back."""

import shutil
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from datetime import datetime
from itertools import islice
from pathlib import Path

import psutil

from api.wiring import Database, databases
from ledger.book import Book
from ledger.store.lanes import account_id
from ledger.store.outcomes import Accepted
from tests.api.books import PASSWORD, TOKENS
from tests.api.serving import ROOT, eventually, serving
from tests.backup.deployments import Deployment, deployed
from tests.faults.load import ACCOUNTS, requests
from tests.faults.writer import Acknowledged, read_journal
from tests.projections.views import views_differ
from tests.store import databases as stored

SEEDS = (1, 2)
BEFORE, AFTER = 200, 100
"""Commands acknowledged before the backup begins, and after it has ended."""
SENT_AGAIN = 200


class Writers:
    """Two processes that send commands to region us as fast as it takes them, noting each answer."""

    def __init__(self, deployment: Deployment) -> None:
        self._journals = [deployment.folder / f"journal-{seed}" for seed in SEEDS]
        self._processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.faults.writer"),
                    *(deployment.data, "ledger_us", str(seed), journal),
                ],
                cwd=ROOT,
            )
            for seed, journal in zip(SEEDS, self._journals, strict=True)
        ]

    def acknowledged(self) -> list[Acknowledged]:
        return [noted for journal in self._journals for noted in read_journal(journal).values()]

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(process.pid) for process in self._processes]

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def test_what_was_acknowledged_by_the_backups_end_survives_the_loss_of_everything(
    tmp_path: Path,
) -> None:
    """Every command acknowledged before the reported end is there, unbroken, and serves again."""
    with deployed() as deployment:
        session, report, noted = lose_everything(deployment, tmp_path)
        ended_at = datetime.fromisoformat(report["ended_at"]).timestamp()
        kept = [one for one in noted if one.at < ended_at]
        restored = deployment.run("restore", deployment.folder / "ledger.backup", "--json")
        assert restored.code == 0, restored
        assert report["sha256"] == restored.lines[-1]["sha256"]
        held = {one["region"]: one for one in restored.lines[-1]["regions"]}
        assert {one["region"]: one["events"] for one in report["regions"]} == {
            code: one["events_at_end"] for code, one in held.items()
        }
        assert all(one["events"] >= one["events_at_end"] for one in held.values())
        assert {"us": [], "emea": []} == {code: one["concerns"] for code, one in held.items()}
        with databases(deployment.settings) as (us, _):
            assert [] == lost(us, kept, noted)
            assert [] == sent_again(us, kept)
        with serving(deployment.environment, tmp_path) as service:
            for token in (TOKENS["us"], session):
                assert service.summary("A-1", token).status == 200
        print(f"{len(kept)} acknowledged by the end, {len(noted)} in all; {held}")


def lose_everything(
    deployment: Deployment, logs: Path
) -> tuple[str, dict[str, str], list[Acknowledged]]:
    """A session, the backup's report and what was acknowledged; all processes and data are gone."""
    with (
        serving(deployment.environment, logs) as service,
        closing(Writers(deployment)) as writers,
    ):
        session = service.token("A-1", PASSWORD)
        eventually(lambda: len(writers.acknowledged()) > BEFORE)
        taken = deployment.run("backup", deployment.folder / "ledger.backup", "--json")
        assert taken.code == 0, taken
        then = len(writers.acknowledged())
        eventually(lambda: len(writers.acknowledged()) > then + AFTER)
        deployment.kill(psutil.Process(service.process.pid), *writers.processes())
        noted = writers.acknowledged()
    shutil.rmtree(deployment.data)
    (report,) = taken.lines
    began_at = datetime.fromisoformat(report["started_at"]).timestamp()
    assert any(began_at < one.at < began_at + report["seconds"] for one in noted), "no load"
    return session, report, noted


def lost(us: Database, kept: list[Acknowledged], noted: list[Acknowledged]) -> list[object]:
    """What is not as it was acknowledged, what broke, and where views and folds differ.

    A command acknowledged after the backup's end is there as acknowledged, or not at all."""
    assert us.owner_url is not None
    database = stored.Database("ledger_us", us.owner_url, us.service_url)
    recorded = {number: database.recorded(number) for number in ACCOUNTS}
    versions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, events in recorded.items():
        for event in events:
            versions[number, event.key].append(event.version)
    found: list[object] = []
    by_end = {(one.account_number, one.key) for one in kept}
    for one in noted:
        key = one.account_number, one.key
        wanted = [] if one.code else [*range(one.first_version, one.last_version + 1)]
        if versions.get(key, []) not in ([wanted] if key in by_end else [[], wanted]):
            found.append(one)
    if broken := database.first_break():
        found.append(broken)
    books = {account_id("us", n): Book(e.event for e in recorded[n]) for n in ACCOUNTS}
    return found + list(views_differ(us.service_url, books))


def sent_again(us: Database, kept: list[Acknowledged]) -> list[object]:
    """Commands acknowledged as accepted before the end that are not answered as replayed, the same."""
    accepted = {one.key: one for one in kept if not one.code}
    again = [r for seed in SEEDS for r in islice(requests(seed), SENT_AGAIN) if r.key in accepted]
    assert again
    with closing(us.ledger()) as ledger:
        outcomes = ledger.handle_now(again)
    return [
        outcome
        for request, outcome in zip(again, outcomes, strict=True)
        if not isinstance(outcome, Accepted)
        or not outcome.replayed
        or outcome.version != accepted[request.key].last_version
    ]
