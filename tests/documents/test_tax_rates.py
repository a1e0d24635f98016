"""Rates of taxes on invoices: percent, as the place writes it, and all of it."""

import msgspec
import pytest

from api.documents.content import TaxAmount
from api.documents.typesetting import Typesetter
from tests.documents.contents import BILLER, customer, invoice, joined, text_of


@pytest.fixture(scope="module")
def typesetter() -> Typesetter:
    return Typesetter()


@pytest.mark.parametrize(
    ("language", "zone", "rates"),
    [
        ("en", "America/New_York", ("6.25%", "20%", "0%", "1,250%")),
        ("en", "Europe/Berlin", ("6,25 %", "20 %", "0 %", "1.250 %")),
        ("de", "Europe/Berlin", ("6,25 %", "20 %", "0 %", "1.250 %")),
        ("fr", "Europe/Paris", ("6,25 %", "20 %", "0 %", "1\u202f250 %")),
        ("ja", "Asia/Tokyo", ("6.25%", "20%", "0%", "1,250%")),
        ("tr", "Europe/Istanbul", ("%6,25", "%20", "%0", "%1.250")),
    ],
)
def test_a_tax_rate_is_a_percentage_as_the_place_writes_it(
    typesetter: Typesetter, language: str, zone: str, rates: tuple[str, ...]
) -> None:
    """A fraction as it was posted becomes percent, exactly, without zeros that say nothing."""
    taxes = [
        TaxAmount(name=f"tax {n}", rate=rate, base_minor=10_00, amount_minor=0)
        for n, rate in enumerate(("0.0625", "0.2000", "0.00", "12.5"))
    ]
    made = invoice(
        customer=customer(language=language),
        biller=msgspec.structs.replace(BILLER, zone=zone),
        taxes=taxes,
    )
    text = text_of(typesetter.pdf(made))
    for n, shown in enumerate(rates):
        assert f"tax {n} {shown} 10" in text, text


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        ("9999999999999999.999999999999", "999,999,999,999,999,999.9999999999%"),
        ("99999999999999999999.9999999999", "9,999,999,999,999,999,999,999.99999999%"),
        ("0.000000000001", "0.0000000001%"),
        ("reduced", "reduced"),
        ("", ""),
    ],
)
def test_any_tax_rate_is_told_in_full(typesetter: Typesetter, rate: str, shown: str) -> None:
    """No digit of a rate is rounded away, and what is no number is told as it is."""
    tax = TaxAmount(name="VAT", rate=rate, base_minor=10_00, amount_minor=0)
    assert f"VAT{shown}10.000.00" in joined(typesetter.pdf(invoice(taxes=[tax])))
