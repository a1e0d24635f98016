"""Hostile values in every parameter and field of every operation: refused well, or taken as they are."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from api.app import create_app
from api.embedded import EmbeddedServer
from api.examples import examples
from api.openapi import document
from api.operations import JSON, NDJSON, Operation
from api.problem_codes import codes_of
from api.problems import CODES, MEDIA_TYPE
from api.security.scope import PUBLIC
from api.wiring import Database, Doors
from tests.api import hostile
from tests.api.aiming import Target, fields_of, volleys
from tests.api.asking import operations_of
from tests.api.books import TOKENS
from tests.api.conftest import REGIONS, fresh_database
from tests.api.fuzzing import ACCOUNTS, PASSWORD, SERVICE_TOKEN, fill
from tests.api.in_process import Got, InProcess, Sent, in_process
from tests.api.serving import Service

NAMES = sorted(set(examples()) - {"sign_out"})
"""All operations but one, which has nothing to aim at and would end the session that aims."""
SHARE = 2
"""In each place go every other value, in turn: the same readers are behind many of them. The soak
puts all of them everywhere."""
NO_ROUTE = {"not_found", "method_not_allowed"}
"""What a path may be answered with that leads to no operation."""


@dataclass
class Place:
    """An application over a region that may be harmed, and that region's database."""

    door: InProcess
    runner: asyncio.Runner
    watching: "psycopg.Connection[Any]"
    operations: dict[str, Operation]
    described: dict[str, Any]
    admin: str

    def ask_all(self, requests: Sequence[Sent]) -> list[Got]:
        return self.runner.run(self.door.ask_all(requests))

    def recorded(self) -> tuple[int, int, int]:
        """How many events there are, by the heads of the lanes, and how many logins and tokens."""
        row = self.watching.execute(
            "SELECT (SELECT sum(position) FROM ledger.lane_head),"
            " (SELECT count(*) FROM access.login), (SELECT count(*) FROM access.token)"
        ).fetchone()
        assert row is not None
        return int(row[0]), row[1], row[2]

    def target(self, name: str) -> Target:
        operation = self.operations[name]
        token = None
        if operation.permission is not PUBLIC:
            token = SERVICE_TOKEN if operation.permission.scope else self.admin
        described = self.described["paths"][operation.path][operation.method.lower()]
        fields = []
        if operation.body is not None:
            schema = described["requestBody"]["content"][operation.body_type]["schema"]
            schema = schema["items"] if operation.body_type == NDJSON else schema
            fields = fields_of(schema, self.described["components"]["schemas"])
        return Target(operation, examples()[name], ACCOUNTS[0], token, fields)


@pytest.fixture(scope="module")
def at(server: EmbeddedServer) -> Iterator[Place]:
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    fill(database)
    operations = operations_of({"us": database})
    assert database.owner_url is not None
    with (
        asyncio.Runner() as runner,
        closing(psycopg.connect(database.owner_url, autocommit=True)) as watching,
    ):
        open_doors = AsyncExitStack()
        door = runner.run(opened(open_doors, database))
        admin = runner.run(signed_in(door))
        by_name = {one.name: one for one in operations}
        yield Place(door, runner, watching, by_name, document(operations), admin)
        runner.run(open_doors.aclose())


async def opened(stack: AsyncExitStack, database: Database) -> InProcess:
    return await stack.enter_async_context(in_process(create_app(Doors((database,)))))


async def signed_in(door: InProcess) -> str:
    body = {"region": "us", "identifier": "admin", "password": PASSWORD}
    headers = [(b"content-type", JSON.encode())]
    got = await door.ask(Sent("POST", b"/v1/sign-in", b"", headers, json.dumps(body).encode()))
    token: str = json.loads(got.body)["token"]
    return token


def fault_of(operation: Operation, got: Got, codes: dict[int, set[str]]) -> str | None:
    """What is wrong with an answer: a 5xx, no problem, or one that is not documented."""
    if got.status >= 500:
        return f"{got.status} {got.body[:300]!r}"
    if got.status < 400:
        return None if got.status in operation.replies else f"{got.status}"
    if got.headers[b"content-type"] != MEDIA_TYPE.encode():
        return f"{got.status} as {got.headers[b'content-type']!r}"
    problem = json.loads(got.body)
    is_known = problem["code"] in codes.get(got.status, ()) or problem["code"] in NO_ROUTE
    is_whole = problem["status"] == got.status == CODES[problem["code"]][0]
    return None if is_known and is_whole else f"{got.status} {problem['code']}"


def made_by(operation: Operation, got: Got) -> tuple[int, int, int]:
    """How many events, logins and tokens an answer says there are more."""
    if got.status >= 400 or got.headers.get(b"idempotency-replayed"):
        return 0, 0, 0
    if operation.name == "bulk_commands":
        lines = [json.loads(line) for line in got.body.splitlines()]
        return sum(line["status"] == "ok" for line in lines), 0, 0
    if operation.method == "GET" or not got.body:
        return 0, 0, 0
    events = [one for one in json.loads(got.body).get("events", ()) if one["position"]]
    return len(events), operation.name == "make_login", operation.name == "issue_token"


def attack(at: Place, name: str, share: int) -> int:
    """How many requests were made; each volley is judged, and what it recorded is compared."""
    target = at.target(name)
    operation = target.operation
    codes = {status: set(known) for status, known in codes_of(operation).items()}
    asked = 0
    for volley in volleys(target, share, turn=NAMES.index(name)):
        before = at.recorded()
        found = at.ask_all(volley)
        asked += len(found)
        answers = list(zip(volley, found, strict=True))
        assert [] == [
            (sent.what, fault)
            for sent, got in answers
            if (fault := fault_of(operation, got, codes)) is not None
        ]
        made = [made_by(operation, got) for got in found]
        grown = tuple(sum(column) for column in zip(before, *made, strict=True))
        assert grown == at.recorded(), (name, volley[0].what)
    return asked


def test_the_corpus_is_large() -> None:
    """Hundreds of values, no two the same."""
    assert len(hostile.TEXTS) >= 200
    for values in (hostile.TEXTS, hostile.ENCODED, hostile.LITERALS, hostile.BODIES):
        assert len(set(values)) == len(values)


@pytest.mark.parametrize("name", NAMES)
def test_no_hostile_value_does_harm(at: Place, name: str) -> None:
    """In every part of the path, parameter, header and field: no 5xx, every error a documented
    problem, and nothing recorded but by what was accepted."""
    target = at.target(name)
    asked = attack(at, name, SHARE)
    aims = bool(target.operation.parameters or target.fields or "{" in target.operation.path)
    assert asked >= 100 * aims


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_no_hostile_value_does_harm_anywhere(at: Place, name: str) -> None:
    """The same, with every value in every place."""
    attack(at, name, share=1)


def test_no_bytes_in_a_head_do_harm(service: Service) -> None:
    """What only a connection can carry, lines and controls in headers: refused, or harmless."""
    for value in hostile.headers():
        head = b"GET /v1/accounts/A-1/summary HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        head += b"Authorization: Bearer " + TOKENS["us"].encode() + b"\r\n"
        answer = service.raw(head + b"Correlation-Id: " + value + b"\r\n\r\n")
        assert answer[9:10] in (b"2", b"4"), (value[:60], answer)
        assert b"set-cookie" not in answer.lower()
