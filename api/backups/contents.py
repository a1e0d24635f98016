"""What the databases of an embedded server hold, told so that a restored server can be held to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import psycopg

from api.embedded import EmbeddedServer
from ledger.store.migrate import RegionRow
from ledger.store.sql import load

CONNECT_TIMEOUT_S = 30

_SQL = load("api.backups", "contents.sql")

Connection = psycopg.Connection[tuple[Any, ...]]


class LaneHead(msgspec.Struct, frozen=True):
    """The last event of a lane that has one; `leaf` is in hexadecimal."""

    lane: int
    position: int
    leaf: str


class Held(msgspec.Struct, frozen=True):
    """A region as its database holds it."""

    region: RegionRow
    database: str
    heads: tuple[LaneHead, ...]

    @property
    def events(self) -> int:
        """How many events: positions in a lane have no gap."""
        return sum(head.position for head in self.heads)


class Step(NamedTuple):
    """How far PostgreSQL is with a copy; `total` bytes are its estimate, 0 before it has one."""

    phase: str
    copied: int
    total: int


class Contents:
    """The regions of a running server, over a connection to each database."""

    def __init__(self, server: Connection, regional: dict[str, tuple[RegionRow, Connection]]):
        self._server = server
        self._regional = regional

    def held(self) -> tuple[Held, ...]:
        """What was committed by now, by database."""
        return tuple(
            Held(
                region=region,
                database=name,
                heads=tuple(LaneHead(*row) for row in connection.execute(_SQL["heads"]).fetchall()),
            )
            for name, (region, connection) in self._regional.items()
        )

    def step(self, application: str) -> Step | None:
        """Where the copy that sessions of that name take is; None before and after."""
        row = self._server.execute(_SQL["step"], {"application": application}).fetchone()
        return Step(*row) if row else None

    def version(self) -> str:
        """The server's version, such as 18.6."""
        return self._server.info.parameter_status("server_version") or ""


@contextmanager
def contents(server: EmbeddedServer) -> Iterator[Contents]:
    """The regions of every database of the server, whatever the settings say."""
    connections: dict[str, Connection] = {}
    with _connect(server.admin_url()) as administering:
        try:
            for (name,) in administering.execute(_SQL["databases"]).fetchall():
                connections[name] = _connect(server.admin_url(name))
            regions = {name: _region(connection) for name, connection in connections.items()}
            yield Contents(
                administering,
                {n: (region, connections[n]) for n, region in regions.items() if region},
            )
        finally:
            for connection in connections.values():
                connection.close()


def _region(connection: Connection) -> RegionRow | None:
    if connection.execute(_SQL["has_log"]).fetchone() != (True,):
        return None
    row = connection.execute(_SQL["region"]).fetchone()
    return RegionRow(*row) if row else None


def _connect(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
