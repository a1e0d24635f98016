"""Log lines: one a request, with its correlation id, and nothing in any of them that is a secret."""

import asyncio
import json
import logging
import os
import select
import sys
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from eventsourcing.persistence import IntegrityError

from api import logs
from api.wiring import Database
from ledger.store.connection import OneConnection
from tests.api.books import PASSWORD, TOKENS
from tests.api.serving import Answer, Service, eventually

US = TOKENS["us"]


def sent(service: Service, path: str, body: object, token: str = US) -> Answer:
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    return service.ask(path, token, method="POST", headers=headers, body=json.dumps(body).encode())


def charge(id: str, amount: str) -> dict[str, object]:
    return {"charge_id": id, "amount": amount, "description": "Calls", "category": "voice"}


def test_a_request_is_one_line(service: Service) -> None:
    """Correlation id, method, template of the path, status, milliseconds and problem; no more."""
    id = f"caller-{uuid.uuid4().hex[:8]}"
    named = {"Correlation_Id": id}
    assert service.summary("A-1", US, **named).headers["correlation-id"] == id
    assert service.summary("NOBODY", US, **named).headers["correlation-id"] == id

    def told() -> list[dict[str, Any]]:
        lines = map(json.loads, service.errors.read_text().splitlines())
        return [line for line in lines if line.get("correlation_id") == id]

    eventually(lambda: len(told()) >= 2)
    lines = told()
    assert all(isinstance(line.pop("ms"), float) and line.pop("at") for line in lines)
    expected = {
        "level": "info",
        "event": "request",
        "method": "GET",
        "route": "/v1/accounts/{account_number}/summary",
        "correlation_id": id,
    }
    assert lines == [
        {**expected, "status": 200},
        {**expected, "status": 404, "problem": "account_unknown"},
    ]


def test_lines_are_written_whole(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However many requests a turn of the event loop answers, each write is of whole lines and small
    enough that a pipe takes it in one go: another process's lines come between, never within."""
    written: list[str] = []
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=written.append))
    caplog.set_level(logging.INFO, logs.LOGGER)

    async def answer(requests: int) -> None:
        for n in range(requests):
            logs.request(
                method="GET",
                route="/v1/accounts/{account_number}/summary",
                status=200,
                ms=1.0,
                correlation_id=f"{n:064}",
                problem=None,
            )
        await asyncio.sleep(0)

    asyncio.run(answer(100))
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith("\n") for piece in written)
    told = [json.loads(line)["correlation_id"] for line in "".join(written).splitlines()]
    assert [f"{n:064}" for n in range(100)] == told
    assert len(written) < 10


TYPED = tuple(f"hunter2-typed-{n}" for n in range(9))
MISPLACED = tuple(f"hunter2-misplaced-{n}" for n in range(7))
WRONG, NAME, REGION, IDENTIFIER, CODE, BROKEN, CURRENT, NEW, MADE = TYPED
ASKED, RESETTING, BASIC, COOKIE, PATH, QUERY, GARBAGE = MISPLACED
MAIL = "billing@quincunx.example"
SOURCE = "203.0.113.78"


def test_no_secret_is_logged(service: Service, us: Database) -> None:
    """Passwords and tokens, wherever they are put, and customers' names and amounts stay out."""
    sign_in(service)
    tokens = [US, service.token("A-1", PASSWORD), *keep_logins(service)]
    misplace(service, tokens[1])
    account = do_business(service)
    database = us.service_url.partition("://")[2].partition("@")[0].partition(":")[2]
    last = f"last-{uuid.uuid4().hex}"
    service.ask("/healthz", headers={"Correlation-Id": last})
    eventually(lambda: last in service.errors.read_text())
    said = service.errors.read_text() + unread(service)
    assert said.count('"event":"request"') > 30
    for event in ("sign_in_failed", "signed_in", "password_changed", "password_reset_asked"):
        assert event in said
    for secret in (
        *(
            PASSWORD,
            database,
            *TYPED,
            *MISPLACED,
            *tokens,
            *(token.partition(".")[2] for token in tokens),
        ),
        *("Quincunx", "quincunx", "7654321098", account),
    ):
        assert secret
        assert secret not in said, secret


def sign_in(service: Service) -> None:
    """Signs in wrongly, in every field."""
    right = {"region": "us", "identifier": "A-1", "password": WRONG, "code": CODE}
    for given in (
        right,
        {**right, NAME: 1},
        {**right, "region": REGION},
        {**right, "identifier": IDENTIFIER},
        {**right, "password": [WRONG]},
    ):
        assert service.post("/v1/sign-in", given, SOURCE).status in (401, 422)
    broken = f'{{"region":"us","password":"{BROKEN}'.encode()
    headers = {"Content-Type": "application/json"}
    answer = service.ask("/v1/sign-in", method="POST", headers=headers, body=broken)
    assert answer.status == 400


