"""The views equal the fold of the events, live and as of any two clocks."""

import random
from datetime import timedelta

from ledger.book import Book
from ledger.store.committer import Ledger
from ledger.store.lanes import account_id
from ledger.store.outcomes import Accepted
from projections.follower import Follower
from projections.reading import Reading
from projections.receivables import RECEIVABLES
from tests.projections.books import append, books, interleaved, positions, spread
from tests.projections.views import as_of_differs, views_differ
from tests.store.databases import US, Database
from tests.store.scenario import TODAY, every_command, requests

ACCOUNTS = 60
STEPS = 90
CLOCKS = 12


def test_every_kind_of_event(ledger: Ledger, follower: Follower, database: Database) -> None:
    """An account with every kind of event stands in the views as it does in memory."""
    outcomes = ledger.handle_now(requests("A-1", every_command()))
    events = [r.event for o in outcomes if isinstance(o, Accepted) for r in o.events]
    assert len(events) == follower.catch_up()
    assert [] == follower.parked()
    held = {account_id(US.code, "A-1"): Book(events)}
    assert [] == views_differ(database.service_url, held, today=TODAY)


def test_made_up_books_at_any_two_clocks(ledger: Ledger, database: Database) -> None:
    """Every figure, open item and setting equals the fold: live, and at every day and position."""
    seed = random.randrange(2**32)
    print("seed", seed)
    accounts = books(seed, ACCOUNTS, STEPS)
    events = append(ledger, interleaved(seed, accounts))
    spread(database)
    follower = Follower(database.service_url, RECEIVABLES, events_max=300)
    assert events == follower.catch_up()
    assert [] == follower.parked()
    follower.close()
    assert [] == views_differ(database.service_url, {a.id: a.book for a in accounts})
    dice, placed = random.Random(seed), positions(database)
    reading = Reading(database.service_url)
    differences: list[str] = []
    for account in accounts:
        held, at = account.book.events, placed[account.id]
        assert len(held) == len(at)
        first = min(e.effective_on for e in held)
        days = (max(e.effective_on for e in held) - first).days + 60
        for _ in range(CLOCKS):
            version = dice.randint(1, len(held))
            upto = at[version] - 1 if version < len(at) else reading.reached(account.id)
            day = first + timedelta(days=dice.randint(-3, days))
            position = dice.randint(at[version - 1], upto)
            differences += as_of_differs(reading, account.id, account.book, day, position, version)
        today = first + timedelta(days=days)
        live = reading.summary(account.id, today)
        head = reading.summary(account.id, today, reading.reached(account.id))
        assert live == head
    reading.close()
    assert [] == differences[:5]
