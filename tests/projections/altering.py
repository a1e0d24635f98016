"""Books that are altered behind the ledger's back, and what a reconciliation names of it."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from api.embedded import EmbeddedServer
from ledger.store.committer import Ledger
from ledger.store.lanes import account_id, lane_of
from ledger.store.migrate import migrate
from projections.follower import Follower
from projections.journal import JOURNAL
from projections.migrations import sources
from projections.receivables import RECEIVABLES
from projections.reconciliation.differences import Difference
from projections.reconciliation.reconciling import reconcile
from tests.projections.books import append
from tests.store.databases import SERVICE, US, Database
from tests.store.scenario import every_command, requests

NUMBER = "A-1"
LANE = lane_of(account_id(US.code, NUMBER))
OTHERS = [n for n in (f"B-{n}" for n in range(400)) if lane_of(account_id(US.code, n)) == LANE]


def lived_through(server: EmbeddedServer, *numbers: str) -> Database:
    """A fresh database of accounts that have lived through everything, followed to its end."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    server.ensure_database(name)
    owner_url = server.owner_url(name)
    migrate(owner_url, region=US, service_role=SERVICE, sources=sources())
    database = Database(name, owner_url, server.service_url(name))
    with closing(Ledger(database.service_url, US.code)) as ledger:
        for number in numbers:
            append(ledger, requests(number, every_command()))
    follow(database)
    assert [] == found(database)
    return database


def follow(database: Database, *names: str) -> None:
    """The read models named, or all, hold what the log does."""
    for model in (RECEIVABLES, JOURNAL):
        if not names or model.name in names:
            follower = Follower(database.service_url, model)
            follower.catch_up()
            follower.close()


def found(database: Database) -> list[Difference]:
    """Every difference of the lane."""
    [proof] = reconcile(database.service_url, lanes=(LANE,))
    assert proof.differences == len(proof.kept)
    return list(proof.kept)


def position_of(database: Database, version: int) -> int:
    """Where an event of the account stands in its lane."""
    [position] = database.rows(
        "SELECT position FROM ledger.event WHERE account_id = %s AND version = %s",
        account_id(US.code, NUMBER),
        version,
    )
    assert isinstance(position, int)
    return position


def version_of(database: Database, topic: str, n: int = 0) -> int:
    """The version of the account's n-th event of a kind."""
    versions = database.rows(
        "SELECT version FROM ledger.event WHERE account_id = %s AND topic = %s ORDER BY version",
        account_id(US.code, NUMBER),
        f"{topic}:1",
    )
    return int(versions[n])


@contextmanager
def planted(database: Database, table: str, which: str, change: str, undo: str) -> Iterator[None]:
    """Rows of the account changed in a table by an expression, and changed back."""
    whose = f"account_id = '{account_id(US.code, NUMBER)}' AND {which}"
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        assert owner.execute(f"UPDATE {table} SET {change} WHERE {whose}".encode()).rowcount == 1
        yield
        owner.execute(f"UPDATE {table} SET {undo} WHERE {whose}".encode())


@contextmanager
def altered(database: Database, change: str) -> Iterator[dict[Any, Difference]]:
    """What is named after a statement, by account, where and figure; then the rows are as before."""
    table = change.split()[1 if change.startswith("UPDATE") else 2]
    columns = ", ".join(
        database.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND attgenerated = '' AND NOT attisdropped ORDER BY attnum",
            table,
        )
    )
    lane = f"lane = {LANE}"
    database.run(f"CREATE TABLE public.before AS SELECT {columns} FROM {table} WHERE {lane}")
    database.run(change)
    yield {(one.account_number, one.where, one.figure): one for one in found(database)}
    database.run(
        f"DELETE FROM {table} WHERE {lane};"
        f" INSERT INTO {table} ({columns}) SELECT {columns} FROM public.before;"
        " DROP TABLE public.before"
    )
