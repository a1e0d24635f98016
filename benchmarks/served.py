"""The service as it is run, and the baseline beside it: processes of their own on loopback."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import psutil

from api.security.logins import NewLogin, Registrar
from api.security.scope import SCOPES
from api.security.tokens import new_token
from api.wiring import Database
from benchmarks.client import Client, Round
from benchmarks.told import get

STOP_S_MAX = 30.0
LOG_SHOWN = 2_000
_SERVE = "import sys; from api.cli import main; sys.exit(main())"
PASSWORD = "correct horse battery staple"


class Served(NamedTuple):
    """A program that answers on a port of this machine, and its process."""

    port: int
    pid: int


class CannotServe(Exception):
    """A program to be measured did not start."""


@contextmanager
def service(database: Database, workers: int = 1) -> Iterator[Served]:
    """`billing-ledger serve` on the database, with its follower, ready."""
    port = free_port()
    ours = ("BILLING_LEDGER_", "DATABASE_", "PORT", "PG")
    environment = {n: v for n, v in os.environ.items() if not n.startswith(ours)}
    environment |= {
        "DATABASE_URL": database.service_url,
        "BILLING_LEDGER_REGION": database.region.code,
        "PORT": str(port),
        "BILLING_LEDGER_METRICS_PORT": str(free_port()),
        "BILLING_LEDGER_RECONCILE_EVERY": "0",  # it would begin in the midst of a row
    }
    arguments = ["-c", _SERVE, "serve", "--workers", str(workers)]
    with _running(arguments, environment) as pid:
        yield Served(port, pid)


def processes(served: Served) -> list[psutil.Process]:
    """Of a running service: the supervisor, its workers in order, the follower."""
    parent = psutil.Process(served.pid)
    children = [child for child in parent.children() if "spawn_main" in " ".join(child.cmdline())]
    return [parent, *sorted(children, key=psutil.Process.create_time)]


def mib(process: psutil.Process) -> float:
    """Proportional set size: what is shared counts once over all that share it."""
    memory = process.memory_full_info()
    size: int = getattr(memory, "pss", memory.rss)
    return size / 2**20


@contextmanager
def baseline() -> Iterator[Served]:
    """The baseline's program, ready."""
    port = free_port()
    with _running(["-m", "benchmarks.baseline", str(port)], os.environ) as pid:
        yield Served(port, pid)


def service_token(database: Database) -> str:
    """A token that may do everything a service can."""
    token = new_token(database.region.code)
    with Registrar(database.region.code, database.service_url) as registrar:
        registrar.issue_token(token, "bench", SCOPES)
    return token


def customers(database: Database, numbers: list[str]) -> None:
    """Whoever owns each of the accounts can sign in with its number."""
    with Registrar(database.region.code, database.service_url) as registrar:
        for number in numbers:
            registrar.create(
                NewLogin(
                    role="customer",
                    password=PASSWORD,
                    account_numbers=(number,),
                    must_change_password=False,
                )
            )


def warmed(client: Client, served: Served, path: str, token: str) -> None:
    """The program has answered a few requests: nothing is loaded while it is measured."""
    ran = client.run(Round(served.port, [get(path, token)] * 200, 8, 10.0))
    assert set(ran.statuses) == {200}, ran.statuses[0]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(arguments: list[str], environment: Mapping[str, str]) -> Iterator[int]:
    """The program, writing its log to a file as it does where it is run for good."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            if not process.stdout.readline().startswith("serving"):
                log.seek(0)
                raise CannotServe(f"{arguments[1]} did not start: {log.read()[-LOG_SHOWN:]}")
            yield process.pid
        finally:
            _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
