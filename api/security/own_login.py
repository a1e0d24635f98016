"""Changing one's own login, with its password in hand: the password itself, and the second factor."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from api.database import Asks
from api.security import throttle
from api.security.passwords import PasswordPool, names_somebody
from api.security.second_factor import Proof, SecondFactor, new_recovery_codes, recovery_digest
from api.security.sign_in import SESSION_S, SecondFactorFailed, Throttled, prove
from api.security.tokens import digest, new_token
from ledger.store.sql import load

_SQL = load("api.security", "own_login.sql")


class WrongPassword(Exception):
    """The current password is another one."""


class SessionOver(Exception):
    """The session ended, or the password was changed, while it was checked."""


class UnfitPassword(Exception):
    """The new password is one that is tried first; `code` is stable, the message says why."""

    def __init__(self, code: str, says: str) -> None:
        super().__init__(says)
        self.code = code


class SecondFactorExists(Exception):
    """The login has a confirmed second factor."""


class SecondFactorMissing(Exception):
    """There is no second factor to confirm or remove."""


class NewSession(msgspec.Struct, frozen=True):
    """The one session that is left after the password was changed."""

    token: str
    expires_at: datetime


class _Login(msgspec.Struct, frozen=True, array_like=True):
    """What the own login is checked by, in the statement's order of columns."""

    wait_s: int
    login_id: UUID | None
    password_hash: str | None
    identifiers: list[str] | None
    secret: str | None
    last_step: int | None
    confirmed_at: datetime | None

    @property
    def factor(self) -> SecondFactor | None:
        """The second factor, confirmed or not."""
        if self.secret is None or self.last_step is None:
            return None
        return SecondFactor(self.secret, self.last_step)


class OwnLogin:
    """The login of one session. `line` acts as billing_sign_in; `login` is its id.

    Every method may raise Throttled, SessionOver, PoolFull and DatabaseUnavailable.
    """

    def __init__(
        self, line: Asks, passwords: PasswordPool, region: str, login: UUID, token_sha256: bytes
    ) -> None:
        self._line = line
        self._passwords = passwords
        self._region = region
        self._token_sha256 = token_sha256
        self._password_tries = throttle.own_password(region, str(login))
        self._code_tries = throttle.second_factor(region, str(login))

    async def change_password(self, current: str, new: str) -> NewSession:
        """All sessions are over but the new one; raises WrongPassword, UnfitPassword."""
        login = await self._with_password(current)
        if names_somebody(new, login.identifiers or ()):
            raise UnfitPassword("password_is_identifier", "is what you sign in as")
        if new == current:
            raise UnfitPassword("password_unchanged", "is the current password")
        new_hash = await self._passwords.hash(new)
        token = new_token(self._region)
        rows = await self._line.rows(
            _SQL["change_password"],
            {
                "token_sha256": self._token_sha256,
                "password_hash": login.password_hash,
                "new_hash": new_hash,
                "new_token_sha256": digest(token),
                "lifetime_s": SESSION_S,
                "bucket": self._password_tries,
            },
        )
        if not rows:
            raise SessionOver
        [(expires_at,)] = rows
        return NewSession(token, expires_at)

    async def start_second_factor(self, password: str, secret: str) -> str:
        """What the login signs in as; the secret waits for a code of it.

        Raises WrongPassword, SecondFactorExists.
        """
        login = await self._with_password(password)
        if login.confirmed_at is not None:
            raise SecondFactorExists
        if not await self._did(
            "start_second_factor",
            password_hash=login.password_hash,
            secret=secret,
            bucket=self._password_tries,
        ):
            raise SessionOver
        return (login.identifiers or [""])[0]

    async def confirm_second_factor(self, code: str) -> list[str]:
        """Fresh recovery codes: the login needs a code from now on, and no other session is left.

        Raises SecondFactorMissing, SecondFactorExists, SecondFactorFailed.
        """
        login = await self._checked([], [])
        if login.factor is None:
            raise SecondFactorMissing
        if login.confirmed_at is not None:
            raise SecondFactorExists
        proof = await prove(self._line, self._code_tries, login.factor, code)
        if proof.step is None:
            raise SecondFactorFailed
        codes = new_recovery_codes()
        if not await self._did(
            "confirm_second_factor",
            secret=login.secret,
            step=proof.step,
            recovery_sha256=[recovery_digest(one) for one in codes],
            bucket=self._code_tries,
        ):
            raise SessionOver
        return codes

    async def remove_second_factor(self, password: str, code: str) -> None:
        """No code is needed any more; raises WrongPassword, and as confirm_second_factor."""
        login = await self._with_password(password)
        if login.factor is None:
            raise SecondFactorMissing
        proof = Proof()
        if login.confirmed_at is not None:
            proof = await prove(self._line, self._code_tries, login.factor, code)
        if not await self._did(
            "remove_second_factor",
            password_hash=login.password_hash,
            step=proof.step,
            recovery_sha256=proof.recovery_sha256,
            buckets=[self._password_tries, self._code_tries],
        ):
            raise SecondFactorFailed

    async def _with_password(self, password: str) -> _Login:
        """The login, whose password that is; the try is counted before anything is hashed."""
        login = await self._checked([self._password_tries], [throttle.TRIES_OF_LOGIN])
        if not await self._passwords.is_right(login.password_hash, password):
            raise WrongPassword
        return login

    async def _checked(self, buckets: list[bytes], limits: list[int]) -> _Login:
        [row] = await self._line.rows(
            _SQL["try"],
            {
                "buckets": buckets,
                "limits": limits,
                "window_s": throttle.WINDOW_S,
                "token_sha256": self._token_sha256,
            },
        )
        login = _Login(*row)
        if login.wait_s:
            raise Throttled(login.wait_s)
        if login.login_id is None:
            raise SessionOver
        return login

    async def _did(self, query: str, **given: Any) -> bool:
        [(done,)] = await self._line.rows(
            _SQL[query], {"token_sha256": self._token_sha256, **given}
        )
        return bool(done)
