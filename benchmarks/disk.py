"""What a ledger takes on disk, by table and index."""

from collections import Counter
from typing import cast

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
