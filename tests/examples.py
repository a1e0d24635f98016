"""The canonical examples: one account and what is asked of it, for the domain's tests and the docs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from ledger import commands as c
from ledger.book import Book
from ledger.calendar import Net
from ledger.errors import Refusal
from ledger.events import Event
from ledger.parts import Tax

NUMBER = "A-1"
OPENED_ON = date(2020, 1, 1)
TODAY = date(2020, 7, 30)
VAT = Tax("VAT", "0.20", 20)


def day(month: int, day_of_month: int) -> date:
    """A day of the examples' year."""
    return date(2020, month, day_of_month)


def opening(**given: Any) -> c.OpenAccount:
    plain: dict[str, Any] = {
        "client_id": "C-1",
        "company": "Example Conferencing Inc.",
        "country": "USA",
        "currency": "USD",
        "terms": Net(30),
        "opened_on": OPENED_ON,
    }
    return c.OpenAccount(**plain | given)


def charge(charge_id: str, amount_minor: int, **given: Any) -> c.PostCharge:
    plain: dict[str, Any] = {"description": "Conference call", "category": "usage"}
    return c.PostCharge(charge_id=charge_id, amount_minor=amount_minor, **plain | given)


def credit(credit_id: str, amount_minor: int, applies_to: str, **given: Any) -> c.IssueCredit:
    plain: dict[str, Any] = {"reason": "goodwill"}
    return c.IssueCredit(
        credit_id=credit_id, amount_minor=amount_minor, applies_to=applies_to, **plain | given
    )


def payment(payment_id: str, amount_minor: int | None = None, **given: Any) -> c.SubmitPayment:
    """A processed payment of an amount unless more is said."""
    plain: dict[str, Any] = {"pay": "amount", "method": "card", "status": "processed"}
    return c.SubmitPayment(payment_id=payment_id, amount_minor=amount_minor, **plain | given)


def refund(refund_id: str, amount_minor: int, **given: Any) -> c.IssueRefund:
    plain: dict[str, Any] = {"method": "card", "reason": "overpaid"}
    return c.IssueRefund(refund_id=refund_id, amount_minor=amount_minor, **plain | given)


def returned(payment_id: str, amount_minor: int | None = None, **given: Any) -> c.ReturnPayment:
    return c.ReturnPayment(payment_id=payment_id, amount_minor=amount_minor, reason="NSF", **given)


def invoice(number: str, due_on: date, on: date = TODAY) -> c.IssueInvoice:
    """Bills what is unbilled, whatever the period."""
    return c.IssueInvoice(number=number, due_on=due_on, issued_on=on)


def write_off(write_off_id: str, number: str, amount_minor: int | None = None) -> c.Command:
    return c.WriteOffInvoice(
        write_off_id=write_off_id, invoice=number, amount_minor=amount_minor, reason="bankrupt"
    )


def dispute(dispute_id: str, number: str, amount_minor: int | None = None) -> c.Command:
    return c.OpenDispute(
        dispute_id=dispute_id, invoice=number, amount_minor=amount_minor, reason="not mine"
    )


class Given:
    """An account with a past; `when` asks one thing more of it.

    Commands are asked on TODAY unless a pair gives the day.
    """

    def __init__(self, *past: Any) -> None:
        self.book = Book()
        for asked in past:
            self.ask(asked)

    def ask(self, asked: Any, today: date = TODAY) -> tuple[Event, ...]:
        command, on = asked if isinstance(asked, tuple) else (asked, today)
        request = c.Request(
            account_number=NUMBER,
            key=f"key-{len(self.book.events)}",
            command=command,
            actor="tests",
            today=on,
        )
        return self.book.handle(request).events

    def when(self, asked: Any) -> list[Event] | Refusal:
        """The events that come of it, or the refusal."""
        try:
            return list(self.ask(asked))
        except Refusal as refusal:
            return refusal


def billed(*invoices: tuple[str, int, date]) -> Iterable[c.Command]:
    """An opened account with invoices of (number, amount, due date), in order of issue."""
    yield opening()
    for number, amount_minor, due_on in invoices:
        yield charge(f"charge-{number}", amount_minor)
        yield invoice(number, due_on)
