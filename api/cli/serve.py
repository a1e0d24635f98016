"""`serve`: the API and the followers of every region, until told to stop."""

import argparse

from api.cli.regional import fit_databases
from api.cli.screen import Screen
from api.serving import service
from api.serving.exposition import exposed
from api.settings import Settings

WORKERS_MAX = 64


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "serve", help="serve the API; run the followers", allow_abbrev=False
    )
    add_workers(parser)
    parser.set_defaults(run=run)


def add_workers(parser: argparse.ArgumentParser) -> None:
    """The option --workers."""
    parser.add_argument(
        "--workers", type=workers, default=1, help="processes that answer requests (1)"
    )


def workers(text: str) -> int:
    """A number of workers; raises ValueError, which argparse makes misuse of."""
    number = int(text)
    if not 1 <= number <= WORKERS_MAX:
        raise ValueError
    return number


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Serves; 0 once stopped by SIGTERM or SIGINT."""
    with (
        service.stop_signals() as stopping,
        service.listen(settings.host, settings.port) as listening,
        exposed(settings) as counts,
        fit_databases(settings) as databases,
    ):
        codes = ", ".join(database.region.code for database in databases)

        def meanwhile(url: str) -> None:
            service.wait_until_ready(url, stopping)
            if not stopping.is_set():
                screen.say(f"serving {codes} at {url}")

        service.run(
            databases,
            listening,
            workers=given.workers,
            mail=settings.mail,
            counts=counts,
            proxies=settings.proxies,
            fonts=settings.fonts,
            reconcile_every_s=settings.reconcile_every_s,
            stopping=stopping,
            meanwhile=meanwhile,
        )
    return 0
