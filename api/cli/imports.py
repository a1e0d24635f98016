"""`import FILE`: a receivables book or lines of commands into a region, safe to run twice."""

import argparse
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from types import FrameType
from typing import BinaryIO

import msgspec

from api.cli.regional import add_json, add_region, fit_database
from api.cli.screen import REFUSED, VIEWS, Misuse, Refused, Screen
from api.cli.serve import workers
from api.currencies import Currencies
from api.imports.share import ACTOR, Share, Taking, stamp_of
from api.imports.workers import Workers
from api.settings import Settings
from api.wiring import Database
from ledger import importing
from ledger.processes import WorkerFailed, cores
from ledger.receivables_csv import ReceivablesCsv
from ledger.store.faults import StoreUnavailable
from ledger.store.waiting import Order

CATCH_UP_S_MAX = 600.0
SHOWN_MAX = 50
"""Problems told one by one; the rest are counted, and all are in the JSON."""
WORKERS_MAX = 8
"""Processes that are used without being asked for: at most these, and a CPU stays the database's."""
BYTES_A_WORKER = 4 * 1024 * 1024
"""What one process takes in about the time that starting another costs."""
GOES_ON = "what was done stays done; the same command goes on from there"

DETAILS = f"""\
The whole file is checked first. With a bad line nothing is taken, unless --skip-bad. A command
that the rules refuse is told with its line and refuses only itself.

Run twice, it is safe: every line has a key. Lines of commands are also marked as they are done, by
the content of the file: after a run that was broken off, another of the same file, with any number
of workers, sends only what is not marked (the marks are a fraction of a second behind). It reports
the others as "resumed". Lines that were refused or bad are tried again. Once all is done the
marks are dropped.

Without --workers there is a process for every {BYTES_A_WORKER // 1024**2} MiB of the file, at least one and at most {WORKERS_MAX},
and one fewer than there are CPUs, since the database needs one too. A receivables book is taken in
by one process.
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "import",
        help="take in a receivables book, or lines of commands",
        description="Takes in a receivables book, or lines of commands.",
        epilog=DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", help="path of the file")
    parser.add_argument("--format", choices=("ndjson", "receivables-csv"), default="ndjson")
    parser.add_argument(
        "--skip-bad", action="store_true", help="take the good lines of a file that has bad ones"
    )
    parser.add_argument(
        "--workers", type=workers, help="processes that take in lines of commands (see below)"
    )
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Imports and waits for the views; 1 when a line was bad or refused, or when it was stopped."""
    is_csv = given.format == "receivables-csv"
    if is_csv and given.workers not in (None, 1):
        raise Misuse(f"--workers {given.workers}: a receivables book is taken in by one")
    with ExitStack() as stack:
        stack.enter_context(_stoppable())
        file = stack.enter_context(_opened(given.file))
        database = stack.enter_context(fit_database(settings, given.region))
        take = _take_book if is_csv else _take_lines
        try:
            summary = take(given, file, database, screen)
        except (WorkerFailed, StoreUnavailable) as fault:
            raise Refused(f"{fault}; {GOES_ON}") from fault
        if summary.applied:
            screen.waiting(VIEWS)
            database.catch_up(CATCH_UP_S_MAX)
    _tell(summary, screen)
    return 0 if summary.ok else REFUSED


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and SIGINT raise Refused in what is done meanwhile."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Refused(f"stopped: {GOES_ON}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _opened(path: str) -> BinaryIO:
    try:
        file = open(path, "rb")  # noqa: PTH123, SIM115 # closed by the caller; path is as given
    except OSError as fault:
        raise Refused(f"cannot read {path}: {fault.strerror}") from fault
    if not file.seekable():
        file.close()
        raise Refused(f"cannot read {path} twice: put it in a file")
    return file


def _take_lines(
    given: argparse.Namespace, file: BinaryIO, database: Database, screen: Screen
) -> importing.Summary:
    stamp, today = stamp_of(file), database.today()
    count = given.workers or _workers_for(stamp.size)
    shares = [Share(given.file, stamp, database, today, n, count) for n in range(count)]
    report = _Report(screen)
    with closing(Workers(shares) if count > 1 else Taking(shares[0])) as taking:
        checked = taking.check(report, screen.progress)
        if checked.summary.bad_lines and not given.skip_bad:
            return checked.summary
        summary = taking.apply(report, screen.progress)
    with closing(database.import_marks(checked.file_sha256)) as marks:
        marks.forget()
    return summary


def _workers_for(size: int) -> int:
    cpus = cores()
    return max(1, min(cpus - 1, WORKERS_MAX, size // BYTES_A_WORKER))


def _take_book(
    given: argparse.Namespace, file: BinaryIO, database: Database, screen: Screen
) -> importing.Summary:
    region, order = database.region, Order()
    with (
        closing(database.ledger()) as ledger,
        Currencies(region.code, database.service_url) as currency_of,
    ):
        source = ReceivablesCsv(
            file,
            currency=region.currency,
            today=database.today(),
            actor=ACTOR,
            currency_of=currency_of,
        )
        return importing.run(
            source,
            lambda requests: ledger.enqueue(requests, order),
            skip_bad=given.skip_bad,
            report=_Report(screen),
            progress=screen.progress,
        )


class _Report:
    """Tells the first problems."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told = 0

    def __call__(self, problem: importing.Problem) -> None:
        self._told += 1
        if self._told <= SHOWN_MAX:
            self._screen.complain(f"line {problem.line}: {problem.code}: {problem.message}")


def _tell(summary: importing.Summary, screen: Screen) -> None:
    if not summary.applied:
        screen.say(
            f"nothing was imported: {summary.bad_lines} of {summary.lines} lines are bad; mend "
            "them, or leave them out with --skip-bad"
        )
    else:
        screen.say(
            f"{summary.lines} lines: {summary.accepted} commands done, {summary.replayed} done "
            f"before, {summary.resumed} passed over as an earlier run did them, "
            f"{summary.refused} refused; {summary.accounts} accounts opened, "
            f"{summary.bad_lines} bad lines, {summary.repeated_lines} repeated lines left out"
        )
    screen.result({"ok": summary.ok, **msgspec.to_builtins(summary)})
