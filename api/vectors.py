"""A place in all lanes at once, as one opaque string: what a consumer of the feed goes on from."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from zlib import crc32

from api.problems import Problem
from ledger.store.lanes import LANES

FORM = 1
"""The form of the string, its first byte: another one would be another number."""
CHARS_MAX = 1_024
"""Longer than any vector: 64 positions of nine bytes, the region's code and what frames them."""
VECTOR_SCHEMA = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": CHARS_MAX}
_CHECK_BYTES = 4
_CHARS = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Vector:
    """The position that each lane of a region was read up to; it moves on with what is read.

    As a string: base64url without padding of form, region code (length first), one LEB128 number a
    lane, and the CRC-32 of these. It keeps nobody out, it only tells a string that was cut, altered
    or meant for another region: who may read the feed may read all of it. So no key is in it, and
    it stays good for as long as the log.
    """

    def __init__(self, region: str, positions: Sequence[int] = (0,) * LANES) -> None:
        assert len(positions) == LANES, len(positions)
        self.positions = list(positions)
        self.region = region
        self._start = _start(region)
        self._numbers = [_number(position) for position in positions]

    @classmethod
    def read(cls, region: str, text: str) -> "Vector":
        """The vector that is written so; raises Problem (422, position_unknown).

        Only the one way of writing it is read, so a changed character never makes another place.
        """
        if len(text) <= CHARS_MAX and _CHARS.fullmatch(text):
            positions = _positions(region, text)
            if len(positions) == LANES:
                found = cls(region, positions)
                if found.text() == text:
                    return found
        raise unknown(region)

    def move(self, lane: int, position: int) -> None:
        """The lane was read up to a position, which is never back."""
        assert position >= self.positions[lane], (lane, position)
        self.positions[lane] = position
        self._numbers[lane] = _number(position)

    def copy(self) -> "Vector":
        """Another one at the same place."""
        return Vector(self.region, self.positions)

    def text(self) -> str:
        """What `read` gives this vector for."""
        body = self._start + b"".join(self._numbers)
        checked = body + crc32(body).to_bytes(_CHECK_BYTES, "big")
        return urlsafe_b64encode(checked).rstrip(b"=").decode()


def written(text: str) -> str:
    """A vector as it is written, which only its region can read; raises ValueError."""
    if 1 <= len(text) <= CHARS_MAX:
        return text
    raise ValueError(f"is not 1 to {CHARS_MAX} characters")


def unknown(region: str) -> Problem:
    """The problem of a string that is no vector of the region's log as it stands."""
    detail = (
        f"this is no position in the events of region {region}: give `next_cursor`, the id of a"
        " streamed event, or the `position` of an answer, of this region and just as it was received"
    )
    return Problem("position_unknown", detail)


def _start(region: str) -> bytes:
    code = region.encode()
    return bytes((FORM, len(code))) + code


def _number(value: int) -> bytes:
    """Little groups of seven bits, the top bit set on all but the last."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _positions(region: str, text: str) -> list[int]:
    """The numbers a string holds, if it starts as one of the region; nothing else is checked."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return []
    start = _start(region)
    if not raw.startswith(start):
        return []
    numbers, value, shift = list[int](), 0, 0
    for byte in raw[len(start) : -_CHECK_BYTES]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers
