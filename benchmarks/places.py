"""Where the benchmarks work: databases of their own, on an embedded server or on one given."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from api import embedded
from api.regions import DEFAULT_REGIONS
from api.wiring import Database
from ledger.store.sql import load

REGION = DEFAULT_REGIONS[0]
PREFIX = "billing_ledger_bench"

_SQL = load("benchmarks", "places.sql")


class Place:
    """A server on which databases come and go."""

    def __init__(self, admin_url: str, owner_url: str, service_url: str, *, embedded: bool) -> None:
        self.is_embedded = embedded
        self.admin_url = admin_url
        self._owner_url = owner_url
        self._service_url = service_url
        self._run = secrets.token_hex(4)
        self._made = 0

    @contextmanager
    def database(self) -> Iterator[Database]:
        """An empty database of one region, migrated; gone afterwards."""
        self._made += 1
        name = f"{PREFIX}_{self._run}_{self._made}"
        owner = str(conninfo_to_dict(self._owner_url)["user"])
        self._run_named("make", database=name, owner=owner)
        try:
            database = Database(
                region=REGION,
                service_url=_url(self._service_url, name),
                owner_url=_url(self._owner_url, name),
                is_embedded=False,
            )
            database.migrate()
            yield database
        finally:
            self._run_named("drop", database=name)

    def choose_views(self, database: Database, schema: str) -> None:
        """Sessions in the database work on the views of that schema, as the follower's do."""
        name = str(conninfo_to_dict(database.service_url)["dbname"])
        self._run_named("choose", database=name, schema=schema)

    def settle(self, *databases: Database) -> None:
        """What loading has left to the server's background work is done."""
        for database in databases:
            assert database.owner_url is not None
            with psycopg.connect(database.owner_url, autocommit=True) as connection:
                connection.execute(_SQL["vacuum"])
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(_SQL["checkpoint"])

    def settings(self) -> dict[str, str]:
        """The server's version and what makes its commits durable."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            rows = connection.execute(_SQL["settings"]).fetchall()
        return dict(cast(list[tuple[str, str]], rows))

    def _run_named(self, block: str, **names: str) -> None:
        identifiers = {name: sql.Identifier(value) for name, value in names.items()}
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            for statement in _SQL[block].decode().split(";"):
                connection.execute(sql.SQL(statement).format(**identifiers))


@contextmanager
def place(url: str | None, postgres: Path | None) -> Iterator[Place]:
    """The server at the address, or an embedded one in a directory that is removed afterwards.

    The address is that of a login that may make databases and roles. Raises CannotStart.
    """
    if url is not None:
        with _service_login(url) as service_url:
            yield Place(url, url, service_url, embedded=False)
        return
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}_"))
    directory.chmod(0o755)  # the server's own user must reach it
    try:
        with embedded.start(directory / "data", postgres) as server:
            name = "postgres"
            owner_url, service_url = server.owner_url(name), server.service_url(name)
            yield Place(server.admin_url(), owner_url, service_url, embedded=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _service_login(url: str) -> Iterator[str]:
    """The address as a login made for this run: the service refuses to work as an owner.

    Afterwards the server has the roles that it had. Roles that migrations made for the first time
    would else be this run's, and whoever owns a ledger there later could not grant them.
    """
    name, password = f"{PREFIX}_{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    names = {"login": sql.Identifier(name), "password": sql.Literal(password)}
    with psycopg.connect(url, autocommit=True) as connection:
        before = _roles(connection)
        connection.execute(sql.SQL(_SQL["make_login"].decode()).format(**names))
        try:
            parts = {**conninfo_to_dict(url), "user": name, "password": password}
            yield _url_of(parts, str(parts["dbname"]))
        finally:
            for role in _roles(connection) - before:
                drop = sql.SQL(_SQL["drop_role"].decode()).format(role=sql.Identifier(role))
                with contextlib.suppress(psycopg.errors.DependentObjectsStillExist):
                    connection.execute(drop)  # but those that somebody else uses by now


def _roles(connection: psycopg.Connection[tuple[object, ...]]) -> set[str]:
    return {str(role) for (role,) in connection.execute(_SQL["roles"]).fetchall()}


def _url(url: str, database: str) -> str:
    """The address of another database of the same server."""
    return _url_of(conninfo_to_dict(url), database)


def _url_of(parts: Mapping[str, object], database: str) -> str:
    user, password = (quote(str(parts.get(name) or ""), safe="") for name in ("user", "password"))
    at = f"{parts.get('host', '')}:{parts.get('port', 5432)}"
    return f"postgresql://{user}:{password}@{at}/{database}"
