"""More commands at once than may be: some are turned away at once, the others are done, once."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from api.doors import COMMANDS_MAX
from api.embedded import EmbeddedServer
from api.wiring import Database
from tests.api.books import TOKENS, fill
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.serving import (
    WAIT_LIMIT_S,
    Answer,
    Service,
    environment_of,
    eventually,
    serving,
)

MORE = 24
CHARGES = "/v1/accounts/A-1/charges"


@contextmanager
def nothing_is_appended(server: EmbeddedServer, database: Database) -> Iterator[None]:
    """Every lane's head is locked meanwhile."""
    name = database.service_url.rsplit("/", 1)[1].partition("?")[0]
    with psycopg.connect(server.owner_url(name)) as owner:
        owner.execute("SELECT FROM ledger.lane_head FOR UPDATE")
        yield


def test_too_many_commands_are_turned_away(server: EmbeddedServer, tmp_path: Path) -> None:
    """Past the limit the answer is 503 overloaded with a Retry-After, at once; nothing is done then,
    and sent again it is. What was taken is answered as soon as it can be."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    fill(database)
    with serving(environment_of(regions_file(tmp_path, database)), tmp_path) as service:

        def charge(n: int) -> Answer:
            body = {"charge_id": f"o-{n}", "amount": "1.00", "description": "A", "category": "b"}
            return service.send("POST", CHARGES, TOKENS["us"], body, key=f"o-{n}")

        with (
            ThreadPoolExecutor(COMMANDS_MAX + MORE) as threads,
            nothing_is_appended(server, database),
        ):
            answers = [threads.submit(charge, n) for n in range(COMMANDS_MAX + MORE)]
            eventually(lambda: sum(answer.done() for answer in answers) >= MORE)
            early = [answer.result() for answer in answers if answer.done()]
            late = [answer for answer in answers if not answer.done()]
            check_what_else_is_answered(service)
        assert {(503, "overloaded")} == {(answer.status, answer.code) for answer in early}
        assert {"1"} == {answer.headers["retry-after"] for answer in early}
        assert {201} == {answer.result().status for answer in late}
        assert len(late) == COMMANDS_MAX
        again = [charge(n) for n, answer in enumerate(answers) if answer.result().status == 503]
        assert {201} == {answer.status for answer in again}
        assert {None} == {answer.headers.get("idempotency-replayed") for answer in again}


def check_what_else_is_answered(service: Service) -> None:
    """While too many commands are under way: a stranger's is unauthenticated, reads are answered, and
    a command is turned away with its body unread, on a connection that goes on, with its log line."""
    stranger = service.send("POST", CHARGES, "us.nobody", {}, key="k")
    assert (401, "unauthenticated") == (stranger.status, stranger.code)
    assert 200 == service.summary("A-1", TOKENS["us"]).status

    head = (
        f"POST {CHARGES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKENS['us']}\r\n"
        f"Content-Length: 10000\r\nCorrelation-Id: turned-away\r\n\r\n"
    )
    with closing(socket.create_connection(("127.0.0.1", service.port), WAIT_LIMIT_S)) as line:
        line.sendall(head.encode())
        answer = b""
        while not answer.endswith(b"}"):
            answer += line.recv(65_536)
        line.sendall(
            b"x" * 10_000 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        after = b""
        while more := line.recv(65_536):
            after += more
    told, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = told.decode().splitlines()
    assert "HTTP/1.1 503 Service Unavailable" == status
    named = dict(header.split(": ") for header in headers)
    expected = {
        "cache-control": "no-store",
        "content-length": str(len(body)),
        "content-type": "application/problem+json",
        "correlation-id": "turned-away",
        "retry-after": "1",
    }
    assert expected == {name: named.get(name) for name in expected}
    assert {"status": 503, "code": "overloaded", "correlation_id": "turned-away"}.items() <= (
        json.loads(body).items()
    )
    assert after.startswith(b"HTTP/1.1 200 ")

    def lines() -> list[dict[str, object]]:
        told = map(json.loads, service.errors.read_text().splitlines())
        return [line for line in told if line.get("correlation_id") == "turned-away"]

    eventually(lambda: bool(lines()))
    [line] = lines()
    assert {
        "level": "error",
        "method": "POST",
        "route": "/v1/accounts/{account_number}/charges",
        "status": 503,
        "problem": "overloaded",
    }.items() <= line.items()
