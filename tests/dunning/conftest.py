"""A migrated database with empty views for every test of dunning, and the door to its log."""

from collections.abc import Iterator

import pytest

from api.embedded import EmbeddedServer
from ledger.store.committer import Ledger
from ledger.store.migrate import migrate
from projections.migrations import sources
from tests.dunning.books import Dunned
from tests.store.databases import SERVICE, US, Database


@pytest.fixture
def database(server: EmbeddedServer, empty_database: str) -> Database:
    """A fresh database with the ledger's schema and the read models."""
    owner_url = server.owner_url(empty_database)
    migrate(owner_url, region=US, service_role=SERVICE, sources=sources())
    return Database(empty_database, owner_url, server.service_url(empty_database))


@pytest.fixture
def dunned(database: Database) -> Iterator[Dunned]:
    """Posts and runs on that database."""
    door = Ledger(database.service_url, US.code)
    yield Dunned(database, door)
    door.close()
