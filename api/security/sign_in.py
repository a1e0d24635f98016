"""Sign-in: region, identifier and password in, a session's token out.

Unknown region, unknown identifier, disabled login and wrong password take the same way: one count,
one look-up, one hash, one refusal. A code is asked for, and looked at, only after a right password.
"""

import time
from collections.abc import Mapping
from datetime import datetime

import msgspec

from api.database import Asks
from api.security import throttle
from api.security.passwords import PasswordPool
from api.security.second_factor import Proof, SecondFactor, proof_of
from api.security.tokens import digest, new_token
from ledger.ids import ID
from ledger.store.sql import load

SESSION_S = 12 * 60 * 60
_NOBODY = ""
_SQL = load("api.security", "sign_in.sql")


class Throttled(Exception):
    """Too many tries; `wait_s` says for how long."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many tries: wait {wait_s} s")
        self.wait_s = wait_s


class WrongCredentials(Exception):
    """Region, identifier and password do not belong together, or the login is disabled."""


class SecondFactorRequired(Exception):
    """The password is right, and the login has a second factor: its code is needed too."""


class SecondFactorFailed(Exception):
    """The password is right; the code is wrong, or was used before."""


class Credentials(msgspec.Struct, frozen=True):
    """What somebody signs in with, and from where."""

    region: str
    identifier: str
    password: str
    source: str
    code: str | None = None


class SignedIn(msgspec.Struct, frozen=True):
    """The answer to a sign-in; `accounts` are a customer's own, and empty for staff."""

    token: str
    expires_at: datetime
    role: str
    accounts: list[str]
    must_change_password: bool


def normalised(identifier: str) -> str:
    """A client ID or account number as identifiers are compared: without blanks around, lower case.

    What no identifier can look like becomes the empty string, which none is.
    """
    lowered = identifier.strip().lower()
    return lowered if ID.fullmatch(lowered) else _NOBODY


class SignIn:
    """The sign-in of all regions of a process. `lines` act as billing_sign_in, by region."""

    def __init__(self, lines: Mapping[str, Asks], passwords: PasswordPool) -> None:
        assert lines
        self._lines = lines
        self._passwords = passwords

    def serves(self, region: str) -> bool:
        """Whether there is such a region."""
        return region in self._lines

    async def __call__(self, given: Credentials) -> SignedIn:
        """A new session.

        Raises Throttled, WrongCredentials, SecondFactorRequired, SecondFactorFailed, PoolFull,
        DatabaseUnavailable.
        """
        # A region that is not served has no database: its tries are counted in the first one's.
        line = self._lines.get(given.region)
        identifier = normalised(given.identifier) if line else _NOBODY
        line = line or next(iter(self._lines.values()))
        bucket = throttle.account_and_source(
            given.region, given.identifier.strip().lower(), given.source
        )
        rows = await line.rows(
            _SQL["try"],
            {
                "buckets": [bucket, throttle.source_alone(given.source)],
                "limits": [throttle.TRIES_OF_ACCOUNT_AND_SOURCE, throttle.TRIES_OF_SOURCE],
                "window_s": throttle.WINDOW_S,
                "identifier": identifier,
            },
        )
        [(wait_s, login, password_hash, secret, last_step)] = rows
        if wait_s:
            raise Throttled(wait_s)
        if not await self._passwords.is_right(password_hash, given.password):
            raise WrongCredentials
        codes = throttle.second_factor(given.region, str(login))
        factor = SecondFactor(secret, last_step) if secret is not None else None
        proof = await _proof(line, codes, factor, given.code)
        token = new_token(given.region)
        opened = await line.rows(
            _SQL["sign_in"],
            {
                "login_id": login,
                "password_hash": password_hash,
                "token_sha256": digest(token),
                "lifetime_s": SESSION_S,
                "buckets": [bucket, codes],
                "step": proof.step,
                "recovery_sha256": proof.recovery_sha256,
            },
        )
        if not opened:
            raise SecondFactorFailed if factor else WrongCredentials
        [(role, expires_at, must_change, accounts)] = opened
        return SignedIn(
            token=token,
            expires_at=expires_at,
            role=role,
            accounts=accounts,
            must_change_password=must_change,
        )


async def _proof(line: Asks, codes: bytes, factor: SecondFactor | None, code: str | None) -> Proof:
    """What the code proves, nothing where none is needed; each try counts, wherever it is from."""
    if factor is None:
        return Proof()
    if code is None:
        raise SecondFactorRequired
    return await prove(line, codes, factor, code)


async def prove(line: Asks, codes: bytes, factor: SecondFactor, code: str) -> Proof:
    """What the code proves; a try in the bucket `codes`. Raises Throttled, SecondFactorFailed."""
    counted = {
        "buckets": [codes],
        "limits": [throttle.TRIES_OF_LOGIN],
        "window_s": throttle.WINDOW_S,
    }
    [(wait_s,)] = await line.rows(_SQL["count"], counted)
    if wait_s:
        raise Throttled(wait_s)
    proof = proof_of(factor, code, time.time())
    if proof is None:
        raise SecondFactorFailed
    return proof