def keep_logins(service: Service) -> list[str]:
    """Makes a login with an address, changes its password, asks for a link; the tokens of it all."""
    admin = service.token("admin", PASSWORD)
    name = f"logged-{uuid.uuid4().hex[:8]}"
    made = sent(
        service,
        "/v1/logins",
        {"role": "support", "client_id": name, "email": MAIL, "password": MADE},
        admin,
    )
    assert made.status == 201
    token = service.token(name, MADE)
    for current, status in ((CURRENT, 403), (MADE, 200)):
        change = {"current_password": current, "new_password": NEW}
        assert sent(service, "/v1/me/password", change, token).status == status
    issued = sent(service, "/v1/tokens", {"name": name, "scopes": ["accounts:read"]}, admin)
    assert issued.status == 201
    for region, identifier in (("us", name), ("us", ASKED), (ASKED, ASKED)):
        asked = service.post(
            "/v1/password-resets", {"region": region, "identifier": identifier}, SOURCE
        )
        assert asked.status == 202
    link = f"us.{uuid.uuid4().hex + uuid.uuid4().hex[:11]}"
    for spent in (link, RESETTING):
        path = f"/v1/password-resets/{spent}"
        assert service.post(path, {"new_password": NEW}, SOURCE).status in (404, 409, 410, 422)
    return [admin, token, link, issued.json["token"]]


def misplace(service: Service, token: str) -> None:
    """Sends secrets where none belong: in odd headers, paths, queries, and what is no HTTP."""
    for authorization in (f"Basic {BASIC}", f"Bearer {US}x", f"Bearer {token}\xff", token):
        headers = {"Authorization": authorization, "Cookie": f"session={COOKIE}"}
        assert service.ask("/v1/accounts/A-1/summary", headers=headers).status == 401
    assert service.ask(f"/v1/accounts/{PATH}/{token}?token={QUERY}&t={US}", US).status == 404
    assert service.summary(token, US).status == 404
    service.raw(f"GET /{GARBAGE} HTTP/9\r\nAuthorization: Bearer {token}\r\n\r\n".encode())


def do_business(service: Service) -> str:
    """Opens an account, writes to it, charges it and is refused; its number."""
    account = f"SECRET-{uuid.uuid4().hex[:8]}"
    opening = {
        "account_number": account,
        "company": "Quincunx Traders",
        "country": "USA",
        "terms": {"kind": "net", "days": 30},
        "opened_on": "2020-01-01",
    }
    assert sent(service, "/v1/accounts", opening).status == 201
    message = {"message_id": "m", "text": f"write to {MAIL}"}
    assert sent(service, f"/v1/accounts/{account}/messages", message).status == 201
    charges = f"/v1/accounts/{account}/charges"
    assert sent(service, charges, charge("c", "7654321098.32")).status == 201
    assert sent(service, charges, charge("c", "7654321098.33")).status == 409
    assert sent(service, charges, charge("d", "7654321098.3x")).status == 422
    return account


def unread(service: Service) -> str:
    """What is on standard output that nobody has read."""
    assert service.process.stdout is not None
    number = service.process.stdout.fileno()
    os.set_blocking(number, False)
    try:
        return os.read(number, 1_000_000).decode()
    except BlockingIOError:
        return ""
    finally:
        os.set_blocking(number, True)


def test_a_fault_of_the_database_is_logged_without_its_rows(us: Database) -> None:
    """PostgreSQL shows the whole row that breaks a rule: the log has the rule and the place alone."""
    assert us.owner_url is not None
    row = ("Quincunx Traders", -765_432)
    store = OneConnection(us.owner_url)
    with store.get_connection() as connection:
        connection.execute(
            b"CREATE TEMPORARY TABLE customer (company text, paid_minor bigint CHECK (paid_minor > 0))"
        )
    with pytest.raises(IntegrityError) as raised, store.get_connection() as connection:
        connection.execute(b"INSERT INTO customer VALUES (%s, %s)", row)
    store.close()
    assert "Quincunx" in str(raised.value.__cause__)
    logged = logging.LogRecord(
        "x", logging.ERROR, "", 0, "internal_error", (), (raised.type, raised.value, raised.tb)
    )
    line = logs.JsonFormatter().format(logged)
    assert "Quincunx" not in line
    assert "765432109832" not in line
    told = json.loads(line)["traceback"]
    assert 'violates check constraint "customer_paid_minor_check"' in told
    assert "test_log_lines.py" in told
    assert "CheckViolation" in told
