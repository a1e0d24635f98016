"""Connections within bounds: deadlines, sizes, and faults of HTTP itself, over real sockets."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import body
from api.edge import Edge
from api.serving import protocol
from api.streamed import Streamed
from tests.api.serving import WAIT_LIMIT_S, eventually

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
SOON_S = 0.3


class Wire:
    """A server in this process: its port, and how many requests reached the application."""

    def __init__(self, port: int, config: uvicorn.Config) -> None:
        self.port = port
        self.server = uvicorn.Server(config)
        self.asked = 0

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_LIMIT_S)

    def said(self, request: bytes) -> bytes:
        """Everything that comes back until the server closes the connection."""
        with closing(self.connected()) as line:
            line.sendall(request)
            return everything(line)

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """An application that reads a JSON body, or streams one back, with deadlines cut short."""
    monkeypatch.setattr(protocol, "HEAD_S", SOON_S)
    monkeypatch.setattr(protocol, "BODY_S", SOON_S * 2)
    monkeypatch.setattr(body, "BODY_S", SOON_S)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.asked += 1
        request = Request(scope, receive)
        if scope["path"] == "/stream":
            await Streamed(request.stream(), "text/plain", {})(scope, receive, send)
            return
        if scope["path"] == "/unread":
            await Response(b"no")(scope, receive, send)
            return
        if scope["path"] == "/slow":
            await asyncio.sleep(SOON_S * 3)
        given = {} if scope["method"] == "GET" else await body.read_object(request)
        await Response(msgspec.json.encode(given))(scope, receive, send)

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Edge(app),
        http=protocol.BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=1,
    )
    found = Wire(listening.getsockname()[1], config)
    thread = threading.Thread(target=found.server.run, kwargs={"sockets": [listening]})
    thread.start()
    eventually(lambda: found.server.started)
    yield found
    found.server.should_exit = True
    thread.join(WAIT_LIMIT_S)
    assert not thread.is_alive()


def everything(line: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := line.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass  # it was closed with bytes of ours unread
    return received


def read_until(line: socket.socket, is_there: Callable[[bytes], bool]) -> bytes:
    """What comes back until all of it is there."""
    received = b""
    while not is_there(received):
        more = line.recv(65_536)
        assert more, received
        received += more
    return received


def problem(answer: bytes) -> tuple[int, str]:
    """Status and code of a problem, whose form is checked on the way."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    found: dict[str, Any] = msgspec.json.decode(rest)
    assert headers["content-type"] == "application/problem+json"
    assert headers["correlation-id"] == found["correlation_id"]
    assert headers["content-length"] == str(len(rest))
    assert f"http/1.1 {found['status']} " in lines[0]
    return found["status"], found["code"]


def trickled(line: socket.socket, more: bytes) -> bytes:
    """What comes back while bytes are sent one at a time."""
    line.settimeout(0.02)
    for byte in more:
        try:
            line.sendall(bytes((byte,)))
            if answered := line.recv(65_536):
                line.settimeout(WAIT_LIMIT_S)
                return answered + everything(line)
            return b""
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return b""
    raise AssertionError("it took all of it")


def sent_until_cut(line: socket.socket, part: bytes) -> int:
    """How many bytes could be sent, part by part, before the connection was cut."""
    sent = 0
    while sent < 256 * 1024 * 1024:
        try:
            line.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            return sent
        sent += len(part)
    raise AssertionError("it took all of it")


def test_a_head_that_trickles_in_is_ended(wire: Wire) -> None:
    """A byte now and then does not keep a connection: 408 at the deadline, whatever comes."""
    with closing(wire.connected()) as line:
        started = time.monotonic()
        answer = trickled(line, GET + b"X: " + b"a" * 3_000)
        assert SOON_S * 0.9 <= time.monotonic() - started < SOON_S + 5
    assert problem(answer) == (408, "request_timeout")
    assert wire.asked == 0


def test_a_connection_that_says_nothing_is_closed(wire: Wire) -> None:
    """Neither silence nor blank lines hold a connection, before a first request or after one."""
    with closing(wire.connected()) as silent, closing(wire.connected()) as blank:
        assert everything(silent) == b""
        assert trickled(blank, b"\r\n" * 3_000) == b""
    with closing(wire.connected()) as after:
        after.sendall(GET + b"\r\n")
        assert after.recv(65_536).startswith(b"HTTP/1.1 200")
        assert trickled(after, b"\r\n" * 3_000) == b""
    eventually(lambda: wire.connections == 0)


def test_a_body_that_trickles_in_is_ended(wire: Wire) -> None:
    """The route answers 408 at its deadline and the connection is closed."""
    with closing(wire.connected()) as line:
        line.sendall(POST + b"Content-Length: 9000\r\n\r\n")
        answer = trickled(line, b" " * 9_000)
    assert problem(answer) == (408, "request_timeout")
    assert b"\r\nconnection: close\r\n" in answer.lower()


