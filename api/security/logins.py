"""Keeping logins and tokens: made, reset, locked, issued, revoked; every one safe to do twice."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
from psycopg.rows import scalar_row

from api.security.addresses import is_address
from api.security.passwords import hash_password, is_right
from api.security.roles import REGISTRAR
from api.security.scope import Role
from api.security.sign_in import normalised
from api.security.tokens import digest
from ledger.ids import ID_SAYS
from ledger.store.lanes import account_id, lane_of
from ledger.store.roles import acting_as
from ledger.store.sql import load

_SQL = load("api.security", "logins.sql")


class CannotMakeLogin(Exception):
    """A login cannot be made as asked; the message says why."""


class NewLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A login to be made: a customer's with accounts, staff's with a client ID alone."""

    role: Role
    password: str
    client_id: str | None = None
    account_numbers: tuple[str, ...] = ()
    must_change_password: bool = True
    email: str | None = None


class Registrar:
    """The keeper of one region's logins and tokens; also a context manager."""

    def __init__(self, region: str, service_url: str) -> None:
        self._region = region
        self._connection = psycopg.connect(acting_as(service_url, REGISTRAR), autocommit=True)

    def create(self, login: NewLogin) -> bool:
        """The login exists; False when it did before, whose password then stays as it is.

        Raises CannotMakeLogin when its names are another's, are not such as can be signed in
        with, or an account does not exist.
        """
        _refuse_odd(login)
        ids = [account_id(self._region, number) for number in login.account_numbers]
        outcome = self._ask(
            "make_login",
            id=uuid4(),
            role=login.role,
            password_hash=hash_password(login.password),
            must_change=login.must_change_password,
            client_id=login.client_id,
            lanes=[lane_of(id) for id in ids],
            account_ids=ids,
            account_numbers=list(login.account_numbers),
            email=login.email,
        )
        if outcome == "account_unknown":
            numbers = ", ".join(login.account_numbers)
            raise CannotMakeLogin(f"region {self._region} has not all of the accounts {numbers}")
        if outcome == "identifier_taken":
            raise CannotMakeLogin(
                "another login has that client ID or account number, or this one has another "
                "role or other accounts"
            )
        return outcome == "created"

    def reset(self, identifier: str, password: str, *, must_change: bool = True) -> bool:
        """The login has this password and is not locked; False when there is no such login."""
        return bool(
            self._ask(
                "reset_login",
                identifier=normalised(identifier),
                password_hash=hash_password(password),
                must_change=must_change,
            )
        )

    def lock(self, identifier: str) -> bool:
        """Nobody can sign in as the login; False when there is no such login."""
        return bool(self._ask("lock_login", identifier=normalised(identifier)))

    def drop_second_factor(self, identifier: str) -> bool:
        """The login is asked for no code; False when there is no such login."""
        return bool(self._ask("drop_second_factor", identifier=normalised(identifier)))

    def has_password(self, identifier: str, password: str) -> bool:
        """Whether the login can be signed in with that password."""
        found = self._ask("password_hash", identifier=normalised(identifier))
        return found is not None and is_right(str(found), password)

    def issue_token(self, token: str, name: str, scopes: Sequence[str]) -> None:
        """The token is good for the scopes."""
        self._ask(
            "issue_token", id=uuid4(), token_sha256=digest(token), name=name, scopes=list(scopes)
        )

    def revoke_tokens(self, name: str) -> int:
        """No token of that name is good; how many were."""
        revoked = self._ask("revoke_tokens", name=name)
        assert isinstance(revoked, int)
        return revoked

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Registrar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, query: str, **given: Any) -> object:
        with self._connection.cursor(row_factory=scalar_row) as cursor:
            answer: object = cursor.execute(_SQL[query], given).fetchone()
        return answer


def _refuse_odd(login: NewLogin) -> None:
    names = [*login.account_numbers, *([login.client_id] if login.client_id else [])]
    if not names:
        raise CannotMakeLogin("a login needs a client ID or an account number")
    for name in names:
        if not normalised(name):
            raise CannotMakeLogin(f"{name!r} is not {ID_SAYS}")
    if login.email is not None and not is_address(login.email):
        raise CannotMakeLogin(f"{login.email!r} is not a mail address in ASCII such as a@b.example")
    if (login.role == "customer") != bool(login.account_numbers):
        raise CannotMakeLogin("customers have accounts of their own, and nobody else has")
