"""Reading what accounts show, for the comparison with the model."""

from typing import cast

import psycopg

from api.wiring import Database
from benchmarks.model import Owed
from ledger.store.sql import load

_SQL = load("benchmarks", "balances.sql")


def stored(database: Database) -> dict[str, Owed]:
    """Every account as the write side keeps it."""
    return _owed(database, "stored")


def viewed(database: Database) -> dict[str, Owed]:
    """Every account as the views show it."""
    return _owed(database, "viewed")


def events(database: Database) -> int:
    """How many events the log holds."""
    assert database.owner_url is not None
    with psycopg.connect(database.owner_url) as connection:
        row = connection.execute(_SQL["events"]).fetchone()
    assert row is not None
    return cast(int, row[0])


def _owed(database: Database, query: str) -> dict[str, Owed]:
    assert database.owner_url is not None
    with psycopg.connect(database.owner_url) as connection:
        rows = cast(list[tuple[str, int, int]], connection.execute(_SQL[query]).fetchall())
    return {number: Owed(balance, activity) for number, balance, activity in rows}
