"""Lanes: the serial commit domains of the log; an account lives in one, fixed for ever."""

import zlib
from functools import lru_cache
from uuid import NAMESPACE_URL, UUID, uuid5

LANES = 64
"""Lanes of a region's database; changing it would move accounts, so it never changes."""
IDS_KEPT_MAX = 16_384


@lru_cache(IDS_KEPT_MAX)
def account_id(region: str, account_number: str) -> UUID:
    """The id of an account, made from its region's code and its number."""
    return uuid5(_namespace(region), account_number)


def lane_of(account_id: UUID) -> int:
    """The lane of an account, 0 to 63."""
    return zlib.crc32(account_id.bytes) % LANES


def lanes_of_share(n: int, shares: int) -> range:
    """The lanes of share `n` of `shares`, counted from 0: every lane is in exactly one."""
    return range(n * LANES // shares, (n + 1) * LANES // shares)


@lru_cache
def _namespace(region: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"billing-ledger:{region}")
