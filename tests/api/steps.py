"""Requests that use every command of the API once at least, each accepted when sent in this order."""

import json
from dataclasses import dataclass, replace
from typing import Any

from tests.api.serving import Answer, Service

ACCOUNT = "/v1/accounts/{account}"
Body = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One command as it is sent; `refused` is a body the rules refuse where it stands."""

    method: str
    path: str
    body: Body
    status: int
    refused_path: str = ""
    refused: Body | None = None

    def send(self, service: Service, token: str | None, account: str, key: str) -> Answer:
        """The answer to the command for an account."""
        return service.ask(
            self.path.format(account=account),
            token,
            method=self.method,
            headers={
                "Idempotency-Key": key,
                "Content-Type": "application/json",
                **({"If-Match": "*"} if self.method == "PATCH" else {}),
            },
            body=json.dumps(self.body_for(account)).encode(),
        )

    def as_refused(self) -> "Step":
        """The command as the rules refuse it."""
        return replace(
            self,
            path=self.refused_path or self.path,
            body=self.body if self.refused is None else self.refused,
        )

    def with_body(self, body: Body) -> "Step":
        return replace(self, body=body)

    def body_for(self, account: str) -> Body:
        opens = "{account}" not in self.path
        return {"account_number": account, **self.body} if opens else self.body


EARLY = {"effective_on": "2019-12-31"}


def _made(path: str, body: Body, **refused: Any) -> Step:
    return Step("POST", ACCOUNT + path, body, 201, refused={**body, **(refused or EARLY)})


def _moved(path: str, body: Body | None = None) -> Step:
    """A transition; it is refused for a thing that the account does not have."""
    kind, _, verb = path.strip("/").split("/")
    return Step("POST", ACCOUNT + path, body or {}, 200, f"{ACCOUNT}/{kind}/none/{verb}")


def charge(id: str, amount: str = "10.00") -> Step:
    """Charges an amount."""
    body = {"charge_id": id, "amount": amount, "description": "a call", "category": "usage"}
    return _made("/charges", body)


def invoice(number: str) -> Step:
    """Bills what is unbilled."""
    return _made("/invoices", {"number": number}, period_end="2199-12-31")


def payment(id: str, amount: str, **more: str) -> Step:
    """Pays an amount."""
    body = {"payment_id": id, "pay": "amount", "amount": amount, "method": "card", **more}
    return _made("/payments", body)


OPENING = Step(
    "POST",
    "/v1/accounts",
    {
        "company": "Example Conferencing Inc.",
        "country": "USA",
        "terms": {"kind": "net", "days": 30},
        "opened_on": "2020-01-01",
    },
    201,
    refused={
        "company": "Example Conferencing Inc.",
        "country": "USA",
        "terms": {"kind": "net", "days": 30},
        "opened_on": "2199-01-01",
    },
)
REASON = {"reason": "because"}
STEPS = (
    OPENING,
    Step("PATCH", ACCOUNT + "/settings", {"payment_method": "card"}, 200, refused={}),
    charge("c1"),
    charge("c2", "5.00"),
    _moved("/charges/c2/reversal", REASON),
    invoice("I1"),
    payment("p1", "3.00"),
    _moved("/payments/p1/processed"),
    _moved("/payments/p1/returned", REASON),
    _moved("/payments/p1/reinstated"),
    _moved("/payments/p1/unprocessed"),
    _moved("/payments/p1/failed", REASON),
    payment("p2", "4.00", invoice="I1", status="processed"),
    charge("c3", "7.00"),
    invoice("I2"),
    _moved("/payments/p2/reallocated", {"targets": [{"invoice": "I2", "amount": "4.00"}]}),
    _made(
        "/refunds",
        {"refund_id": "r1", "amount": "1.00", "payment_id": "p2", "method": "card", **REASON},
    ),
    _moved("/refunds/r1/reversal", REASON),
    _made("/write-offs", {"write_off_id": "w1", "invoice": "I2", **REASON}),
    _moved("/write-offs/w1/reversal"),
    _made("/disputes", {"dispute_id": "d1", "invoice": "I1", **REASON}),
    _moved("/disputes/d1/resolution", {"outcome": "rejected"}),
    _made(
        "/credits",
        {"credit_id": "k1", "amount": "0.50", "applies_to": "invoice", "invoice": "I1", **REASON},
    ),
    _moved("/credits/k1/reversal"),
    _made("/messages", {"message_id": "m1", "text": "Your bill is ready."}),
    charge("c4", "0.90"),
    invoice("I3"),
    _moved("/invoices/I3/cancellation", REASON),
    Step(
        "POST",
        ACCOUNT + "/closure",
        {"final_bill": True, **REASON},
        200,
        refused={"final_bill": False, **REASON},
    ),
)
