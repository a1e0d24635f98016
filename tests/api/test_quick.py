"""Answers without a task of their own: in order, logged and counted like any other, or given up."""

import asyncio
import gc
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api import logs
from api.app import Shortcut
from api.database import TooSlow
from api.edge import Edge
from api.problems import Problem
from api.quick import Quick, Reply
from api.routes.summary import SummaryEndpoint, summary_route
from api.serving.protocol import BoundedProtocol
from api.turning_away import Away, TurningAway
from tests.api.books import TOKENS
from tests.api.conftest import REGIONS
from tests.api.serving import WAIT_LIMIT_S, eventually

GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n"
TEMPLATE = "/{name}"
SUMMARY = (
    b"GET /v1/accounts/A-1/summary HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    b"Authorization: Bearer %b\r\n\r\n" % TOKENS["us"].encode()
)


def reply(body: bytes) -> Reply:
    return Reply(200, [(b"content-length", b"%d" % len(body))], body)


class Quickly:
    """Answers `/quick...` with the path, a turn later; fails at others in the way they name."""

    def ask(self, scope: Scope) -> Quick | None:
        name = scope["path"][1:]
        if name.startswith("slow"):
            return None
        answer = asyncio.get_running_loop().create_future()
        answer.get_loop().call_soon(answer.set_result, name)

        def replied() -> Reply | None:
            if name == "broken":
                raise ZeroDivisionError
            return None if name == "unsaid" else reply(name.encode())

        return Quick(TEMPLATE, answer, replied)


@pytest.fixture
def port() -> Iterator[int]:
    """A server in this process whose ordinary answers are `slow` and the path."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["template"] = TEMPLATE
        await asyncio.sleep(0.01)
        await reply(b"slowly:" + scope["raw_path"][1:])(scope, receive, send)

    with running(Edge(app, Quickly())) as found:
        yield found


@contextmanager
def running(
    app: Edge, lifespan: Literal["on", "off"] = "off", keep_alive_s: int = 5
) -> Iterator[int]:
    """A server in this process, which has little patience at its end: its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan=lifespan,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=keep_alive_s,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    eventually(lambda: server.started)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(WAIT_LIMIT_S)
    assert not thread.is_alive()


def bodies(port: int, *requests: bytes) -> list[bytes]:
    """What comes back until the server closes, a body an answer."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=WAIT_LIMIT_S)) as line:
        line.sendall(b"".join(requests))
        received = b""
        while more := line.recv(65_536):
            received += more
    return re.findall(
        rb"correlation-id: [0-9a-f]{16}\r\n(?:[\w -]+: .*\r\n)*\r\n([a-z0-9:-]*)", received
    )


def test_answers_come_in_the_order_of_the_requests(port: int) -> None:
    """Requests sent at once on one connection, quick and not, and the last one ends it."""
    names = [b"quick-1", b"slow-2", b"quick-3", b"quick-4", b"slow-5"]
    requests = [*(GET % name for name in names), LAST % b"quick-6"]
    assert [
        b"quick-1", b"slowly:slow-2", b"quick-3", b"quick-4", b"slowly:slow-5", b"quick-6",
    ] == bodies(port, *requests)  # fmt: skip  # a list of names


@pytest.mark.parametrize("name", [b"unsaid", b"broken"])
def test_what_cannot_be_answered_quickly_goes_the_way_of_every_other(
    port: int, name: bytes
) -> None:
    """Whether it has no quick reply or one that fails: the application answers it, and the next."""
    assert [b"slowly:" + name, b"quick"] == bodies(port, GET % name, LAST % b"quick")


def test_a_quick_answer_has_the_headers_of_any_other(port: int) -> None:
    """Also those that the server gives: an answer is dated (RFC 9110, 6.6.1)."""
    named = []
    for name in (b"quick", b"unsaid", b"slow"):
        with closing(socket.create_connection(("127.0.0.1", port), timeout=WAIT_LIMIT_S)) as line:
            line.sendall(LAST % name)
            head = line.recv(65_536).partition(b"\r\n\r\n")[0]
        named.append({field.partition(b":")[0] for field in head.split(b"\r\n")[1:]})
    whole = {b"date", b"content-length", b"correlation-id", b"connection"}
    assert [whole] * 3 == named


def test_a_head_that_is_refused_is_refused(port: int) -> None:
    """A route that could answer quickly is not even asked: two tokens can be read two ways."""
    twice = b"GET /quick HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n"
    with closing(socket.create_connection(("127.0.0.1", port), timeout=WAIT_LIMIT_S)) as line:
        line.sendall(twice + b"Connection: close\r\n\r\n")
        assert line.recv(65_536).startswith(b"HTTP/1.1 400 ")


def test_a_quick_answer_is_logged_once(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same fields as any other, also where it was given up and made in the ordinary way."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "request", lambda **fields: told.append(fields))
    bodies(port, GET % b"quick", GET % b"unsaid", LAST % b"slow")
    eventually(lambda: len(told) == 3)
    for fields in told:
        assert fields.pop("ms") >= 0
        assert re.fullmatch("[0-9a-f]{16}", fields.pop("correlation_id"))
    assert [{"method": "GET", "route": TEMPLATE, "status": 200, "problem": None}] * 3 == told


def test_nothing_is_sent_to_who_has_gone(port: int) -> None:
    """A caller resets its connection before it is answered: the next caller is served."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=WAIT_LIMIT_S)) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        line.sendall(GET % b"quick")
    assert [b"quick"] == bodies(port, LAST % b"quick")


