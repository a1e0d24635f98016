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
from benchmarks.pairs import alternate, percentile, spread
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
COMMANDS_AT_ONCE = 64
SUMMARIES_AT_ONCE = 32
CUSTOMERS = 32
HTTP_AT_LEAST, HTTP_P99_MS = 0.4, 50.0
SUMMARY_AT_LEAST, SUMMARY_P99_MS = 1.2, 10.0
CATCH_UP_S_MAX = 120.0


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
            ran = at.client.run(Round(at.ours.port, requests, COMMANDS_AT_ONCE, bench.seconds))
            found.answered(ran.statuses, 201)
            at.model.take(told[: len(ran.statuses)])
            ms.extend(ran.ms)
            return ran.per_s

        def theirs(n: int) -> float:
            requests = [post(one, at.token) for one in charges(numbers, count, f"h{n}")]
            ran = at.client.run(Round(at.theirs.port, requests, COMMANDS_AT_ONCE, bench.seconds))
            found.answered(ran.statuses, 201)
            return ran.per_s

        pairs = alternate(bench.pairs, ours, theirs)
        found.figure("against the echo", unit="x", at_least=HTTP_AT_LEAST, **pairs.ratio)
        found.figure("p99", percentile(ms, 99), "ms", at_most=HTTP_P99_MS)
        found.figure("p50", percentile(ms, 50), "ms")
        found.figure("commands over HTTP", unit="/s", **spread(pairs.ours))
        found.figure("echo", unit="/s", **spread(pairs.theirs))
        found.note(f"{COMMANDS_AT_ONCE} at once, one worker; {len(ms):,} commands timed")
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
            ran = at.client.run(Round(at.ours.port, asks * times, SUMMARIES_AT_ONCE, bench.seconds))
            found.answered(ran.statuses, 200)
            ms.extend(ran.ms)
            return ran.per_s

        def theirs(_: int) -> float:
            asked = Round(at.theirs.port, hellos * times, SUMMARIES_AT_ONCE, bench.seconds)
            ran = at.client.run(asked)
            found.answered(ran.statuses, 200)
            return ran.per_s

        pairs = alternate(bench.pairs, ours, theirs)
        found.figure("against hello", unit="x", at_least=SUMMARY_AT_LEAST, **pairs.ratio)
        found.figure("p99", percentile(ms, 99), "ms", at_most=SUMMARY_P99_MS)
        found.figure("p50", percentile(ms, 50), "ms")
        found.figure("summaries", unit="/s", **spread(pairs.ours))
        found.figure("hello", unit="/s", **spread(pairs.theirs))
        found.note(f"{SUMMARIES_AT_ONCE} at once, one worker; {len(ms):,} answers timed")
        last = at.client.run(Round(at.ours.port, asks, 1, 60.0, keep=True))
        shown = dict(zip(numbers, map(owed_of, last.bodies), strict=True))
        found.agree("summaries", at.model.owed(), shown)


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
