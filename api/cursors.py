"""Cursors of lists: opaque, and signed, so that only what a list gave out is taken back.

    key = await door.cursor_key()              # before a transaction: it may need a line of its own
    kind = list_of("charges", path_of_the_request, {"status": "billed", "from": day})
    next_cursor = seal(key, kind, (last.effective_on, last.version))
    effective_on, version = unseal(key, kind, text, tuple[date, int])

A cursor is good for the region, operation, path and filters it was made for, whoever sends it: it
says where a page ends, not what may be seen.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import TypeVar

import msgspec
from itsdangerous import BadSignature, Signer

from api.database import LinePool
from api.problems import invalid_query
from ledger.store.sql import load

_SQL = load("api", "cursors.sql")
_encode = msgspec.msgpack.Encoder().encode

T = TypeVar("T")


class CursorKey:
    """The key of a region's cursors, asked for once by a process. `pool` acts as reader or registrar."""

    def __init__(self, pool: LinePool) -> None:
        self._pool = pool
        self._key: bytes | None = None

    async def __call__(self) -> bytes:
        """32 bytes; raises DatabaseUnavailable, TooSlow and PoolBusy."""
        if self._key is None:
            [(self._key,)] = await self._pool.rows(_SQL["signing_key"], ())
        return self._key


def list_of(operation: str, path: str, filters: Mapping[str, object]) -> bytes:
    """What a cursor is bound to. `filters` are the parameters without limit and cursor, as parsed."""
    return _encode((operation, path, sorted((name, str(value)) for name, value in filters.items())))


def seal(key: bytes, kind: bytes, values: tuple[object, ...]) -> str:
    """A cursor for where a page ends: `values` are what the list is in order of, 80 bytes or so.

    Two ids of 64 characters are more than CURSOR takes back; a day, an instant or a number with one
    of them is not.
    """
    return _signer(key, kind).sign(urlsafe_b64encode(_encode(values)).rstrip(b"=")).decode()


def unseal(key: bytes, kind: bytes, text: str, values: type[T]) -> T:
    """What `seal` was given, of this type; raises Problem (422) for anything it did not make."""
    try:
        packed = _signer(key, kind).unsign(text.encode())
        return msgspec.msgpack.decode(
            urlsafe_b64decode(packed + b"=" * (-len(packed) % 4)), type=values
        )
    except (BadSignature, binascii.Error, msgspec.DecodeError):
        raise invalid_query("cursor", "is no next_cursor of this list with these filters") from None


def _signer(key: bytes, kind: bytes) -> Signer:
    return Signer(key, salt=kind, key_derivation="hmac", digest_method=sha256)
