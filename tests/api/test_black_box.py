"""The service against an independent model of the prose, asked over HTTP alone."""

import json
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from tests.api.black_box_account import Account
from tests.api.black_box_model import Refused
from tests.api.books import TOKENS
from tests.api.serving import Answer, Service

PATHS = {
    "charge": "/charges",
    "charge_reversal": "/charges/{charge_id}/reversal",
    "invoice": "/invoices",
    "cancellation": "/invoices/{number}/cancellation",
    "payment": "/payments",
    **{
        name: f"/payments/{{payment_id}}/{name}"
        for name in ("processed", "failed", "returned", "reinstated", "unprocessed", "reallocated")
    },
    "credit": "/credits",
    "credit_reversal": "/credits/{credit_id}/reversal",
    "refund": "/refunds",
    "refund_reversal": "/refunds/{refund_id}/reversal",
    "write_off": "/write-offs",
    "write_off_reversal": "/write-offs/{write_off_id}/reversal",
    "dispute": "/disputes",
    "resolution": "/disputes/{dispute_id}/resolution",
    "closure": "/closure",
}
WORDS = {"description": "Calls", "category": "usage", "method": "card", "reason": "agreed"}
WORDED = {
    "charge": ("description", "category"),
    "payment": ("method",),
    "refund": ("method", "reason"),
    **dict.fromkeys(("failed", "returned", "credit", "write_off", "dispute"), ("reason",)),
}
OPENED_ON = date(2020, 1, 1)


