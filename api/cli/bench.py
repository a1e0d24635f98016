"""`bench`: measures what the ledger promises of speed, each row with its baseline in the same run."""

import argparse
import contextlib
import importlib
import math

from api.cli.screen import Refused, Screen
from api.settings import Settings

PROGRAM = "benchmarks.command"
"""Looked up when it is asked for: benchmarks stand above this floor, and nothing else needs them."""
PAIRS, SECONDS = 5, 1.0


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "bench",
        help="measure speed against honest baselines",
        description=(
            "Measures what the ledger promises of speed. Every ratio is the median of alternating "
            "pairs of one run; a row whose balances afterwards are not those of an independent "
            "model is void. Works in databases of its own, which are gone afterwards: on an "
            "embedded PostgreSQL in a temporary directory, durable as in production, or on the "
            "server of --url. Exit code 1: a row was void or short of its aim."
        ),
        allow_abbrev=False,
    )
    parser.add_argument(
        "--rows",
        metavar="NAME[,NAME]",
        help="rows to measure, in the report's order; all if not given (a wrong name lists them)",
    )
    parser.add_argument(
        "--scale",
        type=_positive,
        default=1.0,
        metavar="N",
        help="times as much data; 1 takes minutes, 100 reaches 10 million events (1)",
    )
    parser.add_argument(
        "--pairs",
        type=_pairs,
        default=PAIRS,
        metavar="N",
        help=f"pairs that a ratio is the median of ({PAIRS})",
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=SECONDS,
        metavar="S",
        help=f"how long one side of a pair is asked over HTTP ({SECONDS:.0f})",
    )
    parser.add_argument(
        "--json", dest="file", metavar="FILE", help="write everything measured to this file"
    )
    parser.add_argument(
        "--url",
        help="PostgreSQL to measure on, as a login that may make databases and roles; "
        "an embedded one if not given",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Measures; 1 when a row was void or short of its aim."""
    try:
        program = importlib.import_module(PROGRAM)
    except ModuleNotFoundError as fault:
        if not PROGRAM.startswith(fault.name or PROGRAM + "."):
            raise
        raise Refused(
            "the benchmarks are not installed: the package benchmarks of this release is missing"
        ) from fault
    outcome: int = program.run(given, settings, screen)
    return outcome


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(number := float(text)) and number > 0:
            return number
    raise argparse.ArgumentTypeError(f"{text} is not a number above 0")


def _pairs(text: str) -> int:
    with contextlib.suppress(ValueError):
        if (number := int(text)) >= 1:
            return number
    raise argparse.ArgumentTypeError(f"{text} is not a number of pairs, at least 1")
