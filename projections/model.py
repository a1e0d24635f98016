"""What a follower and a rebuild need of a read model: its name, its tables, and a fold into rows."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple, Protocol
from uuid import UUID

import psycopg
from psycopg import sql

from ledger.events import Event
from ledger.store.sql import load

Connection = psycopg.Connection[tuple[object, ...]]

SESSION: Mapping[str, str] = {
    "timezone": "UTC",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""Settings of sessions that fill views: every statement looks rows up by key, whatever the planner
makes of arrays."""

_SQL = load("projections", "model.sql")
_SCHEMA = load("projections", "schema.sql")


class At(NamedTuple):
    """Where an event stands in the log; `account_id` is the id's 16 bytes, which hash fast."""

    lane: int
    position: int
    account_id: bytes
    version: int
    recorded_at: datetime


class Rows(Protocol):
    """The rows that a batch of events makes and changes."""

    def take(self, at: At, event: Event) -> None:
        """Folds one event in; whatever it raises means that the event cannot be folded."""

    def write(self, connection: Connection) -> None:
        """Writes the rows within the open transaction; raises WentBackwards."""

    # The rest is for tables that nobody else writes, of lanes that are folded from their start.

    def held(self) -> int:
        """How many of the rows a later event of their lane may change."""

    def copy_settled(self, connection: Connection) -> None:
        """Appends the others within the open transaction, and lets go of them."""

    def copy_held(self, connection: Connection) -> None:
        """Appends the rest, and what has changed of those appended before; raises WentBackwards."""


class ReadModel(Protocol):
    """A view of the log in a schema of its name.

    `statements` make its own tables, indexes and functions, beside those of every model
    (projections/schema.sql), which gives all of them their rights.
    """

    @property
    def name(self) -> str: ...
    @property
    def statements(self) -> tuple[bytes, ...]: ...
    @property
    def tables(self) -> tuple[str, ...]:
        """Those that hold rows of accounts; each has lane and account_id."""

    @property
    def sums(self) -> tuple[str, ...]:
        """Those that hold sums over the accounts of a lane; each has lane."""

    @property
    def keyed(self) -> frozenset[str]:
        """Tables that need their primary keys while they are filled from the start.

        Of the others folding proves that no row is made twice, and changes rows before it copies them.
        """

    def rows(self) -> Rows:
        """No rows yet, to fold a batch into."""

    def forget(self, connection: Connection, lane: int, account_id: UUID) -> None:
        """Deletes all rows of an account within the open transaction."""


class ViewOutdated(Exception):
    """The tables were made by another release, of other statements: the read model needs a rebuild."""


class WentBackwards(Exception):
    """A view's row is missing, or not older than what was to be written on it."""


def digest(model: ReadModel) -> str:
    """What the model's statements read, in short: a schema made of others needs a rebuild."""
    return sha256(b"\n".join(_statements(model))).hexdigest()[:16]


def _statements(model: ReadModel) -> tuple[bytes, ...]:
    """All that make the model's schema: its own stand between those that every model has."""
    return (_SCHEMA["followed"], *model.statements, _SCHEMA["access"])


def mark(model: ReadModel) -> str:
    """What a schema made of the model's statements says of itself."""
    return f"{model.name} {digest(model)}"


def creation(model: ReadModel, schema: str) -> str:
    """The SQL after which a schema with the model's tables exists, marked with the model's digest.

    It leaves a schema that exists as it is: a read model changes by rebuild.
    """
    statements = b";\n".join(_statements(model)).decode()
    return (
        sql.SQL(_SQL["create"].decode())
        .format(
            schema=sql.Identifier(schema),
            name=sql.Literal(schema),
            statements=sql.Literal(statements),
            mark=sql.Literal(mark(model)),
        )
        .as_string()
    )


def ensure(owner_url: str, model: ReadModel) -> bool:
    """The read model exists, empty when it did not; whether it was made now."""
    with psycopg.connect(owner_url) as connection:
        connection.execute(_SQL["lock_creation"])
        if exists(connection, model.name):
            return False
        connection.execute(creation(model, model.name).encode())
        return True


def exists(connection: Connection, schema: str) -> bool:
    """Whether the schema is there."""
    return connection.execute(_SQL["schema_mark"], (schema,)).fetchone() is not None


def is_current(connection: Connection, model: ReadModel) -> bool:
    """Whether the live tables were made of the model's statements as they read now."""
    found = connection.execute(_SQL["schema_mark"], (model.name,)).fetchone()
    return found == (mark(model),)
