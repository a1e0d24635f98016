"""A migrated database with empty views for every test of the read side."""

from collections.abc import Iterator

import pytest

from api.embedded import EmbeddedServer
from ledger.store.committer import Ledger
from ledger.store.migrate import migrate
from projections.follower import Follower
from projections.migrations import sources
from projections.receivables import RECEIVABLES
from tests.store.databases import SERVICE, US, Database


@pytest.fixture
def database(server: EmbeddedServer, empty_database: str) -> Database:
    """A fresh database with the ledger's schema and the read models."""
    owner_url = server.owner_url(empty_database)
    migrate(owner_url, region=US, service_role=SERVICE, sources=sources())
    return Database(empty_database, owner_url, server.service_url(empty_database))


@pytest.fixture
def ledger(database: Database) -> Iterator[Ledger]:
    """The door to that database's log."""
    door = Ledger(database.service_url, US.code)
    yield door
    door.close()


@pytest.fixture
def follower(database: Database) -> Iterator[Follower]:
    """A follower of that database's views."""
    following = Follower(database.service_url, RECEIVABLES)
    yield following
    following.close()
