"""What is under test: a server of its own, two services over one database, and consumers of the feed."""

import http.client
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg

from api.embedded import start
from api.security.logins import Registrar
from api.security.scope import SCOPES
from api.wiring import Database
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.serving import COMMAND, ROOT, environment_of, free_port
from tests.conftest import server_directory
from tests.faults.load import opening
from tests.faults.proxying import AilingProxy

TOKEN = "us." + "f" * 43
LIMIT_S = 60.0
POLL_S = 0.02


def until(claim: Callable[[], bool], what: str, within_s: float = LIMIT_S) -> None:
    """Returns once the claim holds; fails when it does not within the limit."""
    deadline = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline, f"{what}: not within {within_s:.0f} s"
        time.sleep(POLL_S)


class Served:
    """A `serve` on a port of its own, to be killed and started again."""

    def __init__(self, name: str, environment: dict[str, str], directory: Path) -> None:
        self.port = free_port()
        self.log = directory / f"{name}.log"
        self._environment = {**environment, "PORT": str(self.port)}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """It begins to serve, as soon as it can."""
        assert self._process is None
        with self.log.open("a") as errors:
            self._process = subprocess.Popen(
                [*COMMAND, "serve"],
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def wait(self) -> None:
        """Returns once it has said that it serves."""
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("serving "), self.log.read_text()[-2000:]

    def kill(self, *, children_too: bool) -> None:
        """kill -9 of the service, at once with its children or of the parent alone, whose children
        then end by themselves; then it starts anew."""
        process, family = self._family()
        for one in [process, *(family if children_too else ())]:
            _send(one, signal.SIGKILL)
        self._over(family)
        self.start()

    def restart(self) -> None:
        """SIGTERM when it serves, and a start when it is over, which it must be with exit code 0."""
        assert self._process is not None
        until(lambda: self._answers() or self._is_over(), "it serves")
        if self._is_over():
            self.revive()
            return
        process, family = self._family()
        process.terminate()
        code = self._over(family)
        assert code == 0, code
        self.start()

    def revive(self) -> bool:
        """Started again when it is over, as a supervisor would; whether it was.

        A service that starts while its database recovers says so and ends."""
        is_over = self._is_over()
        if is_over:
            self._over([])
            self.start()
        return is_over

    def kill_child(self, *, listens: bool) -> bool:
        """kill -9 of its worker, or of its follower; whether there was one."""
        found = [child for child in self._children() if _listens(child, self.port) == listens]
        return sum(_send(child, signal.SIGKILL) for child in found) > 0

    def end(self) -> int:
        """It is over; the exit code."""
        if self._is_over():
            return 0
        assert self._process is not None
        _, family = self._family()
        self._process.terminate()
        return self._over(family)

    def _is_over(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _answers(self) -> bool:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            line.request("GET", "/healthz")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()

    def _family(self) -> tuple[psutil.Process, list[psutil.Process]]:
        """The first process and all below it; raises NoSuchProcess when it is over by itself."""
        assert self._process is not None
        process = psutil.Process(self._process.pid)
        return process, process.children(recursive=True)

    def _children(self) -> list[psutil.Process]:
        process, _ = self._family()
        return [child for child in process.children() if "spawn_main" in command_of(child)]

    def _over(self, family: list[psutil.Process]) -> int:
        assert self._process is not None
        code = self._process.wait(LIMIT_S)
        _, alive = psutil.wait_procs(family, LIMIT_S)
        assert not alive, alive
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        return code


class Consumer:
    """A process that consumes the feed of one service for as long as the fleet is there."""

    def __init__(self, kind: str, n: int, port: int, directory: Path) -> None:
        self.journal = directory / f"{kind}-{n}.journal"
        self._log = directory / f"{kind}-{n}.log"
        self._command = [sys.executable, "-m", "tests.api.consumer", kind, str(port), TOKEN]
        self._process = self._start()

    def kill(self) -> None:
        """kill -9, and another goes on from what it had noted."""
        self.end()
        self._process = self._start()

    def end(self) -> None:
        """It is over."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [*self._command, str(self.journal)]
        with self._log.open("a") as errors:
            return subprocess.Popen(command, cwd=ROOT, stderr=errors)


class Fleet:
    """Everything under test, running; a context manager."""

    def __init__(self, seed: int, directory: Path) -> None:
        self._stack = ExitStack()
        home = server_directory(f"fleet-{uuid.uuid4().hex[:12]}")
        self._stack.callback(shutil.rmtree, home, ignore_errors=True)
        self.server = start(home)
        self._stack.callback(self.server.close)
        self.database = fresh_database(self.server, REGIONS[0])
        self.database.migrate()
        with Registrar("us", self.database.service_url) as registrar:
            registrar.issue_token(TOKEN, "all", SCOPES)
        with closing(self.database.ledger()) as ledger:
            ledger.handle_now(opening())
        self.proxies, self.services, self.consumers = [], [], list[Consumer]()
        for n in range(2):
            proxy = AilingProxy(self.database.service_url, self.port, seed + n)
            self._stack.callback(proxy.close)
            own = directory / f"service-{n}"
            own.mkdir()
            reached = Database(REGIONS[0], proxy.url, self.database.owner_url, is_embedded=False)
            served = Served(f"service-{n}", environment_of(regions_file(own, reached)), directory)
            served.start()
            self._stack.callback(served.end)
            self.proxies.append(proxy)
            self.services.append(served)
        for served in self.services:
            served.wait()
        for n, kind in enumerate(("pages", "stream", "stream")):
            consumer = Consumer(kind, n, self.services[n % 2].port, directory)
            self._stack.callback(consumer.end)
            self.consumers.append(consumer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()

    def port(self) -> int:
        """The port that the server has now."""
        return int((self.server.directory / "port").read_text())

    def postmaster(self) -> psutil.Process | None:
        """The server's first process, if it lives."""
        try:
            text = (self.server.directory / "pgdata" / "postmaster.pid").read_text()
            return psutil.Process(int(text.split()[0]))
        except (FileNotFoundError, IndexError, psutil.NoSuchProcess):
            return None

    def backends(self) -> list[psutil.Process]:
        """The server's processes for sessions of the services."""
        postmaster = self.postmaster()
        try:
            children = postmaster.children() if postmaster else []
        except psutil.NoSuchProcess:
            return []
        return [child for child in children if "billing_service" in command_of(child)]

    def answers(self) -> bool:
        """Whether the server takes connections."""
        try:
            assert self.database.owner_url is not None
            psycopg.connect(self.database.owner_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def command_of(process: psutil.Process) -> str:
    """Its command line, empty when it is gone."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        lines = process.net_connections()
    except psutil.NoSuchProcess:
        return False
    return any(x.status == psutil.CONN_LISTEN and x.laddr.port == port for x in lines)


def _send(process: psutil.Process, number: signal.Signals) -> bool:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True
