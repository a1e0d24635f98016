"""Lists filtered by an invoice, over HTTP: what stands on it, names it or was put on it."""

import uuid

import pytest

from api.security.logins import Registrar
from api.security.scope import SCOPES
from api.wiring import Database
from tests.api.serving import Service
from tests.api.steps import OPENING, charge, invoice, payment

TOKEN = "us." + "v" * 43


@pytest.fixture(scope="module")
def account(service: Service, us: Database) -> str:
    """Two invoices of 10.00 and one payment of 12.00 that names the second; one that names none."""
    with Registrar("us", us.service_url) as registrar:
        registrar.issue_token(TOKEN, "all", SCOPES)
    number = f"V-{uuid.uuid4().hex[:8]}"
    steps = (
        OPENING,
        charge("c1"),
        invoice("I1"),
        charge("c2"),
        invoice("I2"),
        payment("named", "12.00", invoice="I2", status="processed"),
        payment("free", "3.00", status="processed"),
        payment("promised", "1.00", invoice="I2"),
    )
    for n, step in enumerate(steps):
        answer = step.send(service, TOKEN, number, f"k{n}")
        assert step.status == answer.status, answer
    seen = {"Ledger-Position": answer.json["position"]}
    assert 200 == service.ask(f"/v1/accounts/{number}", TOKEN, headers=seen).status
    return number


def ids(service: Service, account: str, query: str, id: str) -> list[str]:
    """What a list holds; the views have all that was written."""
    answer = service.ask(f"/v1/accounts/{account}/{query}", TOKEN)
    assert 200 == answer.status, answer
    return [row[id] for row in answer.json["data"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("payments?invoice=I1", ["free", "named"]),
        ("payments?invoice=I2", ["promised", "named"]),
        ("payments?invoice=I2&status=pending", ["promised"]),
        ("payments?invoice=I2&status=failed", []),
        ("payments?invoice=I3", []),
    ],
)
def test_payments_of_an_invoice(
    service: Service, account: str, query: str, expected: list[str]
) -> None:
    """Newest first: those that name the invoice, and those whose money went on to it; live and as
    known at the position that the live answer names."""
    head = service.ask(f"/v1/accounts/{account}", TOKEN)
    assert expected == ids(service, account, query, "payment_id")
    as_of = f"{query}&at={head.json['position']}"
    assert expected == ids(service, account, as_of, "payment_id")


def test_charges_of_an_invoice(service: Service, account: str) -> None:
    """The charges that stand on the invoice, which all are billed."""
    assert ["c2"] == ids(service, account, "charges?invoice=I2", "charge_id")
    assert ["c2"] == ids(service, account, "charges?invoice=I2&status=billed", "charge_id")
    assert [] == ids(service, account, "charges?invoice=I2&status=unbilled", "charge_id")
