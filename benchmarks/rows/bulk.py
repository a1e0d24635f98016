"""Bulk commands through the committer, against COPY of the rows they write, and the library's save()."""

from contextlib import closing

import psycopg
from psycopg import sql

from api.wiring import Database
from benchmarks.balances import stored
from benchmarks.bench import Bench, handle
from benchmarks.library import SavingAccounts
from benchmarks.model import Model
from benchmarks.pairs import alternate, rate, spread
from benchmarks.results import Found
from benchmarks.told import charges, openings, request
from ledger.store.sql import load

ACCOUNTS = 1_000
COMMANDS = 5_000
"""Commands of one part."""
SAVES = 300
TABLES = ("event", "command_key", "item", "account")
COPY_AT_LEAST = 0.5
SAVE_AT_LEAST = 30.0

_SQL = load("benchmarks.rows", "bulk.sql")


def bulk_copy(bench: Bench, found: Found) -> None:
    """Charges of accounts that exist; their rows go into the twin in one transaction."""
    commands = bench.scaled(COMMANDS, at_least=100)
    with (
        bench.place.database() as ours,
        bench.place.database() as twin,
        _Telling(bench, ours) as telling,
        _Copying(ours, twin) as copying,
    ):
        pairs = alternate(
            bench.pairs,
            lambda n: telling.rate(f"p{n}", commands, copying),
            lambda n: commands / copying.copy(f"p{n}"),
        )
        found.figure("against COPY", unit="x", at_least=COPY_AT_LEAST, **pairs.ratio)
        found.figure("bulk commands", unit="/s", **spread(pairs.ours))
        found.figure("by COPY", unit="commands/s", **spread(pairs.theirs))
        found.note(f"{commands:,} charges a part")
        found.agree("write side", telling.model.owed(), stored(ours))
        rows, copied = copying.counts()
        found.require(rows == copied, f"by COPY the tables have {copied} rows, the ledger's {rows}")


def bulk_save(bench: Bench, found: Found) -> None:
    """Charges of accounts that exist; the library keeps its aggregates in memory, and only saves."""
    commands = bench.scaled(COMMANDS, at_least=100)
    numbers = bench.accounts(ACCOUNTS)
    saves = bench.scaled(SAVES, at_least=20, at_most=SAVES)
    with (
        bench.place.database() as ours,
        bench.place.database() as theirs,
        _Telling(bench, ours) as telling,
        closing(SavingAccounts(theirs, numbers)) as saving,
    ):

        def save(n: int) -> float:
            told = list(charges(numbers, saves, f"s{n}"))
            return rate(saves, lambda: saving.save(told))

        pairs = alternate(bench.pairs, lambda n: telling.rate(f"p{n}", commands), save)
        found.figure("against save()", unit="x", at_least=SAVE_AT_LEAST, **pairs.ratio)
        found.figure("bulk commands", unit="/s", **spread(pairs.ours))
        found.figure("save()", unit="/s", **spread(pairs.theirs))
        found.agree("write side", telling.model.owed(), stored(ours))


class _Telling:
    """Our side: parts of commands, made before the clock starts."""

    def __init__(self, bench: Bench, database: Database) -> None:
        self.model = Model()
        self._numbers = bench.accounts(ACCOUNTS)
        bench.fill(database, self.model, openings(self._numbers))
        self._ledger = database.ledger()

    def rate(self, prefix: str, commands: int, copying: "_Copying | None" = None) -> float:
        """Commands a second of one part."""
        told = list(charges(self._numbers, commands, prefix))
        requests = [request(one) for one in told]
        if copying is not None:
            copying.begin()
        found = rate(commands, lambda: handle(self._ledger, requests))
        self.model.take(told)
        return found

    def __enter__(self) -> "_Telling":
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()


class _Copying:
    """The baseline: the rows of a part, read out before the clock starts."""

    def __init__(self, ours: Database, twin: Database) -> None:
        assert ours.owner_url is not None
        assert twin.owner_url is not None
        self._ours = psycopg.connect(ours.owner_url, autocommit=True)
        self._twin = psycopg.connect(twin.owner_url, autocommit=True)
        self._since = ""
        self._first = True

    def begin(self) -> None:
        """A part of ours is about to be written."""
        if self._first:  # the twin holds what ours does
            self._first = False
            self._write(self._read("-infinity", "%"))
        row = self._ours.execute(_SQL["now"]).fetchone()
        assert row is not None
        self._since = str(row[0])

    def copy(self, prefix: str) -> float:
        """Seconds that COPY of the last part's rows takes, one transaction for all tables."""
        rows = self._read(self._since, f"{prefix}-%")
        self._twin.execute(_SQL["empty_account"])
        self._twin.execute(_SQL["empty_running"])
        return 1 / rate(1, lambda: self._write(rows))

    def counts(self) -> tuple[object, object]:
        """How many rows each table has, of ours and of the twin."""
        ours, twin = (c.execute(_SQL["counts"]).fetchone() for c in (self._ours, self._twin))
        return ours, twin

    def _read(self, since: str, prefix: str) -> dict[str, bytes]:
        given = {"since": sql.Literal(since), "prefix": sql.Literal(prefix)}
        found = {}
        for table in TABLES:
            statement = sql.SQL(_SQL[f"out_{table}"].decode()).format(**given)
            with self._ours.cursor().copy(statement) as copy:
                found[table] = b"".join(copy)
        return found

    def _write(self, rows: dict[str, bytes]) -> None:
        with self._twin.transaction():
            for table in TABLES:
                with self._twin.cursor().copy(_SQL[f"into_{table}"]) as copy:
                    copy.write(rows[table])

    def __enter__(self) -> "_Copying":
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._twin.close()
