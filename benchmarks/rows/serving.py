"""What one service process answers over HTTP, against async FastAPI on the same server program."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from api.wiring import Database
from benchmarks.balances import stored
from benchmarks.bench import Bench
from benchmarks.client import Client, Round
from benchmarks.model import Model, Owed
from benchmarks.pairs import Pairs, alternate, percentile, spread
from benchmarks.results import Found
from benchmarks.served import (
    PASSWORD,
    Served,
    baseline,
    customers,
    service,
    service_token,
    warmed,
)
from benchmarks.told import Told, accounts, charges, get, openings, post

ACCOUNTS = 1_000
PER_S_MAX = 40_000
"""More than any side answers a second: a round never runs out of requests."""
CUSTOMERS = 32
CATCH_UP_S_MAX = 120.0


class Row(NamedTuple):
    """What is asked of both programs, so many at once, and what is wanted of ours."""

    asked: str
    baseline: str
    against: str
    at_once: int
    at_least: float
    p99_ms: float


COMMANDS = Row("commands over HTTP", "echo", "against the echo", 64, 0.4, 50.0)
SUMMARIES = Row("summaries", "hello", "against hello", 32, 1.2, 10.0)


class Sides(NamedTuple):
    """Both programs, the client that asks them, and what ours holds."""

    database: Database
    ours: Served
    theirs: Served
    client: Client
    token: str
    model: Model


@contextmanager
def sides(bench: Bench, told: list[Told]) -> Iterator[Sides]:
    """The service over what was told, with its views caught up, and the baseline."""
    model = Model()
    with bench.place.database() as database:
        bench.fill(database, model, told, len(told))
        database.catch_up(CATCH_UP_S_MAX)
        token = service_token(database)
        with service(database) as ours, baseline() as theirs, Client() as client:
            warmed(client, ours, "/v1/me", token)
            warmed(client, theirs, "/hello", token)
            yield Sides(database, ours, theirs, client, token, model)


def http(bench: Bench, found: Found) -> None:
    """Charges of accounts that exist, each a request that is answered when it is durable."""
    numbers = bench.accounts(ACCOUNTS)
    with sides(bench, openings(numbers)) as at:
        ms: list[float] = []
        count = round(PER_S_MAX * bench.seconds)

        def ours(n: int) -> float:
            told = list(charges(numbers, count // 4, f"h{n}"))
            requests = [post(one, at.token) for one in told]
            ran = at.client.run(Round(at.ours.port, requests, COMMANDS.at_once, bench.seconds))
            found.answered(ran.statuses, 201)
            at.model.take(told[: len(ran.statuses)])
            ms.extend(ran.ms)
            return ran.per_s

        def theirs(n: int) -> float:
            requests = [post(one, at.token) for one in charges(numbers, count, f"h{n}")]
            ran = at.client.run(Round(at.theirs.port, requests, COMMANDS.at_once, bench.seconds))
            found.answered(ran.statuses, 201)
            return ran.per_s

        _tell(found, COMMANDS, alternate(bench.pairs, ours, theirs), ms)
        found.agree("write side", at.model.owed(), stored(at.database))


def summary(bench: Bench, found: Found) -> None:
    """Customers who are signed in read their own account, as often as they are answered."""
    numbers = accounts(CUSTOMERS)
    told = [*openings(numbers), *charges(numbers, bench.scaled(20_000), "s")]
    with sides(bench, told) as at:
        customers(at.database, numbers)
        tokens = [_signed_in(at, number) for number in numbers]
        paths = [f"/v1/accounts/{number}/summary" for number in numbers]
        asks = [get(path, token) for path, token in zip(paths, tokens, strict=True)]
        hellos = [get("/hello", token) for token in tokens]
        times = round(PER_S_MAX * bench.seconds) // CUSTOMERS
        ms: list[float] = []

        def ours(_: int) -> float:
            ran = at.client.run(Round(at.ours.port, asks * times, SUMMARIES.at_once, bench.seconds))
            found.answered(ran.statuses, 200)
            ms.extend(ran.ms)
            return ran.per_s

        def theirs(_: int) -> float:
            asked = Round(at.theirs.port, hellos * times, SUMMARIES.at_once, bench.seconds)
            ran = at.client.run(asked)
            found.answered(ran.statuses, 200)
            return ran.per_s

        _tell(found, SUMMARIES, alternate(bench.pairs, ours, theirs), ms)
        last = at.client.run(Round(at.ours.port, asks, 1, 60.0, keep=True))
        shown = dict(zip(numbers, map(owed_of, last.bodies), strict=True))
        found.agree("summaries", at.model.owed(), shown)


def _tell(found: Found, row: Row, pairs: Pairs, ms: list[float]) -> None:
    """The figures of a row; `ms` are the times of our answers."""
    found.figure(row.against, unit="x", at_least=row.at_least, **pairs.ratio)
    found.figure("p99", percentile(ms, 99), "ms", at_most=row.p99_ms)
    found.figure("p50", percentile(ms, 50), "ms")
    found.figure(row.asked, unit="/s", **spread(pairs.ours))
    found.figure(row.baseline, unit="/s", **spread(pairs.theirs))
    found.note(f"{row.at_once} at once, one worker; {len(ms):,} answers timed")


def owed_of(body: bytes) -> Owed:
    """A summary's balance and current activity in cents."""
    read = msgspec.json.decode(body)
    return Owed(cents(read["balance"]["amount"]), cents(read["current_activity"]["amount"]))


def cents(amount: str) -> int:
    """An amount of USD, such as -61.11, in cents."""
    whole, _, part = amount.partition(".")
    return int(whole + part)


def _signed_in(at: Sides, number: str) -> str:
    body = msgspec.json.encode(
        {"region": at.database.region.code, "identifier": number, "password": PASSWORD}
    )
    head = (
        f"POST /v1/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    ran = at.client.run(Round(at.ours.port, [head.encode() + body], 1, 60.0, keep=True))
    assert ran.statuses == [200], ran
    token: str = msgspec.json.decode(ran.bodies[0])["token"]
    return token
