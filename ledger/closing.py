"""Month ends: one invoice for every account that is due, exactly once, whoever is killed meanwhile.

A run of a period is kept lane by lane (`ledger.month_end`). A runner locks some lanes that nobody
works on, bills their next accounts through the one door, and only then moves the lanes on. Accounts
billed by somebody who was killed before that are found by their key.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from ledger.closing_batch import Claim, Found, RefusedAccount, Stretch, Tally, bill
from ledger.closing_preview import Preview
from ledger.errors import (
    EffectiveBeforeCause,
    EffectiveInFuture,
    MonthEndRunning,
    PeriodNotBegun,
)
from ledger.month_end import Asked, key_of, names_of, period_of
from ledger.store.committer import Ledger
from ledger.store.roles import WRITER, acting_as
from ledger.store.sql import load

BATCH_MAX = 1_024
"""Accounts looked at between two moves: what a killed runner leaves to be looked at again."""
PREVIEW_MAX = 256
"""Accounts looked at between two batches of a preview: it is read as it is made."""
LANES_MAX = 8
"""Lanes a batch is taken from: the fewer accounts a lane has, the more lanes fill a batch."""
REFUSALS_KEPT_MAX = 16
"""Refusals a lane keeps; all are counted."""
COUNT_EVERY_S = 5.0
"""Seconds for which the number of accounts is taken to stay: to count many takes long."""
WAIT_S = 0.02
"""How often a runner looks whether one that holds the last lanes is gone."""
AHEAD_MAX_S = 7 * 86_400.0
"""No end is expected later: a run that stood still for long says nothing of its speed."""
STATEMENT_TIMEOUT = "30s"
HELD_MAX = "5min"
"""A lane held longer by a runner that says nothing is free again."""

_BEFORE_ALL = UUID(int=0)  # the ids of accounts have a version, so none is this one

_SQL = load("ledger", "closing.sql")

Connection = psycopg.Connection[tuple[Any, ...]]


class MonthEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A run: what was asked, and what became of the accounts looked at so far.

    `issued_on` None: each invoice is issued on the day its period ends. Every account counts once:
    `issued` by this run, `replayed` by an earlier one, `nothing_to_bill`, `not_due` by the day of
    issue (or of asking), or `refused`, of which `refusals` are the first of each lane. While it runs,
    `accounts_left` are still to be looked at, and `end_expected_at` is when that will be done if it
    goes on as fast, if that can be said. `books_state` is that of the month's books, which are closed
    by themselves or with those of a later month.
    """

    period: str
    state: Literal["running", "finished"]
    books_state: Literal["open", "cut_off", "closed"]
    issued_on: date | None
    asked_on: date
    actor: str
    asked_at: datetime
    moved_at: datetime
    finished_at: datetime | None
    accounts: int
    issued: int
    replayed: int
    nothing_to_bill: int
    not_due: int
    refused: int
    refusals: tuple[RefusedAccount, ...]
    accounts_left: int | None
    end_expected_at: datetime | None


