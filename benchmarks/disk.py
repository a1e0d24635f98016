"""What a ledger takes on disk, by table and index, and what its upkeep is."""

from collections import Counter
from typing import NamedTuple, cast

import psycopg

from api.wiring import Database
from ledger.store.sql import load

_SQL = load("benchmarks", "disk.sql")


def bytes_by_table(database: Database) -> dict[str, int]:
    """Of every table without its indexes, and of every index, largest first, once vacuumed."""
    assert database.owner_url is not None
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(_SQL["settle"])
        return dict(cast(list[tuple[str, int]], connection.execute(_SQL["sizes"]).fetchall()))


def bytes_by_schema(database: Database) -> Counter[str]:
    """Of the log with its write side, and of the views."""
    found = Counter[str]()
    for name, size in bytes_by_table(database).items():
        found[name.partition(".")[0]] += size
    return found


class Upkeep(NamedTuple):
    """Of one table: rows changed, those of them whose indexes stayed as they were (HOT), rows alive
    and dead, and times that autovacuum came by."""

    table: str
    changed: int
    in_place: int
    alive: int
    dead: int
    vacuumed: int


def upkeep(database: Database) -> list[Upkeep]:
    """Of every table in which rows change, the busiest first, as counted since it was made."""
    assert database.owner_url is not None
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        return [Upkeep(*row) for row in connection.execute(_SQL["upkeep"]).fetchall()]
