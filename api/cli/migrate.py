"""`migrate`: brings the regions' databases up to date, as their owner."""

import argparse

from api.cli.regional import add_json, add_region, chosen
from api.cli.screen import Screen
from api.settings import Settings
from api.wiring import databases


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "migrate", help="bring the databases up to date, as their owner", allow_abbrev=False
    )
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Migrates all regions, or the one named; a second run applies nothing."""
    with databases(chosen(settings, given.region) if given.region else settings) as found:
        for database in found:
            applied = database.migrate()
            screen.say(
                f"{database.region.code}: "
                + (f"applied {', '.join(applied)}" if applied else "is up to date")
            )
            stale = [model.name for model in database.stale_views()]
            for name in stale:
                screen.say(
                    f"{database.region.code}: {name} was made by another release: rebuild it"
                )
            screen.result({"region": database.region.code, "applied": applied, "stale": stale})
    return 0