class MonthEnds:
    """The month ends of one region; used by one thread, connected as the writer when used."""

    def __init__(self, url: str) -> None:
        self._conninfo = acting_as(
            url,
            WRITER,
            statement_timeout=STATEMENT_TIMEOUT,
            idle_in_transaction_session_timeout=HELD_MAX,
            timezone="UTC",
            # Rows are looked up by key, whatever the planner knows of tables just filled.
            enable_seqscan="off",
            enable_bitmapscan="off",
            enable_hashjoin="off",
            enable_mergejoin="off",
        )
        self._connection: Connection | None = None
        self._counted: tuple[float, int] | None = None

    def ask(self, period: str, issued_on: date | None, *, actor: str, today: date) -> MonthEnd:
        """The period's run, which is to be worked on; a finished one looks at every account again.

        While it runs, asking the same changes nothing, except that on a later day it begins anew
        when more accounts may be due. Waits for batches at hand. Raises InvalidPeriod,
        PeriodNotBegun, EffectiveInFuture or EffectiveBeforeCause for a day of issue after today or
        before the period, and MonthEndRunning when it runs with another day of issue.
        """
        asked = Asked(period=period_of(period), issued_on=issued_on, asked_on=today)
        _refuse_untimely(asked)
        given = {**msgspec.structs.asdict(asked), "period": period, "actor": actor}
        connection = self._open()
        with connection.transaction():
            if not connection.execute(_SQL["insert"], given).rowcount:
                rows = connection.execute(_SQL["lock"], given).fetchall()
                if _begins_anew(asked, rows):
                    connection.execute(_SQL["restart"], given)
        run = self.status(period)
        assert run is not None, period
        return run

    def preview(self, period: str, issued_on: date | None, *, today: date) -> Preview:
        """What `ask` and `work` would do now, to be read batch by batch while this is open.

        Raises what `ask` does, and MonthEndRunning for an earlier month that is being closed: its
        invoices are still to take lines that this one would show.
        """
        asked = Asked(period=period_of(period), issued_on=issued_on, asked_on=today)
        _refuse_untimely(asked)
        given = {"period": period, "issued_on": issued_on}
        row = self._open().execute(_SQL["in_the_way"], given).fetchone()
        if row is not None:
            raise _running(*row)
        return Preview(asked, lambda claims: _stretches(self._open(), claims, PREVIEW_MAX))

    def status(self, period: str) -> MonthEnd | None:
        """The period's run; None when it was never asked for. Raises InvalidPeriod."""
        found = self._runs(period=str(period_of(period)), before=None, limit=1)
        return found[0] if found else None

    def runs(self, before: str | None, limit: int) -> list[MonthEnd]:
        """At most so many runs that were asked for, the latest month's first, of months before one."""
        return self._runs(period=None, before=before, limit=limit)

    def accounts(self) -> int:
        """How many accounts there are, or were COUNT_EVERY_S ago."""
        now = time.monotonic()
        if self._counted is None or now > self._counted[0] + COUNT_EVERY_S:
            row = self._open().execute(_SQL["counted"]).fetchone()
            assert row is not None
            self._counted = now, cast(int, row[0])
        return self._counted[1]

    def unfinished(self) -> list[str]:
        """The periods whose runs are not finished, in order."""
        return [period for (period,) in self._open().execute(_SQL["unfinished"]).fetchall()]

    def work(
        self,
        ledger: Ledger,
        *,
        stopping: threading.Event | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Works until no run is unfinished, or to the end of a batch once `stopping` is set.

        Any number of runners may work at once; the last waits for the others, and goes on with
        what a killed one leaves. `progress` is called after each batch. Raises StoreUnavailable,
        LedgerClosed and psycopg's errors: nothing is lost, and any runner may go on.
        """
        stopping = stopping or threading.Event()
        while not stopping.is_set():
            if not self._step(ledger):
                if not self.unfinished():
                    return
                stopping.wait(WAIT_S)
            progress()

    def close(self) -> None:
        """No connection is open; the next use opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _runs(self, **given: object) -> list[MonthEnd]:
        connection = self._open()
        rows = connection.execute(_SQL["runs"], given).fetchall()
        refusals: dict[str, list[RefusedAccount]] = {period: [] for period, *_ in rows}
        for period, refusal in connection.execute(
            _SQL["refusals"], {"periods": list(refusals)}
        ).fetchall():
            refusals[period].append(msgspec.convert(refusal, RefusedAccount))
        is_any_running = any(finished_at is None for *_, finished_at, _, _, _, _, _ in rows)
        accounts = self.accounts() if is_any_running else 0
        return [_run(row, tuple(refusals[row[0]]), accounts) for row in rows]

    def _step(self, ledger: Ledger) -> bool:
        """Whether there was a lane to work on: a batch of accounts is done then."""
        connection = self._open()  # all in one transaction: when it is lost, so are the locks
        with connection.transaction():
            claims = _claims(connection)
            if not claims:
                return False
            stretches = _stretches(connection, claims, BATCH_MAX)
            tallies = bill(stretches, ledger)
            if tallies is not None:
                _move(connection, stretches, tallies)
        return True

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._conninfo,
                autocommit=True,
            )
            self._connection.prepare_threshold = 0
        return self._connection


