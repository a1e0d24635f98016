"""`bench` measures, reports, and counts nothing that ends with wrong balances. No time is judged."""

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from api.cli import bench as command
from api.cli import main
from api.embedded import EmbeddedServer, start
from api.wiring import Database
from benchmarks import registry
from benchmarks.bench import Bench
from benchmarks.client import Client, Ran, Round
from benchmarks.model import Model, Owed
from benchmarks.pairs import percentile
from benchmarks.places import place
from benchmarks.results import Found, result
from benchmarks.rows import bulk
from benchmarks.told import Charged, Invoiced, Opened, Paid
from tests.api.serving import run
from tests.conftest import server_directory

ROWS = "bulk-copy,http"
TINY = ("--scale", "0.02", "--pairs", "2", "--seconds", "0.1")
PIECES = (
    b"HTTP/1.1 201 Created\r\ncontent-le",
    b"ngth: 5\r\nx: y\r\n\r\nhe",
    b"lloHTTP/1.1 ",
)


@pytest.fixture(scope="module")
def own_server(testrun_uid: str) -> Iterator[EmbeddedServer]:
    """A server of these tests alone: roles are the whole server's, and here come and go."""
    directory = server_directory(f"bench-{testrun_uid}-{os.getpid()}")
    with start(directory) as running:
        yield running
    shutil.rmtree(directory)


def test_what_is_reported(own_server: EmbeddedServer, tmp_path: Path) -> None:
    """The JSON has the machine's facts, and each row's figures with aims and spreads; none is void."""
    file = tmp_path / "bench.json"
    done = run({}, "bench", "--rows", ROWS, *TINY, "--json", file, "--url", own_server.admin_url())
    assert done.code in (0, 1), done  # as fast as this machine is just now
    report = json.loads(file.read_text())
    assert {"measured_at", "scale", "pairs", "seconds", "machine", "rows"} == report.keys()
    facts = {"processor", "cores", "memory_bytes", "python", "libraries", "postgresql"}
    assert facts <= report["machine"].keys()
    assert report["machine"]["postgresql"]["fsync"] in ("on", "off")
    assert ROWS.split(",") == [row["row"] for row in report["rows"]]
    for row in report["rows"]:
        assert (None, True) == (row["void"], row["reached"] in (True, False)), row
        ratio = row["figures"][0]
        assert ratio["lowest"] <= ratio["value"] <= ratio["highest"]
        assert (2, "x") == (ratio["pairs"], ratio["unit"])
        assert row["row"] in done.out
    assert "void" not in done.out


