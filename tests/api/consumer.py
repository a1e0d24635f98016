"""A consumer of the event feed, by the page or by the stream, that notes what it took and goes on from there.

Run as `python -m tests.api.consumer pages|stream PORT TOKEN JOURNAL`. Each line of the journal is
what was taken at once, with the id to go on from: killed anywhere, what it had not noted it takes
again. Standard library alone, so that it starts quickly.
"""

import http.client
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

PAGE = 40
AGAIN_S = 0.05
TIMEOUT_S = 30.0
LISTENING_S_MAX = 90.0


class Taken(NamedTuple):
    """Events, and the id of the place after them."""

    id: str
    events: list[dict[str, Any]]


class Listener:
    """An open stream of events."""

    def __init__(
        self, port: int, token: str, after: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        given = {"Authorization": f"Bearer {token}", **(headers or {})}
        if after is not None:
            given["Last-Event-ID"] = after
        self.connection.request("GET", "/v1/events/stream", headers=given)
        self.response = self.connection.getresponse()

    def close(self) -> None:
        self.connection.close()

    def messages(self, limit_s: float = LISTENING_S_MAX) -> Iterator[dict[str, str]]:
        """The fields of each message up to the end of the stream; a comment is one of name ''."""
        fields: dict[str, str] = {}
        deadline = time.monotonic() + limit_s
        while line := self.response.readline():
            assert time.monotonic() < deadline, "not within the limit"
            text = line.decode().removesuffix("\n")
            if not text:
                yield fields
                fields = {}
            name, _, value = text.partition(":")
            if text:
                assert name not in fields, "an event of one data line has each field once"
                fields[name] = value.removeprefix(" ")
        assert not fields, "the stream ended within an event"

    def taken(self, limit_s: float = LISTENING_S_MAX) -> Iterator[Taken]:
        """Every event up to the end of the stream."""
        for message in self.messages(limit_s):
            if "data" in message:
                event = json.loads(message["data"])
                assert message["event"] == event["type"]
                yield Taken(message["id"], [event])


def pages(port: int, token: str, after: str | None) -> Iterator[Taken]:
    """Every page with events, from now on without end; raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    with closing(connection):
        while True:
            query = urlencode({"limit": PAGE, **({"after": after} if after else {})})
            headers = {"Authorization": f"Bearer {token}"}
            connection.request("GET", f"/v1/events?{query}", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise OSError(f"{answer.status} {body.decode()}")
            page = json.loads(body)
            after = page["next_cursor"]
            if page["data"]:
                yield Taken(page["next_cursor"], page["data"])
            else:
                time.sleep(AGAIN_S)


def stream(port: int, token: str, after: str | None) -> Iterator[Taken]:
    """Every event of a stream until it ends; raises OSError."""
    with closing(Listener(port, token, after)) as listening:
        if listening.response.status != 200:
            raise OSError(f"{listening.response.status} {listening.response.read().decode()}")
        yield from listening.taken(math.inf)  # until it is killed


def read_journal(path: Path) -> list[Taken]:
    """What was noted; a line cut off by a kill is none."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [Taken(*json.loads(line)) for line in lines]


def main(kind: str, port: int, token: str, journal: Path) -> None:
    """Consumes until it is killed."""
    noted = read_journal(journal)
    after = noted[-1].id if noted else None
    out = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.ftruncate(out, journal.read_bytes().rfind(b"\n") + 1)  # what a kill cut off
    while True:
        try:
            for taken in (pages if kind == "pages" else stream)(port, token, after):
                os.write(out, json.dumps(taken).encode() + b"\n")
                after = taken.id
        except (OSError, http.client.HTTPException) as fault:
            print(f"{kind}: {fault!r}", file=sys.stderr, flush=True)
        time.sleep(AGAIN_S)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
