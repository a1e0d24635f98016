"""`export beancount|hledger|csv|parquet --period 2020-07`: the journal of posting periods as a file."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from api.cli.regional import add_json, add_region, fit_database
from api.cli.screen import Misuse, Refused, Screen
from api.database import DatabaseUnavailable, Line, TooSlow, Transaction
from api.exports.books import VIEWS, Outline, months_of, outline
from api.exports.writing import FORMS, parts
from api.moments import instant, not_yet
from api.problems import Problem
from api.settings import Settings
from api.vectors import Vector
from api.wiring import Database
from ledger.errors import InvalidPeriod
from ledger.month_end import Period, period_of
from ledger.store.roles import AUDITOR
from ledger.store.sql import load

CATCH_UP_S_MAX = 600.0
STATEMENT_TIMEOUT = "10min"
OUTLINES_MAX = 5
"""That are tried while rebuilds swap the views."""

_SQL = load("api.exports", "books.sql")
_MOMENTS = load("api", "region_moments.sql")

T = TypeVar("T")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "export", help="the journal of posting periods as a file", allow_abbrev=False
    )
    parser.add_argument("form", choices=[*FORMS], help="what it is to be read by")
    parser.add_argument("--period", required=True, help="the (first) month, such as 2020-07")
    parser.add_argument("--through", help="the last month; the same if not given")
    parser.add_argument("--known-at", help="as known then, such as 2020-08-05T09:00:00Z")
    parser.add_argument("--at", help="as known at the position that an export or answer names")
    parser.add_argument("--out", type=Path, metavar="FILE", help="instead of standard output")
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Writes the file. Changes nothing; a file is there whole or not at all."""
    if given.known_at and given.at:
        raise Misuse("give --known-at or --at, not both")
    if given.json and not given.out:
        raise Misuse("--json tells of a file: give --out")
    if given.form == "parquet" and not given.out and sys.stdout.isatty():
        raise Misuse("Parquet is not for a screen: give --out, or send it on")
    periods = _periods(given)
    with fit_database(settings, given.region) as database:
        known_at, positions = _known_at(given.known_at), _positions(given.at, database)
        if known_at is not None:
            positions = _run(_known_positions(database, known_at))
        # Not before the moment is known: the journal is to reach it.
        database.catch_up(CATCH_UP_S_MAX)
        with _opened(given.out) as file:
            made = _run(_export(database, given.form, periods, positions, file, screen))
    if made.parked:
        screen.complain(f"later events of {made.parked} accounts could not be read: see `doctor`")
    if given.out:
        screen.say(f"{given.out}: {made.entries} entries, as known at {made.position}")
        screen.result(
            {
                "ok": True,
                "file": str(given.out),
                "entries": made.entries,
                "position": made.position,
                "parked_accounts": made.parked,
            }
        )
    return 0


def _run(work: Coroutine[Any, Any, T]) -> T:
    """What the work gives; raises Refused when the database gives no answer."""
    try:
        return asyncio.run(work)
    except DatabaseUnavailable as fault:
        raise Refused(f"the database does not answer: {fault.__cause__}") from fault
    except TooSlow as fault:
        raise Refused(f"a statement took longer than {STATEMENT_TIMEOUT}") from fault


async def _export(
    database: Database,
    form: str,
    periods: list[Period],
    positions: list[int] | None,
    file: BinaryIO,
    screen: Screen,
) -> Outline:
    line = _line(database)

    async def read(work: Callable[[Transaction], Awaitable[T]]) -> T:
        return await line.transact(lambda transaction: _seeing_all(transaction, work))

    async def outlined(transaction: Transaction) -> Outline | None:
        return await _outline(transaction, database.region.code, periods, positions)

    try:
        for _ in range(OUTLINES_MAX):
            found = await line.transact(lambda t: _seeing_all(t, outlined), frozen=True)
            if found is not None:
                break
        else:
            raise Refused("rebuilds swap the views again and again: wait until they are done")
        writer = FORMS[form].writer(found)
        total = found.entries
        async for part in parts(
            found, writer, read, lambda done: screen.progress("entries", done, total)
        ):
            file.write(part)
    finally:
        await line.close()
    return found


async def _seeing_all(transaction: Transaction, work: Callable[[Transaction], Awaitable[T]]) -> T:
    await transaction.rows(_SQL["scope"], ())
    return await work(transaction)


def _line(database: Database) -> Line:
    return Line(database.service_url, AUDITOR, statement_timeout=STATEMENT_TIMEOUT)


async def _known_positions(database: Database, known_at: datetime) -> list[int]:
    """The positions of an instant."""
    line = _line(database)
    try:
        [(found,)] = await line.rows(_MOMENTS["known_positions"], {"known_at": known_at})
    finally:
        await line.close()
    if found is None:
        raise Misuse(f"--known-at: {not_yet(known_at)}")
    positions: list[int] = found
    return positions


async def _outline(
    transaction: Transaction,
    region: str,
    periods: list[Period],
    given: list[int] | None,
) -> Outline | None:
    """The outline; None when a rebuild has swapped the views meanwhile: each time is another one's."""
    [(reached, parked)] = await transaction.rows(_SQL["reached"], ())
    if await _is_swapped(transaction):
        return None
    if None in reached:
        raise Refused(
            "how far the views are cannot be told: `billing-ledger reconcile` says of which"
        )
    positions = given or reached
    if any(position > has for position, has in zip(positions, reached, strict=True)):
        raise Misuse(f"--at: the events of region {region} have not come that far")
    found = await outline(
        transaction,
        region=region,
        position=Vector(region, positions).text(),
        positions=positions,
        parked=parked,
        periods=periods,
    )
    return None if await _is_swapped(transaction) else found


async def _is_swapped(transaction: Transaction) -> bool:
    [(found,)] = await transaction.rows(_MOMENTS["is_swapped"], {"views": list(VIEWS)})
    return bool(found)


def _periods(given: argparse.Namespace) -> list[Period]:
    try:
        first = period_of(given.period)
        return months_of(first, period_of(given.through) if given.through else first)
    except (InvalidPeriod, ValueError) as fault:
        raise Misuse(str(fault)) from None


def _known_at(text: str | None) -> datetime | None:
    try:
        return None if text is None else instant(text)
    except ValueError as fault:
        raise Misuse(f"--known-at: {fault}") from None


def _positions(text: str | None, database: Database) -> list[int] | None:
    try:
        return None if text is None else Vector.read(database.region.code, text).positions
    except Problem as problem:
        raise Misuse(f"--at: {problem.detail}") from None


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    """Where to write: standard output, or a file that is put in place once it is whole.

    Raises Misuse for a directory, and Refused when the file cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.is_dir():
        raise Misuse(f"--out: {path} is a directory")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as fault:
        raise Refused(f"--out: {path} cannot be written: {fault.strerror or fault}") from fault
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
