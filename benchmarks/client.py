"""The load client: a process of its own that sends prepared requests and times every answer.

It is the same for the service and for a baseline, and does as little as it can beside them: it
shares the machine's cores with what it measures.
"""

import asyncio
import gc
import multiprocessing
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple, Self

from uvicorn.loops.auto import auto_loop_factory

from benchmarks.probing import Probing, Seen, probe
from benchmarks.wire import HEAD_END, LENGTH, RETRY_AFTER

ANSWER_S_MAX = 60.0

_spawning = multiprocessing.get_context("spawn")


class Round(NamedTuple):
    """Requests to be sent in order, so many at once, for so long or until there are no more."""

    port: int
    requests: Sequence[bytes]
    at_once: int
    seconds: float
    per_s: float = 0.0
    """With a rate, a request is sent when its time has come, not when an answer is there; what it
    takes is counted from then, also when no line was free."""
    keep: bool = False
    """The bodies of the answers are wanted."""


class Ran(NamedTuple):
    """What became of the first requests of a round, those that were sent, in order."""

    took_s: float
    statuses: list[int]
    ms: list[float]
    bodies: list[bytes]
    waits_told: int
    """Answers that said when to come back."""

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.statuses) / self.took_s


class Client:
    """A running load client; also a context manager."""

    def __init__(self) -> None:
        self._line, theirs = _spawning.Pipe()
        self._process = _spawning.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, asked: Round) -> Ran:
        """The round's answers; raises RuntimeError when one does not come."""
        self.start(asked)
        return self.ran()

    def start(self, asked: Round) -> None:
        """The round is under way."""
        self._line.send(asked)

    def ran(self) -> Ran:
        """The answers of the round that was started."""
        ran = self._answer()
        assert isinstance(ran, Ran)
        return ran

    def probe(self, asked: Probing) -> Seen:
        """What the probes saw."""
        self._line.send(asked)
        seen = self._answer()
        assert isinstance(seen, Seen)
        return seen

    def _answer(self) -> object:
        answer: object = self._line.recv()
        if isinstance(answer, str):
            raise RuntimeError(f"the load client: {answer}")
        return answer

    def close(self) -> None:
        """The process has ended."""
        self._line.close()
        self._process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serve(line: Connection) -> None:
    while True:
        try:
            asked: Round | Probing = line.recv()
        except EOFError:
            return
        answer = _answer(asked)
        try:
            line.send(answer)
        except BrokenPipeError:  # whoever asked is gone
            return


def _answer(asked: Round | Probing) -> Ran | Seen | str:
    """What came of it, or why nothing did."""
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            if isinstance(asked, Probing):
                return runner.run(probe(asked))
            return runner.run(_Running(asked).run())
    except (OSError, TimeoutError, EOFError, AssertionError) as fault:
        return f"{type(fault).__name__}: {fault}"
    finally:
        gc.enable()


class _Running:
    """A round under way."""

    def __init__(self, asked: Round) -> None:
        self.asked = asked
        self.statuses: list[int] = []
        self.ms: list[float] = []
        self.bodies: list[bytes] = []
        self.waits_told = 0
        self._next = 0
        self._under_way = 0
        self._idle: deque[_Line] = deque()
        self._done = asyncio.Event()
        self._started = self._end = 0.0

    async def run(self) -> Ran:
        loop = asyncio.get_running_loop()
        lines = []
        for _ in range(self.asked.at_once):
            made = await loop.create_connection(lambda: _Line(self), "127.0.0.1", self.asked.port)
            lines.append(made[1])
        self._started = time.perf_counter()
        self._end = self._started + self.asked.seconds
        if self.asked.per_s:
            self._idle.extend(lines)
            loop.call_soon(self._pace, loop)
        else:
            for line in lines:
                self.go_on(line)
        await asyncio.wait_for(self._done.wait(), self.asked.seconds + ANSWER_S_MAX)
        took_s = time.perf_counter() - self._started
        for line in lines:
            line.close()
        return Ran(took_s, self.statuses, self.ms, self.bodies, self.waits_told)

    def go_on(self, line: "_Line") -> None:
        """The line sends what is next, or rests."""
        if self.asked.per_s:
            self._idle.append(line)
        elif not self._is_over():
            self._send(line)
        if not self._under_way and self._is_over():
            self._done.set()

    def answered(self, line: "_Line", head: bytes, body: bytes) -> None:
        """An answer is there in full."""
        self.statuses[line.number] = int(head[9:12])
        self.waits_told += RETRY_AFTER in head
        self.ms[line.number] = (time.perf_counter() - line.sent_at) * 1_000
        if self.asked.keep:
            self.bodies[line.number] = body
        self._under_way -= 1
        self.go_on(line)

    def _is_over(self) -> bool:
        return self._next == len(self.asked.requests) or time.perf_counter() >= self._end

    def _send(self, line: "_Line") -> None:
        line.send(self._next, self.asked.requests[self._next])
        if self.asked.per_s:
            line.sent_at = self._started + self._next / self.asked.per_s
        self._next += 1
        self._under_way += 1
        self.statuses.append(0)
        self.ms.append(0.0)
        if self.asked.keep:
            self.bodies.append(b"")

    def _pace(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sends what is due; while no line is free it waits, and is late."""
        due = (time.perf_counter() - self._started) * self.asked.per_s
        while self._idle and self._next <= due and not self._is_over():
            self._send(self._idle.popleft())  # in turn: none rests until it is closed
        if not self._is_over():
            loop.call_later(0.5 / self.asked.per_s, self._pace, loop)
        elif not self._under_way:
            self._done.set()


class _Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, running: _Running) -> None:
        self.number = 0
        self.sent_at = 0.0
        self._running = running
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment] # uvloop's is no subclass

    def send(self, number: int, request: bytes) -> None:
        """The request is on its way."""
        assert self._transport is not None
        self.number = number
        self.sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head = received.find(HEAD_END)
        if head >= 0:
            at = received.find(LENGTH, 0, head)
            length = 0
            if at >= 0:
                at += len(LENGTH)
                end = received.find(b"\r", at)
                length = int(received[at:end])
            if len(received) >= head + len(HEAD_END) + length:
                self._received = b""
                body = received[head + len(HEAD_END) :]
                self._running.answered(self, received[: head + len(HEAD_END)], body)
                return
        self._received = received

    def close(self) -> None:
        """The connection is gone."""
        assert self._transport is not None
        self._transport.close()
