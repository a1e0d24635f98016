"""The service as its users meet it: real processes, asked over real sockets."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

COMMAND = (str(Path(sys.executable).with_name("billing-ledger")),)
WAIT_LIMIT_S = 60.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem, whose form is checked on the way."""
        assert self.headers["content-type"] == "application/problem+json", self
        body: dict[str, Any] = self.json
        assert body["type"] == f"urn:billing-ledger:problem:{body['code']}"
        assert body["status"] == self.status
        assert body["title"]
        assert body["correlation_id"] == self.headers["correlation-id"]
        code: str = body["code"]
        return code


@dataclass
class Service:
    """A running `serve`."""

    port: int
    process: "subprocess.Popen[str]"
    errors: Path

    def ask(
        self,
        path: str,
        token: str | None = None,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """The answer to one request on a connection of its own."""
        given = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_LIMIT_S)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=given)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    def post(self, path: str, body: object, source: str = "127.0.0.1") -> Answer:
        """The answer to JSON sent as if by a proxy for `source`."""
        headers = {"Content-Type": "application/json", "X-Forwarded-For": source}
        return self.ask(path, method="POST", headers=headers, body=json.dumps(body).encode())

    def send(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: object = None,
        *,
        key: str | None = None,
    ) -> Answer:
        """The answer to a request with a JSON body, if any, and an Idempotency-Key, if any."""
        headers = {"Idempotency-Key": key} if key else {}
        if body is None:
            return self.ask(path, token, method=method, headers=headers)
        headers["Content-Type"] = "application/json"
        return self.ask(path, token, method=method, headers=headers, body=json.dumps(body).encode())

    def sign_in(
        self,
        identifier: str,
        password: str,
        *,
        region: str = "us",
        source: str = "127.0.0.1",
        code: str | None = None,
    ) -> Answer:
        given = {"region": region, "identifier": identifier, "password": password}
        return self.post("/v1/sign-in", {**given, "code": code} if code else given, source)

    def token(self, identifier: str, password: str, *, region: str = "us") -> str:
        answer = self.sign_in(identifier, password, region=region)
        assert answer.status == 200, answer
        token: str = answer.json["token"]
        return token

    def summary(self, account: str, token: str | None, query: str = "", **headers: str) -> Answer:
        """The answer to a summary; headers with underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/v1/accounts/{quote(account, safe='')}/summary{query}"
        return self.ask(path, token, headers=named)

    def raw(self, request: bytes, *, then_gone: bool = False) -> bytes:
        """What comes back for bytes that need not be HTTP, from a caller who then may be gone."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_LIMIT_S) as line:
            line.sendall(request)
            if then_gone:
                line.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := line.recv(65_536):
                received += chunk
            return received


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str = field(repr=True)

    @property
    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(environment: Mapping[str, str], *arguments: str | Path, given: str = "") -> Ran:
    """What `billing-ledger` with these arguments did."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        env=dict(environment),
        input=given,
        capture_output=True,
        text=True,
        timeout=WAIT_LIMIT_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def serving(environment: Mapping[str, str], directory: Path, *arguments: str) -> Iterator[Service]:
    """`serve` with these arguments is ready, and ended afterwards."""
    port = free_port()
    errors = directory / f"serve-{port}.log"
    with errors.open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", *arguments],
            cwd=ROOT,
            env={**environment, "PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving "), errors.read_text()
        yield Service(port, process, errors)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT_LIMIT_S)


def environment_of(regions: Path, **more: str) -> dict[str, str]:
    """What commands run with: the regions file, and nothing of the caller's settings.

    Services of tests run side by side: none is scraped unless a test gives it a port of its own.
    Tests say who is calling as a proxy does.
    """
    ours = ("BILLING_LEDGER_", "DATABASE_", "PORT", "PG", "FORWARDED_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    ours_now = {
        "BILLING_LEDGER_REGIONS": str(regions),
        "BILLING_LEDGER_METRICS_PORT": "0",
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
    }
    return {**kept, **ours_now, **more}


def eventually(claim: Callable[[], bool]) -> None:
    """Returns once the claim holds; fails when it does not within the limit."""
    deadline = time.monotonic() + WAIT_LIMIT_S
    while not claim():
        assert time.monotonic() < deadline, "not within the limit"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def toml(regions: Sequence[Mapping[str, object]]) -> str:
    """A regions file."""
    return "\n".join(
        "[[region]]\n" + "\n".join(f"{name} = {_inline(value)}" for name, value in one.items())
        for one in regions
    )


def _inline(value: object) -> str:
    """A value as TOML writes it on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{name} = {_inline(one)}" for name, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case date():
            return value.isoformat()
        case _:
            return json.dumps(value)
