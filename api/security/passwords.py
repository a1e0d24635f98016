"""Passwords: Argon2id in a bounded pool of threads, so that a flood of sign-ins starves nothing else.

Parameters are OWASP's second choice (19 MiB, two passes, one lane).
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

HASHES_AT_ONCE = 2
WAITING_MAX = 32
"""Sign-ins that may wait for a hash; about a second's worth."""
PASSWORD_CHARS_MIN = 10
"""More than the eight of NIST SP 800-63B (revision 3); like there, no rules of composition."""
PASSWORD_CHARS_MAX = 1_024
_ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GENERATED_LENGTH = 16

T = TypeVar("T")

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)


class PoolFull(Exception):
    """More sign-ins wait for a hash than are let wait; ask again in a moment."""


def hash_password(password: str) -> str:
    """The Argon2id hash of a password, with its parameters and salt."""
    return _hasher.hash(password)


def is_right(password_hash: str, password: str) -> bool:
    """Whether the password is the one that was hashed; takes the same time either way."""
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def dummy_hash() -> str:
    """A hash that no password is known for, to be checked where there is none to check."""
    return hash_password(secrets.token_urlsafe(32))


def generate_password() -> str:
    """A password of about 93 bits, without letters that look like others."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GENERATED_LENGTH))


def names_somebody(password: str, identifiers: Iterable[str]) -> bool:
    """Whether the password is what its owner signs in as, which is tried first."""
    return password.strip().lower() in {identifier.lower() for identifier in identifiers}


class PasswordPool:
    """Checks and hashes passwords in threads, a few at once, with a bounded queue."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="password")
        self._inside = 0

    async def is_right(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right; None is checked against a dummy, as slowly, and is wrong.

        Raises PoolFull at once when too many wait.
        """
        checked = password_hash if password_hash is not None else dummy_hash()
        right = await self._run(lambda: is_right(checked, password))
        return right and password_hash is not None

    async def hash(self, password: str) -> str:
        """The hash of a password; raises PoolFull at once when too many wait."""
        return await self._run(lambda: hash_password(password))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._inside >= HASHES_AT_ONCE + WAITING_MAX:
            raise PoolFull
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._inside -= 1

    def close(self) -> None:
        """No more checks; those under way finish."""
        self._threads.shutdown(wait=True, cancel_futures=True)
