"""A migrated database for every test of the store."""

from collections.abc import Iterator

import pytest

from api.embedded import EmbeddedServer
from ledger.store.committer import Ledger
from ledger.store.migrate import migrate
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
    """The door to that database's log."""
    door = Ledger(database.service_url, US.code)
    yield door
    door.close()
