"""Coming in: whose token it is, and whether they may do what is asked, decided by the database."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from api.database import Asks, Transaction
from api.problems import Problem
from api.security.scope import Permission
from api.security.tokens import digest, region_of
from ledger.ids import ID
from ledger.store.lanes import account_id, lane_of
from ledger.store.sql import load

PLACES_KEPT_MAX = 10_000
# Nobody's: a number that no account can have is asked about all the same, so that whoever is not
# signed in learns nothing from it.
NO_ACCOUNT = UUID(int=0)

_SQL = load("api", "entering.sql")


class Place(msgspec.Struct, frozen=True):
    """An account of a region, whether it exists or not."""

    number: str
    lane: int
    account_id: UUID


class Principal(msgspec.Struct, frozen=True):
    """Who asks: a login by its role, or a service by its token."""

    role: str
    id: UUID

    @property
    def actor(self) -> str:
        """How events name them."""
        return f"{'token' if self.role == 'service' else 'login'}:{self.id}"


class Entered(msgspec.Struct, frozen=True):
    """Somebody who may do what they ask; `currency` is the account's, None in the region at large."""

    principal: Principal
    currency: str | None


class Moment(msgspec.Struct, frozen=True):
    """A moment of an account to read: `known_at` or `at` or neither; all None is the live state."""

    effective_on: date | None = None
    known_at: datetime | None = None
    at: int | None = None

    @property
    def is_live(self) -> bool:
        return self.effective_on is None and self.known_at is None and self.at is None


class EnteredReading(msgspec.Struct, frozen=True, array_like=True):
    """What access.enter_reading answers, in its order of columns; and whether the views were swapped."""

    verdict: str
    role: str | None
    principal_id: UUID | None
    currency: str | None
    as_of_position: int | None
    position: int | None
    known_at: datetime | None
    reached: int | None
    version: int | None
    settings_version: int | None
    is_swapped: bool


@lru_cache(PLACES_KEPT_MAX)
def place(region: str, number: str) -> Place:
    """Where an account of that number is, or would be."""
    id = account_id(region, number) if ID.fullmatch(number) else NO_ACCOUNT
    return Place(number, lane_of(id), id)


def bearer(authorization: str, is_served: Callable[[str], bool]) -> tuple[str, bytes]:
    """Region and digest of a bearer token; raises Problem (401), also for a region not served."""
    scheme, _, token = authorization.partition(" ")
    region = region_of(token.strip()) if scheme.lower() == "bearer" else None
    if region is None or not is_served(region):
        raise unauthenticated()
    return region, digest(token.strip())


async def enter(
    database: Asks, permission: Permission, token: bytes, at: Place | None = None
) -> Entered:
    """Who asks; sets what a transaction may see. Raises Problem (401, 403, 404)."""
    given = {
        **_wanted(permission),
        "token_sha256": token,
        "lane": at.lane if at else None,
        "account_id": at.account_id if at else None,
    }
    [(verdict, role, principal_id, currency)] = await database.rows(_SQL["enter"], given)
    if verdict == "password_due" and permission.with_password_due:
        verdict = "allowed"  # no such permission is of an account, or of some roles alone
    refuse(verdict)
    return Entered(Principal(role, principal_id), currency)


async def currencies(transaction: Transaction, places: Sequence[Place]) -> dict[str, str]:
    """The currency of each account that exists, by number, for whoever has entered the region."""
    given = {
        "lanes": [at.lane for at in places],
        "account_ids": [at.account_id for at in places],
    }
    rows = await transaction.rows(_SQL["currencies"], given)
    return {places[n - 1].number: currency for n, currency in rows}


async def enter_reading(
    transaction: Transaction,
    permission: Permission,
    token: bytes,
    at: Place,
    moment: Moment,
    wait_lane: int | None,
) -> EnteredReading:
    """Who asks and what moment is read, with the verdict, whatever it is."""
    given = {
        **_wanted(permission),
        "token_sha256": token,
        "lane": at.lane,
        "account_id": at.account_id,
        "effective_on": moment.effective_on,
        "known_at": moment.known_at,
        "at": moment.at,
        "wait_lane": wait_lane,
    }
    [row] = await transaction.rows(_SQL["enter_reading"], given)
    return EnteredReading(*row)


async def refuse_never_given(database: Asks, verdict: str, wanted: tuple[int, int]) -> None:
    """Raises the Problem (404, 422) of waiting for a position that no log has reached.

    A command tells its position once its transaction is committed, which has moved the lane's
    head too: what is past the head was told by nobody, and waiting for it leads to nothing.
    """
    lane, position = wanted
    [(has_reached,)] = await database.rows(
        _SQL["has_reached"], {"lane": lane, "position": position}
    )
    if not has_reached:
        refuse(verdict)
        raise Problem("position_unknown", f"no command was told the position {lane}-{position}")


def refuse(verdict: str) -> None:
    """Raises the Problem of a verdict that lets nobody in."""
    match verdict:
        case "unauthenticated":
            raise unauthenticated()
        case "unknown":
            raise account_unknown()
        case "forbidden":
            raise Problem("forbidden", "your role or scope does not allow this")
        case "password_due":
            raise password_due()


def password_due() -> Problem:
    """The problem of whoever must change their password before anything else."""
    says = "somebody else has chosen your password: change it first, at /v1/me/password"
    return Problem("password_change_required", says)


def account_unknown() -> Problem:
    """The problem of an account that there is not, or not for whoever asks."""
    return Problem("account_unknown", "there is no such account for you")


def unauthenticated() -> Problem:
    """The problem of whoever is not signed in, or no longer."""
    return Problem("unauthenticated", "sign in, and send the token as Authorization: Bearer")


def _wanted(permission: Permission) -> Mapping[str, Any]:
    return {"roles": list(permission.roles), "scope": permission.scope}
