"""Exact amounts of money: integers of a currency's minor unit, in 64 bits, with one rounding rule."""

import re
from collections.abc import Sequence

import msgspec

from ledger.errors import AmountOverflow, InvalidAmount, Refusal, UnknownCurrency

AMOUNT_MINOR_MAX = 2**63 - 1
"""Largest amount or total, in minor units: a PostgreSQL bigint."""

_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,15})(?:\.([0-9]+))?", re.ASCII)

# ISO 4217 active codes by number of decimals; two is the rule, these are the exceptions.
_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP "
    "GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL "
    "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK "
    "PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENT_OF = {code: digits for digits, codes in _EXPONENTS.items() for code in codes.split()}


class Money(msgspec.Struct, frozen=True, gc=False):
    """An amount in minor units of one ISO 4217 currency."""

    minor: int
    currency: str

    def __str__(self) -> str:
        return f"{decimal_text(self.minor, self.currency)} {self.currency}"


def exponent(currency: str) -> int:
    """Number of decimals of an ISO 4217 currency; raises UnknownCurrency."""
    try:
        return _EXPONENT_OF[currency]
    except KeyError:
        raise UnknownCurrency(currency=currency) from None


def minor_units(text: str, currency: str) -> int:
    """Minor units of an ASCII decimal string such as "61.11"; never negative.

    Raises InvalidAmount for any other form or more decimals than the currency has, and
    AmountOverflow past 64 bits.
    """
    digits = exponent(currency)
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise InvalidAmount(amount=text[:40], currency=currency)
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > digits:
        raise InvalidAmount(amount=text[:40], currency=currency)
    try:
        return within_64_bits(int(whole + fraction.ljust(digits, "0")))
    except AmountOverflow as refusal:
        state_amounts(refusal, currency)
        raise


def decimal_text(minor: int, currency: str) -> str:
    """The amount as a decimal string with exactly the currency's decimals, signed when negative."""
    digits = exponent(currency)
    if digits == 0:
        return str(minor)
    units = str(abs(minor)).rjust(digits + 1, "0")
    return f"{'-' if minor < 0 else ''}{units[:-digits]}.{units[-digits:]}"


def within_64_bits(minor: int) -> int:
    """The same amount; raises AmountOverflow when a bigint cannot hold it."""
    if not -AMOUNT_MINOR_MAX <= minor <= AMOUNT_MINOR_MAX:
        raise AmountOverflow(amount_minor=str(minor))
    return minor


def state_amounts(refusal: Refusal, currency: str) -> None:
    """Makes the refusal's sentence state its amounts as decimals with their currency."""
    amounts = {
        name: str(Money(int(fact), currency))
        for name, fact in vars(refusal).items()
        if name.endswith("_minor")
    }
    refusal.args = (refusal.says.format(**{**vars(refusal), **amounts}),)


def rounded(numerator: int, denominator: int) -> int:
    """numerator / denominator to a whole minor unit, half away from zero: the one rounding rule."""
    assert denominator > 0, denominator
    quotient, rest = divmod(abs(numerator), denominator)
    if rest * 2 >= denominator:
        quotient += 1
    return -quotient if numerator < 0 else quotient


def split(total_minor: int, weights: Sequence[int]) -> list[int]:
    """Shares of a non-negative total in proportion to the weights, that sum to it exactly.

    Largest remainder: every share is rounded down, and the units left go to the largest
    remainders, ties in order. Weights are non-negative and not all zero.
    """
    assert total_minor >= 0, total_minor
    whole = sum(weights)
    assert whole > 0, "weights sum to zero"
    shares = [total_minor * weight // whole for weight in weights]
    left = total_minor - sum(shares)
    by_remainder = sorted(
        range(len(weights)), key=lambda i: (-(total_minor * weights[i] % whole), i)
    )
    for i in by_remainder[:left]:
        shares[i] += 1
    return shares
