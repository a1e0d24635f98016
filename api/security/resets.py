"""Passwords forgotten: asked for by anybody, with one answer, and set by a link that was mailed."""

from collections.abc import Mapping
from uuid import uuid4

from api.database import Asks
from api.security import throttle
from api.security.own_login import UnfitPassword
from api.security.passwords import PasswordPool, names_somebody
from api.security.sign_in import Throttled, normalised
from api.security.tokens import digest, region_of
from ledger.store.sql import load

_SQL = load("api.security", "resets.sql")
_NOBODY = ""


class LinkSpent(Exception):
    """The link was used, is too old, was overtaken by another password, or never was one."""


class Resets:
    """The resets of all regions of a process. `lines` act as billing_sign_in, by region."""

    def __init__(self, lines: Mapping[str, Asks], passwords: PasswordPool) -> None:
        assert lines
        self._lines = lines
        self._passwords = passwords

    def serves(self, region: str) -> bool:
        """Whether there is such a region."""
        return region in self._lines

    async def ask(self, region: str, identifier: str, source: str) -> None:
        """A mail is on its way, if there is such a login with an address; raises Throttled.

        Whoever asks cannot tell: each way is one statement that writes the same rows.
        """
        line = self._lines.get(region)
        known = normalised(identifier) if line else _NOBODY
        line = line or next(iter(self._lines.values()))
        bucket = throttle.reset_asked(region, identifier.strip().lower(), source)
        [(wait_s,)] = await line.rows(
            _SQL["ask"],
            {
                "buckets": [bucket, throttle.source_alone(source)],
                "limits": [throttle.TRIES_OF_ACCOUNT_AND_SOURCE, throttle.TRIES_OF_SOURCE],
                "window_s": throttle.WINDOW_S,
                "identifier": known,
                "mail": uuid4(),
            },
        )
        if wait_s:
            raise Throttled(wait_s)

    async def use(self, token: str, new: str, source: str) -> str:
        """The region, in which the link's login has the new password, and is signed out everywhere.

        Raises LinkSpent, UnfitPassword, Throttled, PoolFull.
        """
        region = region_of(token) or ""
        line = self._lines.get(region)
        if line is None:
            raise LinkSpent
        [(wait_s, login, identifiers)] = await line.rows(
            _SQL["look_up"],
            {
                "buckets": [throttle.source_alone(source)],
                "limits": [throttle.TRIES_OF_SOURCE],
                "window_s": throttle.WINDOW_S,
                "token_sha256": digest(token),
            },
        )
        if wait_s:
            raise Throttled(wait_s)
        if login is None:
            raise LinkSpent
        if names_somebody(new, identifiers):
            raise UnfitPassword("password_is_identifier", "is what you sign in as")
        given = {"token_sha256": digest(token), "new_hash": await self._passwords.hash(new)}
        [(done,)] = await line.rows(_SQL["use"], given)
        if not done:
            raise LinkSpent
        return region
