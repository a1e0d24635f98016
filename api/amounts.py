"""Amounts of money as replies show them."""

from typing import Annotated

import msgspec

from ledger.money import decimal_text


class Money(msgspec.Struct, frozen=True):
    """An amount with exactly the currency's decimals, signed when negative, and ISO 4217 currency."""

    amount: Annotated[str, msgspec.Meta(pattern=r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$")]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]


def money(minor: int, currency: str) -> Money:
    """The amount of so many minor units of a currency."""
    return Money(decimal_text(minor, currency), currency)
