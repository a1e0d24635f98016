"""Whether a region can be served: database, roles, schema, region row, lag, parked accounts, month ends.

The same answers stop a start, fill /readyz and are what `doctor` tells.
"""

from collections.abc import Callable, Iterator
from typing import cast

import msgspec
import psycopg

from api.reconciliations import standing
from api.wiring import SOURCES, Database
from ledger.store.faults import MigrationChanged, UnsafeRole, WrongRegion
from ledger.store.lanes import LANES
from ledger.store.migrate import check_region, check_role, pending
from ledger.store.roles import READER, acting_as
from ledger.store.sql import load
from projections.model import exists, is_current
from projections.read_models import READ_MODELS

CONNECT_TIMEOUT_S = 5
LAG_EVENTS_MAX = 100_000
LAG_S_MAX = 30.0
STILL_S_MAX = 300.0
"""How long an unfinished month end may stand still."""
MAIL_S_MAX = 15 * 60.0
LATE_ROUNDS, LATE_S = 2, 300.0
"""How long a lane may wait for its reconciliation: so many rounds and seconds."""
_SQL = load("api", "checkup.sql")

Connection = psycopg.Connection[tuple[object, ...]]


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. `stops` tells whether the region cannot be served while it is wrong."""

    name: str
    ok: bool
    says: str
    stops: bool = True


def checkup(database: Database) -> list[Finding]:
    """What was found of a region, in order; nothing after what makes the rest pointless."""
    try:
        with _connect(database.service_url) as plain:
            found = [Finding("database", True, "answers"), _finding("role", lambda: _role(plain))]
    except psycopg.OperationalError as fault:
        return [Finding("database", False, _short(fault))]
    if not found[-1].ok:
        return found
    try:
        with _connect(acting_as(database.service_url, READER)) as connection:
            found += _of_schema(connection, database)
            if all(finding.ok for finding in found):
                found += [*_of_views(connection), _of_books(connection)]
                found.append(_of_month_ends(connection))
    except psycopg.Error as fault:
        says = f"{_short(fault)}: has `billing-ledger migrate` been run?"
        found.append(Finding("schema", False, says))
    return found


def outbox(database: Database, *, is_sent: bool) -> Finding:
    """Whether mails go out; `is_sent`: there is a mail server to send them by."""
    try:
        with _connect(acting_as(database.service_url, READER)) as connection:
            mails, oldest_s = connection.execute(_SQL["outbox"]).fetchone() or (0, 0.0)
    except psycopg.Error as fault:
        return Finding("mail", False, _short(fault), stops=False)
    assert isinstance(oldest_s, float)
    if not is_sent:
        says = f"BILLING_LEDGER_SMTP_URL is not set: {mails} mails wait"
        return Finding("mail", mails == 0, says, stops=False)
    says = f"{mails} mails wait" + (f", the oldest for {oldest_s:.0f} s" if mails else "")
    return Finding("mail", oldest_s <= MAIL_S_MAX, says, stops=False)


def reconciliation(database: Database, every_s: int) -> Finding:
    """Whether the books agreed when last reconciled, not too long ago; with `every_s` 0 whenever that was."""
    try:
        with (
            _connect(acting_as(database.service_url, READER)) as connection,
            connection.transaction(),
        ):
            connection.execute(_SQL["scope_all"])
            found = standing(connection)
    except psycopg.Error as fault:
        return Finding("reconciliation", False, _short(fault), stops=False)
    if found.differences:
        name = "difference" if found.differences == 1 else "differences"
        says = f"{found.differences} {name}: see `billing-ledger reconcile`"
        return Finding("reconciliation", False, says, stops=False)
    if every_s and found.waits_s > LATE_ROUNDS * every_s + LATE_S:
        says = f"a lane with events has waited for {found.waits_s:.0f} s: is the follower running?"
        return Finding("reconciliation", False, says, stops=False)
    if found.lanes < LANES:
        return Finding(
            "reconciliation", True, f"{found.lanes} of {LANES} lanes so far", stops=False
        )
    says = f"{found.events} events of {found.accounts} accounts agree, {found.waits_s:.0f} s ago"
    return Finding("reconciliation", True, says, stops=False)


def hindrances(database: Database) -> list[Finding]:
    """What keeps a region from being served; empty when it can be."""
    return [finding for finding in checkup(database) if finding.stops and not finding.ok]


def _of_schema(connection: Connection, database: Database) -> Iterator[Finding]:
    yield _finding("region", lambda: _region(connection, database))
    yield _finding("schema", lambda: _schema(connection))


def _of_views(connection: Connection) -> Iterator[Finding]:
    missing = [model.name for model in READ_MODELS if not exists(connection, model.name)]
    if missing:
        yield Finding("views", False, f"run `billing-ledger migrate`: no {', '.join(missing)}")
        return
    stale = [model.name for model in READ_MODELS if not is_current(connection, model)]
    says = f"run `billing-ledger rebuild`: made otherwise: {', '.join(stale)}"
    yield Finding("views", not stale, says if stale else "are of this release")
    yield _lag(connection, "follower", "the views are", stops=True)
    with connection.transaction():
        connection.execute(_SQL["scope_all"])
        [parked] = connection.execute(_SQL["parked"]).fetchone() or (0,)
    yield Finding("parked", parked == 0, f"{parked} parked accounts", stops=False)
    # No account read needs it: a new release serves while it fills it for the first time.
    yield _lag(connection, "journal", "the journal is", stops=False)


def _lag(connection: Connection, name: str, what: str, *, stops: bool) -> Finding:
    query = "lag" if name == "follower" else "journal_lag"
    events, seconds = connection.execute(_SQL[query]).fetchone() or (0, 0.0)
    assert isinstance(events, int)
    assert isinstance(seconds, float)
    in_time = events <= LAG_EVENTS_MAX and seconds <= LAG_S_MAX
    says = f"{what} {events} events behind" + (f", {seconds:.0f} s" if events else "")
    return Finding(name, in_time, says, stops=stops)


def _of_books(connection: Connection) -> Finding:
    unproved = cast(list[tuple[str, float]], connection.execute(_SQL["unproved"]).fetchall())
    still = [period for period, since_s in unproved if since_s > STILL_S_MAX]
    if still:
        says = f"cut off and not closed: {', '.join(still)}; `billing-ledger close-month` says why"
    else:
        says = "every month that was cut off is closed, or being closed"
    return Finding("books", not still, says, stops=False)


def _of_month_ends(connection: Connection) -> Finding:
    unfinished = cast(list[tuple[str, float]], connection.execute(_SQL["month_ends"]).fetchall())
    still = [
        f"{period} for {still_s:.0f} s" for period, still_s in unfinished if still_s > STILL_S_MAX
    ]
    if still:
        says = f"stands still: {', '.join(still)}; `billing-ledger close-month` goes on with it"
    elif unfinished:
        says = f"under way: {', '.join(period for period, _ in unfinished)}"
    else:
        says = "none is under way"
    return Finding("month_end", not still, says, stops=False)


def _role(connection: Connection) -> str:
    check_role(connection)
    return "neither owner nor superuser"


def _region(connection: Connection, database: Database) -> str:
    check_region(connection, database.row)
    return f"is {database.region.code}"


def _schema(connection: Connection) -> str:
    if missing := pending(connection, SOURCES):
        raise MigrationChanged(f"run `billing-ledger migrate` first: {', '.join(missing)}")
    return "is up to date"


def _finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except (UnsafeRole, WrongRegion, MigrationChanged) as fault:
        return Finding(name, False, str(fault))


def _connect(conninfo: str) -> Connection:
    return psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)


def _short(fault: psycopg.Error) -> str:
    return str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
