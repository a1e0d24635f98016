"""Databases with the ledger's schema, and what tests read in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from ledger.store.lanes import account_id, lane_of
from ledger.store.log import Log
from ledger.store.mapper import Recorded
from ledger.store.migrate import RegionRow
from ledger.store.roles import AUDITOR, WRITER, acting_as

US = RegionRow(code="us", currency="USD", zone="America/New_York")
SERVICE = "billing_service"


@dataclass(frozen=True)
class Database:
    """A database with the ledger's schema."""

    name: str
    owner_url: str
    service_url: str

    @property
    def writer(self) -> str:
        return self.acting_as(WRITER)

    def acting_as(self, role: str) -> str:
        return acting_as(self.service_url, role)

    def rows(self, query: str, *given: object) -> list[Any]:
        """What the owner's query gives: values when it has one column, else tuples."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            rows = connection.execute(query.encode(), given or None).fetchall()
        return [row[0] if len(row) == 1 else row for row in rows]

    def run(self, statement: str) -> None:
        """Runs statements as the owner."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def plant(self, function: str, old: str, new: str) -> None:
        """Plants a fault in one of the ledger's functions."""
        (source,) = self.rows(
            "SELECT pg_get_functiondef(oid) FROM pg_proc"
            " WHERE proname = %s AND pronamespace = 'ledger'::regnamespace",
            function,
        )
        assert old in source
        self.run(source.replace(old, new))

    def recorded(self, account_number: str) -> list[Recorded]:
        """Every event of an account, in order."""
        log = Log(self.acting_as(AUDITOR))
        try:
            return [log.recorded(e) for e in log.account(account_id(US.code, account_number))]
        finally:
            log.close()

    def first_break(self) -> object:
        """The first place where history contradicts itself."""
        log = Log(self.acting_as(AUDITOR))
        try:
            return log.first_break()
        finally:
            log.close()


def numbers_in_lanes(lanes: Sequence[int]) -> list[str]:
    """An account number for each of the lanes."""
    found: dict[int, list[str]] = {}
    for n in range(100_000):
        number = f"L-{n}"
        found.setdefault(lane_of(account_id(US.code, number)), []).append(number)
        if all(len(found.get(lane, ())) >= lanes.count(lane) for lane in lanes):
            break
    return [found[lane].pop() for lane in lanes]