def test_a_wrong_balance_makes_a_row_void(
    own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cent that an account has lost in the database voids the row: no aim is reached."""
    monkeypatch.setattr(bulk, "stored", lambda database: stored_after_a_theft(database))
    found = measured_tiny(own_server, "bulk-copy")
    assert found.void is not None
    assert "write side: 1 of 40 accounts differ: B-0000007" in found.void
    assert result("bulk-copy", "", found, 0.0).reached is False


def test_rows_that_were_not_written_make_a_row_void(
    own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A baseline that leaves a table out is no baseline."""
    monkeypatch.setattr(bulk, "TABLES", ("event", "command_key", "account"))
    found = measured_tiny(own_server, "bulk-copy")
    assert found.void is not None
    assert "by COPY the tables have" in found.void


def test_nothing_is_left_behind(own_server: EmbeddedServer) -> None:
    """Databases and roles of a run are gone when it ends, however it ends."""
    before = roles_and_databases(own_server)
    with pytest.raises(ZeroDivisionError):
        fail_in_a_database(own_server)
    assert before == roles_and_databases(own_server)


def test_the_model_keeps_to_the_prose() -> None:
    """Charges are current activity until billed; payments count at once; a key counts once."""
    model = Model(sent_again=True)
    charge = Charged("A", "c", "c", 500, 1)
    model.take([Opened("A", "open"), charge, charge, Paid("A", "p", "p", 200)])
    assert {"A": Owed(-200, 500)} == model.owed()
    model.take([Invoiced("A", "i", "I")])
    assert {"A": Owed(300, 0)} == model.owed()
    model.take([Charged("A", "c2", "c2", 7, 1)])
    model.end_month()
    assert {"A": Owed(307, 0)} == model.owed()


def test_an_answer_other_than_asked_for_makes_a_row_void() -> None:
    """One refusal among the answers is no rate of accepted commands."""
    found = Found()
    found.answered([201, 201], 201)
    assert found.void is None
    found.answered([201, 503], 201)
    assert "1 of 2 answers were 503, not 201" == found.void


def test_percentiles_are_of_every_request() -> None:
    """The nearest rank: 99 of a hundred are not above the 99th percentile, and one is."""
    values = [float(n) for n in range(1, 101)]
    assert (50.0, 99.0, 100.0) == tuple(percentile(values, p) for p in (50, 99, 100))
    assert 3.0 == percentile([3.0], 99)


def test_the_client_reads_answers_in_pieces() -> None:
    """However an answer is cut, its status and body are read; every request sent is in the result."""
    with answering(PIECES) as port, Client() as client:
        ran = client.run(Round(port, [b"first", b"second"], 1, 10.0, keep=True))
        assert ([201, 201], [b"hello", b"hello"]) == (ran.statuses, ran.bodies)
        assert (2, True) == (len(ran.ms), all(ms > 0 for ms in ran.ms))
        paced = client.run(Round(port, [b"x"] * 5, 2, 10.0, per_s=1_000.0))
        assert [201] * 5 == paced.statuses
        assert 0 == paced.waits_told


def test_the_client_counts_who_was_told_when_to_come_back() -> None:
    """An answer with Retry-After counts, one without does not; and a late start is in the time."""
    told = b"HTTP/1.1 503 x\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
    with answering((told,)) as port, Client() as client:
        ran = client.run(Round(port, [b"x"] * 10, 1, 10.0, per_s=100_000.0))
    assert ([503] * 10, 10) == (ran.statuses, ran.waits_told)
    assert ran.ms[-1] > 10.0, "ten answers of 2 ms each, one after another"


def test_a_server_that_is_gone_is_said() -> None:
    """The load client names what kept it from asking."""
    with Client() as client:
        with pytest.raises(RuntimeError, match="the load client: Connection"):
            client.run(Round(1, [b"x"], 1, 1.0))
        assert Ran(1.0, [200], [1.0], [], 0).per_s == 1.0


def test_an_unknown_row_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is misuse, and the message says every right one."""
    assert 2 == main(["bench", "--rows", "bulk-copy,nonsense"])
    said = capsys.readouterr().err
    assert "there is no nonsense" in said
    assert all(row.name in said for row in registry.ROWS)


def test_without_the_package_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installation without the benchmarks says so, in a sentence."""
    monkeypatch.setattr(command, "PROGRAM", "benchmarks_not_there.command")
    assert 1 == main(["bench"])
    said = capsys.readouterr().err
    assert "the benchmarks are not installed" in said
    assert "Traceback" not in said


def fail_in_a_database(own_server: EmbeddedServer) -> None:
    with place(own_server.admin_url(), None) as at, at.database():
        raise ZeroDivisionError


def measured_tiny(own_server: EmbeddedServer, name: str) -> Found:
    """What a row finds at a tiny scale."""
    (row,) = (row for row in registry.ROWS if row.name == name)
    found = Found()
    with place(own_server.admin_url(), None) as at:
        row.measure(Bench(at, 0.02, 1, 0.1, lambda what, done, total: None), found)
    return found


def stored_after_a_theft(database: Database) -> dict[str, Owed]:
    """What the write side holds once an account's unbilled charges lack one cent."""
    assert database.owner_url is not None
    with psycopg.connect(database.owner_url) as connection:
        done = connection.execute(
            """UPDATE ledger.account
            SET state = convert_to(jsonb_set(kept, '{unbilled_minor}',
                to_jsonb(COALESCE((kept ->> 'unbilled_minor')::bigint, 0) - 1))::text, 'UTF8')
            FROM (SELECT account_id AS id, convert_from(state, 'UTF8')::jsonb AS kept
                  FROM ledger.account WHERE account_number = 'B-0000007') AS the
            WHERE account_id = id"""
        )
        assert 1 == done.rowcount
    return bulk_stored(database)


bulk_stored = bulk.stored


def roles_and_databases(own_server: EmbeddedServer) -> list[object]:
    """What the server holds that outlives a connection."""
    with closing(psycopg.connect(own_server.admin_url(), autocommit=True)) as connection:
        return connection.execute(
            "SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles ORDER BY 1"
        ).fetchall()


@contextmanager
def answering(pieces: tuple[bytes, ...]) -> Iterator[int]:
    """A server that answers whatever is sent to it, piece by piece; its port."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    serving: list[asyncio.Server] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            for piece in pieces:
                writer.write(piece.removesuffix(b"HTTP/1.1 "))
                await writer.drain()
                await asyncio.sleep(0.002)
        writer.close()

    async def serve() -> None:
        serving.append(await asyncio.start_server(answer, "127.0.0.1", 0))
        started.set()

    def run_server() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run_server)
    thread.start()
    assert started.wait(10)
    try:
        yield serving[0].sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(serving[0].close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
