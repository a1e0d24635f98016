"""Connections that die without a word, as when a machine or a firewall between goes: both ends notice."""

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from ledger.store import roles
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted
from projections.follower import Follower
from projections.model import Connection
from projections.receivables import RECEIVABLES, Receivables
from projections.receivables.fold import ReceivablesRows
from tests.faults.fleet import until
from tests.faults.proxying import AilingProxy
from tests.store.databases import US, Database
from tests.store.scenario import charge, opening, requests

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="drops packets by Linux' filters")

QUICK = {"idle": "1", "interval": "1", "count": "1"}
QUICK_MS = "1500"
QUICK_S_MAX = 20.0
"""Two seconds, and time for a busy machine; two hours without keepalives."""


@pytest.fixture
def proxy(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[AilingProxy]:
    """The way to the database; who is silent is found out in seconds rather than in half a minute."""
    for name, seconds in QUICK.items():
        monkeypatch.setitem(roles.CLIENT_NOTICES_LOSS, f"keepalives_{name}", seconds)
        monkeypatch.setitem(roles.SERVER_NOTICES_LOSS, f"tcp_keepalives_{name}", seconds)
    for side in (roles.CLIENT_NOTICES_LOSS, roles.SERVER_NOTICES_LOSS):
        monkeypatch.setitem(side, "tcp_user_timeout", QUICK_MS)
    port = int(psycopg.conninfo.conninfo_to_dict(database.service_url)["port"] or 0)
    with closing(AilingProxy(database.service_url, lambda: port, 0)) as ailing:
        yield ailing


def test_a_server_that_is_silent_after_it_took_a_command(
    database: Database, ledger: Ledger, proxy: AilingProxy
) -> None:
    """Its answer never comes and nothing is owed that could time out; the command is done once all
    the same, and its caller is told."""
    assert ledger.handle_now(requests("A-1", [opening()]))
    with (
        closing(Ledger(proxy.url, US.code)) as through,
        closing(psycopg.connect(database.owner_url)) as owner,
        ThreadPoolExecutor() as threads,
    ):
        owner.execute("SELECT h.lane FROM ledger.lane_head AS h FOR UPDATE")
        command = requests("A-1", [opening(), charge("c1")])[-1:]
        asked = threads.submit(through.handle_now, command)
        until(lambda: locks_waited_for(owner) > 0, "the append waits for its lane")
        proxy.lose()
        owner.rollback()
        try:
            (outcome,) = asked.result(QUICK_S_MAX)
        finally:
            proxy.reset()  # so that who waits in vain ends
        assert isinstance(outcome, Accepted), outcome
    assert ["key-0", "key-1"] == [recorded.key for recorded in database.recorded("A-1")]


def locks_waited_for(owner: psycopg.Connection[tuple[object, ...]]) -> int:
    [count] = owner.execute(
        b"SELECT count(*) FROM pg_locks AS l WHERE NOT l.granted AND l.pid IN"
        b" (SELECT a.pid FROM pg_stat_activity AS a WHERE a.datname = current_database())"
    ).fetchone() or (0,)
    assert isinstance(count, int)
    return count


class StuckRows(ReceivablesRows):
    """Rows that are written within a transaction that then does not end."""

    written = threading.Event()
    goes_on = threading.Event()

    def write(self, connection: Connection) -> None:
        super().write(connection)
        self.written.set()
        self.goes_on.wait()


class Stuck(Receivables):
    def rows(self) -> ReceivablesRows:
        return StuckRows()


def test_a_follower_that_is_gone_lets_go_its_lanes(
    database: Database, ledger: Ledger, proxy: AilingProxy
) -> None:
    """The transaction of a follower whose machine is gone holds the lanes it was moving; the server
    ends it, and another follower goes on."""
    assert ledger.handle_now(requests("A-1", [opening(), charge("c1")]))
    gone = Follower(proxy.url, Stuck())
    with (
        ThreadPoolExecutor() as threads,
        closing(Follower(database.service_url, RECEIVABLES)) as next,
    ):
        stuck = threads.submit(gone.step)
        assert StuckRows.written.wait(QUICK_S_MAX)
        proxy.lose()
        began = time.monotonic()
        next.catch_up(timeout_s=QUICK_S_MAX)
        assert time.monotonic() - began < QUICK_S_MAX
        StuckRows.goes_on.set()
        with pytest.raises(psycopg.OperationalError):
            stuck.result(QUICK_S_MAX)
        gone.close()
