"""Ids that callers give: what a path would take for another place is refused at every door."""

import json
import re
import uuid
from typing import Any

import msgspec
import pytest

from api.routes.logins import LoginBody
from api.wire_values import given_number, identifier, invoice
from ledger.commands import IssueInvoice, PostCharge
from tests.api.books import PASSWORD, TOKENS
from tests.api.serving import Answer, Service

US = TOKENS["us"]
ELSEWHERE = (".", "..")
ODD = ("...", ".a", "a.", "-", "_", ":", "..:")
OPENING = {"company": "Example", "country": "USA", "terms": {"kind": "net", "days": 30}}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "charges": (
        "charge_id",
        {"amount": "1.00", "description": "Calls", "category": "voice"},
    ),
    "credits": ("credit_id", {"amount": "1.00", "applies_to": "account", "reason": "goodwill"}),
    "payments": ("payment_id", {"pay": "amount", "amount": "1.00", "method": "card"}),
    "refunds": ("refund_id", {"amount": "1.00", "method": "card", "reason": "overpaid"}),
    "write-offs": ("write_off_id", {"invoice": "I", "reason": "bankrupt"}),
    "disputes": ("dispute_id", {"invoice": "I", "reason": "not mine"}),
    "invoices": ("number", {}),
}
"""By the end of the path, the field that holds an id, and the rest of a body."""


def posted(service: Service, path: str, body: dict[str, Any]) -> Answer:
    return service.send("POST", path, US, body, key=uuid.uuid4().hex)


@pytest.mark.parametrize("place", BODIES)
@pytest.mark.parametrize("id", ELSEWHERE)
def test_no_thing_of_an_account_is_named_like_another_place(
    service: Service, place: str, id: str
) -> None:
    """Its Location would be the path of its list, or of its account."""
    field, rest = BODIES[place]
    answer = posted(service, f"/v1/accounts/A-1/{place}", {field: id, **rest})
    assert 422 == answer.status
    assert [(f"/{field}", "invalid_id")] == [
        (error["pointer"], error["code"]) for error in answer.json["errors"]
    ]


@pytest.mark.parametrize("id", ELSEWHERE)
def test_no_account_is_named_like_another_place(service: Service, id: str) -> None:
    """Neither over HTTP nor in a line, nor by its client ID, nor in a login's list of them."""
    for field in ("account_number", "client_id"):
        answer = posted(service, "/v1/accounts", {"account_number": "Q-1", **OPENING, field: id})
        assert (422, "invalid_id") == (answer.status, answer.json["errors"][0]["code"])
    line = {"key": uuid.uuid4().hex, "account": id, "type": "open_account", "data": OPENING}
    headers = {"Content-Type": "application/x-ndjson"}
    body = json.dumps(line).encode()
    told = service.ask("/v1/commands", US, method="POST", headers=headers, body=body)
    assert "refused" == json.loads(told.body)["status"]
    admin = service.token("admin", PASSWORD)
    for login in ({"role": "customer", "accounts": [id]}, {"role": "support", "client_id": id}):
        assert 422 == service.send("POST", "/v1/logins", admin, login, key=uuid.uuid4().hex).status
    assert 422 == service.ask(f"/v1/accounts/A-1/charges?invoice={id}", US).status


@pytest.mark.parametrize("id", ELSEWHERE)
def test_no_command_names_another_place(id: str) -> None:
    """The ledger's own form of ids is the same."""
    given = {"type": "post_charge", "amount_minor": 1, "description": "Calls", "category": "voice"}
    with pytest.raises(msgspec.ValidationError, match="charge_id"):
        msgspec.convert({**given, "charge_id": id}, PostCharge)
    with pytest.raises(msgspec.ValidationError, match="client_id"):
        msgspec.convert({"role": "support", "client_id": id}, LoginBody)


@pytest.mark.parametrize("number", ["X.pdf", ".pdf", "X.pdf.pdf"])
def test_no_invoice_is_named_like_anothers_document(service: Service, number: str) -> None:
    """What stands at `X.pdf` is the document of X: an invoice of that name could not be read."""
    given = {"number": number, "issued_on": "2020-01-31"}
    answer = posted(service, "/v1/accounts/A-1/invoices", given)
    assert (422, "/number", "invalid_id") == (
        answer.status,
        answer.json["errors"][0]["pointer"],
        answer.json["errors"][0]["code"],
    )
    line = {"key": uuid.uuid4().hex, "account": "A-1", "type": "issue_invoice", "data": given}
    headers = {"Content-Type": "application/x-ndjson"}
    body = json.dumps(line).encode()
    told = json.loads(
        service.ask("/v1/commands", US, method="POST", headers=headers, body=body).body
    )
    assert ("refused", "/data/number") == (
        told["status"],
        told["problem"]["errors"][0]["pointer"],
    )
    with pytest.raises(msgspec.ValidationError, match="number"):
        msgspec.convert({"type": "issue_invoice", **given}, IssueInvoice)


def test_only_the_ending_is_taken() -> None:
    """Other numbers with those letters are numbers, for the reader, its schema and the ledger."""
    pattern = re.compile(given_number.schema["pattern"])
    for number in (*ODD, "X.PDF", "Xpdf", "X.pdf-1", ".pdf."):
        assert pattern.search(number)
        assert (
            number
            == msgspec.convert({"type": "issue_invoice", "number": number}, IssueInvoice).number
        )
    assert not any(pattern.search(number) for number in ("X.pdf", *ELSEWHERE))


def test_the_schemas_say_so() -> None:
    """Other ids of dots are ids; the schema of a reader takes what the reader takes."""
    for reader in (identifier, invoice):
        pattern = re.compile(reader.schema["pattern"])
        assert not any(pattern.search(id) for id in (*ELSEWHERE, "", "a b", "a/..", "x" * 97))
        assert all(pattern.search(id) for id in ODD)
