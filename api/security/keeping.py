"""Keeping logins and tokens over HTTP: made once for each key, listed, changed, revoked."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec

from api.database import Asks
from api.security.scope import Role, Scope
from api.security.tokens import digest
from ledger.store.lanes import account_id, lane_of
from ledger.store.sql import load

_SQL = load("api.security", "keeping.sql")
_encode = msgspec.msgpack.Encoder(order="sorted").encode

Place = tuple[datetime, UUID]
"""Where a page ends: when the row was made, and its id."""


class NotKept(Exception):
    """A login cannot be made or changed so; `outcome` is the database's word for why."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class LoginShown(msgspec.Struct, frozen=True, kw_only=True):
    """A login; `accounts` are a customer's, and empty for staff."""

    id: UUID
    role: Role
    client_id: str | None
    accounts: list[str]
    email: str | None
    status: Literal["active", "disabled"]
    must_change_password: bool
    second_factor: bool
    created_at: datetime
    disabled_at: datetime | None


class TokenShown(msgspec.Struct, frozen=True, kw_only=True):
    """A service's token, without the token."""

    id: UUID
    name: str
    scopes: list[Scope]
    status: Literal["active", "revoked"]
    created_at: datetime
    revoked_at: datetime | None


class Made(msgspec.Struct, frozen=True):
    """What was made under a key; `password_hash` of a login that has the password it was given."""

    request_sha256: bytes
    password_hash: str | None
    id: UUID


class LoginWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A login to be made. `given_hash` is `password_hash`, when the password was given."""

    role: Role
    password_hash: str
    given_hash: str | None
    client_id: str | None
    accounts: Sequence[str]
    email: str | None


class LoginChange(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be otherwise; None stays. An address is set, or erased, when `sets_email`."""

    disabled: bool | None = None
    role: Role | None = None
    accounts: Sequence[str] | None = None
    sets_email: bool = False
    email: str | None = None
    password_hash: str | None = None
    drops_second_factor: bool = False


def request_digest(path: str, body: Mapping[str, object]) -> bytes:
    """What tells a request under a key from another. The body goes in without any secret."""
    return sha256(_encode((path, body))).digest()


class Keeper:
    """The logins and tokens of one region. `line` acts as billing_registrar.

    Every method may raise DatabaseUnavailable, TooSlow and PoolBusy.
    """

    def __init__(self, line: Asks, region: str) -> None:
        self._line = line
        self._region = region

    async def made_under(self, key: str) -> Made | None:
        """What was made under a key."""
        rows = await self._line.rows(_SQL["made_under"], {"key": key})
        return Made(*rows[0]) if rows else None

    async def logins(
        self, *, role: str | None, status: str | None, after: Place | None, rows_max: int
    ) -> list[LoginShown]:
        """Logins newest first, after a place."""
        return await self._logins(role=role, status=status, after=after, rows_max=rows_max)

    async def login(self, id: UUID) -> LoginShown | None:
        """The login of that id."""
        found = await self._logins(id=id)
        return found[0] if found else None

    async def make_login(self, key: str, request_sha256: bytes, wanted: LoginWanted) -> UUID | None:
        """The new login's id; None when the key was used meanwhile. Raises NotKept."""
        id = uuid4()
        [(outcome,)] = await self._line.rows(
            _SQL["make_login"],
            {
                "key": key,
                "request_sha256": request_sha256,
                "given_hash": wanted.given_hash,
                "id": id,
                "role": wanted.role,
                "password_hash": wanted.password_hash,
                "must_change": True,
                "client_id": wanted.client_id,
                "email": wanted.email,
                **self._accounts(wanted.accounts),
            },
        )
        if outcome == "made":
            return None
        if outcome != "created":
            raise NotKept(outcome)
        return id

    async def change_login(self, admin: UUID, id: UUID, change: LoginChange) -> None:
        """The login is changed, and acts so on its next request; raises NotKept."""
        accounts = {"lanes": None, "account_ids": None, "account_numbers": None}
        [(outcome,)] = await self._line.rows(
            _SQL["change_login"],
            {
                "admin": admin,
                "id": id,
                "disabled": change.disabled,
                "role": change.role,
                "sets_email": change.sets_email,
                "email": change.email,
                "password_hash": change.password_hash,
                "drops_second_factor": change.drops_second_factor,
                **(accounts if change.accounts is None else self._accounts(change.accounts)),
            },
        )
        if outcome != "changed":
            raise NotKept(outcome)

    async def tokens(
        self, *, status: str | None, after: Place | None, rows_max: int
    ) -> list[TokenShown]:
        """Tokens newest first, after a place."""
        return await self._tokens(status=status, after=after, rows_max=rows_max)

    async def token(self, id: UUID) -> TokenShown | None:
        """The token of that id."""
        found = await self._tokens(id=id)
        return found[0] if found else None

    async def issue_token(
        self, key: str, request_sha256: bytes, token: str, name: str, scopes: Sequence[str]
    ) -> UUID | None:
        """The token's id, which is good from now on; None when the key was used meanwhile."""
        id = uuid4()
        [(outcome,)] = await self._line.rows(
            _SQL["issue_token"],
            {
                "key": key,
                "request_sha256": request_sha256,
                "id": id,
                "token_sha256": digest(token),
                "name": name,
                "scopes": list(scopes),
            },
        )
        return id if outcome == "created" else None

    async def revoke_token(self, id: UUID) -> bool:
        """Whether there ever was such a token; it is good for nothing now."""
        [(found,)] = await self._line.rows(_SQL["revoke_token"], {"id": id})
        return bool(found)

    def _accounts(self, numbers: Sequence[str]) -> dict[str, Any]:
        ids = [account_id(self._region, number) for number in numbers]
        return {
            "lanes": [lane_of(id) for id in ids],
            "account_ids": ids,
            "account_numbers": list(numbers),
        }

    async def _logins(
        self,
        *,
        id: UUID | None = None,
        role: str | None = None,
        status: str | None = None,
        after: Place | None = None,
        rows_max: int = 1,
    ) -> list[LoginShown]:
        given = {"id": id, "role": role, "status": status, "rows_max": rows_max, **_after(after)}
        rows = await self._line.rows(_SQL["logins"], given)
        names = LoginShown.__struct_fields__
        return [LoginShown(**dict(zip(names, row, strict=True))) for row in rows]

    async def _tokens(
        self,
        *,
        id: UUID | None = None,
        status: str | None = None,
        after: Place | None = None,
        rows_max: int = 1,
    ) -> list[TokenShown]:
        given = {"id": id, "status": status, "rows_max": rows_max, **_after(after)}
        rows = await self._line.rows(_SQL["tokens"], given)
        names = TokenShown.__struct_fields__
        return [TokenShown(**dict(zip(names, row, strict=True))) for row in rows]


def _after(place: Place | None) -> dict[str, Any]:
    created_at, id = place or (None, None)
    return {"after_created_at": created_at, "after_id": id}
