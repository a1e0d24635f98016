"""`restore FILE`: a backup into an empty data directory, verified, recovered and checked."""

import argparse
from pathlib import Path

from api.backups.restoring import CannotRestore, restore
from api.cli.regional import add_json
from api.cli.screen import Screen
from api.settings import Settings


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "restore", help="a backup into an empty data directory", allow_abbrev=False
    )
    parser.add_argument("file", type=Path, help="that `backup` made")
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """0 once the data directory holds the backup; raises CannotRestore when nothing was restored."""
    if not settings.needs_embedded_server:
        raise CannotRestore(
            "the settings name no region of the embedded server: restore a database of your own "
            "with the server's own tools, as in docs/backup.md"
        )
    try:
        outcome = restore(settings, given.file, screen.progress)
    except OSError as fault:
        raise CannotRestore(f"nothing was restored: {fault}") from fault
    for region in outcome.regions:
        later = region.events - region.events_at_end
        screen.say(
            f"{region.region}: {region.events} events, hashes unbroken: {region.events_at_end} of "
            f"the backup's end and {later} later ones"
        )
        for concern in region.concerns:
            screen.complain(f"region {region.region}: {concern}")
    screen.say(f"SHA-256 {outcome.sha256}")
    screen.say(f"restored into {settings.data}")
    screen.result(
        {
            "data": str(settings.data),
            "sha256": outcome.sha256,
            "ended_at": outcome.description.ended_at,
            "regions": [region._asdict() for region in outcome.regions],
        }
    )
    return 0
