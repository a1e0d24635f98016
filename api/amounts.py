"""Amounts of money as replies show them."""

from functools import lru_cache
from typing import Annotated

import msgspec

from ledger.money import decimal_text

AMOUNTS_KEPT_MAX = 10_000
"""Most amounts of a reply are zero, or stand there twice."""


class Money(msgspec.Struct, frozen=True):
    """An amount with exactly the currency's decimals, signed when negative, and ISO 4217 currency."""

    amount: Annotated[str, msgspec.Meta(pattern=r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$")]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]


@lru_cache(AMOUNTS_KEPT_MAX)
def money(minor: int, currency: str) -> Money:
    """The amount of so many minor units of a currency."""
    return Money(decimal_text(minor, currency), currency)
