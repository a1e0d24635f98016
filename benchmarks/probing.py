"""How long after a command its account's summary shows it: probes beside a load."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.wire import HEAD_END, LENGTH

VISIBLE_S_MAX = 30.0
_VERSION = re.compile(rb'"version":(\d+)')


class Probe(NamedTuple):
    """A command, and the summary that must come to show it."""

    post: bytes
    get: bytes


class Probing(NamedTuple):
    """Probes to be made in order, so many at once, each after a pause, for so long."""

    port: int
    probes: Sequence[Probe]
    at_once: int
    pause_s: float
    seconds: float


class Seen(NamedTuple):
    """Of the first probes, those that were made: milliseconds from sending the command, and from
    its answer, until a summary showed it."""

    since_sent_ms: list[float]
    since_answer_ms: list[float]
    asked: int
    """How many summaries were asked for."""


async def probe(asked: Probing) -> Seen:
    """Makes the probes; raises TimeoutError when one is not shown."""
    seen = Seen([], [], 0)
    left = iter(asked.probes)
    end = time.perf_counter() + asked.seconds
    polls = await asyncio.gather(*(_line(asked, left, end, seen, n) for n in range(asked.at_once)))
    return seen._replace(asked=sum(polls))


async def _line(asked: Probing, left: Iterator[Probe], end: float, seen: Seen, n: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    polls = 0
    await asyncio.sleep(asked.pause_s * n / asked.at_once)  # lines take turns
    try:
        while time.perf_counter() < end and (one := next(left, None)) is not None:
            sent = time.perf_counter()
            wanted = await _version(reader, writer, one.post, 201)
            answered = time.perf_counter()
            while await _version(reader, writer, one.get, 200) < wanted:
                polls += 1
                if time.perf_counter() - answered > VISIBLE_S_MAX:
                    raise TimeoutError(f"version {wanted} is not shown")
            shown = time.perf_counter()
            seen.since_sent_ms.append((shown - sent) * 1_000)
            seen.since_answer_ms.append((shown - answered) * 1_000)
            await asyncio.sleep(asked.pause_s)
    finally:
        writer.close()
    return polls


async def _version(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, status: int
) -> int:
    writer.write(request)
    head = await reader.readuntil(HEAD_END)
    assert int(head[9:12]) == status, head
    at = head.index(LENGTH) + len(LENGTH)
    body = await reader.readexactly(int(head[at : head.index(b"\r", at)]))
    found = _VERSION.findall(body)
    return int(found[-1])
