"""Reads what dunning looks at from the views: accounts page by page, each as of one moment.

Everything told of an account is of the version told with it: who acts on it names that version.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import IsolationLevel

from ledger.dunning import (
    CATEGORIES,
    MARK_CHARS,
    Facts,
    Return,
    fee_id,
    interest_id,
    mark,
    reminder_id,
)
from ledger.dunning_policy import Policy
from ledger.past_due import Debt, Moved
from ledger.store.roles import PROJECTOR, acting_as
from ledger.store.sql import load
from projections.model import SESSION

PAGE = 512
"""Accounts that are looked at together."""
SWAPS_MAX = 8
"""Rebuilds that may put new tables in place while one page is read."""
STATEMENT_TIMEOUT = "60s"

_BEFORE_ALL = -1, UUID(int=0)

_SQL = load("projections", "dunning.sql")

Rows = list[tuple[Any, ...]]


class Place(NamedTuple):
    """An account's lane and id."""

    lane: int
    account_id: UUID


class Looked(NamedTuple):
    """An account; `facts` None: its views have stopped, so nothing is known of it."""

    place: Place
    account_number: str
    facts: Facts | None


class _Account(NamedTuple):
    lane: int
    account_id: UUID
    account_number: str
    currency: str
    is_closed: bool
    version: int
    is_parked: bool


class _Debt(NamedTuple):
    n: int
    number: str
    due_on: date
    seq: int
    total_minor: int
    fees_minor: int
    is_cancelled: bool
    charged_through: date | None


