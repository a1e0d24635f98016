"""`rebuild [NAME]`: fills a read model anew beside the live one, compares, and swaps them."""

import argparse

from api.cli.regional import add_json, add_region, chosen, fit_databases
from api.cli.screen import REFUSED, Misuse, Screen
from api.settings import Settings
from api.wiring import Database
from projections.model import ReadModel
from projections.read_models import READ_MODELS
from projections.rebuild import Differs, Progress


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "rebuild", help="fill the views anew beside the live ones, and swap", allow_abbrev=False
    )
    parser.add_argument("name", nargs="?", help="of the read model; all if not given")
    parser.add_argument(
        "--accept-differences",
        action="store_true",
        help="swap although the live one differs, as it must when that is what is wrong",
    )
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Rebuilds in all regions, or the one named; reads go on. 1 when a live view was not equal."""
    models = [model for model in READ_MODELS if given.name in (None, model.name)]
    if not models:
        names = ", ".join(model.name for model in READ_MODELS)
        raise Misuse(f"there is no read model {given.name}; there are {names}")
    settings = chosen(settings, given.region) if given.region else settings
    with fit_databases(settings, but_for=("views",)) as databases:
        wrong = [
            _rebuild(database, model, given.accept_differences, screen)
            for database in databases
            for model in models
        ]
    return REFUSED if any(wrong) else 0


def _rebuild(
    database: Database, model: ReadModel, accept_differences: bool, screen: Screen
) -> bool:
    """Whether the live model was not equal to the one made anew, or accounts are parked in it."""
    where = f"{database.region.code}: {model.name}"

    def progress(step: Progress) -> None:
        screen.progress(f"{where}: {step.phase}", step.done, step.total)

    shown = {"region": database.region.code, "name": model.name}
    try:
        rebuilt = database.rebuild(model, progress, accept_differences=accept_differences)
    except Differs as differs:
        found = [difference._asdict() for difference in differs.differences]
        screen.complain(f"{where}: not swapped: {differs}; --accept-differences swaps all the same")
        screen.result({**shown, "swapped": False, "differences": found})
        return True
    for parked in rebuilt.parked:
        screen.complain(f"{where}: account {parked.account_id} is parked: {parked.error}")
    screen.say(
        f"{where}: {rebuilt.events} events folded anew, {len(rebuilt.differences)} differences"
    )
    screen.result(
        {
            **shown,
            "swapped": True,
            "events": rebuilt.events,
            "differences": [difference._asdict() for difference in rebuilt.differences],
            "parked": [parked._asdict() for parked in rebuilt.parked],
        }
    )
    return bool(rebuilt.differences or rebuilt.parked)
