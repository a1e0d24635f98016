"""HTTP/1.1 on a connection, within bounds: uvicorn's protocol, which has neither deadlines nor sizes.

Written over httptools_impl of uvicorn 0.54; tests/api/test_wire.py tells when that has moved.
"""

import asyncio
import secrets
from functools import partial
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from api import logs, metrics
from api.problems import CODES, MEDIA_TYPE, Problem, body_of
from api.quick import WHOLE, Reply, Take
from api.serving.corked import Corked

HEAD_S = 10.0
"""For a request's head, from its first byte, or from when the connection was made."""
BODY_S = 40.0
"""For a body, from the end of its head; more than api/body.py gives, so that the answer is a 408."""
BODY_BYTES_PER_S = 4_096
"""What arrives beyond this rate buys a large body more time."""
HEAD_BYTES_MAX = 64 * 1024
"""Of a head that has not ended; what one that has may hold is api/limits.py's."""
UNREAD_BYTES_MAX = 1024 * 1024
"""Of a body that goes on after its answer: enough that a caller who sends all of it hears a 413."""


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections that send too slowly or too much; faults of HTTP itself become problems."""

    _deadline: asyncio.TimerHandle | None = None
    _has_asked = False
    _in_head = False
    _in_body = False
    _cork: Corked
    _is_over = False
    """Nothing more is read: what came was not HTTP."""
    _head_bytes = 0
    _body_bytes = 0
    _body_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        self._cork = Corked(transport, self.loop)
        super().connection_made(self._cork)  # type: ignore[arg-type] # as one
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._cork.lost()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        self._cork.uncork()  # the event loop ends the connection now

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._unset_keepalive_if_required()
        has_begun = self._in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(Problem("malformed_request", "this is not HTTP/1.1"))
        else:
            self._bound(len(data) if has_begun else 0)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unset_keepalive_if_required()  # what came before in the same piece may be answered
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._forget()
        self._has_asked, self._in_head, self._in_body = True, False, True
        self._body_bytes, self._body_since = 0, self.loop.time()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and self._framing():
            return  # the parser says so before the body, which _ignore_upgrade goes on to read
        super().on_message_complete()
        self._forget()
        self._in_body = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Answers what the application gives a reply to without a task; else as uvicorn does."""
        take: Take | None = getattr(self.config.app, "take", None)  # an Edge; a baseline has none
        if take is None or self.flow.write_paused:
            super()._start_asgi_task(cycle, app)
            return

        give = partial(self._give, cycle, app)
        if not take(cycle.scope, give, self.tasks):  # which the server cancels at its end
            give(None)

    def _give(
        self, cycle: RequestResponseCycle, app: ASGI3Application, reply: Reply | None
    ) -> None:
        if reply is not None:
            self._answer(cycle, reply)
            return
        scope: Any = cycle.scope
        scope[WHOLE] = partial(self._answer, cycle)
        super()._start_asgi_task(cycle, app)

    def _answer(self, cycle: RequestResponseCycle, reply: Reply) -> None:
        """Sends all of an answer at once; its headers are ours, so there is nothing to check."""
        assert not cycle.response_started
        if cycle.disconnected:
            return
        lines = [b"%b: %b\r\n" % header for header in (*cycle.default_headers, *reply.headers)]
        if not cycle.keep_alive:  # the caller wants it so, or the service ends
            lines.append(b"connection: close\r\n")
        body = b"" if cycle.scope["method"] == "HEAD" else reply.body
        self._cork.send(b"".join((STATUS_LINE[reply.status], *lines, b"\r\n", body)))
        cycle.waiting_for_100_continue = False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        if self.pipeline:  # which goes on apart: what is next may be answered at once, and so on
            self.loop.call_soon(cycle.on_response)
        else:
            cycle.on_response()

    def _bound(self, more_of_head: int) -> None:
        """Sees that what has begun ends in time, and is not too large."""
        if self._in_body:
            if self.cycle.response_complete and self._body_bytes > UNREAD_BYTES_MAX:
                self.transport.close()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(BODY_S, self._body_is_late)
            return
        if self._in_head:
            self._head_bytes += more_of_head
            if self._head_bytes > HEAD_BYTES_MAX:
                says = f"a request's head may have {HEAD_BYTES_MAX} bytes"
                self._refuse(Problem("headers_too_large", says))
                return
        if self._deadline is None and not self._is_answering():
            self._expect_head()

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_S, self._head_is_late)

    def _head_is_late(self) -> None:
        self._deadline = None
        if self._is_answering():
            self._expect_head()  # nothing is read meanwhile, so nothing can come
        elif self._in_head:
            says = f"a request's head must arrive within {HEAD_S:.0f} s"
            self._refuse(Problem("request_timeout", says))
        else:
            self.transport.close()

    def _body_is_late(self) -> None:
        self._deadline = None
        late_s = self.loop.time() - self._body_since - self._body_bytes / BODY_BYTES_PER_S
        streams = self.cycle.response_started and not self.cycle.response_complete
        # A route that answers while it reads keeps time itself; nor is it the caller's fault when
        # a large body waits for the route to read it.
        if streams or self.flow.read_paused:
            self._deadline = self.loop.call_later(BODY_S, self._body_is_late)
        elif late_s < BODY_S - 0.001:
            self._deadline = self.loop.call_later(BODY_S - late_s, self._body_is_late)
        else:
            self.transport.close()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Answers as if no other protocol had been asked for (RFC 9110, 7.8), and then ends.

        Java's client asks for HTTP/2 beside every body; the parser takes it that there is none.
        """
        self.cycle.keep_alive = False
        framing = self._framing()
        if not framing:
            self._is_over = True
            return
        self.parser = httptools.HttpRequestParser(_BodyAlone(self))
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n")
        self.data_received(rest)

    def _framing(self) -> bytes:
        """The headers that say where the body of the request ends; none when it has none."""
        framing = (b"content-length", b"transfer-encoding")
        return b"".join(
            b"%b: %b\r\n" % (name, value)
            for name, value in self.headers
            if name in framing and value != b"0"
        )

    def _is_answering(self) -> bool:
        return self._has_asked and not self.cycle.response_complete

    def _end_after_answer(self) -> None:
        self._is_over = True
        self._forget()
        if self._is_answering():
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answers what no application can: it never becomes a request."""
        if self._is_answering():
            self._end_after_answer()  # or it would seem to be the answer to what came before
            return
        self._is_over = True
        self._forget()
        if not self.transport.is_closing():
            correlation_id = secrets.token_hex(8)
            self.transport.write(_refusal(problem, correlation_id))
            self.transport.close()
            metrics.request("none", metrics.NO_ROUTE, problem.status, 0.0)
            logs.request(
                method="none",
                route=metrics.NO_ROUTE,
                status=problem.status,
                ms=0.0,
                correlation_id=correlation_id,
                problem=problem.code,
            )

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _refusal(problem: Problem, correlation_id: str) -> bytes:
    body = body_of(problem, correlation_id)
    head: dict[str, Any] = {
        "content-type": MEDIA_TYPE,
        "content-length": len(body),
        "cache-control": "no-store",
        "correlation-id": correlation_id,
        "connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    status, _ = CODES[problem.code]
    return STATUS_LINE[status] + lines.encode() + b"\r\n" + body


class _BodyAlone:
    """What a parser calls that reads the rest of a request, and nothing after it."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self._protocol = protocol
        self._is_complete = False

    def on_body(self, body: bytes) -> None:
        if not self._is_complete:
            self._protocol.on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_complete:
            self._is_complete = True
            self._protocol.on_message_complete()