class Client:
    """An account over HTTP, and beside it the model; each step is told to both and compared."""

    def __init__(self, service: Service, number: str, currency: str, decimals: int) -> None:
        self.service, self.number = service, number
        self.currency, self.decimals = currency, decimals
        self.keys = 0
        self.position = ""
        self.model = Account(number)
        self.day = OPENED_ON
        self.days: dict[date, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.refusals = 0
        opening = {"account_number": number, "company": "Black Box Ltd", "country": "USA"}
        terms = {"kind": "net", "days": 30}
        body = {**opening, "currency": currency, "terms": terms, "opened_on": str(OPENED_ON)}
        answer = self.post("/v1/accounts", body)
        assert 200 <= answer.status < 300, answer
        self.check(answer)

    def post(self, path: str, body: dict[str, Any]) -> Answer:
        self.keys += 1
        key = f"{self.number}-{self.keys}"
        return self.service.send("POST", path, TOKENS["us"], body, key=key)

    def get(self, path: str) -> dict[str, Any]:
        """What a read no older than the last command shows, with amounts in minor units."""
        where = f"/v1/accounts/{self.number}/{path}"
        answer = self.service.ask(where, TOKENS["us"], headers={"Ledger-Position": self.position})
        assert answer.status == 200, answer
        shown: dict[str, Any] = self.minor(answer.json)
        return shown

    def decimal(self, given: Any) -> Any:
        """A body with minor units, as it is sent."""
        if isinstance(given, dict):
            return {name: self.decimal(one) for name, one in given.items()}
        if isinstance(given, list):
            return [self.decimal(one) for one in given]
        if isinstance(given, int) and not isinstance(given, bool):
            whole, rest = divmod(given, 10**self.decimals)
            return f"{whole}.{rest:0{self.decimals}d}" if self.decimals else str(whole)
        return given

    def minor(self, shown: Any) -> Any:
        """An answer with its amounts in minor units, the currency and decimals checked."""
        if isinstance(shown, list):
            return [self.minor(one) for one in shown]
        if not isinstance(shown, dict):
            return shown
        if shown.keys() == {"amount", "currency"}:
            assert self.currency == shown["currency"]
            assert self.decimals == len(shown["amount"].partition(".")[2])
            return int(shown["amount"].replace(".", ""))
        return {name: self.minor(one) for name, one in shown.items()}

    def step(self, command: str, *, refused: str | None = None, **given: Any) -> bool:
        """Whether the command was done; it is told to both and all they show is compared.

        `refused` is the code that the caller expects whatever the model says.
        """
        on = self.day + timedelta(days=1)
        words = {name: WORDS[name] for name in WORDED.get(command, ())}
        days = ("period_end", "issued_on") if command == "invoice" else ("effective_on",)
        body = {**words, **self.decimal(given), **dict.fromkeys(days, str(on))}
        path = PATHS[command].format(**given)
        ids = [name for name in given if f"{{{name}}}" in PATHS[command]]
        sent = {name: value for name, value in body.items() if name not in ids}
        answer = self.post(f"/v1/accounts/{self.number}{path}", sent)
        expected = self.refusal(command, on, given)
        assert refused in (None, expected), (command, given)
        if expected:
            assert expected == answer.code, (command, given, answer)
            self.refusals += 1
            return False
        assert 200 <= answer.status < 300, (command, given, answer)
        self.day = on
        self.check(answer)
        return True

    def refusal(self, command: str, on: date, given: dict[str, Any]) -> str | None:
        """The code of the model's refusal, if it refuses."""
        try:
            self.model.tell(command, on, **given)
        except Refused as refusal:
            return str(refusal)
        return None

    def check(self, answer: Answer) -> None:
        """The reply, the summary, the lists and the statement show what the model says."""
        model, shown = self.model, self.minor(answer.json)
        self.position = shown["position"]
        figures = model.figures()
        assert figures == shown["figures"]
        summary = self.get("summary")
        today = date.fromisoformat(summary["effective_on"])
        assert {**figures, **model.late(today)} == {
            name: summary[name] for name in (*figures, "past_due", "days_past_due", "aging")
        }
        assert model.invoice_rows() == {
            one["number"]: tuple(
                one[name]
                for name in (
                    *("status", "total", "open_amount", "disputed"),
                    *("written_off", "carried_to_credit"),
                )
            )
            for one in self.rows("invoices")
        }
        names = ("status", "amount", "processed", "returned", "refunded", "unapplied")
        assert model.payment_rows() == {
            one["payment_id"]: (*(one[name] for name in names), on_invoices(one))
            for one in self.rows("payments")
        }
        assert model.credit_rows() == {
            one["credit_id"]: (one["status"], one["total"], one["unapplied"], on_invoices(one))
            for one in self.rows("credits")
        }
        activity = sum(one["total"] for one in self.rows("activity"))
        assert figures["current_activity"] == activity
        statement = self.get(f"statement?from=2020-01-01&to={today}")
        moved = sum(one["amount"] for one in statement["lines"])
        assert figures["balance"] == statement["closing_balance"]
        assert figures["balance"] == statement["opening_balance"] + moved
        self.days[self.day] = figures, model.late(self.day)

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """All of a list, page by page."""
        page = self.get(f"{name}?limit=100")
        yield from page["data"]
        while page["next_cursor"]:
            page = self.get(f"{name}?limit=100&cursor={page['next_cursor']}")
            yield from page["data"]

    def look_back(self) -> None:
        """On every day of the past the summary shows what was the case after that day's step."""
        for day, (figures, late) in self.days.items():
            summary = self.get(f"summary?effective_on={day}")
            expected = {**figures, **late}
            assert expected == {name: summary[name] for name in expected}, day

    def due(self, days_ago: int) -> str:
        """A due day so many days before the region's today."""
        today = date.fromisoformat(self.get("summary")["effective_on"])
        return str(today - timedelta(days=days_ago))


def on_invoices(shown: dict[str, Any]) -> dict[str, int]:
    """How much of a payment or a credit is on each invoice."""
    sums: dict[str, int] = {}
    for one in shown["allocations"]:
        sums[one["invoice"]] = sums.get(one["invoice"], 0) + one["amount"]
    return sums


def vat(amount: int) -> list[dict[str, Any]]:
    return [{"name": "VAT", "amount": amount}]


def billed(client: Client, id: str, amount: int, *taxes: Any, **given: Any) -> str:
    """The number of an invoice of one charge."""
    client.step("charge", charge_id=id, amount=amount, taxes=list(taxes))
    assert client.step("invoice", **given)
    return list(client.model.invoices)[-1]


def payments(do: Callable[..., bool], client: Client) -> tuple[str, str]:
    """Two invoices, paid in part in every way; the numbers."""
    city = {"name": "City", "amount": 333}
    first = billed(client, "c-1", 10_000, *vat(2_000), city, due_on=client.due(31))
    second = billed(client, "c-2", 5_001, *vat(1_000), due_on=client.due(1))
    do("payment", payment_id="p-1", pay="amount", amount=4_000)
    do("processed", payment_id="p-1", amount=4_001, refused="processed_exceeds_submitted")
    do("processed", payment_id="p-1", amount=3_000)
    do("payment", payment_id="p-2", pay="invoice", invoice=second)
    do("processed", payment_id="p-2")
    do("returned", payment_id="p-2", amount=1_500)
    do("unprocessed", payment_id="p-2", refused="payment_refunded")
    do("reinstated", payment_id="p-2")
    do("reinstated", payment_id="p-2", refused="payment_not_returned")
    do("unprocessed", payment_id="p-2")
    do("processed", payment_id="p-2", amount=5_000)
    do("payment", payment_id="p-3", pay="total")
    do("payment", payment_id="p-4", pay="total", refused="nothing_to_pay")
    do("failed", payment_id="p-3")
    do("processed", payment_id="p-3", refused="payment_not_pending")
    moved = [{"invoice": second, "amount": 1_001}]
    do("reallocated", payment_id="p-1", targets=moved)
    moved = [{"invoice": second, "amount": 1_002}]
    do("reallocated", payment_id="p-1", targets=moved, refused="invoice_not_open")
    return first, second


def test_straight_through(service: Service) -> None:
    """Every command of an account's life moves every figure as the prose says."""
    client = Client(service, "BOX-1", "USD", 2)
    do = client.step
    first, second = payments(do, client)
    third = billed(client, "c-3", 3_000, due_on=client.due(91))
    do("dispute", dispute_id="d-1", invoice=first, amount=4_000)
    do("payment", payment_id="p-5", pay="amount", amount=15_000, status="processed")
    do("dispute", dispute_id="d-2", invoice=first, refused="nothing_to_dispute")
    do("resolution", dispute_id="d-1", outcome="upheld", amount=4_001, refused="dispute_exceeded")
    do("resolution", dispute_id="d-1", outcome="upheld", amount=1_111)
    do("credit_reversal", credit_id="d-1")
    fourth = billed(client, "c-4", 9_000, *vat(900), due_on=client.due(0))
    do("dispute", dispute_id="d-3", invoice=fourth)
    do("credit", credit_id="k-1", amount=1_000, taxes=vat(100), applies_to="invoice", invoice=first)
    do("resolution", dispute_id="d-3", outcome="rejected")
    do("resolution", dispute_id="d-3", outcome="upheld", refused="dispute_not_open")
    do("credit", credit_id="k-2", amount=500, applies_to="account")
    do("credit_reversal", credit_id="k-1")
    do("credit_reversal", credit_id="k-1", refused="already_reversed")
    do("refund", refund_id="r-1", amount=2_000, payment_id="p-5")
    do("unprocessed", payment_id="p-5", refused="payment_refunded")
    do("returned", payment_id="p-5")
    do("refund_reversal", refund_id="r-1")
    do("reinstated", payment_id="p-5")
    do("write_off", write_off_id="w-1", invoice=fourth)
    do("payment", payment_id="p-6", pay="amount", amount=300, invoice=fourth, status="processed")
    do("write_off_reversal", write_off_id="w-1")
    do("dispute", dispute_id="d-4", invoice=fourth, amount=700)
    do("resolution", dispute_id="d-4", outcome="upheld")
    do("charge", charge_id="c-5", amount=800, taxes=vat(80))
    do("credit", credit_id="k-3", amount=2_000, applies_to="next_invoice")
    do("invoice")
    do("credit_reversal", credit_id="k-3", refused="credit_already_billed")
    fifth = billed(client, "c-6", 700)
    do("cancellation", number=fifth)
    do("cancellation", number=third, refused="invoice_settled")
    do("closure", refused="account_not_settled")
    do("closure", final_bill=True)
    do("charge", charge_id="c-9", amount=1, refused="account_closed")
    client.look_back()
    assert {"paid", "cancelled"} <= {row[0] for row in client.model.invoice_rows().values()}
    assert second in client.model.invoices


@pytest.mark.parametrize(("currency", "decimals"), [("KWD", 3), ("JPY", 0)])
def test_other_decimals(service: Service, currency: str, decimals: int) -> None:
    """An account whose currency has three decimals or none has the same figures."""
    client = Client(service, f"BOX-{currency}", currency, decimals)
    do = client.step
    number = billed(client, "c-1", 1_001, *vat(50), {"name": "City", "amount": 25})
    do("dispute", dispute_id="d-1", invoice=number, amount=333)
    do("payment", payment_id="p-1", pay="amount", amount=900, status="processed")
    do("resolution", dispute_id="d-1", outcome="upheld", amount=77)
    do("refund", refund_id="r-1", amount=45)
    do("write_off", write_off_id="w-1", invoice=number, amount=5)
    do("payment", payment_id="p-2", pay="invoice", invoice=number, status="processed")
    lost = billed(client, "c-2", 500)
    do("write_off", write_off_id="w-2", invoice=lost)
    do("payment", payment_id="p-3", pay="amount", amount=200, status="processed")
    assert ("written_off", 500, 0, 0, 300, 0) == client.model.invoice_rows()[lost]
    client.look_back()


class Dice:
    """Steps by chance, a share of which is refused."""

    def __init__(self, client: Client, seed: int) -> None:
        self.client, self.chance, self.made = client, random.Random(seed), 0
        self.today = date.fromisoformat(client.due(0))

    def id(self, things: dict[str, Any]) -> str:
        return self.chance.choice(list(things) or ["none"])

    def maybe(self, amount: int) -> dict[str, int]:
        return {"amount": amount} if self.chance.random() < 0.6 else {}

    def given(self, command: str) -> dict[str, Any]:
        """A body for the command, in reach of what there is, or not."""
        model, chance = self.client.model, self.chance
        self.made += 1
        new, amount = f"x-{self.made}", chance.randint(1, 9_000)
        payment = {"payment_id": self.id(model.payments)}
        invoice, maybe = {"invoice": self.id(model.invoices)}, self.maybe(amount)
        days = chance.choice((0, 1, 30, 31, 60, 61, 90, 91, 400, -9))
        due_on = str(self.today - timedelta(days=days))
        pay = chance.choice(("total", "invoice", "amount", "amount", "amount"))
        bodies: dict[str, dict[str, Any]]
        bodies = {"total": {}, "invoice": invoice, "amount": {"amount": amount}}
        paying = bodies[pay]
        applies_to = chance.choice(("account", "invoice", "next_invoice"))
        noted = {**invoice, "taxes": vat(amount // 9)} if applies_to == "invoice" else {}
        outcome = chance.choice(("rejected", "upheld"))
        status = chance.choice(("pending", "processed", "processed"))
        target = {**invoice, "amount": amount // 3 + 1}
        of = payment if chance.random() < 0.5 else {}
        refunding = {"amount": amount // 4 + 1, **of}
        bodies = {
            "charge": {"charge_id": new, "amount": amount, "taxes": vat(amount // 7 + 1)},
            "charge_reversal": {"charge_id": self.id(model.lines).removeprefix("credit ")},
            "invoice": {"due_on": due_on},
            "cancellation": {"number": invoice["invoice"]},
            "payment": {"payment_id": new, "pay": pay, "status": status, **paying},
            "processed": {**payment, **maybe},
            "returned": {**payment, **maybe},
            "reallocated": {**payment, "targets": [target]},
            "credit": {"credit_id": new, "amount": amount, "applies_to": applies_to, **noted},
            "credit_reversal": {"credit_id": self.id(model.credits)},
            "refund": {"refund_id": new, **refunding},
            "refund_reversal": {"refund_id": self.id(model.refunds)},
            "write_off": {"write_off_id": new, **invoice, **maybe},
            "write_off_reversal": {"write_off_id": self.id(model.write_offs)},
            "dispute": {"dispute_id": new, **invoice, **maybe},
            "resolution": {
                "dispute_id": self.id(model.disputes),
                "outcome": outcome,
                **(maybe if outcome == "upheld" else {}),
            },
        }
        return bodies.get(command, payment)

    def roll(self) -> None:
        names = [name for name in PATHS if name != "closure"]
        likely = ("charge", "charge", "invoice", "invoice", "payment", "payment", "resolution")
        command = self.chance.choice([*names, *likely])
        given = self.given(command)
        print(f'do("{command}", {", ".join(f"{k}={json.dumps(v)}" for k, v in given.items())})')
        self.client.step(command, **given)


@pytest.mark.parametrize("seed", [12, 66, 176])
def test_by_chance(service: Service, seed: int) -> None:
    """Whatever is asked, in whatever order, is done or refused as the prose says."""
    print(f"seed {seed}")
    client = Client(service, f"BOX-{seed}", "USD", 2)
    dice = Dice(client, seed)
    for n in range(3):
        billed(client, f"c-{n}", 5_000, *vat(700))
    for _ in range(60):
        dice.roll()
    client.look_back()
    assert client.refusals >= 5, client.refusals
