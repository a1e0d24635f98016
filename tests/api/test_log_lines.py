"""Log lines: one a request, with its correlation id, and nothing in any of them that is a secret."""

import json
import logging
import os
import uuid
from typing import Any

import pytest
from eventsourcing.persistence import IntegrityError

from api import logs
from api.wiring import Database
from ledger.store.connection import OneConnection
from tests.api.books import PASSWORD, TOKENS
from tests.api.serving import Answer, Service, eventually

US = TOKENS["us"]


def sent(service: Service, path: str, body: object) -> Answer:
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    return service.ask(path, US, method="POST", headers=headers, body=json.dumps(body).encode())


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


SECRETS = (
    *("hunter2-wrong", "hunter2-new", "hunter2-field", "hunter2-region", "hunter2-identifier"),
    *("hunter2-broken", "hunter2-query", "hunter2-path", "hunter2-cookie", "hunter2-garbage"),
    *("hunter2-basic", "hunter2-code", "hunter2-reset"),
)


def test_no_secret_is_logged(service: Service, us: Database) -> None:
    """Passwords and tokens, wherever they are put, and customers' names and amounts stay out."""
    token = service.token("A-1", PASSWORD)
    wrong, new, field, region, identifier, broken, query, path, cookie, garbage, basic, *rest = (
        SECRETS
    )
    source = "203.0.113.78"
    sign_in = {"region": "us", "identifier": "A-1", "password": wrong, "code": rest[0]}
    tries: list[object] = [
        sign_in,
        {**sign_in, field: 1},
        {**sign_in, "region": region},
        {**sign_in, "identifier": identifier},
        {**sign_in, "password": [wrong]},
    ]
    for given in tries:
        assert service.post("/v1/sign-in", given, source).status in (401, 422)
    json_type = {"Content-Type": "application/json"}
    bad = f'{{"region":"us","password":"{broken}'.encode()
    assert service.ask("/v1/sign-in", method="POST", headers=json_type, body=bad).status == 400
    for where, given in (
        ("/v1/me/password", {"current_password": PASSWORD + "x", "new_password": new}),
        (f"/v1/password-resets/{rest[1]}", {"password": new}),
    ):
        service.ask(where, token, method="POST", headers=json_type, body=json.dumps(given).encode())
    for authorization in (f"Basic {basic}", f"Bearer {US}x", f"Bearer {token}\xff", token):
        headers = {"Authorization": authorization, "Cookie": f"session={cookie}"}
        assert service.ask("/v1/accounts/A-1/summary", headers=headers).status == 401
    assert service.ask(f"/v1/accounts/{path}/{token}?token={query}&t={US}", US).status == 404
    assert service.summary(token, US).status == 404
    service.raw(f"GET /{garbage} HTTP/9\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    account = f"SECRET-{uuid.uuid4().hex[:8]}"
    opening = {
        "account_number": account,
        "company": "Quincunx Traders",
        "country": "USA",
        "terms": {"kind": "net", "days": 30},
        "opened_on": "2020-01-01",
    }
    assert sent(service, "/v1/accounts", opening).status == 201
    message = {"message_id": "m", "text": "write to billing@quincunx.example"}
    assert sent(service, f"/v1/accounts/{account}/messages", message).status == 201
    charges = f"/v1/accounts/{account}/charges"
    assert sent(service, charges, charge("c", "7654.32")).status == 201
    assert sent(service, charges, charge("c", "7654.33")).status == 409
    assert sent(service, charges, charge("d", "7654.3x")).status == 422
    database = us.service_url.partition("://")[2].partition("@")[0].partition(":")[2]
    said = service.errors.read_text() + unread(service)
    assert said.count('"event":"request"') > 20
    assert "sign_in_failed" in said
    for secret in (
        *(PASSWORD, token, US, database, *SECRETS, token.partition(".")[2], US.partition(".")[2]),
        *("Quincunx", "quincunx", "7654", account),
    ):
        assert secret
        assert secret not in said, secret


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
    assert "765432" not in line
    told = json.loads(line)["traceback"]
    assert 'violates check constraint "customer_paid_minor_check"' in told
    assert "test_log_lines.py" in told
    assert "CheckViolation" in told
