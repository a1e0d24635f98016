"""How soon a write is in its account's summary, while the service is written to all the time."""

from benchmarks.balances import stored, viewed
from benchmarks.bench import Bench
from benchmarks.client import Client, Round
from benchmarks.model import Model
from benchmarks.pairs import percentile
from benchmarks.probing import Probe, Probing
from benchmarks.results import Found
from benchmarks.served import service, service_token, warmed
from benchmarks.told import accounts, charges, get, openings, post

ACCOUNTS = 1_000
LOAD_PER_S = 950.0
AT_ONCE = 64
PROBES_AT_ONCE = 8
PROBE_PAUSE_S = 0.1
"""Probes add about fifty commands a second to the load."""
ROUNDS = 8
P99_MS = 60.0
CATCH_UP_S_MAX = 120.0


def visible(bench: Bench, found: Found) -> None:
    """A load of single commands at a fixed rate; beside it probes write, and read until they see."""
    seconds = bench.seconds * ROUNDS
    numbers, probed = bench.accounts(ACCOUNTS), accounts(PROBES_AT_ONCE * 4, "V")
    model = Model()
    with bench.place.database() as database:
        bench.fill(database, model, openings([*numbers, *probed]))
        database.catch_up(CATCH_UP_S_MAX)
        token = service_token(database)
        load = list(charges(numbers, round(LOAD_PER_S * seconds), "load"))
        probes = list(charges(probed, round(PROBES_AT_ONCE * seconds / PROBE_PAUSE_S), "probe"))
        asked = Probing(
            0,
            [
                Probe(post(p, token), get(f"/v1/accounts/{p.account}/summary", token))
                for p in probes
            ],
            PROBES_AT_ONCE,
            PROBE_PAUSE_S,
            seconds,
        )
        requests = [post(one, token) for one in load]
        with service(database) as ours, Client() as client, Client() as probing:
            warmed(client, ours, "/v1/me", token)
            client.start(Round(ours.port, requests, AT_ONCE, seconds, per_s=LOAD_PER_S))
            seen = probing.probe(asked._replace(port=ours.port))
            ran = client.ran()
        made = len(seen.since_sent_ms)
        assert made, "no probe was made"
        found.answered(ran.statuses, 201)
        model.take(load[: len(ran.statuses)])
        model.take(probes[:made])
        database.catch_up(CATCH_UP_S_MAX)
        found.figure("p99 from sending", percentile(seen.since_sent_ms, 99), "ms", at_most=P99_MS)
        found.figure("p50 from sending", percentile(seen.since_sent_ms, 50), "ms")
        found.figure("p99 from the answer", percentile(seen.since_answer_ms, 99), "ms")
        found.figure("p50 from the answer", percentile(seen.since_answer_ms, 50), "ms")
        found.figure("load", ran.per_s + made / seconds, "commands/s")
        found.note(f"{made:,} probes, {seen.asked:,} summaries that did not show theirs yet")
        found.agree("write side", model.owed(), stored(database))
        found.agree("views", model.owed(), viewed(database))