def _run(row: tuple[Any, ...], refusals: tuple[RefusedAccount, ...], accounts: int) -> MonthEnd:
    """A run as it was read; `accounts` are how many there are, of interest while it runs."""
    period, books_state, issued_on, asked_on, actor, asked_at, moved_at, finished_at, *counts = row
    issued, replayed, nothing_to_bill, not_due, refused = counts
    done = sum(counts)
    left = max(accounts - done, 0) if finished_at is None else None
    return MonthEnd(
        period=period,
        state="running" if finished_at is None else "finished",
        books_state=books_state,
        issued_on=issued_on,
        asked_on=asked_on,
        actor=actor,
        asked_at=asked_at,
        moved_at=moved_at,
        finished_at=finished_at,
        accounts=done,
        issued=issued,
        replayed=replayed,
        nothing_to_bill=nothing_to_bill,
        not_due=not_due,
        refused=refused,
        refusals=refusals,
        accounts_left=left,
        end_expected_at=_expected(asked_at, moved_at, done, left) if left else None,
    )


def _expected(asked_at: datetime, moved_at: datetime, done: int, left: int) -> datetime | None:
    """When the accounts left are done if it goes on as fast; None when nobody could say."""
    if not done or (ahead_s := (moved_at - asked_at).total_seconds() * left / done) > AHEAD_MAX_S:
        return None
    return moved_at + timedelta(seconds=ahead_s)


def _refuse_untimely(asked: Asked) -> None:
    period, issued_on, today = asked.period, asked.issued_on, asked.asked_on
    if period.first_on > today:
        raise PeriodNotBegun(period=str(period), today=today)
    if issued_on is not None and issued_on > today:
        raise EffectiveInFuture(effective_on=issued_on, today=today)
    if issued_on is not None and issued_on < period.first_on:
        raise EffectiveBeforeCause(
            effective_on=issued_on, cause=f"the period {period}", cause_on=period.first_on
        )


def _begins_anew(asked: Asked, rows: Sequence[tuple[Any, ...]]) -> bool:
    """Whether a run that was asked for before is to look at every account again."""
    issued_on, asked_on, _ = rows[0]
    if not any(is_unfinished for *_, is_unfinished in rows):
        return True
    if issued_on != asked.issued_on:
        raise _running(str(asked.period), issued_on)
    return issued_on is None and cast(date, asked_on) < asked.asked_on


def _running(period: str, issued_on: date | None) -> MonthEndRunning:
    said = issued_on.isoformat() if issued_on else "the day each account's period ends"
    return MonthEndRunning(period=period, issued_on=said)


def _claims(connection: Connection) -> list[Claim]:
    given = {"lanes": min(LANES_MAX, BATCH_MAX)}
    claims = []
    for row in connection.execute(_SQL["claim"], given).fetchall():
        lane, period, issued_on, asked_on, *rest = row
        asked = Asked(period=period_of(period), issued_on=issued_on, asked_on=asked_on)
        claims.append(Claim(lane, asked, *rest))
    return claims


def _stretches(connection: Connection, claims: Sequence[Claim], accounts_max: int) -> list[Stretch]:
    limit = accounts_max // len(claims)
    named = [names_of("", claim.asked.period) for claim in claims]
    given = {
        "lanes": [claim.lane for claim in claims],
        "after": [claim.after or _BEFORE_ALL for claim in claims],
        "keys": [key_of(claim.asked.period) for claim in claims],
        "numbers": [number.id for number, _, _ in named],
        "months": [month.id for _, month, _ in named],
        "earlier": [earlier.id for _, _, earlier in named],
        "limit": limit,
    }
    found: list[list[Found]] = [[] for _ in claims]
    with connection.cursor(binary=True) as cursor:
        for n, *row in cursor.execute(_SQL["accounts"], given):
            found[n - 1].append(Found(*row))
    stretches = [
        Stretch(claim, rows, len(rows) < limit) for claim, rows in zip(claims, found, strict=True)
    ]
    # The door takes the lanes' shares in this order: what small ones leave, large ones get.
    return sorted(stretches, key=lambda stretch: len(stretch.found))


def _move(connection: Connection, stretches: Sequence[Stretch], tallies: Sequence[Tally]) -> None:
    given = []
    for (claim, found, is_last), tally in zip(stretches, tallies, strict=True):
        kept = tally.refusals[: max(REFUSALS_KEPT_MAX - claim.refusals_kept, 0)]
        given.append(
            {
                **msgspec.structs.asdict(tally),
                "lane": claim.lane,
                "period": str(claim.asked.period),
                "after": found[-1].account_id if found else None,
                "refusals": Jsonb(msgspec.to_builtins(kept)),
                "is_last": is_last,
            }
        )
    with connection.cursor() as cursor:
        cursor.executemany(_SQL["move"], given)
        assert cursor.rowcount == len(stretches), given
