"""`backup FILE`: all regions of the embedded server in one file, taken while it serves."""

import argparse
import time
from pathlib import Path

from api.backups.taking import CannotBackUp, take
from api.cli.regional import add_json
from api.cli.screen import Screen
from api.settings import Settings

OTHER_TOOLS = "back up its database with the server's own tools, as in docs/backup.md"


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "backup", help="all of the embedded server in one file", allow_abbrev=False
    )
    parser.add_argument("file", type=Path, help="new, outside the data directory")
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """0 once the backup is on disk under its name; raises CannotBackUp when there is none."""
    began = time.monotonic()
    elsewhere = [region.code for region in settings.regions if region.database_url is not None]
    if not settings.needs_embedded_server:
        raise CannotBackUp(
            f"region {', '.join(elsewhere)} is not in the embedded server: {OTHER_TOOLS}"
        )
    for code in elsewhere:
        screen.complain(f"region {code} is not in this backup: {OTHER_TOOLS}")
    try:
        taken = take(settings, given.file, screen.progress)
    except OSError as fault:
        raise CannotBackUp(f"no backup was made: {fault}") from fault
    seconds = time.monotonic() - began
    description = taken.description
    for held in description.regions:
        screen.say(f"{held.region.code}: {held.events} events")
    screen.say(
        f"PostgreSQL {description.postgres}; complete up to {description.ended_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    )
    screen.say(f"{taken.path}: {taken.size_bytes} bytes in {seconds:.1f} s")
    screen.say(f"SHA-256 {taken.sha256}")
    screen.result(
        {
            "file": str(taken.path),
            "size_bytes": taken.size_bytes,
            "sha256": taken.sha256,
            "seconds": round(seconds, 3),
            "postgres": description.postgres,
            "started_at": description.started_at,
            "ended_at": description.ended_at,
            "regions": [
                {"region": held.region.code, "events": held.events, "heads": held.heads}
                for held in description.regions
            ],
            "not_included": elsewhere,
        }
    )
    return 0
