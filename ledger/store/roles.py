"""The group roles that every connection acts as: shared by all databases of a cluster."""

import time

import psycopg
from psycopg import errors, sql
from psycopg.rows import scalar_row

from ledger.store.sql import load

WRITER = "billing_writer"
PROJECTOR = "billing_projector"
READER = "billing_reader"
AUDITOR = "billing_auditor"
ROLES = (WRITER, PROJECTOR, READER, AUDITOR)

RACES_MAX = 20
RACE_WAIT_S = 0.05
_INHERIT_FALSE_SINCE = 160_000

CLIENT_NOTICES_LOSS = {
    "connect_timeout": "5",  # s
    "tcp_user_timeout": "15000",  # ms that sent bytes may stay unacknowledged
    # A server that goes without a word once it has a statement owes nothing that could time out.
    "keepalives_idle": "10",  # s
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
"""A connection whose other end is silent counts as lost after half a minute at most."""
SERVER_NOTICES_LOSS = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""So the server ends the session, and lets go its locks, of a client that is gone without a word."""

_SQL = load("ledger.store", "migrate.sql")

Connection = psycopg.Connection[tuple[object, ...]]


def acting_as(url: str, role: str, **settings: str) -> str:
    """The connection string of `url` whose sessions act as a group role from the start.

    `settings` are further settings of the sessions, such as statement_timeout="30s". What `url`
    itself says of timeouts stands.
    """
    return connecting(url, role=role, **settings)


def connecting(url: str, **settings: str) -> str:
    """The connection string of `url` whose sessions have settings, as its own login."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    chosen = {**SERVER_NOTICES_LOSS, **settings}
    options = [str(parts.get("options") or ""), *(f"-c {k}={v}" for k, v in chosen.items())]
    unsaid = {k: v for k, v in CLIENT_NOTICES_LOSS.items() if k not in parts}
    return psycopg.conninfo.make_conninfo(url, options=" ".join(filter(None, options)), **unsaid)


def ensure_roles(connection: Connection) -> None:
    """The group roles exist in the cluster, without login."""
    for role in _missing(connection, "missing_roles"):
        _racing(connection, sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))


def grant_roles(connection: Connection, login: str) -> None:
    """The login may act as each group role, and without choosing one has none of their rights."""
    for role in _missing(connection, "missing_grants", login=login):
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login))
        if connection.info.server_version >= _INHERIT_FALSE_SINCE:
            grant += sql.SQL(" WITH INHERIT FALSE, SET TRUE")
        _racing(connection, grant)


def _missing(connection: Connection, query: str, **given: str) -> list[str]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        rows = cursor.execute(_SQL[query], {"roles": list(ROLES), **given}).fetchall()
    return [str(row) for row in rows]


def _racing(connection: Connection, statement: sql.Composed) -> None:
    """Runs a statement; another database of the cluster may be migrated at the same time."""
    for attempt in range(1, RACES_MAX + 1):
        try:
            connection.execute(statement)
            return
        except errors.DuplicateObject:
            return
        except (errors.UniqueViolation, errors.InternalError_) as race:
            # XX000 "tuple concurrently updated" has no code of its own.
            if attempt == RACES_MAX or not (
                isinstance(race, errors.UniqueViolation) or "concurrently" in str(race)
            ):
                raise
            time.sleep(RACE_WAIT_S)
