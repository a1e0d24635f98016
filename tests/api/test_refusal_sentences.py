"""What people read of a refusal, wherever a command can be refused: amounts as in their bills."""

import json
import uuid
from typing import Any

import pytest

from tests.api.books import TOKENS
from tests.api.serving import Answer, Service

US = TOKENS["us"]
OPENING = {
    "company": "Example Traders",
    "country": "USA",
    "terms": {"kind": "net", "days": 30},
    "opened_on": "2020-01-01",
}
MONEY = {
    "USD": ("20.00", "30.05"),
    "JPY": ("2000", "3005"),
    "KWD": ("2.000", "3.005"),
}


def sent(service: Service, path: str, body: dict[str, Any], key: str = "") -> Answer:
    """The answer to a command with a key of its own, unless one is given."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key or uuid.uuid4().hex}
    return service.ask(path, US, method="POST", headers=headers, body=json.dumps(body).encode())


def line(account: str, type: str, **fields: Any) -> bytes:
    given = {"key": uuid.uuid4().hex, "account": account, "type": type, "data": fields}
    return json.dumps(given).encode() + b"\n"


def paid(service: Service, currency: str) -> str:
    """An account of this currency that has paid, and owes nothing."""
    number = f"SAYS-{currency}-{uuid.uuid4().hex[:8]}"
    opening = {**OPENING, "account_number": number, "currency": currency}
    assert sent(service, "/v1/accounts", opening).status == 201
    paying = {"payment_id": "p-1", "pay": "amount", "amount": MONEY[currency][0], "method": "card"}
    path = f"/v1/accounts/{number}/payments"
    assert sent(service, path, {**paying, "status": "processed"}).status == 201
    return number


@pytest.mark.parametrize("currency", MONEY)
def test_a_detail_tells_amounts_as_people_write_them(service: Service, currency: str) -> None:
    """A refused command says the same, in the account's money: sent again with its key, as a dry run
    and as a line in bulk."""
    number = paid(service, currency)
    left, more = (f"{amount} {currency}" for amount in MONEY[currency])
    says = f"payment 'p-1' has {left} that can be returned, not {more}"
    path = f"/v1/accounts/{number}/payments/p-1/returned"
    body = {"amount": MONEY[currency][1], "reason": "NSF"}
    answers = [sent(service, path + query, body, "r-1") for query in ("", "", "?dry_run=true")]
    assert [(409, "return_exceeds_processed")] * 3 == [(a.status, a.code) for a in answers]
    assert [says] * 3 == [answer.json["detail"] for answer in answers]
    bulk = line(number, "return_payment", payment_id="p-1", **body)
    headers = {"Content-Type": "application/x-ndjson"}
    lines = service.ask("/v1/commands", US, method="POST", headers=headers, body=bulk)
    assert says == json.loads(lines.body)["problem"]["detail"]


@pytest.mark.parametrize("currency", MONEY)
def test_refunds_and_payments_too(service: Service, currency: str) -> None:
    """Of two more refusals: what can be refunded, and what was submitted of a payment."""
    number = paid(service, currency)
    left, more = MONEY[currency]
    account = f"/v1/accounts/{number}"
    refund = {"refund_id": "r", "amount": more, "method": "card", "reason": "overpaid"}
    answer = sent(service, f"{account}/refunds", refund)
    assert (409, f"{left} {currency} can be refunded, not {more} {currency}") == (
        answer.status,
        answer.json["detail"],
    )
    pending = {"payment_id": "p-2", "pay": "amount", "amount": left, "method": "card"}
    assert sent(service, f"{account}/payments", pending).status == 201
    answer = sent(service, f"{account}/payments/p-2/processed", {"amount": more})
    assert (409, f"payment 'p-2' is for {left} {currency}, less than {more} {currency}") == (
        answer.status,
        answer.json["detail"],
    )


def test_an_amount_beyond_64_bits_is_told_as_it_was_written(service: Service) -> None:
    """The sentence about a field of a body has the currency as well."""
    number = paid(service, "KWD")
    body = {"charge_id": "c", "amount": "9999999999999999.999", "description": "d", "category": "x"}
    answer = sent(service, f"/v1/accounts/{number}/charges", body)
    assert (422, "invalid_amount") == (answer.status, answer.code)
    [error] = answer.json["errors"]
    assert error["message"].startswith("9999999999999999.999 KWD is beyond the 64 bits")
