"""The command line, `billing-ledger`: exit codes 0 done, 1 refused or differs, 2 misuse."""

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence

import psycopg

from api import garbage, logs, settings
from api.backups.restoring import CannotRestore
from api.backups.taking import CannotBackUp
from api.cli import (
    backup,
    bench,
    close_month,
    demo,
    doctor,
    dunning,
    explain,
    export,
    imports,
    logins,
    migrate,
    rebuild,
    reconcile,
    replay,
    restore,
    serve,
    tokens,
)
from api.cli.screen import REFUSED, Misuse, Refused, Screen
from api.embedded import CannotStart
from api.embedded.aside import NotEmpty
from api.exports.books import ExportDiffers
from api.imports.share import FileChanged
from api.sample_loading import SampleRefused
from api.serving.exposition import CannotExpose
from api.serving.service import CannotServe
from api.settings import InvalidSetting
from api.wiring import NoOwner
from ledger.processes import WorkerFailed
from ledger.store.faults import (
    Corrupt,
    LedgerClosed,
    MigrationChanged,
    StoreUnavailable,
    UnsafeRole,
    WrongRegion,
)
from projections.follower import ViewBehind
from projections.rebuild import CannotSwap, RebuildRunning
from projections.reconciliation.books import ViewsReplaced

MISUSE = 2
COMMANDS = (
    serve,
    demo,
    imports,
    close_month,
    dunning,
    export,
    replay,
    explain,
    rebuild,
    reconcile,
    migrate,
    logins,
    tokens,
    doctor,
    backup,
    restore,
    bench,
)

_SAYS_ALL = (
    CannotBackUp,
    CannotRestore,
    CannotExpose,
    CannotServe,
    CannotStart,
    CannotSwap,
    Corrupt,
    ExportDiffers,
    FileChanged,
    LedgerClosed,
    MigrationChanged,
    NoOwner,
    NotEmpty,
    RebuildRunning,
    Refused,
    SampleRefused,
    StoreUnavailable,
    UnsafeRole,
    ViewBehind,
    ViewsReplaced,
    WorkerFailed,
    WrongRegion,
)
"""Faults whose message says what is wrong and what to do; a traceback would add nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the arguments say; the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    screen = Screen(as_json=getattr(given, "json", False))
    logs.set_up()
    garbage.look_less_often()
    try:
        outcome: int = given.run(given, settings.load(), screen)
    except (InvalidSetting, Misuse) as misuse:
        screen.complain(str(misuse))
        return MISUSE
    except _SAYS_ALL as fault:
        screen.complain(str(fault))
        return REFUSED
    except psycopg.OperationalError as fault:
        screen.complain(f"the database does not answer: {str(fault).strip()}")
        return REFUSED
    except BrokenPipeError:
        # Whoever read the output has gone; nothing more is written, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except KeyboardInterrupt:
        screen.complain("stopped")
        return REFUSED
    return outcome


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="billing-ledger",
        description="A billing ledger: immutable events, two clocks on every answer.",
        allow_abbrev=False,
    )
    version = importlib.metadata.version("billing-ledger")
    parser.add_argument("--version", action="version", version=f"billing-ledger {version}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return parser
