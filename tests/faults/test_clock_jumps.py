"""Clocks that go forward and back: the database's, which stamps events, and the edge's, which says what day it is."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from api.app import create_app
from api.doors import RegionDoor
from api.embedded import EmbeddedServer
from api.security.logins import Registrar
from api.security.scope import SCOPES
from api.wiring import Doors
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted
from tests.api.books import TOKENS
from tests.api.conftest import REGIONS, fresh_database
from tests.api.steps import STEPS, Step
from tests.faults import results
from tests.faults.judge import Judge
from tests.store.databases import Database
from tests.store.scenario import charge, opening, requests

JUMPS = ("1 hour", "-2 hours", "3 days", "-3 days", "-1 second", "5 seconds", "-40 days", "0")
ACCOUNTS = 24
ACCOUNTS_OF_DAYS = 10
DAYS = 5
"""How far the region's day jumps, to and fro."""
_CLOCK = """
CREATE SCHEMA faults;
CREATE TABLE faults.clock (ahead interval NOT NULL);
INSERT INTO faults.clock VALUES ('0');
CREATE FUNCTION faults.now() RETURNS timestamptz LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'SELECT pg_catalog.clock_timestamp() + c.ahead FROM faults.clock AS c';
GRANT USAGE ON SCHEMA faults TO PUBLIC;
"""


def test_the_databases_clock(database: Database, ledger: Ledger, tmp_path: Path) -> None:
    """However it jumps, a lane's instants never go back, events are in order, and what was read at
    a position stays so."""
    database.run(_CLOCK)
    database.plant("append", "clock_timestamp()", "faults.now()")
    numbers = [f"T-{n}" for n in range(ACCOUNTS)]
    for number in numbers:
        ledger.handle_now(requests(number, [opening()]))
    before = {number: database.recorded(number) for number in numbers}
    for n, jump in enumerate(JUMPS):
        database.run(f"UPDATE faults.clock SET ahead = '{jump}'")
        for number in numbers:
            request = requests(number, [opening(), *(charge(f"c{m}") for m in range(n + 1))])[-1]
            (outcome,) = ledger.handle_now([request])
            assert isinstance(outcome, Accepted), outcome
    back = database.rows(
        "SELECT count(*) FROM ledger.event AS e JOIN ledger.event AS f"
        " ON f.lane = e.lane AND f.position = e.position + 1 WHERE f.recorded_at < e.recorded_at"
    )
    assert [0] == back
    assert [0] == database.rows(
        "SELECT count(*) FROM ledger.lane_head AS h JOIN ledger.event AS e"
        " ON e.lane = h.lane AND e.recorded_at > h.recorded_at"
    )
    for number, recorded in before.items():
        assert recorded == database.recorded(number)[: len(recorded)]
    judge = Judge(database.service_url, numbers)
    judge.views()
    results.tell("clock-of-database", 0, {"jumps": len(JUMPS), **judge.verdict.counts()}, tmp_path)
    assert not judge.verdict.wrong, judge.verdict.says
    assert {len(JUMPS) + 1} == {len(recorded) for recorded in judge.recorded.values()}


def test_the_regions_day(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every command on another day than the one before it, earlier or later: done, or refused for a
    reason; sent again on yet another day it is answered the same; figures are those of the events."""
    seed = results.seed()
    dice, today = random.Random(seed), datetime.now(UTC).date()
    monkeypatch.setattr(
        RegionDoor, "today", lambda door: today + timedelta(days=dice.randint(-DAYS, DAYS))
    )
    own = fresh_database(server, REGIONS[0])
    own.migrate()
    with Registrar("us", own.service_url) as registrar:
        registrar.issue_token(TOKENS["us"], "all", SCOPES)
    done = refused = 0
    numbers = [f"D-{n}" for n in range(ACCOUNTS_OF_DAYS)]
    with TestClient(create_app(Doors((own,)))) as client:
        for number in numbers:
            for n, step in enumerate(STEPS[:-1]):  # not closed
                first, again = (_ask(client, step, number, f"k{n}") for _ in range(2))
                if first.status_code in (200, 201):
                    done += 1
                    assert (first.status_code, first.content) == (again.status_code, again.content)
                else:
                    refused += 1
                    assert first.status_code in (404, 409, 422), (step, first.text)
    judge = Judge(own.service_url, numbers)
    judge.views()
    counts = {"done": done, "refused": refused, **judge.verdict.counts()}
    results.tell("clock-of-region", seed, counts, tmp_path)
    assert not judge.verdict.wrong, judge.verdict.says
    assert done > 5 * ACCOUNTS_OF_DAYS
    assert refused > 0


def _ask(client: TestClient, step: Step, account: str, key: str) -> Response:
    headers = {
        "Authorization": f"Bearer {TOKENS['us']}",
        "Idempotency-Key": key,
        "Content-Type": "application/json",
        **({"If-Match": "*"} if step.method == "PATCH" else {}),
    }
    path, body = step.path.format(account=account), json.dumps(step.body_for(account))
    answer: Response = client.request(step.method, path, headers=headers, content=body)
    return answer
