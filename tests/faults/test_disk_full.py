"""A disk that is full: nothing acknowledged is lost, and when there is room again all goes on by itself.

The disk is a small tmpfs, which a test run by root can mount: there PostgreSQL meets the kernel's own
"no space left", for its tables or for its log. A resource limit would not do: what it says (EFBIG) is
not what PostgreSQL takes for a full disk. Where nothing can be mounted test_failpoints.py still makes
appends fail with PostgreSQL's error of a full disk.
"""

import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from api.embedded import EmbeddedServer, start
from ledger.commands import Request
from ledger.store import writer
from ledger.store.committer import Ledger
from ledger.store.faults import StoreUnavailable
from ledger.store.migrate import migrate
from ledger.store.outcomes import Accepted
from projections.migrations import sources
from tests.conftest import server_directory
from tests.faults import results
from tests.faults.fleet import until
from tests.faults.history import Command
from tests.faults.judge import Judge
from tests.store.databases import SERVICE, US
from tests.store.scenario import charge, opening, requests

DISK = "600m"
LEFT_BYTES = {"tables": 2 * 1024 * 1024, "log": 15 * 1024 * 1024}
"""By what does not fit any more: a page of a table, or the next 16 MB of PostgreSQL's log."""
REFUSED = 3
AFTERWARDS = 5
BATCH = 200
BATCHES_MAX = 400
NUMBER = "D-1"


@pytest.fixture
def disk() -> Iterator[Path]:
    """A directory that is a small disk of its own."""
    directory = server_directory(f"disk-{uuid.uuid4().hex[:12]}")
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", directory], check=True)
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)
    directory.rmdir()


def fill(directory: Path, left_bytes: int) -> Path:
    """Nearly all of the disk is taken by a file, which is given."""
    ballast = directory / "ballast"
    free = int(
        subprocess.run(
            ["df", "--block-size=1", "--output=avail", directory],
            check=True, capture_output=True, text=True,
        ).stdout.split()[1]
    )  # fmt: skip  # arguments by what they are for
    subprocess.run(["fallocate", "-l", str(free - left_bytes), ballast], check=True)
    return ballast


def url_of(server: EmbeddedServer) -> str:
    """A database with the ledger's schema and the views."""
    server.ensure_database("full")
    migrate(server.owner_url("full"), region=US, service_role=SERVICE, sources=sources())
    return server.service_url("full")


@pytest.mark.needs("tmpfs")
@pytest.mark.parametrize(("full", "left_bytes"), LEFT_BYTES.items())
def test_a_full_disk_loses_nothing_and_passes(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str, left_bytes: int
) -> None:
    """Commands are unavailable while there is no room; with room the same commands are done, on the
    same ledger, and the server is back without anybody's help if it had gone."""
    monkeypatch.setattr(writer, "BACKOFF_MAX_S", 0.05)
    with start(disk) as server, closing(Ledger(url_of(server), US.code)) as ledger:
        sent = requests(NUMBER, [opening(), *(charge(f"c{n}") for n in range(BATCH * BATCHES_MAX))])
        batches = [list(sent[n : n + BATCH]) for n in range(0, len(sent), BATCH)]
        told: list[Command] = []
        ballast = fill(disk, left_bytes)
        until_full(ledger, batches, told)
        done = len(told) // BATCH
        for _ in range(REFUSED):
            with pytest.raises(StoreUnavailable):
                ledger.handle_now(batches[done])
        ballast.unlink()
        until(lambda: answers(server), "PostgreSQL answers")
        for batch in batches[done : done + AFTERWARDS]:
            told += acknowledged(ledger, batch)
        judge = Judge(server.service_url("full"), [NUMBER])
        judge.clients(told)
        judge.views()
        verdict = judge.verdict
        panics = sum("PANIC" in log.read_text() for log in (disk / "pgdata" / "log").iterdir())
        results.tell(f"disk-full-{full}", 0, {"panics": panics, **verdict.counts()}, tmp_path)
        assert not verdict.wrong, verdict.says
        assert verdict.acknowledged == verdict.events == len(told)


def until_full(ledger: Ledger, batches: Sequence[list[Request]], told: list[Command]) -> None:
    """Sends batches until one cannot be done; notes what was told of those before."""
    try:
        for batch in batches:
            told += acknowledged(ledger, batch)
    except StoreUnavailable:
        return
    pytest.fail("the disk is not full")


def acknowledged(ledger: Ledger, batch: Sequence[Request]) -> list[Command]:
    """What the client of a batch was told; raises StoreUnavailable."""
    noted = []
    for request, outcome in zip(batch, ledger.handle_now(batch), strict=True):
        assert isinstance(outcome, Accepted), outcome
        noted.append(Command("x", NUMBER, request.key, 0, last=outcome.version))
    return noted


def answers(server: EmbeddedServer) -> bool:
    try:
        psycopg.connect(server.service_url("full"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
