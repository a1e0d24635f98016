"""Two regions with a small book, and a service over them, once for each test process."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec
import pytest

from api.embedded import EmbeddedServer
from api.settings import Region
from api.wiring import Database
from ledger.book import Book
from tests.api.books import fill
from tests.api.serving import Service, environment_of, serving, toml

REGIONS = (
    Region(code="us", name="United States", currency="USD", zone="America/New_York"),
    Region(code="emea", name="Europe", currency="USD", zone="Europe/Berlin"),
)


@dataclass(frozen=True)
class Deployment:
    """Databases that were migrated and filled, and the regions file that names them."""

    databases: dict[str, Database]
    books: dict[str, Book]
    regions: Path

    @property
    def environment(self) -> dict[str, str]:
        return environment_of(self.regions)


def fresh_database(server: EmbeddedServer, region: Region) -> Database:
    """An empty database of the shared server, reached as an operator's own would be."""
    name = f"test_{region.code}_{uuid.uuid4().hex[:12]}"
    server.ensure_database(name)
    return Database(
        region=region,
        service_url=server.service_url(name),
        owner_url=server.owner_url(name),
        is_embedded=False,
    )


def filled_database(server: EmbeddedServer) -> Database:
    """A region with the book of every test, that nothing follows but what a test asks to."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    fill(database)
    return database


def regions_file(directory: Path, *databases: Database) -> Path:
    """The regions file of these databases."""
    path = directory / "regions.toml"
    path.write_text(
        toml(
            [
                {
                    "code": database.region.code,
                    "name": database.region.name,
                    "currency": database.region.currency,
                    "zone": database.region.zone,
                    "database_url": database.service_url,
                    **({"database_owner_url": database.owner_url} if database.owner_url else {}),
                    **({"dunning": written(database.region)} if database.region.dunning else {}),
                }
                for database in databases
            ]
        )
    )
    return path


def written(region: Region) -> object:
    """The region's dunning policy as its operator writes it."""
    policy = msgspec.to_builtins(region.dunning, builtin_types=(date,))
    return _given(policy)


def _given(value: object) -> object:
    """The same without what is not said."""
    if isinstance(value, dict):
        return {name: _given(one) for name, one in value.items() if one is not None}
    return [_given(one) for one in value] if isinstance(value, (list, tuple)) else value


@pytest.fixture(scope="session")
def deployment(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Regions us and emea, each with accounts A-1 and B-1."""
    databases = {region.code: fresh_database(server, region) for region in REGIONS}
    for database in databases.values():
        database.migrate()
    books = {code: fill(database) for code, database in databases.items()}
    directory = tmp_path_factory.mktemp("deployment")
    return Deployment(databases, books, regions_file(directory, *databases.values()))


@pytest.fixture(scope="session")
def us(deployment: Deployment) -> Database:
    return deployment.databases["us"]


@pytest.fixture(scope="session")
def service(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`serve` over both regions."""
    with serving(deployment.environment, tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="session")
def two_workers(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """`serve` over both regions, with two processes that answer."""
    directory = tmp_path_factory.mktemp("two-workers")
    with serving(deployment.environment, directory, "--workers", "2") as running:
        yield running
