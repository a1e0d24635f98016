"""The generated book in a real database: views and stored log equal the generator's own sums."""

from datetime import timedelta

from api.embedded import EmbeddedServer
from api.sample.customers import LAST_DAY
from api.sample.diary import Diary
from api.sample_book import sample_accounts, sample_requests
from ledger.store.committer import Ledger
from ledger.store.lanes import account_id
from ledger.store.migrate import migrate
from ledger.store.outcomes import Accepted
from projections.follower import Follower
from projections.migrations import sources
from projections.model import ensure
from projections.reading import Reading
from projections.receivables import RECEIVABLES
from tests.store.databases import SERVICE, US, Database

TODAY = LAST_DAY + timedelta(days=30)
BATCH = 500


def test_views_and_log_equal_the_generators_sums(
    server: EmbeddedServer, empty_database: str
) -> None:
    """Every account's balance, due date, activity, pending and open invoices, to the last unit."""
    owner_url, service_url = server.owner_url(empty_database), server.service_url(empty_database)
    migrate(owner_url, region=US, service_role=SERVICE, sources=sources())
    ensure(owner_url, RECEIVABLES)
    database = Database(empty_database, owner_url, service_url)
    events = load(database)
    assert events == load(database, replayed=True)
    assert [events] == database.rows("SELECT count(*) FROM ledger.event")
    follower = Follower(service_url, RECEIVABLES)
    assert events == follower.catch_up()
    assert [] == follower.parked()
    follower.close()
    reading = Reading(service_url)
    unlike = [line for diary in sample_accounts("emea") for line in differs(reading, diary)]
    reading.close()
    assert [] == unlike
    assert database.first_break() is None


def load(database: Database, *, replayed: bool = False) -> int:
    """Loads the sample book of a region; how many events it has."""
    ledger = Ledger(database.service_url, US.code)
    requests = list(sample_requests("emea", 1, TODAY))
    events = 0
    for start in range(0, len(requests), BATCH):
        for outcome in ledger.handle_now(requests[start : start + BATCH]):
            assert isinstance(outcome, Accepted), outcome
            assert replayed == outcome.replayed
            events += len(outcome.events)
    ledger.close()
    return events


def differs(reading: Reading, diary: Diary) -> list[str]:
    """What differs between an account's views and its tally."""
    id, tally = account_id(US.code, diary.account_number), diary.tally
    found = reading.summary(id, TODAY)
    assert found is not None
    items = {item.number: item.open_minor for item in reading.open_items(id, TODAY)}
    pairs = {
        "balance": (tally.balance_minor, found.balance_minor),
        "due_on": (tally.due_on, found.due_on),
        "current activity": (tally.current_activity_minor(TODAY), found.current_activity_minor),
        "pending": (tally.pending_minor, found.pending_payments_minor),
        "payable": (tally.payable_minor, found.payable_now_minor),
        "unapplied": (tally.unapplied_minor, found.unapplied_minor),
        "open": ({b.number: b.open_minor for b in tally.bills.values() if b.open_minor}, items),
    }
    return [f"{diary.account_number}: {n}: {a} / {b}" for n, (a, b) in pairs.items() if a != b]
