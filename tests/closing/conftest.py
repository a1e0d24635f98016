"""A migrated database for every test of month ends, and the door to its log."""

from collections.abc import Iterator

import pytest

from api.embedded import EmbeddedServer
from ledger.store.committer import Ledger
from ledger.store.migrate import migrate
from tests.closing.books import Closing
from tests.store.databases import SERVICE, US, Database


@pytest.fixture
def database(server: EmbeddedServer, empty_database: str) -> Database:
    """A fresh database with the ledger's schema."""
    migrate(server.owner_url(empty_database), region=US, service_role=SERVICE)
    return Database(
        empty_database, server.owner_url(empty_database), server.service_url(empty_database)
    )


@pytest.fixture
def ledger(database: Database) -> Iterator[Ledger]:
    door = Ledger(database.service_url, US.code)
    yield door
    door.close()


@pytest.fixture
def closing(database: Database, ledger: Ledger) -> Iterator[Closing]:
    """Posts and closes on that database."""
    at_work = Closing(database, ledger)
    yield at_work
    at_work.month_ends.close()
