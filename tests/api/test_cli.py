"""Every command: what it does, that doing it twice is safe, and its exit code."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from api.cli import main
from api.embedded import EmbeddedServer
from api.settings import Region
from api.wiring import Database
from ledger.store.lanes import account_id
from tests.api.conftest import Deployment, fresh_database, regions_file
from tests.api.serving import Ran, environment_of, free_port, run

Run = Callable[..., Ran]

US = Region(code="us", name="United States", currency="USD", zone="America/New_York")
LINES = (
    {
        "key": "open",
        "account": "N-1",
        "type": "open_account",
        "data": {
            "company": "Lines Ltd.",
            "country": "USA",
            "terms": {"kind": "net", "days": 30},
            "opened_on": "2020-06-01",
        },
    },
    {
        "key": "charge",
        "account": "N-1",
        "type": "post_charge",
        "data": {
            "charge_id": "c-1",
            "amount": "61.11",
            "description": "Calls",
            "category": "voice",
            "effective_on": "2020-06-30",
        },
    },
    {
        "key": "bill",
        "account": "N-1",
        "type": "issue_invoice",
        "data": {
            "number": "i-1",
            "period_end": "2020-06-30",
            "issued_on": "2020-06-30",
            "due_on": "2020-07-30",
        },
    },
)
REFUSED_LINE = {"key": "x", "account": "N-1", "type": "reverse_charge", "data": {"charge_id": "no"}}
HEADER = (
    "countryCode,customerID,PaperlessDate,invoiceNumber,InvoiceDate,DueDate,InvoiceAmount,"
    "Disputed,SettledDate,PaperlessBill,DaysToSettle,DaysLate\n"
)
ROW = "391,C-1,4/6/2013,00061,1/2/2013,2/1/2013,55.94,No,1/15/2013,Paper,13,0\n"


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Database:
    """A database that nothing was done to."""
    return fresh_database(server, US)


@pytest.fixture(scope="module")
def do(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command on that database."""
    environment = environment_of(regions_file(tmp_path_factory.mktemp("cli"), database))

    def do(*arguments: str | Path, given: str = "") -> Ran:
        return run(environment, *arguments, given=given)

    return do


@pytest.fixture(scope="module")
def migrated(do: Run) -> Run:
    assert do("migrate").code == 0
    return do


