"""A rebuild makes the same views anew, beside the live ones, and takes their place unnoticed."""

import threading
import time
from contextlib import closing

import psycopg
import pytest

from ledger import commands as c
from ledger.store.committer import Ledger
from projections.follower import Follower
from projections.model import ViewOutdated, is_current
from projections.reading import Reading
from projections.rebuild import CannotSwap, Differs, Progress, RebuildRunning, rebuild
from projections.receivables import RECEIVABLES, Receivables
from tests.projections.books import MadeUp, append, books, interleaved
from tests.projections.views import dump, schemas, views_differ
from tests.store.databases import Database
from tests.store.scenario import charge, opening, requests


@pytest.fixture
def accounts(ledger: Ledger, follower: Follower) -> list[MadeUp]:
    """A few accounts that the views hold."""
    made = books(17, 10, 60)
    append(ledger, interleaved(17, made))
    follower.catch_up()
    return made


def differences(database: Database, accounts: list[MadeUp]) -> list[str]:
    return views_differ(database.service_url, {a.id: a.book for a in accounts}, within_s=10)


def form(database: Database) -> dict[str, list[str]]:
    """Indexes, constraints, policies and rights of the live views, as the database writes them."""
    return {
        "indexes": database.rows(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'receivables' ORDER BY indexdef"
        ),
        "constraints": database.rows(
            "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE connamespace = 'receivables'::regnamespace ORDER BY 1"
        ),
        "rights": database.rows(
            "SELECT relname || relrowsecurity || COALESCE(relacl::text, '') FROM pg_class"
            " WHERE relnamespace = 'receivables'::regnamespace AND relkind = 'r' ORDER BY 1"
        ),
        "policies": database.rows(
            "SELECT p::text FROM pg_policies AS p WHERE schemaname = 'receivables' ORDER BY 1"
        ),
    }


def test_equal_and_in_place(database: Database, accounts: list[MadeUp]) -> None:
    """What a rebuild makes equals the live views row by row, and bears their name and rights."""
    before, made = dump(database), form(database)
    assert all(made.values())
    oid = database.rows("SELECT 'receivables'::regnamespace::oid::int")
    seen: list[Progress] = []
    rebuilt = rebuild(database.owner_url, database.service_url, RECEIVABLES, progress=seen.append)
    assert sum(len(a.book.events) for a in accounts) == rebuilt.events
    assert ((), ()) == (rebuilt.differences, rebuilt.parked)
    assert before == dump(database)
    assert oid != database.rows("SELECT 'receivables'::regnamespace::oid::int")
    assert made == form(database)
    assert ["receivables"] == schemas(database)
    assert [] == differences(database, accounts)
    assert ["filling", "indexing", "comparing", "swapping"] == list(
        dict.fromkeys(p.phase for p in seen)
    )
    with closing(psycopg.connect(database.owner_url)) as connection:
        assert is_current(connection, RECEIVABLES)


def test_batches_leave_no_trace(database: Database, ledger: Ledger, follower: Follower) -> None:
    """Whether events were folded one by one or all at once, the rows are the same: also of an
    invoice that an event touches without moving what is open of it."""
    follower.events_max = 1
    commands = [
        opening(),
        c.IssueCredit(credit_id="k", amount_minor=900, applies_to="next_invoice", reason="sorry"),
        charge("c1", 300),
        c.IssueInvoice(number="I1"),
        charge("c2", 500),
        c.IssueInvoice(number="I2"),
        c.CancelInvoice(number="I2", reason="wrong"),
        c.CancelInvoice(number="I1", reason="wrong"),
    ]
    append(ledger, requests("B-1", commands))
    follower.catch_up()
    assert () == rebuild(database.owner_url, database.service_url, RECEIVABLES).differences


