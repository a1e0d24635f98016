"""`demo`: serves with a sample book, and says who can sign in."""

import argparse
import socket
from pathlib import Path
from threading import Event

import msgspec

from api.cli.regional import add_json, fit_databases
from api.cli.screen import Screen
from api.cli.serve import add_workers
from api.sample.customers import SAMPLE_REGIONS
from api.sample_loading import Loaded, load_sample
from api.serving import service
from api.serving.exposition import exposed
from api.settings import Settings
from api.wiring import Database


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "demo", help="serve a sample book; print who can sign in", allow_abbrev=False
    )
    add_workers(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Serves; 0 once stopped. The last line printed when ready is JSON, --json or not.

    On the same data a second demo adds nothing, and the same people can sign in.
    """
    with (
        service.stop_signals() as stopping,
        service.listen(settings.host, settings.port) as listening,
        exposed(settings) as counts,
        fit_databases(settings) as databases,
    ):
        _serve(databases, listening, given.workers, settings, counts, stopping, screen)
    return 0


def _serve(
    databases: tuple[Database, ...],
    listening: socket.socket,
    workers: int,
    settings: Settings,
    counts: Path | None,
    stopping: Event,
    screen: Screen,
) -> None:
    with_sample = [d for d in databases if d.region.code in SAMPLE_REGIONS]
    if not with_sample:
        names = ", ".join(SAMPLE_REGIONS)
        raise service.CannotServe(f"there is a sample book only for the regions {names}")

    def meanwhile(url: str) -> None:
        loaded = load_sample(with_sample, screen.progress)
        service.wait_until_ready(url, stopping)
        if not stopping.is_set():
            _tell(url, loaded, screen)

    service.run(
        databases,
        listening,
        workers=workers,
        mail=settings.mail,
        counts=counts,
        proxies=settings.proxies,
        fonts=settings.fonts,
        reconcile_every_s=settings.reconcile_every_s,
        stopping=stopping,
        meanwhile=meanwhile,
    )


def _tell(url: str, loaded: Loaded, screen: Screen) -> None:
    screen.say(f"serving the sample book at {url}; whoever reads this can sign in:")
    screen.table([msgspec.structs.asdict(login) for login in loaded.logins])
    screen.line({"url": url, "logins": loaded.logins, "service_tokens": loaded.service_tokens})
