"""The harness can fail: four ledgers that are broken on purpose, each of which its judge must catch."""

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from api.embedded import EmbeddedServer, start
from ledger.commands import AnyCommand, ChangeSettings, Request
from ledger.parts import SettingsChange
from ledger.store.committer import Ledger
from ledger.store.migrate import migrate
from ledger.store.outcomes import Accepted
from projections.follower import Follower
from projections.migrations import sources
from projections.model import Connection
from projections.receivables import RECEIVABLES, Receivables
from projections.receivables.fold import ReceivablesRows
from tests.conftest import server_directory
from tests.faults import results
from tests.faults.fleet import command_of, until
from tests.faults.history import Command
from tests.faults.judge import Judge, Verdict
from tests.store.cutting import CuttingProxy
from tests.store.databases import SERVICE, US, Database
from tests.store.scenario import charge, opening, requests

NUMBER = "C-1"
CARD = ChangeSettings(changes=SettingsChange(payment_method="card"))
"""Has no id of its own: only its key keeps it from being done twice."""


def fresh(server: EmbeddedServer) -> Database:
    """A database with the ledger's schema and the views."""
    name = f"control_{uuid.uuid4().hex[:12]}"
    server.ensure_database(name)
    owner_url = server.owner_url(name)
    migrate(owner_url, region=US, service_role=SERVICE, sources=sources())
    return Database(name, owner_url, server.service_url(name))


def send(ledger: Ledger, client: str, commands: Sequence[AnyCommand]) -> list[Command]:
    """The commands one after the other, as their client notes what it was told."""
    noted = []
    for n, request in enumerate(requests(NUMBER, [*commands])):
        keyed = Request(
            account_number=NUMBER,
            key=f"{client}-{n}",
            command=request.command,
            actor="control",
            today=request.today,
        )
        (outcome,) = ledger.handle_now([keyed])
        assert isinstance(outcome, Accepted), outcome
        noted.append(Command(client, NUMBER, keyed.key, 0, last=outcome.version))
    return noted


def judged(database: Database, told: Sequence[Command]) -> Verdict:
    """What the judge finds."""
    judge = Judge(database.service_url, [NUMBER])
    judge.clients(told)
    judge.views()
    return judge.verdict


def asynchronous_commit(server: EmbeddedServer, planted: bool) -> Verdict:
    """PostgreSQL acknowledges commits before they are on disk, and is killed with its log unwritten.

    What writes the log in the background is stopped before, so that chance does not help."""
    with _directory() as directory:
        return _crashed(directory, "off" if planted else "on")


@contextmanager
def _directory() -> Iterator[Path]:
    """A directory for a server of its own."""
    directory = server_directory(f"control-{uuid.uuid4().hex[:12]}")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _crashed(directory: Path, synchronous_commit: str) -> Verdict:
    own = start(directory)
    database = fresh(own)
    with closing(Ledger(database.service_url, US.code)) as ledger:
        told = send(ledger, "before", [opening()])
    url = f"{database.service_url}?options=-csynchronous_commit%3D{synchronous_commit}"
    pid = int((directory / "pgdata" / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    for child in postmaster.children():
        if any(name in command_of(child) for name in ("walwriter", "checkpointer")):
            child.suspend()
    ledger = Ledger(url, US.code)
    told += send(ledger, "after", [charge("c1")])
    for process in (postmaster, *postmaster.children()):
        with suppress(psutil.NoSuchProcess):  # it ended with the first one
            process.kill()
    ledger.close()
    own.close()
    with start(directory) as again:
        name = database.name
        return judged(Database(name, again.owner_url(name), again.service_url(name)), told)


def keys_removed(server: EmbeddedServer, planted: bool) -> Verdict:
    """Keys are neither looked up nor unique, and a connection is lost after its commit."""
    database = fresh(server)
    if planted:
        database.plant("read_keys", "WHERE k.lane = asked.lane", "WHERE false")
        database.run("ALTER TABLE ledger.command_key DROP CONSTRAINT command_key_pkey")
    with (
        closing(CuttingProxy(database.service_url)) as proxy,
        closing(Ledger(proxy.url, US.code)) as ledger,
    ):
        told = send(ledger, "before", [opening()])
        proxy.cut = "after"
        told += send(ledger, "after", [CARD])
        assert proxy.cuts == 1
    return judged(database, told)


class DyingRows(ReceivablesRows):
    """Rows that were to be written once the position they end at is committed, by who died then."""

    def write(self, connection: Connection) -> None:
        pass


class Dying(Receivables):
    """A read model that is tracked outside of the transaction of its rows."""

    def rows(self) -> ReceivablesRows:
        return DyingRows()


def tracking_outside(server: EmbeddedServer, planted: bool) -> Verdict:
    """A follower commits its position before its rows, and dies between the two."""
    database = fresh(server)
    with closing(Ledger(database.service_url, US.code)) as ledger:
        told = send(ledger, "x", [opening(), charge("c1")])
        with closing(Follower(database.service_url, RECEIVABLES)) as follower:
            follower.catch_up()
        told += send(ledger, "y", [charge("c2")])
        model = Dying() if planted else RECEIVABLES
        with closing(Follower(database.service_url, model)) as dying:
            assert dying.step() > 0
    return judged(database, told)


def lost_update(server: EmbeddedServer, planted: bool) -> Verdict:
    """The account's version is not checked, and two processes decide on the same one.

    Both wait for the lane's head, which somebody holds until they have read."""
    database = fresh(server)
    if planted:
        database.plant(
            "append",
            "given.expected IS NULL OR given.expected = COALESCE(found.version, 0)",
            "true",
        )
        database.run("ALTER TABLE ledger.event DROP CONSTRAINT event_lane_account_id_version_key")
    ledgers = [Ledger(database.service_url, US.code) for _ in range(2)]
    told = send(ledgers[0], "before", [opening()])

    def write(n: int) -> None:
        told.extend(send(ledgers[n], f"writer {n}", [charge(f"c{n}", 100 + n)]))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("SELECT h.lane FROM ledger.lane_head AS h FOR UPDATE")
        for thread in threads:
            thread.start()
        until(lambda: waiting(server.admin_url(database.name)) == 2, "both wait for the lane")
    for thread in threads:
        thread.join()
    for ledger in ledgers:
        ledger.close()
    return judged(database, told)


def waiting(admin_url: str) -> int:
    """Sessions of a database that wait for a lock."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        [count] = admin.execute(
            b"SELECT count(*) FROM pg_stat_activity AS a"
            b" WHERE a.datname = current_database() AND a.wait_event_type = 'Lock'"
        ).fetchone() or (0,)
    return int(count)


CONTROLS: dict[str, Callable[[EmbeddedServer, bool], Verdict]] = {
    "asynchronous commit": asynchronous_commit,
    "keys removed": keys_removed,
    "tracking outside": tracking_outside,
    "lost update": lost_update,
}


@pytest.mark.parametrize("run", ["short", pytest.param("soak", marks=pytest.mark.soak)])
def test_the_judge_catches_every_control(server: EmbeddedServer, tmp_path: Path, run: str) -> None:
    """Broken in one of four ways a ledger is caught each time; unbroken, in the same run, never."""
    found = {
        name: [control(server, planted) for planted in (False, True)]
        for name, control in CONTROLS.items()
    }
    caught = {name: dict(broken.wrong) for name, (_, broken) in found.items() if broken.wrong}
    counts = {"caught": len(caught), "of": len(CONTROLS)}
    results.tell("controls", 0, counts, tmp_path, caught)
    assert found.keys() == caught.keys()
    for name, (right, _) in found.items():
        assert not right.wrong, (name, right.says)