def ndjson(directory: Path, *lines: object) -> Path:
    path = directory / "lines.ndjson"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_nothing_works_before_migrate_and_it_is_said(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    """On a database of one's own, commands say what to run first."""
    environment = environment_of(regions_file(tmp_path, fresh_database(server, US)))
    for arguments in (("serve",), ("login", "lock", "x"), ("replay", "x")):
        done = run({**environment, "PORT": str(free_port())}, *arguments)
        assert done.code == 1, done
        assert "billing-ledger migrate" in done.err
        assert "Traceback" not in done.err
    doctor = run(environment, "doctor", "--json")
    assert (1, "schema", False) == (doctor.code, *(doctor.lines[-1][n] for n in ("name", "ok")))


def test_migrate_applies_once(do: Run) -> None:
    """A second run applies nothing."""
    do("migrate")
    again = do("migrate", "--json")
    assert (0, [{"region": "us", "applied": [], "stale": []}]) == (again.code, again.lines)


def test_migrate_needs_an_owner(database: Database, tmp_path: Path) -> None:
    """The service's own address is not enough to change the schema, and the message says what is."""
    serving = Database(database.region, database.service_url, None, is_embedded=False)
    done = run(environment_of(regions_file(tmp_path, serving)), "migrate")
    assert done.code == 1
    assert "DATABASE_OWNER_URL" in done.err


def test_doctor_finds_nothing_wrong(migrated: Run) -> None:
    """Roles, region, schema, views, lag, parked accounts, mail and the books are looked at."""
    done = migrated("doctor", "--json")
    assert done.code == 0, done
    names = {"database", "role", "region", "schema", "views", "follower", "parked"}
    names |= {"month_end", "books", "journal", "mail", "reconciliation"}
    assert names == {one["name"] for one in done.lines}
    assert all(one["ok"] for one in done.lines)


def test_doctor_finds_what_is_wrong(migrated: Run, database: Database, tmp_path: Path) -> None:
    """A login that owns the log, a parked account and another region are each named; exit 1."""
    assert database.owner_url is not None
    owner = Database(database.region, database.owner_url, None, is_embedded=False)
    done = run(environment_of(regions_file(tmp_path, owner)), "doctor", "--json")
    assert (1, False) == (done.code, by_name(done)["role"]["ok"])

    moved = Region(code="us", name="US", currency="EUR", zone="Europe/Berlin")
    other = Database(moved, database.service_url, None, is_embedded=False)
    done = run(environment_of(regions_file(tmp_path, other)), "doctor", "--json")
    assert (1, False) == (done.code, by_name(done)["region"]["ok"])

    with closing(psycopg.connect(database.owner_url, autocommit=True)) as connection:
        connection.execute(
            b"INSERT INTO receivables.parked VALUES"
            b" (0, gen_random_uuid(), 1, 1, 'x:1', 'planted', now())"
        )
        try:
            done = migrated("doctor", "--json")
            assert (1, "1 parked accounts") == (done.code, by_name(done)["parked"]["says"])
        finally:
            connection.execute(b"DELETE FROM receivables.parked")

        connection.execute(
            b"WITH made AS (INSERT INTO access.login (id, role, password_hash, must_change_password)"
            b" VALUES (gen_random_uuid(), 'support', '', true) RETURNING id)"
            b" INSERT INTO access.outbox (id, kind, login_id, created_at)"
            b" SELECT gen_random_uuid(), 'password_reset', id, now() - interval '1 h' FROM made"
        )
        try:
            done = migrated("doctor", "--json")
            mail = by_name(done)["mail"]
            assert (1, "BILLING_LEDGER_SMTP_URL is not set: 1 mails wait") == (
                done.code,
                mail["says"],
            )
            server = {"BILLING_LEDGER_SMTP_URL": "smtp://localhost?from=a@b.example"}
            environment = environment_of(regions_file(tmp_path, database), **server)
            done = run(environment, "doctor", "--json")
            assert (1, "1 mails wait, the oldest for 36") == (
                done.code,
                str(by_name(done)["mail"]["says"])[:31],
            )
        finally:
            connection.execute(b"DELETE FROM access.outbox")


def of(account: str) -> list[dict[str, object]]:
    """The lines for an account of a test's own: tests run in any order, on any process."""
    return [{**line, "account": account} for line in LINES]


def by_name(done: Ran) -> dict[str, dict[str, object]]:
    return {one["name"]: one for one in done.lines}


def test_import_of_lines_twice_changes_nothing(migrated: Run, tmp_path: Path) -> None:
    """The second run finds every command done; figures are in the views when it returns."""
    path = ndjson(tmp_path, *of("N-5"))
    first, second = (migrated("import", path, "--json") for _ in range(2))
    assert (0, 0) == (first.code, second.code), (first, second)
    assert (3, 0) == (first.lines[0]["accepted"], first.lines[0]["replayed"])
    assert (0, 3) == (second.lines[0]["accepted"], second.lines[0]["replayed"])
    assert by_name(migrated("doctor", "--json"))["follower"]["says"].startswith(
        "the views are 0 events behind"
    )


def test_import_of_a_receivables_book_twice_changes_nothing(migrated: Run, tmp_path: Path) -> None:
    """The other format, and numbers that begin with zeros."""
    path = tmp_path / "book.csv"
    path.write_text(HEADER + ROW)
    first, second = (
        migrated("import", path, "--format", "receivables-csv", "--json") for _ in range(2)
    )
    assert (0, 0) == (first.code, second.code), (first, second)
    assert first.lines[0]["accepted"] == second.lines[0]["replayed"] > 3
    assert 0 == second.lines[0]["accepted"]
    assert "00061" in migrated("replay", "C-1", "--effective-on", "2013-01-10").out


def test_import_tells_bad_lines_and_takes_nothing(migrated: Run, tmp_path: Path) -> None:
    """A bad line stops all, unless it is to be left out; a refused one only itself."""
    bad = {**LINES[0], "key": "other", "account": "N-2", "type": "open_acount"}
    fine = {**LINES[0], "account": "N-3"}
    migrated("import", ndjson(tmp_path, *of("N-4")))
    path = ndjson(tmp_path, bad, fine, {**REFUSED_LINE, "account": "N-4"})
    done = migrated("import", path, "--json")
    assert (1, False, 1) == (done.code, done.lines[0]["applied"], done.lines[0]["bad_lines"])
    assert "line 1:" in done.err
    assert migrated("replay", "N-3").code == 1
    done = migrated("import", path, "--skip-bad", "--json")
    assert (1, 1, 1) == (done.code, done.lines[0]["accepted"], done.lines[0]["refused"])
    assert "line 3: item_unknown" in done.err
    assert migrated("replay", "N-3").code == 0


def test_replay_shows_figures_history_and_that_hashes_chain(migrated: Run, tmp_path: Path) -> None:
    """Live, effective on a day, and as known at a position."""
    migrated("import", ndjson(tmp_path, *LINES))
    done = migrated("replay", "N-1", "--json")
    assert done.code == 0, done
    [found] = done.lines
    assert found["figures"]["total_amount_due"] == {"amount": "61.11", "currency": "USD"}
    assert found["figures"]["due_on"] == "2020-07-30"
    assert ["i-1"] == [invoice["number"] for invoice in found["open_invoices"]]
    types = [event["type"] for event in found["events"]]
    assert ["account_opened", "charge_posted", "invoice_issued"] == types
    assert [] == found["faults"]
    second = found["events"][1]["position"]
    [earlier] = migrated("replay", "N-1", "--at", second, "--json").lines
    assert (2, second) == (earlier["version"], earlier["position"])
    assert earlier["figures"]["current_activity"]["amount"] == "61.11"
    [before] = migrated("replay", "N-1", "--effective-on", "2020-06-29", "--json").lines
    assert before["figures"]["current_activity"]["amount"] == "0.00"


def test_explain_shows_the_events_of_a_figure(
    migrated: Run, database: Database, tmp_path: Path
) -> None:
    """Live and as known at a position: items and signed contributions that add up to the figure."""
    migrated("import", ndjson(tmp_path, *of("N-9")))
    database.catch_up(30)
    [found] = migrated("explain", "N-9", "past_due", "--json").lines
    assert {"amount": "61.11", "currency": "USD"} == found["value"] == found["amount"]
    assert [("i-1", "open")] == [(one["item"], one["part"]) for one in found["items"]]
    [row] = found["contributions"]
    assert ("invoice_issued", 3, found["amount"]) == (row["type"], row["version"], row["amount"])
    before = f"{row['position'].split('-')[0]}-{int(row['position'].split('-')[1]) - 1}"
    [earlier] = migrated("explain", "N-9", "current_activity", "--at", before, "--json").lines
    assert "61.11" == earlier["amount"]["amount"]
    assert ["charge_posted"] == [row["type"] for row in earlier["contributions"]]
    assert "61.11 USD" in migrated("explain", "N-9", "balance").out
    for wrong, code in (
        (("N-9", "happiness"), 2),
        (("N-9", "balance", "--at", "99-1"), 2),
        (("N-9", "balance", "--known-at", "2999-01-01T00:00:00Z"), 2),
        (("NOBODY", "balance"), 1),
    ):
        assert code == migrated("explain", *wrong).code, wrong
    future = ("--known-at", "2199-01-01T00:00:00Z")
    for asked in (("explain", "N-9", "balance"), ("export", "csv", "--period", "2020-01")):
        done = migrated(*asked, *future)
        assert (2, "") == (done.code, done.out)
        assert "--known-at: 2199-01-01T00:00:00Z is after the ledger's clock, 20" in done.err


def test_replay_tells_that_history_was_changed(
    migrated: Run, database: Database, tmp_path: Path
) -> None:
    """A body changed by the owner breaks the chain: exit 1, and where."""
    assert database.owner_url is not None
    migrated("import", ndjson(tmp_path, *of("N-6")))
    id = account_id("us", "N-6")
    with closing(psycopg.connect(database.owner_url, autocommit=True)) as connection:
        [state] = connection.execute(
            b"SELECT state FROM ledger.event WHERE account_id = %s AND version = 2", (id,)
        ).fetchone() or [b""]
        change = b"UPDATE ledger.event SET state = %s WHERE account_id = %s AND version = 2"
        connection.execute(change, (bytes(state).replace(b"6111", b"6110", 1), id))
        try:
            done = migrated("replay", "N-6", "--json")
            assert done.code == 1
            assert any("version 2" in fault for fault in done.lines[0]["faults"])
        finally:
            connection.execute(change, (state, id))


def test_rebuild_finds_the_views_equal_and_swaps_them(migrated: Run) -> None:
    """Twice the same: everything folded anew, no difference."""
    for _ in range(2):
        done = migrated("rebuild", "receivables", "--json")
        assert done.code == 0, done
        [found] = done.lines
        assert (True, [], []) == (found["swapped"], found["differences"], found["parked"])
    assert migrated("doctor").code == 0


def test_rebuild_tells_where_a_view_was_wrong(
    migrated: Run, database: Database, tmp_path: Path
) -> None:
    """A view that is not what the log says is not swapped unawares; accepting mends it."""
    assert database.owner_url is not None
    migrated("import", ndjson(tmp_path, *of("N-7")))
    with closing(psycopg.connect(database.owner_url, autocommit=True)) as connection:
        connection.execute(b"UPDATE receivables.account SET open_minor = open_minor + 1")
    done = migrated("rebuild", "--json")
    assert (1, False) == (done.code, done.lines[0]["swapped"])
    assert "account" in {one["table"] for one in done.lines[0]["differences"]}
    mended = migrated("rebuild", "--accept-differences", "--json")
    assert (1, True) == (mended.code, mended.lines[0]["swapped"])
    with closing(psycopg.connect(database.owner_url, autocommit=True)) as connection:
        query = b"SELECT DISTINCT open_minor FROM receivables.account WHERE account_number = 'N-7'"
        assert [(61_11,)] == connection.execute(query).fetchall()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("serve", "--workers", "0"),
        ("serve", "--work", "1"),
        ("serve", "--colour", "red"),
        ("login",),
        ("login", "create", "--role", "king", "--client-id", "x"),
        ("import", "x", "--format", "xml"),
        ("token", "create", "x", "--scope", "everything"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """What cannot be meant is told on standard error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: billing-ledger" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "A-1"),
        ("replay", "A-1", "--region", "mars"),
        ("replay", "A-1", "--region", "us", "--known-at", "yesterday"),
        ("replay", "A-1", "--region", "us", "--known-at", "2020-01-01T00:00:00Z", "--at", "1-1"),
        ("rebuild", "nothing"),
    ],
)
def test_misuse_exits_with_2(deployment: Deployment, arguments: tuple[str, ...]) -> None:
    """What does not fit the settings, or itself, is told without a traceback."""
    done = run(deployment.environment, *arguments)
    assert (2, "") == (done.code, done.out)
    assert done.err.startswith("billing-ledger: ")


def test_a_wrong_setting_exits_with_2(deployment: Deployment) -> None:
    """The message names the variable and its value."""
    done = run({**deployment.environment, "PORT": "http"}, "doctor")
    assert done.code == 2
    assert "PORT=http" in done.err


def test_a_missing_file_or_database_exits_with_1(deployment: Deployment, tmp_path: Path) -> None:
    """What is not there is said without a traceback."""
    missing = run(deployment.environment, "import", "/nonexistent/file", "--region", "us")
    assert missing.code == 1
    assert "/nonexistent/file" in missing.err
    gone = Database(US, "postgresql://a:hunter2@127.0.0.1:1/x", None, is_embedded=False)
    for arguments in (("serve",), ("replay", "x"), ("doctor",)):
        done = run(environment_of(regions_file(tmp_path, gone), PORT=str(free_port())), *arguments)
        assert done.code == 1, done
        assert "Traceback" not in done.err
        assert "hunter2" not in done.err + done.out
