"""`doctor`: looks at settings, roles, schema, lag and parked accounts, and says what is wrong."""

import argparse

from api.checkup import Finding, checkup, outbox, reconciliation
from api.cli.regional import add_json, add_region, chosen
from api.cli.screen import REFUSED, Screen
from api.settings import VARIABLES, Settings
from api.wiring import Database, databases


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "doctor",
        help="check settings, roles, schema, lag, parked accounts, mail, reconciliation",
        allow_abbrev=False,
    )
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """0 when nothing is wrong, else 1; changes nothing."""
    settings = chosen(settings, given.region) if given.region else settings
    place = settings.data if settings.needs_embedded_server else "given by settings"
    screen.say(f"settings: fine ({len(VARIABLES)} variables read); databases: {place}")
    wrong = 0
    with databases(settings) as found:
        for database in found:
            for finding in _findings(database, settings):
                wrong += not finding.ok
                mark = "ok   " if finding.ok else "WRONG"
                screen.say(f"{mark} {database.region.code}: {finding.name}: {finding.says}")
                screen.result(
                    {
                        "region": database.region.code,
                        "name": finding.name,
                        "ok": finding.ok,
                        "says": finding.says,
                    }
                )
    return REFUSED if wrong else 0


def _findings(database: Database, settings: Settings) -> list[Finding]:
    """What was found of a region, and of its mail and its books once its database can be asked."""
    found = checkup(database)
    if all(finding.ok or not finding.stops for finding in found):
        found.insert(-1, reconciliation(database, settings.reconcile_every_s))
        found.append(outbox(database, is_sent=settings.mail is not None))
    return found
