"""Every command sent again: after success, refusal and no answer, at once, altered, by others."""

import json
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from api.embedded import EmbeddedServer
from api.security.logins import NewLogin, Registrar
from api.security.scope import SCOPES
from api.wiring import Database
from ledger.month_end import key_of, period_of
from ledger.store.lanes import account_id
from tests.api.books import PASSWORD
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.serving import Answer, Service, environment_of, eventually, serving
from tests.api.steps import OPENING, STEPS, Step, charge, payment

TOKEN = "us." + "s" * 43
AT_ONCE = 6


@dataclass
class Place:
    """A service and its database."""

    service: Service
    database: Database

    def events(self, account: str) -> int:
        """How many events the account has."""
        with closing(self.database.log()) as log:
            return sum(1 for _ in log.account(account_id("us", account)))


@pytest.fixture(scope="module")
def at(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(TOKEN, "all", SCOPES)
        for role in ("finance", "auditor"):
            registrar.create(
                NewLogin(role=role, password=PASSWORD, client_id=role, must_change_password=False)
            )
    directory: Path = tmp_path_factory.mktemp("replays")
    with serving(environment_of(regions_file(directory, database)), directory) as running:
        yield Place(running, database)


def fresh() -> str:
    return f"R-{uuid.uuid4().hex[:8]}"


def same(first: Answer, again: Answer) -> bool:
    """Whether the second answer is the first one, but for saying that it is a replay."""
    own = {"date", "correlation-id", "idempotency-replayed"}
    return (first.status, first.body) == (again.status, again.body) and (
        {n: v for n, v in first.headers.items() if n not in own}
        == {n: v for n, v in again.headers.items() if n not in own}
    )


def test_after_success_and_refusal(at: Place) -> None:
    """A refused command records nothing and leaves its key free; done, it is answered the same
    again, with a header that says so."""
    account, events = fresh(), 0
    for n, step in enumerate(STEPS):
        key = f"k{n}"
        refused = step.as_refused().send(at.service, TOKEN, account, key)
        assert refused.status in (404, 409, 422), (step, refused)
        if events:
            assert events == at.events(account)
        first = step.send(at.service, TOKEN, account, key)
        again = step.send(at.service, TOKEN, account, key)
        assert step.status == first.status, (step, first)
        assert same(first, again), (step, first, again)
        replayed = [a.headers.get("idempotency-replayed") for a in (first, again)]
        assert [None, "true"] == replayed
        assert ("location" in first.headers) == (step.status == 201)
        events = first.json["version"]
    assert events == at.events(account)


def test_at_once(at: Place) -> None:
    """Of many that send a command at once one is told that it is the first, all get one answer."""
    account = fresh()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for n, step in enumerate(STEPS):

            def send(_: int, step: Step = step, key: str = f"k{n}") -> Answer:
                return step.send(at.service, TOKEN, account, key)

            answers = list(threads.map(send, range(AT_ONCE)))
            first = [a for a in answers if "idempotency-replayed" not in a.headers]
            assert 1 == len(first), (step, answers)
            assert all(same(first[0], answer) for answer in answers)
            assert step.status == first[0].status
    assert first[0].json["version"] == at.events(account)


def test_after_the_caller_left_without_an_answer(at: Place) -> None:
    """Who hangs up after sending finds the command done, or does it then; never twice."""
    account = fresh()
    for n, step in enumerate(STEPS):
        leave(at.service, step, account, f"k{n}")
        answer = step.send(at.service, TOKEN, account, f"k{n}")
        assert step.status == answer.status, (step, answer)
    assert answer.json["version"] == at.events(account)


def leave(service: Service, step: Step, account: str, key: str) -> None:
    body = json.dumps(step.body_for(account)).encode()
    head = (
        f"{step.method} {step.path.format(account=account)} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {TOKEN}\r\nIdempotency-Key: {key}\r\nIf-Match: *\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as line:
        line.sendall(head.encode() + body)


def test_with_another_body(at: Place) -> None:
    """A key that did one command refuses every other one of the account, and records nothing."""
    account = fresh()
    for n, step in enumerate(STEPS):
        assert step.status == step.send(at.service, TOKEN, account, f"k{n}").status
        events = at.events(account)
        other = charge("other", "1.23").send(at.service, TOKEN, account, f"k{n}")
        assert "idempotency_key_reused" == other.code, (step, other)
        if step.body and step is not OPENING:
            altered = {**step.body, "effective_on": "2020-02-02"}
            if "number" not in step.body:
                answer = step.with_body(altered).send(at.service, TOKEN, account, f"k{n}")
                assert "idempotency_key_reused" == answer.code, (step, answer)
        assert events == at.events(account)


def test_by_another_principal(at: Place) -> None:
    """Another who may do it gets the same answer; who may not is refused as for a new command."""
    account = fresh()
    for n, step in enumerate(STEPS[:6]):
        assert step.status == step.send(at.service, TOKEN, account, f"k{n}").status
    with Registrar("us", at.database.service_url) as registrar:
        for number in (account, "OTHER"):
            if number == "OTHER":
                OPENING.send(at.service, TOKEN, number, "open")
            registrar.create(
                NewLogin(
                    role="customer",
                    password=PASSWORD,
                    account_numbers=(number,),
                    must_change_password=False,
                )
            )
    paid = payment("own", "1.00")
    first = paid.send(at.service, TOKEN, account, "own")
    eventually(lambda: at.service.summary(account, TOKEN).json["pending_payments"] is not None)
    sessions = {
        name: at.service.token(name, PASSWORD) for name in (account, "OTHER", "finance", "auditor")
    }
    for name in ("finance", account):
        again = paid.send(at.service, sessions[name], account, "own")
        assert same(first, again), (name, again)
        assert "true" == again.headers["idempotency-replayed"]
    assert "forbidden" == paid.send(at.service, sessions["auditor"], account, "own").code
    assert "account_unknown" == paid.send(at.service, sessions["OTHER"], account, "own").code
    assert "unauthenticated" == paid.send(at.service, None, account, "own").code


def test_no_caller_uses_up_the_key_of_a_month_end(at: Place) -> None:
    """Else a customer could keep an account unbilled, by a payment under the key it is billed under."""
    account, key = fresh(), key_of(period_of("2020-07"))
    assert 201 == OPENING.send(at.service, TOKEN, account, "open").status
    answer = payment("own", "1.00").send(at.service, TOKEN, account, key)
    assert (400, "malformed_request") == (answer.status, answer.code)
    line = {"key": key, "account": account, "type": "submit_payment"}
    body = json.dumps({**line, "data": payment("own", "1.00").body}).encode()
    media_type = {"Content-Type": "application/x-ndjson"}
    lines = at.service.ask("/v1/commands", TOKEN, method="POST", headers=media_type, body=body)
    assert "invalid_key" == lines.json["problem"]["errors"][0]["code"]
    assert 1 == at.events(account)


def test_a_dry_run_records_nothing(at: Place) -> None:
    """Every command run dry tells the events and figures it would have, and leaves its key free."""
    account = fresh()
    for n, step in enumerate(STEPS):
        dry = replace(step, path=step.path + "?dry_run=true")
        would = dry.send(at.service, TOKEN, account, f"k{n}")
        assert 200 == would.status, (step, would)
        assert (None, None) == (would.json["position"], would.json["receipt"])
        done = step.send(at.service, TOKEN, account, f"k{n}")
        assert step.status == done.status
        assert would.json["figures"] == done.json["figures"]
        assert would.json["version"] == done.json["version"]
        assert [e["data"] for e in would.json["events"]] == [e["data"] for e in done.json["events"]]
    assert done.json["version"] == at.events(account)
