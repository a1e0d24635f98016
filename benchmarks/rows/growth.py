"""How cost grows: with an account's events, clients and workers; what an event takes on disk, and
a process in memory."""

from contextlib import closing
from typing import cast

import psutil
import psycopg

from api.wiring import Database
from benchmarks.balances import events, stored, viewed
from benchmarks.bench import Bench
from benchmarks.client import Client, Round
from benchmarks.disk import bytes_by_schema, bytes_by_table
from benchmarks.model import Model
from benchmarks.pairs import percentile, spread
from benchmarks.results import Found
from benchmarks.rows.sizes import grown, in_turn, single_charge
from benchmarks.served import Served, mib, processes, service, service_token, warmed
from benchmarks.told import charges, openings, post
from ledger.store.sql import load

ACCOUNT_EVENTS = (10, 1_000, 20_000)
"""On one account; the last grows with the scale."""
ACCOUNT_EVENTS_MAX = 1_000_000
INVOICES = 4
CLIENTS = (1, 4, 16, 64)
WORKERS = (1, 2)
ACCOUNTS = 1_000
COMMANDS_PER_S_MAX = 10_000
CATCH_UP_S_MAX = 1_200.0
BYTES_SHOWN_MIN = 5.0
"""Bytes an event below which a table or index is not worth a line."""

_SQL = load("benchmarks.rows", "growth.sql")


def growth(bench: Bench, found: Found) -> None:
    """All of it in one database, whose accounts are compared with the model at the end."""
    model = Model()
    with bench.place.database() as database:
        _by_events(bench, database, model, found)
        numbers = bench.accounts(ACCOUNTS)
        bench.fill(database, model, openings(numbers))
        database.catch_up(CATCH_UP_S_MAX)
        token = service_token(database)
        count = round(COMMANDS_PER_S_MAX * bench.seconds)
        for workers in WORKERS:
            with service(database, workers) as ours, Client() as client:
                warmed(client, ours, "/v1/me", token)
                for clients in CLIENTS:
                    told = list(charges(numbers, count, f"w{workers}c{clients}"))
                    requests = [post(one, token) for one in told]
                    ran = client.run(Round(ours.port, requests, clients, bench.seconds))
                    found.answered(ran.statuses, 201)
                    model.take(told[: len(ran.statuses)])
                    name = f"{workers} workers, {clients} clients"
                    found.figure(name, ran.per_s, "commands/s")
                    found.figure(f"{name}, p99", percentile(ran.ms, 99), "ms")
                _memory(database, ours, workers, found)
        database.catch_up(CATCH_UP_S_MAX)
        _bytes(database, found)
        found.agree("write side", model.owed(), stored(database))
        found.agree("views", model.owed(), viewed(database))


def _by_events(bench: Bench, database: Database, model: Model, found: Found) -> None:
    small, *others = (
        bench.scaled(count, at_least=count // 10, at_most=ACCOUNT_EVENTS_MAX)
        if count == ACCOUNT_EVENTS[-1]
        else count
        for count in ACCOUNT_EVENTS
    )
    for count in (small, *others):
        bench.fill(database, model, grown(f"events-{count}", count, INVOICES), count)
    with closing(database.ledger()) as ledger:
        for count in others:
            large = f"events-{count}"
            pairs = in_turn(ledger, model, bench.pairs, single_charge, large, f"events-{small}")
            if count == others[0]:
                found.figure(f"charge at {small:,} events", unit="ms", **spread(pairs.theirs))
            found.figure(f"charge at {count:,} events", unit="ms", **spread(pairs.ours))
            found.figure(f"against {small:,} events", unit="x time", **pairs.ratio)


def _bytes(database: Database, found: Found) -> None:
    """Of all tables and indexes together, and of those that count."""
    total = events(database)
    for schema, size in bytes_by_schema(database).items():
        found.figure(f"{schema} in all", size / total, "bytes/event")
    for name, size in bytes_by_table(database).items():
        if size / total >= BYTES_SHOWN_MIN:
            found.figure(name, size / total, "bytes/event")


def _memory(database: Database, ours: Served, workers: int, found: Found) -> None:
    """Of each process of the service, and of the server's together, where they can be seen."""
    names = ["parent", *(f"worker {n + 1}" for n in range(workers)), "follower"]
    for name, process in zip(names, processes(ours), strict=True):
        found.figure(f"{workers} workers: {name}", mib(process), "MiB")
    with psycopg.connect(database.service_url) as connection:
        row = connection.execute(_SQL["server_process"]).fetchone()
    assert row is not None
    try:
        server = psutil.Process(cast(int, row[0])).parent()
        if server is None or "postgres" not in server.name():
            raise psutil.NoSuchProcess(cast(int, row[0]))
        of_server = [server, *server.children(recursive=True)]
        found.figure(f"{workers} workers: PostgreSQL", sum(map(mib, of_server)), "MiB")
    except psutil.Error:
        found.note("the memory of PostgreSQL's processes cannot be seen from here")
