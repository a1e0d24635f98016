"""The billing day: what a biller's systems ask of the service from morning to evening.

1,000 accounts; 100,000 single charges at 1, 4, 16 and 64 in flight; 100,000 in bulk; 20,000
payments; the month end; 100,000 reads of a balance. Every hundredth command is sent again.
"""

import http.client
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import msgspec

from api.wiring import Database
from benchmarks.balances import stored, viewed
from benchmarks.bench import Bench
from benchmarks.client import Client, Ran, Round
from benchmarks.model import Model
from benchmarks.pairs import percentile
from benchmarks.results import Found
from benchmarks.served import Served, service, service_token, warmed
from benchmarks.told import (
    PERIOD,
    Charged,
    Paid,
    charges,
    get,
    line,
    openings,
    payments,
    post,
)

ACCOUNTS = 1_000
SINGLES, BULK, PAYMENTS, READS = 100_000, 100_000, 20_000, 100_000
IN_FLIGHT = (1, 4, 16, 64)
PAYMENTS_AT_ONCE, READS_AT_ONCE = 16, 32
AGAIN = 0.01
HOT = 0.5
"""The hot account's share, where there is one."""
PART_OF_A_DAY = 1 / 50
"""What scale 1 tells of all of it."""
PHASE_S_MAX = 3_600.0
POLL_S = 0.02
LINES_TOGETHER = 200


class Day(NamedTuple):
    """One day under way."""

    database: Database
    client: Client
    ours: Served
    token: str
    model: Model
    numbers: list[str]
    hot: float
    share: float
    found: Found

    def count(self, whole: int) -> int:
        """This day's part of what a whole day has."""
        return max(round(whole * self.share), 8)

    @property
    def named(self) -> str:
        """How figures of the day begin."""
        return "hot" if self.hot else "uniform"


def billing_day(bench: Bench, found: Found) -> None:
    """One day with all accounts alike, and one with half of everything on one account."""
    share = bench.scale * PART_OF_A_DAY
    for hot in (0.0, HOT):
        model, numbers = Model(sent_again=True), bench.accounts(ACCOUNTS)
        with bench.place.database() as database:
            bench.fill(database, model, openings(numbers))
            token = service_token(database)
            with service(database) as ours, Client() as client:
                warmed(client, ours, "/v1/me", token)
                _live(Day(database, client, ours, token, model, numbers, hot, share, found))
            found.agree("write side", model.owed(), stored(database))
            found.agree("views", model.owed(), viewed(database))
    found.note(f"{share:.3g} of a day: --scale {1 / PART_OF_A_DAY:.0f} is all of it; one worker")
    found.note(f"hot: {HOT:.0%} of commands are of one account; {AGAIN:.0%} are sent again")


def _live(day: Day) -> None:
    for at_once in IN_FLIGHT:
        told = list(_again(charges(
            day.numbers, day.count(SINGLES // len(IN_FLIGHT)), f"single{at_once}", hot=day.hot
        )))  # fmt: skip  # one expression
        _singles(day, f"charges, {at_once} in flight", told, at_once)
    _bulk(day)
    told_payments = list(_again(payments(day.numbers, day.count(PAYMENTS), "pay", hot=day.hot)))
    _singles(day, f"payments, {PAYMENTS_AT_ONCE} in flight", told_payments, PAYMENTS_AT_ONCE)
    _month_end(day)
    _reads(day)


def _singles(day: Day, phase: str, told: Sequence[Charged | Paid], at_once: int) -> None:
    requests = [post(one, day.token) for one in told]
    ran = day.client.run(Round(day.ours.port, requests, at_once, PHASE_S_MAX))
    day.found.answered(ran.statuses, 201)
    day.model.take(told)
    _figures(day, phase, ran)


def _bulk(day: Day) -> None:
    told = list(_again(charges(day.numbers, day.count(BULK), "bulk", hot=day.hot)))
    lines = [line(one) + b"\n" for one in told]
    parts = [b"".join(lines[n : n + LINES_TOGETHER]) for n in range(0, len(lines), LINES_TOGETHER)]
    headers = {"Authorization": f"Bearer {day.token}", "Content-Type": "application/x-ndjson"}
    connection = http.client.HTTPConnection("127.0.0.1", day.ours.port, timeout=PHASE_S_MAX)
    with closing(connection):
        started = time.perf_counter()
        connection.request("POST", "/v1/commands", body=iter(parts), headers=headers)
        answer = connection.getresponse()
        done = [msgspec.json.decode(one) for one in answer.read().splitlines()]
        took_s = time.perf_counter() - started
    statuses = [one["status"] for one in done]
    again = len(told) - len({one.key for one in told})
    day.found.require(
        statuses.count("replayed") == again and statuses.count("ok") == len(told) - again,
        f"of {len(told)} lines with {again} sent again, {statuses.count('ok')} were done and "
        f"{statuses.count('replayed')} done before",
    )
    day.model.take(told)
    day.found.figure(f"{day.named}: in bulk", len(told) / took_s, "commands/s")


def _month_end(day: Day) -> None:
    headers = {"Authorization": f"Bearer {day.token}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", day.ours.port, timeout=PHASE_S_MAX)
    with closing(connection):
        started = time.perf_counter()
        body = msgspec.json.encode({"period": PERIOD})
        run = _asked(connection, "POST", "/v1/month-ends", headers, body)
        while run["state"] != "finished":
            time.sleep(POLL_S)
            run = _asked(connection, "GET", f"/v1/month-ends/{PERIOD}", headers)
        took_s = time.perf_counter() - started
    day.model.end_month()
    day.found.figure(f"{day.named}: month end", run["accounts"] / took_s, "accounts/s")
    day.database.catch_up(PHASE_S_MAX)


def _reads(day: Day) -> None:
    rng = random.Random("reads")
    chosen = (
        day.numbers[0] if rng.random() < day.hot else rng.choice(day.numbers)
        for _ in range(day.count(READS))
    )
    requests = [get(f"/v1/accounts/{number}/summary", day.token) for number in chosen]
    ran = day.client.run(Round(day.ours.port, requests, READS_AT_ONCE, PHASE_S_MAX))
    day.found.answered(ran.statuses, 200)
    _figures(day, f"balances, {READS_AT_ONCE} in flight", ran)


def _figures(day: Day, phase: str, ran: Ran) -> None:
    day.found.figure(f"{day.named}: {phase}", ran.per_s, "/s")
    for percent in (50, 99):
        day.found.figure(f"{day.named}: {phase}, p{percent}", percentile(ran.ms, percent), "ms")


def _again(told: Iterator[Any]) -> Iterator[Any]:
    """All of it, and one in a hundred a second time, a while later."""
    rng, sent = random.Random("again"), list[Any]()
    for one in told:
        sent.append(one)
        yield one
        if rng.random() < AGAIN:
            yield rng.choice(sent)


def _asked(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None = None,
) -> dict[str, Any]:
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    read: dict[str, Any] = msgspec.json.decode(answer.read())
    assert answer.status in (200, 202), read
    return read