class Asked:
    """A region whose database answers all alike after a moment, None for never, and how often it was
    asked."""

    region = REGIONS[0]
    TAKES_S = 0.05

    def __init__(self, answer: object) -> None:
        self.answer, self.times = answer, 0

    def read(self, _: object) -> "asyncio.Future[Any]":
        self.times += 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        tell = future.set_exception if isinstance(self.answer, Exception) else future.set_result
        if self.answer is not None:
            loop.call_later(self.TAKES_S, tell, self.answer)
        return future


class BusyDoor:
    """A region that takes no more commands."""

    is_busy = True

    def refuse_if_busy(self) -> None:
        raise Problem("overloaded", "later")


def summaries(reader: Asked) -> Edge:
    """The application of that region's summaries, which takes a few turns to close; busy as it is."""
    endpoint = SummaryEndpoint({"us": cast(Any, reader)})

    async def rest(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan", scope
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for _ in range(20):
            await asyncio.sleep(0)
        await send({"type": "lifespan.shutdown.complete"})

    shortcut = Shortcut([summary_route(endpoint)], rest)
    return Edge(shortcut, endpoint, TurningAway(shortcut.route_of, cast(Any, {"us": BusyDoor()})))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (TooSlow(), (503, "overloaded")),
        (SimpleNamespace(verdict="unauthenticated"), (401, "unauthenticated")),
        (SimpleNamespace(verdict="password_due"), (403, "password_change_required")),
    ],
)
def test_a_summary_that_is_not_given_is_asked_for_once(
    answer: object, told: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is too slow is not made slower: its refusal is told as it is, with the time it
    took."""
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "request", lambda **fields: lines.append(fields))
    reader = Asked(answer)
    with (
        running(summaries(reader)) as port,
        closing(socket.create_connection(("127.0.0.1", port), timeout=WAIT_LIMIT_S)) as line,
    ):
        line.sendall(SUMMARY)
        status = int(line.recv(65_536)[9:12])
        eventually(lambda: bool(lines))
    assert (told, 1) == ((status, lines[0]["problem"]), reader.times)
    assert lines[0]["ms"] >= 1000 * reader.TAKES_S


def test_who_waits_for_a_summary_when_the_service_ends_is_told_to_try_again() -> None:
    """The database does not answer, and the server waits no longer: 503, as for any other request."""
    reader = Asked(None)
    with closing(socket.socket()) as line:
        line.settimeout(WAIT_LIMIT_S)
        with running(summaries(reader), "on") as port:
            line.connect(("127.0.0.1", port))
            line.sendall(SUMMARY)
            eventually(lambda: reader.times == 1)
        told = line.recv(65_536)
    assert told.startswith(b"HTTP/1.1 503 "), told
    assert b'"code":"database_unavailable"' in told


@pytest.mark.parametrize("name", [b"quick", b"unsaid", b"slow"])
def test_a_request_leaves_nothing_to_the_collector(port: int, name: bytes) -> None:
    """What it was made of is freed once it is answered: else thousands of them are looked through at
    once, and whoever asks meanwhile waits a tenth of a second."""
    bodies(port, LAST % name)
    gc.collect()
    gc.disable()
    try:
        bodies(port, *[GET % name] * 200, LAST % name)
        assert gc.collect() < 200  # some of the connection's, and of what reads it here
    finally:
        gc.enable()


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_what_only_reads_is_not_turned_away(method: bytes) -> None:
    """Too many commands are under way, and a summary is none of them."""
    with running(summaries(Asked(SimpleNamespace(verdict="unauthenticated")))) as port:
        assert [b"401"] == statuses(port, SUMMARY.replace(b"GET", method))


class Busy:
    """Turns commands away."""

    def away(self, scope: Scope) -> Away | None:
        is_command = scope["method"] == "POST"
        return Away(TEMPLATE, Problem("overloaded", "later")) if is_command else None


def statuses(port: int, *requests: bytes) -> list[bytes]:
    """What comes back until the server closes, the status of each."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=WAIT_LIMIT_S)) as line:
        line.sendall(b"".join(requests))
        received = b""
        while more := line.recv(65_536):
            received += more
    return re.findall(rb"HTTP/1.1 (\d+) ", received)


def test_any_number_is_turned_away_on_one_connection() -> None:
    """Commands that are sent at once, behind a request under way, are told to come back one after
    another, however many there are."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(b"slowly")(scope, receive, send)

    with running(Edge(app, None, cast(TurningAway, Busy()))) as port:
        told = statuses(port, GET % b"x", *[POST] * 1_000, LAST % b"x")
    assert [b"200", *[b"503"] * 1_000, b"200"] == told


def test_who_is_turned_away_is_kept_for_what_comes_with_it() -> None:
    """A request in the same piece takes longer than a connection without one is kept."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1.3)
        await reply(b"slowly")(scope, receive, send)

    with running(Edge(app, None, cast(TurningAway, Busy())), keep_alive_s=1) as port:
        assert [b"503", b"200"] == statuses(port, POST, LAST % b"x")
