"""More commands than the service can take: what it takes stays quick, the rest is sent back."""

from collections import Counter
from typing import NamedTuple

from api.wiring import Database
from benchmarks.balances import stored, viewed
from benchmarks.bench import Bench
from benchmarks.client import Client, Ran, Round
from benchmarks.model import Model
from benchmarks.pairs import percentile
from benchmarks.results import Found
from benchmarks.served import Served, mib, processes, service, service_token, warmed
from benchmarks.told import charges, openings, post

ACCOUNTS = 1_000
CLIENTS = 64
"""At once, to find what the service can take."""
LINES = 512
"""Connections that a load comes by: more than there is room for commands."""
TIMES = 2.0
FINDING, OVERLOADING = 5.0, 60.0
"""Rounds' lengths that the capacity and half of it last, and the overload: a minute of it."""
PER_S_MAX = 20_000.0
P99_TIMES_MAX, MEMORY_TIMES_MAX = 3.0, 1.5
CATCH_UP_S_MAX = 600.0
TAKEN, SENT_BACK = 201, 503


class _Load(NamedTuple):
    """What a load found: the answers, and how long those took that were taken."""

    ran: Ran
    ms: list[float]

    @property
    def taken_per_s(self) -> float:
        return len(self.ms) / self.ran.took_s


class _Loading(NamedTuple):
    """Where loads go, and the model that is told what was acknowledged, and nothing else."""

    client: Client
    ours: Served
    token: str
    numbers: list[str]
    model: Model

    def load(self, name: str, per_s: float, seconds: float, *, at_once: int, paced: bool) -> _Load:
        told = list(charges(self.numbers, round(per_s * seconds), name))
        requests = [post(one, self.token) for one in told]
        asked = Round(self.ours.port, requests, at_once, seconds, per_s if paced else 0.0)
        ran = self.client.run(asked)
        taken = [n for n, status in enumerate(ran.statuses) if status == TAKEN]
        self.model.take([told[n] for n in taken])
        return _Load(ran, [ran.ms[n] for n in taken])


def overload(bench: Bench, found: Found) -> None:
    """One worker at half of what it can take, and then at twice of it."""
    numbers, model = bench.accounts(ACCOUNTS), Model()
    with bench.place.database() as database:
        bench.fill(database, model, openings(numbers))
        database.catch_up(CATCH_UP_S_MAX)
        token = service_token(database)
        with service(database) as ours, Client() as client:
            warmed(client, ours, "/v1/me", token)
            _measure(bench, _Loading(client, ours, token, numbers, model), found)
        _agree(database, model, found)


def _measure(bench: Bench, at: _Loading, found: Found) -> None:
    find_s, overload_s = FINDING * bench.seconds, OVERLOADING * bench.seconds
    most = at.load("most", PER_S_MAX, find_s, at_once=CLIENTS, paced=False)
    can = most.taken_per_s
    half = at.load("half", can / TIMES, find_s, at_once=LINES, paced=True)
    found.answered([*most.ran.statuses, *half.ran.statuses], TAKEN)
    before = {process: mib(process) for process in processes(at.ours)}
    over = at.load("over", can * TIMES, overload_s, at_once=LINES, paced=True)
    after = {process: mib(process) for process in processes(at.ours)}
    found.require(before.keys() == after.keys(), "a process of the service is not what it was")

    answers = Counter(over.ran.statuses)
    found.require(
        answers.keys() <= {TAKEN, SENT_BACK},
        f"answers under overload: {dict(answers)}",
    )
    untold = answers[SENT_BACK] - over.ran.waits_told
    found.require(not untold, f"{untold:,} were sent back and not told when to come again")
    p99, p99_half = percentile(over.ms, 99), percentile(half.ms, 99)
    found.figure("p99 against half load", p99 / p99_half, "x time", at_most=P99_TIMES_MAX)
    found.figure("p99 of what was taken", p99, "ms")
    found.figure("p99 at half load", p99_half, "ms")
    grown = sum(after.values()) / sum(before.values())
    found.figure("memory against half load", grown, "x", at_most=MEMORY_TIMES_MAX)
    found.figure("memory", sum(after.values()), "MiB")
    found.figure("can take", can, "commands/s")
    found.figure("sent", len(over.ran.statuses) / over.ran.took_s, "commands/s")
    found.figure("taken", over.taken_per_s, "commands/s")
    found.note(
        f"{over.ran.took_s:.0f} s: {answers[TAKEN]:,} taken, {answers[SENT_BACK]:,} sent back "
        "with Retry-After; one worker"
    )


def _agree(database: Database, model: Model, found: Found) -> None:
    database.catch_up(CATCH_UP_S_MAX)
    found.agree("write side", model.owed(), stored(database))
    found.agree("views", model.owed(), viewed(database))
