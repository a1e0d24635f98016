"""The parent of a running service: its socket, its children, its end."""

import contextlib
import errno
import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from api.checkup import hindrances
from api.mail import MailServer
from api.serving.children import Children, Work
from api.serving.follow import follow
from api.serving.worker import work
from api.wiring import Database

BACKLOG = 2048
READY_S_MAX = 60.0
READY_POLL_S = 0.05
ASK_TIMEOUT_S = 5.0


class CannotServe(Exception):
    """The service cannot start; the message says why and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on; raises CannotServe when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as fault:
        listening.close()
        if fault.errno == errno.EADDRINUSE:
            raise CannotServe(
                f"port {port} is in use: stop what listens there, or set PORT to another"
            ) from fault
        raise CannotServe(f"cannot listen on {host}, port {port}: {fault.strerror}") from fault
    return listening


def url_of(host: str, port: int) -> str:
    """Where a browser on this machine finds the service."""
    if host in ("127.0.0.1", "0.0.0.0", "::1", "::"):
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refuse_unfit(databases: tuple[Database, ...], but_for: tuple[str, ...] = ()) -> None:
    """Raises CannotServe when a region's database, role, schema, views or region row is not right.

    `but_for` names findings that do not matter for what is to be done.
    """
    wrong = [
        f"region {database.region.code}: {finding.name}: {finding.says}"
        for database in databases
        for finding in hindrances(database)
        if finding.name not in ("follower", *but_for)  # a follower is about to be started
    ]
    if wrong:
        raise CannotServe("\n".join(wrong))


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; the handlers before are restored at the end."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    databases: tuple[Database, ...],
    listening: socket.socket,
    *,
    workers: int,
    mail: MailServer | None,
    counts: Path | None,
    proxies: tuple[str, ...],
    fonts: Path | None,
    reconcile_every_s: int,
    stopping: threading.Event,
    meanwhile: Callable[[str], None],
) -> None:
    """Serves until `stopping` is set, then lets workers answer what they have and followers end.

    Without a mail server mails wait in the outbox. `counts` is where processes count what they do,
    None for nowhere. `proxies` say who is calling, where they have been set to be trusted. `fonts`
    is a folder of fonts for documents beside those that come along. Every lane is reconciled so
    often; 0: never.

    `meanwhile` runs in a thread once the children run, and is given the address to ask at; what it
    raises ends the service and is raised again.
    """
    host, port = listening.getsockname()[:2]
    children = Children(
        [
            *(
                Work(f"worker-{n}", work, (databases, listening, proxies, fonts))
                for n in range(1, workers + 1)
            ),
            Work("follower", follow, (databases, mail, url_of(host, port), reconcile_every_s)),
        ],
        counts,
    )
    failed: list[BaseException] = []

    def beside() -> None:
        try:
            meanwhile(url_of(host, port))
        except BaseException as fault:  # noqa: BLE001 # raised again where the service ends
            if not stopping.is_set():  # else it failed because everything ends
                failed.append(fault)
                stopping.set()

    thread = threading.Thread(target=beside, name="meanwhile", daemon=True)
    try:
        children.start()
        thread.start()
        children.keep_alive(stopping)
    finally:
        listening.close()  # a connection that no worker takes any more must not be made
        children.finish()
    if failed:
        raise failed[0]


def wait_until_ready(url: str, stopping: threading.Event) -> None:
    """Returns once /readyz says so; raises CannotServe with its findings when it does not."""
    deadline = time.monotonic() + READY_S_MAX
    said = "no answer"
    while not stopping.is_set():
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=ASK_TIMEOUT_S):
                return
        except urllib.error.HTTPError as answer:
            said = json.dumps(json.load(answer))
        except OSError as fault:
            said = str(fault)
        if time.monotonic() > deadline:
            raise CannotServe(f"not ready after {READY_S_MAX:.0f} s: {said}")
        time.sleep(READY_POLL_S)