def test_a_body_that_nobody_reads_is_ended(wire: Wire) -> None:
    """A route that answers without reading leaves no connection to whoever goes on sending slowly."""
    with closing(wire.connected()) as line:
        line.sendall(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n")
        assert line.recv(65_536).startswith(b"HTTP/1.1 200")
        assert trickled(line, b" " * 9_000) == b""


def test_a_body_without_end_is_ended(wire: Wire) -> None:
    """After 413 no more than a megabyte is read of what still comes, chunked or announced."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for length, part in (
        (b"Transfer-Encoding: chunked\r\n\r\n", chunk),
        (b"Content-Length: 999999999\r\n\r\n", chunk),
    ):
        with closing(wire.connected()) as line:
            line.sendall(POST + length)
            assert 64 * 1024 < sent_until_cut(line, part) < 64 * 1024 * 1024


def test_a_body_just_over_the_limit_hears_why(wire: Wire) -> None:
    """A caller that sends all of a body before it reads gets the 413, not a broken connection."""
    for length, sent in (
        (b"Content-Length: 300000\r\n\r\n", b"x" * 300_000),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"493e0\r\n" + b"x" * 300_000 + b"\r\n0\r\n\r\n"),
    ):
        with closing(wire.connected()) as line:
            line.sendall(POST + length + sent)
            line.shutdown(socket.SHUT_WR)
            assert problem(everything(line)) == (413, "payload_too_large")


def test_no_body_is_asked_for_that_would_be_refused(wire: Wire) -> None:
    """Expect: 100-continue is answered by 413 at once for what is too large, else by 100."""
    expecting = POST + b"Connection: close\r\nExpect: 100-continue\r\n"
    answer = wire.said(expecting + b"Content-Length: 70000\r\n\r\n")
    assert problem(answer) == (413, "payload_too_large")
    with closing(wire.connected()) as line:
        line.sendall(expecting + b"Content-Length: 2\r\n\r\n")
        assert line.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"{}")
        assert everything(line).startswith(b"HTTP/1.1 200")


def test_a_route_that_answers_while_it_reads_keeps_time_itself(wire: Wire) -> None:
    """A stream of lines may pause for longer than a body may."""
    with closing(wire.connected()) as line:
        line.sendall(b"POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        line.sendall(b"3\r\none\r\n")
        received = read_until(line, lambda found: b"one" in found)
        time.sleep(SOON_S * 3)
        line.sendall(b"3\r\ntwo\r\n0\r\n\r\n")
        received += read_until(line, lambda found: found.endswith(b"0\r\n\r\n"))
        assert received.index(b"one") < received.index(b"two")


def test_a_large_body_buys_time_with_what_arrives(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline of a body that comes at a fair rate moves on; that of a trickle does not."""
    monkeypatch.setattr(protocol, "BODY_BYTES_PER_S", 100)
    monkeypatch.setattr(body, "BODY_S", WAIT_LIMIT_S)
    with closing(wire.connected()) as line:
        line.sendall(POST + b"Connection: close\r\nContent-Length: 202\r\n\r\n" + b" " * 200)
        time.sleep(SOON_S * 4)
        line.sendall(b"{}")
        assert everything(line).startswith(b"HTTP/1.1 200")
    with closing(wire.connected()) as line:
        line.sendall(POST + b"Content-Length: 202\r\n\r\n")
        assert everything(line) == b""


GARBAGE = (
    b"\x00\x01\x02\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    GET + b"no colon\r\n\r\n",
    GET + b"Content-Length: -1\r\n\r\n",
    POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    GET + b"X: " + b"\x00\r\n\r\n",
)


def test_what_is_not_http_is_a_problem_too(wire: Wire) -> None:
    """The server's own refusals have the form of all others, with a correlation id, and end it."""
    for garbage in GARBAGE:
        assert problem(wire.said(garbage)) == (400, "malformed_request"), garbage
    assert wire.asked == 0


def test_a_head_without_end_is_ended(wire: Wire) -> None:
    """A head that goes on past what is held in memory is refused while it comes."""
    with closing(wire.connected()) as line:
        line.sendall(GET)
        assert sent_until_cut(line, b"X: " + b"a" * 1_000 + b"\r\n") < 16 * 1024 * 1024
    assert wire.asked == 0


def test_garbage_after_a_request_is_no_answer_to_it(wire: Wire) -> None:
    """A request under way gets its own answer, whatever follows it; then the connection ends."""
    answer = wire.said(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + b"\x00garbage\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_length_too_short_hides_no_second_request(wire: Wire) -> None:
    """What a body has beyond its announced length is read as a request, and is none."""
    answer = wire.said(POST + b"Content-Length: 2\r\n\r\n{}{}\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"{}")
    assert wire.asked == 1


def test_an_upgrade_is_not_taken(wire: Wire) -> None:
    """Who asks for another protocol is answered in this one, body and all, and the connection ends."""
    asking = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    answer = wire.said(GET + asking + b"\r\nPRI * HTTP/2.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    for framed in (
        b'Content-Length: 7\r\n\r\n{"a":1}',
        b'Transfer-Encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\n\r\n',
    ):
        answer = wire.said(POST + asking + framed + GET + b"\r\n")
        assert (answer[:12], answer[-7:]) == (b"HTTP/1.1 200", b'{"a":1}')
    with closing(wire.connected()) as line:
        line.sendall(POST + asking + b'Content-Length: 7\r\n\r\n{"a"')
        time.sleep(0.1)
        line.sendall(b":1}")
        assert everything(line).endswith(b'{"a":1}')
    assert wire.asked == 4


def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    """Several requests at once, the last of them late: each has its answer."""
    slow = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    with closing(wire.connected()) as line:
        line.sendall(slow + POST + b'Content-Length: 7\r\n\r\n{"a":1}' + GET[:10])
        received = read_until(
            line, lambda found: found.count(b"HTTP/1.1 200") == 2 and found.endswith(b"}")
        )
        line.sendall(GET[10:] + b"Connection: close\r\n\r\n")
        received += everything(line)
    assert received.count(b"HTTP/1.1 200") == 3
