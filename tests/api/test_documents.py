"""Documents over HTTP: they say what the API says, as it was when they were issued, and no more."""

import asyncio
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from typing import Any

import pytest

from api.app import create_app
from api.documents import pool
from api.documents.formats import MINUS, formats_of
from api.routes import document_content
from api.wiring import Database, Doors
from ledger import commands as c
from ledger.calendar import Net
from ledger.store.outcomes import Accepted
from tests.api.books import PASSWORD, TOKENS
from tests.api.in_process import Got, Sent, in_process
from tests.api.serving import Answer, Service
from tests.documents import contents

TOKEN = TOKENS["us"]
OPENING = {
    "client_id": "QUAY",
    "company": "Quay Street Ltd",
    "country": "USA",
    "terms": {"kind": "net", "days": 30},
    "opened_on": "2020-01-01",
}
_numbers = itertools.count(1)


class Account:
    """An account told about by command; reads are not older than what was told."""

    def __init__(self, service: Service, **opening: Any) -> None:
        self.number = f"DOC-{next(_numbers)}"
        self._service = service
        self._keys = itertools.count(1)
        self._position = ""
        self._send("POST", "/v1/accounts", {**OPENING, "account_number": self.number, **opening})

    def tell(self, path: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
        return self._send(method, f"/v1/accounts/{self.number}/{path}", body)

    def charge(self, id: str, amount: str, on: str, **more: Any) -> None:
        body = {
            "charge_id": id,
            "amount": amount,
            "description": f"Calls {id}",
            "category": "voice",
        }
        self.tell("charges", {**body, "effective_on": on, **more})

    def bill(self, period_end: str, **more: str) -> str:
        told = self.tell("invoices", {"period_end": period_end, "issued_on": period_end, **more})
        number: str = told["events"][0]["data"]["number"]
        return number

    def read(self, path: str, token: str | None = TOKEN, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._service.ask(
            f"/v1/accounts/{self.number}/{path}",
            token,
            headers={"Ledger-Position": self._position, **named},
        )

    def _send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Idempotency-Key": f"d-{next(self._keys)}", "If-Match": "*"}
        headers["Content-Type"] = "application/json"
        answer = self._service.ask(
            path, TOKEN, method=method, headers=headers, body=json.dumps(body).encode()
        )
        assert answer.status in (200, 201), answer
        told: dict[str, Any] = answer.json
        self._position = told["position"]
        return told


def text_of(answer: Answer) -> str:
    """What a document says."""
    assert (200, "application/pdf") == (answer.status, answer.headers["content-type"]), answer
    return contents.text_of(answer.body)


def amount(money: dict[str, str], sign: int = 1) -> str:
    """An amount of the API as a document of region us shows it."""
    shown = formats_of("en", "en", "America/New_York").number(money["amount"])
    return f"{MINUS}{shown}" if sign < 0 else shown


TAX = {"name": "Sales tax", "rate": "0.08", "amount": "0.80"}


def test_an_invoice_says_what_the_api_says(service: Service) -> None:
    """Its figures, each line, each tax with its base, and what was put on it when it was issued."""
    account = Account(service)
    money = {"method": "card", "status": "processed", "effective_on": "2020-01-10"}
    account.tell("payments", {"payment_id": "p-1", "pay": "amount", "amount": "7.50", **money})
    account.charge("c-1", "10.00", "2020-01-15", taxes=[TAX], quantity="4", unit_price="2.5")
    same = TAX | {"rate": "0.0800", "amount": "98.76"}
    account.charge("c-2", "1234.56", "2020-01-16", category="rent", taxes=[same])
    credit = {
        "credit_id": "k-1",
        "amount": "2.25",
        "applies_to": "next_invoice",
        "reason": "goodwill",
    }
    account.tell("credits", {**credit, "effective_on": "2020-01-20"})
    number = account.bill("2020-01-31")
    told = account.read(f"invoices/{number}").json
    answer = account.read(f"invoices/{number}.pdf")
    text = text_of(answer)
    assert f'inline; filename="{number}.pdf"' == answer.headers["content-disposition"]
    assert "private, no-cache" == answer.headers["cache-control"]
    for expected in (
        f"Number {number}\nAccount {account.number}\nClient ID QUAY",
        "Period Jan 1, 2020 – Jan 31, 2020\nIssued Jan 31, 2020\nDue Mar 1, 2020",
        f"New charges {amount(told['new_charges'])}\nCredits {amount(told['credits'], -1)}",
        f"Tax {amount(told['tax'])}\nTotal USD {amount(told['total'])}",
        f"Payment p-1, Jan 31, 2020 {amount(told['allocations'][0]['amount'], -1)}",
        f"Amount due USD {amount(told['open_amount'])}",
        "Sales tax 8% 1,244.56 99.56",
        "rent 1,234.56\nvoice 10.00",
        "Jan 20, 2020 Credit: goodwill",
    ):
        assert expected in text, text
    for line in told["lines"]:
        if line["kind"] == "charge":
            assert f"{line['description']} {line['category']}" in text
        assert amount(line["amount"]) in text


def test_nothing_that_happens_later_changes_a_byte(service: Service) -> None:
    """Not a payment, a credit, a dispute, another invoice, other settings from before, a cancellation."""
    account = Account(service)
    account.charge("c-1", "10.00", "2020-01-15")
    number = account.bill("2020-01-31")
    first = account.read(f"invoices/{number}.pdf")
    assert "Calls c-1" in text_of(first)
    on = {"effective_on": "2020-01-31"}
    account.tell("settings", {"invoice_delivery": "summary", "language": "de", **on}, "PATCH")
    account.charge("c-2", "5.00", "2020-01-20")
    second = account.bill("2020-02-29")
    in_german = account.read(f"invoices/{second}.pdf")
    assert "Rechnung" in text_of(in_german)
    paid = {"payment_id": "p-1", "pay": "invoice", "invoice": second, "method": "card"}
    account.tell("payments", {**paid, "status": "processed", "effective_on": "2020-02-29"})
    account.tell("payments/p-1/returned", {"reason": "no funds", "effective_on": "2020-03-02"})
    note = {"credit_id": "k-1", "amount": "1.00", "applies_to": "invoice", "invoice": second}
    account.tell("credits", {**note, "reason": "goodwill", "effective_on": "2020-02-29"})
    dispute = {"dispute_id": "d-1", "invoice": number, "reason": "not ours"}
    account.tell("disputes", {**dispute, "effective_on": "2020-02-10"})
    account.tell("disputes/d-1/resolution", {"outcome": "rejected", "effective_on": "2020-02-11"})
    account.tell(f"invoices/{number}/cancellation", {"reason": "wrong"})
    assert "cancelled" == account.read(f"invoices/{number}").json["status"]
    again = account.read(f"invoices/{number}.pdf")
    assert (first.body, first.headers["etag"]) == (again.body, again.headers["etag"])
    assert in_german.body == account.read(f"invoices/{second}.pdf").body


def test_the_settings_of_the_day_of_issue_count(service: Service) -> None:
    """Summary or full detail, and a slip or none, as it was on that day as known by then."""
    account = Account(service)
    summary = {"invoice_delivery": "summary", "payment_method": "card"}
    account.tell("settings", {**summary, "effective_on": "2020-02-10"}, "PATCH")
    account.charge("c-1", "10.00", "2020-01-15")
    account.charge("c-2", "20.00", "2020-02-15", taxes=[TAX])
    january, february = account.bill("2020-01-31"), account.bill("2020-02-29")
    text = text_of(account.read(f"invoices/{january}.pdf"))
    assert "Calls c-1" in text
    assert "Remittance slip" in text
    text = text_of(account.read(f"invoices/{february}.pdf"))
    assert "Calls c-2" not in text
    assert "Shown by category. Lines: 1." in text
    assert "Sales tax 8% 20.00 0.80" in text
    assert "Remittance slip" not in text


def test_a_late_line_names_the_period_it_belongs_to(service: Service) -> None:
    """The period in which it would have been billed, whatever invoice took it."""
    account = Account(service, billing_cycle=15)
    account.charge("c-1", "10.00", "2020-01-10")
    account.bill("2020-01-15")
    account.charge("c-2", "20.00", "2020-02-01")
    account.bill("2020-02-15")
    account.charge("late", "5.00", "2020-01-12")
    account.charge("later", "6.00", "2020-01-20")
    account.charge("c-3", "30.00", "2020-03-01")
    text = text_of(account.read(f"invoices/{account.bill('2020-03-15')}.pdf"))
    assert "Calls late\nlate, for the period Dec 16, 2019 – Jan 15, 2020" in text
    assert "Calls later\nlate, for the period Jan 16, 2020 – Feb 15, 2020" in text
    assert 2 == text.count("late, for")


def test_a_statement_says_what_the_api_says(service: Service) -> None:
    """Each line with its balance, both ends and aging, at both clocks, by the same parameters."""
    account = Account(service)
    account.charge("c-1", "100.00", "2020-01-15")
    number = account.bill("2020-01-31")
    before = account.read("summary").json["position"]
    money = {"method": "cash_check", "status": "processed", "effective_on": "2020-02-05"}
    account.tell("payments", {"payment_id": "p-1", "pay": "amount", "amount": "30.00", **money})
    for query in ("", f"&at={before}", "&effective_on=2020-02-03"):
        path = f"statement{{}}?from=2020-01-31&to=2020-04-20{query}"
        told = account.read(path.format("")).json
        text = text_of(account.read(path.format(".pdf")))
        assert f"Known at position {told['position']}" in text
        assert f"Opening balance {amount(told['opening_balance'])}" in text
        assert f"Closing balance {amount(told['closing_balance'])}" in text
        shown = [line for line in text.splitlines() if line.endswith(".00") and " p-1 " in line]
        assert len(shown) == sum(line["reference"] == "p-1" for line in told["lines"])
        assert f"{number} Jan 1, 2020 – Jan 31, 2020 100.00 100.00" in text
        aging = [amount(told["aging"][name]) for name in ("current", "d1_30", "d31_60", "d61_90")]
        assert " ".join(aging) in text
    assert f"Feb 5, 2020 Payment p-1 Cash or check {MINUS}30.00 70.00" in text_of(
        account.read("statement.pdf?from=2020-01-31&to=2020-04-20")
    )
    following = account.read(f"statement.pdf?from=2020-03-01&to=2020-04-20&after={before}")
    assert f"Feb 5, 2020 Payment p-1 Cash or check; known late {MINUS}30.00" in text_of(following)
    assert 422 == account.read("statement.pdf?from=2020-02-01&to=2020-01-01").status
    assert 422 == account.read("statement.pdf?form=2020-02-01").status


def test_a_debit_item_is_a_debit_note(service: Service) -> None:
    """What a return of refunded money left says which payment it was."""
    account = Account(service)
    on = {"effective_on": "2020-02-05"}
    paid = {"payment_id": "p-1", "pay": "amount", "amount": "30.00", "method": "card"}
    account.tell("payments", {**paid, "status": "processed", **on})
    refund = {"refund_id": "r-1", "amount": "30.00", "method": "card", "reason": "asked"}
    account.tell("refunds", {**refund, **on})
    account.tell("payments/p-1/returned", {"reason": "no funds", **on})
    [debit] = account.read("invoices").json["data"]
    assert "debit" == debit["kind"]
    text = text_of(account.read(f"invoices/{debit['number']}.pdf"))
    assert "Debit note" in text
    assert "Payment p-1, refunded and then returned by the bank" in text
    assert "Amount due\nUSD 30.00" in text


def test_who_may_read_the_account_gets_its_documents(service: Service) -> None:
    """As for what they are made of: 401, 403 and 404, and 404 for an invoice that is not there."""
    account = Account(service)
    account.charge("c-1", "10.00", "2020-01-15")
    path = f"invoices/{account.bill('2020-01-31')}.pdf"
    assert 404 == account.read("invoices/none.pdf").status
    assert "item_unknown" == account.read("invoices/none.pdf").code
    assert 422 == account.read(f"{path}?known_at=2020-01-01T00:00:00Z").status
    for document in (path, "statement.pdf"):
        assert 401 == account.read(document, None).status
        assert 403 == account.read(document, service.token("admin", PASSWORD)).status
        assert 404 == account.read(document, service.token("B-1", PASSWORD)).status
        assert 200 == account.read(document, service.token("auditor", PASSWORD)).status


def test_what_one_has_is_not_sent_again(service: Service) -> None:
    """By an ETag of what the document says: nothing is typeset for it."""
    account = Account(service)
    account.charge("c-1", "10.00", "2020-01-15")
    number = account.bill("2020-01-31")
    for path in (f"invoices/{number}.pdf", "statement.pdf?from=2020-01-01&to=2020-02-01"):
        first = account.read(path)
        again = account.read(path, if_none_match=first.headers["etag"])
        assert (304, b"", first.headers["etag"]) == (
            again.status,
            again.body,
            again.headers["etag"],
        )
    account.charge("c-2", "5.00", "2020-02-15")
    account.bill("2020-02-29")
    other = account.read("statement.pdf?from=2020-01-01&to=2020-03-01")
    assert other.headers["etag"] != first.headers["etag"]


def test_who_asks_for_too_many_is_told_when_to_come_again(
    us: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After, for as many at once as one may have; nothing is typeset for it."""
    monkeypatch.setattr(pool, "OF_ONE_MAX", 0)

    async def ask() -> Got:
        headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
        path = b"/v1/accounts/A-1/statement.pdf"
        async with in_process(create_app(Doors((us,)))) as asking:
            return await asking.ask(Sent("GET", path, b"from=2020-01-01&to=2020-02-01", headers))

    got = asyncio.run(ask())
    assert (503, b"2") == (got.status, got.headers[b"retry-after"])
    told = json.loads(got.body)
    assert "overloaded" == told["code"]
    assert "you have 0 documents under way already: try again" == told["detail"]


@pytest.fixture
def many(us: Database) -> str:
    """An account whose invoice has as many lines as a document lists, and one with a line more."""
    number = f"MANY-{next(_numbers)}"
    opening = c.OpenAccount(
        company="Many Ltd",
        country="USA",
        currency="USD",
        terms=Net(30),
        opened_on=date(2020, 1, 1),
    )
    commands: list[c.AnyCommand] = [opening]
    for month in (1, 2):
        commands += [
            c.PostCharge(
                charge_id=f"c-{month}-{n}",
                amount_minor=1_00,
                description=f"Call number {n}",
                category="voice",
                effective_on=date(2020, month, 1 + n % 28),
            )
            for n in range(document_content.LINES_MAX + month - 1)
        ]
        commands.append(c.IssueInvoice(period_end=date(2020, month, 29)))
    asked = [
        c.Request(account_number=number, key=f"k-{n}", command=one, actor="test", today=us.today())
        for n, one in enumerate(commands)
    ]
    with closing(us.ledger()) as ledger:
        for n in range(0, len(asked), 2_000):
            for outcome in ledger.handle_now(asked[n : n + 2_000]):
                assert isinstance(outcome, Accepted), outcome
    us.catch_up(60)
    return number


def test_as_many_lines_as_it_lists_and_one_more(service: Service, many: str) -> None:
    """The most are listed, others are answered meanwhile; one more, and it is a summary that says so."""
    path = f"/v1/accounts/{many}/invoices/{many}-2020-0{{}}-1.pdf"
    with ThreadPoolExecutor(1) as thread:
        large = thread.submit(service.ask, path.format(1), TOKEN)
        answered = 0
        while not large.done():
            assert 200 == service.ask(path.format(2), TOKEN).status
            answered += 1
        text = text_of(large.result())
    assert answered > 0
    assert all(f"Call number {n} " in text for n in (0, 17, document_content.LINES_MAX - 1))
    assert f"Total USD {document_content.LINES_MAX:,}.00" in text
    text = text_of(service.ask(path.format(2), TOKEN))
    assert "Call number" not in text
    assert f"Lines: {document_content.LINES_MAX + 1:,}, too many to be listed" in text
    assert f"Total USD {document_content.LINES_MAX + 1:,}.00" in text
