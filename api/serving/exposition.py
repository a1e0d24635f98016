"""/metrics: what every process of a service counts, told in Prometheus' text format on loopback."""

import contextlib
import errno
import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from api import logs
from api.settings import LOOPBACK, Settings

PATH = "/metrics"
SCRAPE_S_MAX = 10

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class CannotExpose(Exception):
    """The port that was set for metrics cannot be listened on; the message says why."""


@contextlib.contextmanager
def exposed(settings: Settings) -> Iterator[Path | None]:
    """The directory where processes count, served meanwhile and then gone; None: nothing is counted.

    Raises CannotExpose when the port was set and cannot be had. The default port that is taken is
    no reason not to serve: another service of this machine has it.
    """
    if settings.metrics_port is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="billing-ledger-metrics-") as name:
        directory = Path(name)
        try:
            server = _server(settings.metrics_port, directory)
        except OSError as fault:
            taken = fault.errno == errno.EADDRINUSE
            why = "is in use" if taken else f"cannot be listened on: {fault.strerror}"
            says = f"port {settings.metrics_port} {why}: set BILLING_LEDGER_METRICS_PORT to another, or to 0"
            if settings.metrics_port_is_set:
                raise CannotExpose(says) from fault
            logs.event("no_metrics", level=logging.WARNING, says=says)
            yield None
            return
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield directory
        finally:
            server.shutdown()
            server.server_close()


def _server(port: int, directory: Path) -> WSGIServer:
    # Not at the top: the library is for processes that serve, which no other command is.
    from prometheus_client import CollectorRegistry, make_wsgi_app
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call] # untyped there
    everything: Application = make_wsgi_app(registry)

    def only_metrics(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            return everything(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"see {PATH}\n".encode()]

    return make_server(LOOPBACK, port, only_metrics, _Server, _Handler)


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request, which ends with the process."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bound, without asking the machine's resolver for a name that nobody reads."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    """Answers one request, and tells nobody."""

    timeout = SCRAPE_S_MAX

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not logged: they come every few seconds, for ever."""