class DunningReading:
    """Reads accounts for a policy and a day; used by one thread."""

    def __init__(self, url: str, policy: Policy, on: date) -> None:
        self._policy = policy
        self._on = on
        self._connection = psycopg.connect(
            acting_as(url, PROJECTOR, statement_timeout=STATEMENT_TIMEOUT, **SESSION)
        )
        self._connection.isolation_level = IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        self._connection.prepare_threshold = 0

    def close(self) -> None:
        self._connection.close()

    def after(self, place: Place | None) -> list[Looked]:
        """The next accounts behind one, in order of lane and id; none behind the last."""
        lane, account_id = place or _BEFORE_ALL
        given = {"after_lane": lane, "after": account_id, "limit": PAGE}
        return self._looked("accounts", given)

    def again(self, places: Sequence[Place]) -> list[Looked]:
        """Accounts by name, as they are now."""
        return self._looked("some_accounts", _at(places))

    def _looked(self, query: str, given: dict[str, Any]) -> list[Looked]:
        for _ in range(SWAPS_MAX):
            with self._moment() as is_whole:
                accounts = [_Account(*row) for row in self._rows(query, given)]
                facts = self._facts([one for one in accounts if not one.is_parked])
                if is_whole():
                    return [_looked_at(account, facts) for account in accounts]
        raise AssertionError(f"{SWAPS_MAX} rebuilds while one page was read")

    @contextmanager
    def _moment(self) -> Iterator[Callable[[], bool]]:
        """A transaction that sees one moment; what it gives tells whether it did.

        Names are looked up anew by every statement: after a swap they mean tables whose rows this
        moment does not see.
        """
        with self._connection.transaction():
            [before] = self._rows("schema", {})
            yield lambda: [before] == self._rows("schema", {})

    def _facts(self, accounts: Sequence[_Account]) -> dict[UUID, Facts]:
        places = [Place(one.lane, one.account_id) for one in accounts]
        debts = self._debts(places)
        moved = self._moved([places[debt.n - 1] for debt in debts], debts)
        unapplied = self._unapplied(places, debts)
        returns = self._returns(places)
        done = self._done(places, debts)
        by_account: dict[int, list[Debt]] = defaultdict(list)
        interest: dict[int, dict[str, date]] = defaultdict(dict)
        for debt, days in zip(debts, moved, strict=True):
            by_account[debt.n].append(_debt(debt, days))
            if debt.charged_through is not None:
                interest[debt.n][mark(debt.number)] = debt.charged_through
        return {
            account.account_id: Facts(
                account_number=account.account_number,
                currency=account.currency,
                version=account.version,
                is_closed=account.is_closed,
                debts=tuple(by_account[n]),
                unapplied=tuple(unapplied[n]),
                returns=tuple(returns[n]),
                done=frozenset(done[n]),
                charged_through=interest[n],
            )
            for n, account in enumerate(accounts, start=1)
        }

    def _debts(self, places: Sequence[Place]) -> list[_Debt]:
        interest = self._policy.interest
        given = {
            **_at(places),
            "on": self._on,
            "since": self._policy.since,
            "bears_after": interest.after_days if interest else None,
            "through": interest.through(self._on) if interest else None,
            "mark_chars": MARK_CHARS,
            "categories": list(CATEGORIES),
        }
        return [_Debt(*row) for row in self._rows("debts", given)]

    def _moved(self, places: Sequence[Place], debts: Sequence[_Debt]) -> list[list[Moved]]:
        """The days of each debt."""
        given = {
            **_at(places),
            "numbers": [debt.number for debt in debts],
            "due": [debt.due_on for debt in debts],
            "on": self._on,
        }
        days: list[list[Moved]] = [[] for _ in debts]
        for n, *moved in self._rows("moved", given):
            days[n - 1].append(Moved(*moved))
        return days

    def _unapplied(
        self, places: Sequence[Place], debts: Sequence[_Debt]
    ) -> dict[int, list[tuple[date, int]]]:
        """Of accounts with debts, by their number."""
        first: dict[int, date] = {}
        for debt in debts:  # of each account, in due order
            first.setdefault(debt.n, debt.due_on)
        given = {
            **_at([places[n - 1] for n in first]),
            "due": list(first.values()),
            "on": self._on,
        }
        numbers = list(first)
        found: dict[int, list[tuple[date, int]]] = defaultdict(list)
        for n, on, amount_minor in self._rows("unapplied", given):
            found[numbers[n - 1]].append((on, amount_minor))
        return found

    def _returns(self, places: Sequence[Place]) -> dict[int, list[Return]]:
        found: dict[int, list[Return]] = defaultdict(list)
        if not self._policy.return_fee_minor:
            return found
        given = {**_at(places), "since": self._policy.since, "on": self._on}
        for n, version, payment_id, amount_minor, on in self._rows("returns", given):
            found[n].append(
                Return(version=version, payment_id=payment_id, amount_minor=amount_minor, on=on)
            )
        return found

    def _done(self, places: Sequence[Place], debts: Sequence[_Debt]) -> dict[int, set[str]]:
        """Of what could be asked for of invoices, what was posted before; or another by that id."""
        asked = [(debt.n, id) for debt in debts for id in self._ids(debt.number)]
        given = {**_at([places[n - 1] for n, _ in asked]), "ids": [id for _, id in asked]}
        found: dict[int, set[str]] = defaultdict(set)
        for n, id in self._rows("done", given):
            found[asked[n - 1][0]].add(id)
        return found

    def _ids(self, number: str) -> Iterator[str]:
        for step in self._policy.steps:
            if step.fee:
                yield fee_id(number, step.after_days)
            if step.reminder:
                yield reminder_id(number, step.after_days)
        if interest := self._policy.interest:
            yield interest_id(number, interest.through(self._on))

    def _rows(self, query: str, given: dict[str, Any]) -> Rows:
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(_SQL[query], given).fetchall()


def _at(places: Sequence[Place]) -> dict[str, Any]:
    return {
        "lanes": [place.lane for place in places],
        "accounts": [place.account_id for place in places],
    }


def _debt(debt: _Debt, moved: Sequence[Moved]) -> Debt:
    return Debt(
        number=debt.number,
        due_on=debt.due_on,
        seq=debt.seq,
        total_minor=debt.total_minor,
        fees_minor=debt.fees_minor,
        moved=tuple(moved),
        is_cancelled=debt.is_cancelled,
    )


def _looked_at(account: _Account, facts: dict[UUID, Facts]) -> Looked:
    place = Place(account.lane, account.account_id)
    return Looked(place, account.account_number, facts.get(account.account_id))