def test_reads_and_writes_go_on(
    database: Database,
    ledger: Ledger,
    accounts: list[MadeUp],
    follower: Follower,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through two rebuilds a reader and a follower never fail, and no read is older than the last."""
    monkeypatch.setattr("projections.rebuild.EVENTS_OF_PROCESSES", 1)
    stop = threading.Event()
    reads, slowest, fell_back = [0], [0.0], list[object]()

    def read() -> None:
        with closing(Reading(database.service_url)) as reading:
            last = 0
            while not stop.is_set():
                begun = time.monotonic()
                shown = reading.summary(accounts[0].id, accounts[0].requests[-1].today)
                slowest[0] = max(slowest[0], time.monotonic() - begun)
                if shown is None or shown.position < last:
                    fell_back.append(shown)
                    return
                last = shown.position
                reads[0] += 1

    threads = [threading.Thread(target=read), threading.Thread(target=follower.run, args=(stop,))]
    more = books(18, 26, 50)[10:]
    appending = threading.Thread(target=append, args=(ledger, interleaved(18, more)))
    for thread in (*threads, appending):
        thread.start()
    for _ in range(2):
        assert () == rebuild(database.owner_url, database.service_url, RECEIVABLES).differences
    appending.join()
    found = differences(database, [*accounts, *more])
    stop.set()
    for thread in threads:
        thread.join()
    assert [] == found
    assert [] == fell_back
    assert reads[0] > 50
    assert slowest[0] < 2
    print(f"{reads[0]} reads, the slowest took {slowest[0] * 1000:.0f} ms")


def test_only_one_at_a_time(database: Database, accounts: list[MadeUp]) -> None:
    """A second rebuild is refused; the first one is not disturbed."""
    refused = []

    def another(progress: Progress) -> None:
        if progress.phase == "comparing" and not refused:
            with pytest.raises(RebuildRunning):
                rebuild(database.owner_url, database.service_url, RECEIVABLES)
            refused.append(True)

    rebuild(database.owner_url, database.service_url, RECEIVABLES, progress=another)
    assert [True] == refused
    assert [] == differences(database, accounts)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("phase", ["filling", "indexing", "comparing", "swapping"])
def test_what_a_killed_one_left_is_cleared(
    database: Database, accounts: list[MadeUp], phase: str
) -> None:
    """Ended anywhere, a rebuild leaves the live views alone; the next one starts from nothing."""

    def kill(progress: Progress) -> None:
        if progress.phase == phase:
            raise Killed

    before = dump(database)
    with pytest.raises(Killed):
        rebuild(database.owner_url, database.service_url, RECEIVABLES, progress=kill)
    assert ["receivables", "receivables_next"] == schemas(database)
    assert before == dump(database)
    database.run("CREATE SCHEMA receivables_old; CREATE TABLE receivables_old.tracking (lane int)")
    rebuild(database.owner_url, database.service_url, RECEIVABLES)
    assert ["receivables"] == schemas(database)
    assert before == dump(database)


@pytest.mark.parametrize(
    "damage",
    [
        (
            "UPDATE receivables.invoice SET open_minor = open_minor + 1 WHERE seq = (SELECT max(seq)"
            " FROM receivables.invoice)"
        ),
        "DELETE FROM receivables.movement WHERE position = 3 AND n = 0",
        "UPDATE receivables.setting SET language = 'xx' WHERE version = 1",
    ],
)
def test_differences_are_told(database: Database, accounts: list[MadeUp], damage: str) -> None:
    """Live views that are wrong are named, and replaced only when that is accepted."""
    right = dump(database)
    database.run(damage)
    wrong = dump(database)
    with pytest.raises(Differs) as differs:
        rebuild(database.owner_url, database.service_url, RECEIVABLES)
    assert any(d.accounts for d in differs.value.differences)
    assert wrong == dump(database)
    assert ["receivables"] == schemas(database)
    rebuilt = rebuild(
        database.owner_url, database.service_url, RECEIVABLES, accept_differences=True
    )
    assert differs.value.differences == rebuilt.differences
    assert right == dump(database)


def test_lost_positions_are_mended(
    database: Database, accounts: list[MadeUp], follower: Follower
) -> None:
    """Live views that follow no more, every account parked, are replaced by whole ones."""
    right = dump(database)
    database.run("UPDATE receivables.tracking SET position = 0")
    rebuild(database.owner_url, database.service_url, RECEIVABLES)
    assert right == dump(database)


def test_parked_accounts_stay_parked_unless_mended(
    database: Database, accounts: list[MadeUp], ledger: Ledger
) -> None:
    """A poisoned account is parked in the new views too; once its event is mended it is whole."""
    poisoned = next(a for a in accounts if len(a.book.events) > 5)
    database.run("CREATE TABLE kept AS SELECT * FROM ledger.event")
    database.run(
        f"UPDATE ledger.event SET topic = 'x:1' WHERE account_id = '{poisoned.id}' AND version = 4"
    )
    rebuilt = rebuild(database.owner_url, database.service_url, RECEIVABLES)
    assert [(poisoned.id, 4)] == [(p.account_id, p.version) for p in rebuilt.parked]
    rebuilt = rebuild(database.owner_url, database.service_url, RECEIVABLES)
    assert [(poisoned.id, 4)] == [(p.account_id, p.version) for p in rebuilt.parked]
    assert [] == differences(database, [a for a in accounts if a is not poisoned])
    database.run(
        "UPDATE ledger.event AS e SET topic = k.topic FROM kept AS k"
        " WHERE e.lane = k.lane AND e.position = k.position"
    )
    assert () == rebuild(database.owner_url, database.service_url, RECEIVABLES).parked
    assert [] == differences(database, accounts)


def test_tables_in_use_are_not_taken(
    database: Database, accounts: list[MadeUp], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a transaction keeps the tracked positions, the swap gives up and changes nothing."""
    monkeypatch.setattr("projections.rebuild.SWAP_ATTEMPTS_MAX", 2)
    holder = psycopg.connect(database.owner_url)

    def hold(progress: Progress) -> None:
        if progress.phase == "swapping" and progress.done == 1:
            holder.execute("SELECT count(*) FROM receivables.tracking")

    before = dump(database)
    with pytest.raises(CannotSwap):
        rebuild(database.owner_url, database.service_url, RECEIVABLES, progress=hold)
    holder.close()
    assert before == dump(database)
    rebuild(database.owner_url, database.service_url, RECEIVABLES)
    assert before == dump(database)


def test_another_form_of_the_tables(
    database: Database, accounts: list[MadeUp], ledger: Ledger, follower: Follower
) -> None:
    """Each release's follower writes only on tables made of its statements; a rebuild brings them,
    tables included that the live views do not have."""

    class Wider(Receivables):
        tables = (*Receivables.tables, "hue")
        statements = (
            *Receivables.statements,
            b"ALTER TABLE charge ADD COLUMN colour text; CREATE INDEX ON charge (lane, account_id)",
            b"CREATE TABLE hue (lane smallint, account_id uuid, PRIMARY KEY (lane, account_id))",
            b"GRANT SELECT, DELETE ON hue TO billing_projector",
        )

    wider = Wider()
    append(ledger, requests("W-1", [opening(), charge("c1")]))
    with (
        closing(psycopg.connect(database.owner_url, autocommit=True)) as connection,
        closing(Follower(database.service_url, wider)) as following,
    ):
        assert not is_current(connection, wider)
        with pytest.raises(ViewOutdated):
            following.catch_up()
        with pytest.raises(Differs, match="made by another release"):
            rebuild(database.owner_url, database.service_url, wider)
        follower.catch_up()
        rebuild(database.owner_url, database.service_url, wider)
        assert is_current(connection, wider)
        append(ledger, requests("W-1", [opening(), charge("c1"), charge("c2")])[2:])
        with pytest.raises(ViewOutdated):
            follower.catch_up()
        assert following.catch_up() == 1
    assert [] == differences(database, accounts)
