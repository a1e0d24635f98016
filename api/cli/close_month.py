"""`close-month 2020-07`: an invoice for every account that is due, safe to run twice."""

import argparse
from contextlib import closing

import msgspec

from api.cli.regional import add_json, add_region, fit_database
from api.cli.screen import REFUSED, Misuse, Refused, Screen
from api.moments import day
from api.settings import Settings
from api.wiring import Database
from ledger.closing import MonthEnd
from ledger.errors import InvalidPeriod, Refusal

ACTOR = "close-month"
CATCH_UP_S_MAX = 600.0
SHOWN_MAX = 50
"""Refusals told one by one; all that the run kept are in the JSON."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "close-month", help="invoice every account that is due in a month", allow_abbrev=False
    )
    parser.add_argument("period", help="the month, such as 2020-07")
    parser.add_argument(
        "--issued-on",
        type=day,
        metavar="YYYY-MM-DD",
        help="day of issue; the day each account's period ends if not given",
    )
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Closes the month and waits for the views; 1 when an account was refused.

    Goes on with what was asked for and not finished, whoever asked.
    """
    with fit_database(settings, given.region) as database:
        done = _close(given, database, screen)
        screen.progress("views", 0, 0)
        database.catch_up(CATCH_UP_S_MAX)
    _tell(done, screen)
    return REFUSED if done.refused else 0


def _close(given: argparse.Namespace, database: Database, screen: Screen) -> MonthEnd:
    period = given.period
    with closing(database.month_ends()) as month_ends:

        def status() -> MonthEnd:
            found = month_ends.status(period)
            assert found is not None, period
            return found

        try:
            month_ends.ask(period, given.issued_on, actor=ACTOR, today=database.today())
        except InvalidPeriod as refusal:
            raise Misuse(str(refusal)) from refusal
        except Refusal as refusal:
            raise Refused(str(refusal)) from refusal
        with closing(database.ledger()) as ledger:
            month_ends.work(
                ledger, progress=lambda: screen.progress("accounts", status().accounts, 0)
            )
        return status()


def _tell(done: MonthEnd, screen: Screen) -> None:
    for refusal in done.refusals[:SHOWN_MAX]:
        screen.complain(f"account {refusal.account_number}: {refusal.code}: {refusal.message}")
    screen.say(
        f"{done.period}: {done.accounts} accounts: {done.issued} invoiced, {done.replayed} "
        f"invoiced before, {done.nothing_to_bill} with nothing to bill, {done.not_due} not due, "
        f"{done.refused} refused"
    )
    screen.result({"ok": not done.refused, **msgspec.to_builtins(done)})
