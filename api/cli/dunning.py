"""`dunning [--on DAY] [--dry-run]`: charges late payment and reminds by the region's policy, safe to
run twice."""

import argparse
from contextlib import closing
from functools import partial

import msgspec

from api.cli.regional import add_json, add_region, fit_database
from api.cli.screen import REFUSED, Refused, Screen
from api.dunning import AssessmentLine, Run, RunTotals, policy_for
from api.moments import day
from api.settings import Settings
from api.wiring import Database
from ledger.errors import Refusal
from projections.dunning import DunningReading

ACTOR = "dunning"
CATCH_UP_S_MAX = 600.0


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "dunning",
        help="charge late fees, interest and return fees, and remind, by policy",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--on",
        type=day,
        metavar="YYYY-MM-DD",
        help="the day that counts as today: no later one than the region's, which it is if not given",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what would be charged, and charge nothing"
    )
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Posts what the policy asks for, or tells it, and waits for the views; 1 when some was refused."""
    with fit_database(settings, given.region) as database:
        totals = _run(given, database, screen)
        if not given.dry_run:
            database.catch_up(CATCH_UP_S_MAX)
    _tell(totals, screen)
    return REFUSED if totals.refused else 0


def _run(given: argparse.Namespace, database: Database, screen: Screen) -> RunTotals:
    today = database.today()
    on = given.on or today
    try:
        policy = policy_for(database.region, on, today)
    except Refusal as refusal:
        raise Refused(str(refusal)) from refusal
    with (
        closing(database.ledger()) as ledger,
        closing(DunningReading(database.service_url, policy, on)) as reading,
    ):
        dunning = Run(
            reading=reading,
            policy=policy,
            on=on,
            today=today,
            biller=database.region.contact_on(today).company,
            actor=ACTOR,
            send=None if given.dry_run else ledger.handle_now,
            catch_up=partial(database.catch_up, CATCH_UP_S_MAX),
        )
        for lines in dunning.parts():
            for line in lines:
                _show(line, screen)
            screen.progress("accounts", dunning.accounts, 0)
        return dunning.totals()


def _show(line: AssessmentLine, screen: Screen) -> None:
    if screen.as_json:
        screen.result(line)
    elif line.problem is not None:
        about = f"account {line.account_number}, {line.kind or 'all'}"
        screen.complain(f"{about}: {line.problem.code}: {line.problem.message}")
    elif line.status == "proposed":
        # Reminders have no amount; of what is charged the description says all but that.
        amount = f"{line.amount.amount} {line.amount.currency}: " if line.amount else "reminder: "
        screen.say(f"{line.account_number}: {amount}{' '.join((line.text or '').split())}")


def _tell(totals: RunTotals, screen: Screen) -> None:
    done = "would be posted" if totals.dry_run else "posted"
    if not totals.totals:
        screen.say(f"nothing {done}")
    for total in totals.totals:
        sum_ = "" if total.kind == "reminder" else f", {total.amount.amount} {total.currency}"
        screen.say(f"{total.kind}: {total.count} {done}{sum_}")
    screen.say(
        f"{totals.on}: {totals.accounts} accounts: {totals.refused} refused, {totals.left_out} left "
        f"out for their currency, {totals.posted_before} posted by another run meanwhile"
    )
    screen.result({"ok": not totals.refused, **msgspec.to_builtins(totals)})
