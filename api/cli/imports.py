"""`import FILE`: a receivables book or lines of commands into a region, safe to run twice."""

import argparse
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from api.cli.regional import add_json, add_region, fit_database
from api.cli.screen import REFUSED, Refused, Screen
from api.currencies import Currencies
from api.settings import Settings
from api.wire import Lines
from api.wiring import Database
from ledger import importing
from ledger.command_lines import CommandLines
from ledger.importing import Source
from ledger.receivables_csv import ReceivablesCsv

ACTOR = "import"
CATCH_UP_S_MAX = 600.0
SHOWN_MAX = 50
"""Problems told one by one; the rest are counted, and all are in the JSON."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "import", help="take in a receivables book, or lines of commands", allow_abbrev=False
    )
    parser.add_argument("file", help="path of the file")
    parser.add_argument("--format", choices=("ndjson", "receivables-csv"), default="ndjson")
    parser.add_argument(
        "--skip-bad", action="store_true", help="take the good lines of a file that has bad ones"
    )
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Imports and waits for the views; 1 when a line was bad or refused."""
    try:
        file = open(given.file, "rb")  # noqa: PTH123, SIM115 # closed below; the path is as given
    except OSError as fault:
        raise Refused(f"cannot read {given.file}: {fault.strerror}") from fault
    with file, fit_database(settings, given.region) as database:
        summary = _import(given, file, database, screen)
        if summary.applied:
            screen.progress("views", 0, 0)
            database.catch_up(CATCH_UP_S_MAX)
    _tell(summary, screen)
    return 0 if summary.ok else REFUSED


def _import(
    given: argparse.Namespace, file: BinaryIO, database: Database, screen: Screen
) -> importing.Summary:
    ledger = database.ledger()
    told = 0

    def report(problem: importing.Problem) -> None:
        nonlocal told
        told += 1
        if told <= SHOWN_MAX:
            screen.complain(f"line {problem.line}: {problem.code}: {problem.message}")

    try:
        with Currencies(database.region.code, database.service_url) as currency_of:
            return importing.run(
                _source(given.format, file, database, currency_of),
                ledger.handle_now,
                skip_bad=given.skip_bad,
                report=report,
                progress=screen.progress,
            )
    finally:
        ledger.close()


def _source(
    format: str, file: BinaryIO, database: Database, currency_of: Callable[[str], str | None]
) -> Source:
    region = database.region
    if format == "receivables-csv":
        return ReceivablesCsv(
            file,
            currency=region.currency,
            today=database.today(),
            actor=ACTOR,
            currency_of=currency_of,
        )
    lines = Lines(
        currency=region.currency, currency_of=currency_of, today=database.today(), actor=ACTOR
    )
    return CommandLines(file, lines.request_or_faults)


def _tell(summary: importing.Summary, screen: Screen) -> None:
    if not summary.applied:
        screen.say(
            f"nothing was imported: {summary.bad_lines} of {summary.lines} lines are bad; mend "
            "them, or leave them out with --skip-bad"
        )
    else:
        screen.say(
            f"{summary.lines} lines: {summary.accepted} commands done, {summary.replayed} done "
            f"before, {summary.refused} refused; {summary.accounts} accounts opened, "
            f"{summary.bad_lines} bad lines, {summary.repeated_lines} repeated lines left out"
        )
    screen.result({"ok": summary.ok, **msgspec.to_builtins(summary)})
