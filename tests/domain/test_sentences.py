"""What refusals tell people: amounts as decimals with their currency, never minor units."""

import inspect
import re
from dataclasses import fields, is_dataclass

import pytest

from ledger import errors
from ledger.errors import AmountOverflow, Refusal
from ledger.money import AMOUNT_MINOR_MAX, minor_units, state_amounts
from tests.examples import Given, charge, opening, payment, returned

SHOWN = {
    "USD": ("12345.67 USD", "76543.21 USD"),
    "JPY": ("1234567 JPY", "7654321 JPY"),
    "KWD": ("1234.567 KWD", "7654.321 KWD"),
}
MINOR = (1234567, 7654321)


def facts_of(kind: type[Refusal]) -> list[str]:
    """The facts that a refusal is made of."""
    return [fact.name for fact in fields(kind)] if is_dataclass(kind) else []


def amounts_of(kind: type[Refusal]) -> list[str]:
    """The facts of a refusal that are amounts."""
    return [name for name in facts_of(kind) if name.endswith("_minor")]


CATALOGUE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Refusal) and kind is not Refusal and amounts_of(kind)
]


@pytest.mark.parametrize("currency", SHOWN)
@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_amount_is_told_with_its_currency(kind: type[Refusal], currency: str) -> None:
    """Each sentence of the catalogue shows each of its amounts so, and the facts stay as they are."""
    names = amounts_of(kind)
    given: dict[str, object] = dict.fromkeys(facts_of(kind), "it")
    given |= dict(zip(names, MINOR, strict=False))
    refusal = kind(**given)
    state_amounts(refusal, currency)
    told = re.findall(r"\d[\d.]*(?: [A-Z]{3}\b)?", str(refusal).replace("64 bits", ""))
    assert sorted(SHOWN[currency][: len(names)]) == sorted(told)
    assert given == vars(refusal)


def test_the_catalogue_has_amounts() -> None:
    """The claim above is made of as many refusals as have amounts."""
    assert len(CATALOGUE) > 10
    assert AmountOverflow in CATALOGUE


@pytest.mark.parametrize(
    ("currency", "left", "asked"),
    [("USD", "20.00", "30.05"), ("JPY", "2000", "3005"), ("KWD", "2.000", "3.005")],
)
def test_a_decision_knows_the_currency(currency: str, left: str, asked: str) -> None:
    """What is refused of an account is told in the account's money."""
    given = Given(opening(currency=currency), payment("p-1", 2000))
    says = f"payment 'p-1' has {left} {currency} that can be returned, not {asked} {currency}"
    assert says == str(given.when(returned("p-1", 3005)))


def test_a_sum_too_large_is_told() -> None:
    """Also the sum that does not fit, which no figure can hold."""
    refused = Given(opening(), charge("a", AMOUNT_MINOR_MAX)).when(charge("b", 1))
    assert isinstance(refused, AmountOverflow)
    assert str(AMOUNT_MINOR_MAX + 1) == refused.amount_minor
    assert str(refused).startswith("92233720368547758.08 USD is beyond the 64 bits")


def test_an_amount_too_large_is_told() -> None:
    """An amount that does not fit is shown as it was written."""
    with pytest.raises(AmountOverflow, match=r"^9999999999999999\.999 KWD is beyond the 64 bits"):
        minor_units("9999999999999999.999", "KWD")
