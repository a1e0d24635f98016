"""A small independent model of one account, written from the definitions of its words alone.

Naive on purpose: it keeps dated records and recomputes everything from them. What the design
leaves open (the names of generated invoices and debit items) it is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec

from ledger import commands as c
from ledger.errors import UnknownCurrency
from ledger.money import exponent
from tests.model.applying import Refused
from tests.model.billing import Billing
from tests.model.days import refuse
from tests.model.figures import Figures
from tests.model.paying import Paying

__all__ = ["Figures", "Model", "Refused"]


class Model(Billing, Paying):
    """One account."""

    def __init__(self, number: str = "A-1") -> None:
        super().__init__()
        self.number = number
        self.period_ends: list[date] = []

    def handle(self, request: c.Request, told: Iterator[Any]) -> None:
        """Takes the same request as the domain; raises Refused and changes nothing, or obeys.

        `told` is what the design leaves to the domain: the number of the invoice or debit item it
        made, or the tax within the credit note of an upheld dispute.
        """
        command, today = request.command, request.today
        if not isinstance(command, c.OpenAccount) and self.opened is None:
            raise Refused({"account_unknown"})
        match command:
            case c.IssueInvoice():
                self.issue_invoice(command, today, next(told, ""))
            case c.ReturnPayment():
                self.return_payment(command, today, next(told, ""))
            case c.ResolveDispute():
                self.resolve_dispute(command, today, next(told, ()))
            case c.CloseAccount():
                self.close_account(command, today, next(told, ""))
            case _:
                getattr(self, c.snake_case(type(command).__name__))(command, today)

    def open_account(self, command: c.OpenAccount, today: date) -> None:
        why = set()
        on = command.opened_on or today
        if self.opened:
            why.add("account_exists")
        if on > today:
            why.add("effective_in_future")
        try:
            exponent(command.currency)
        except UnknownCurrency:
            why.add("unknown_currency")
        refuse(why)
        self.opened = self.next_version(on)
        first = {**msgspec.structs.asdict(command.settings)}
        first |= {"terms": command.terms, "billing_cycle": command.billing_cycle}
        self.settings.append((self.opened, first))

    def change_settings(self, command: c.ChangeSettings, today: date) -> None:
        on, why = self.day(command, today, ahead=True)
        changes = msgspec.structs.asdict(command.changes)
        changes = {name: value for name, value in changes.items() if value is not None}
        if not changes:
            why.add("nothing_to_change")
        refuse(why)
        self.settings.append((self.next_version(on), changes))

    def post_message(self, command: c.PostMessage, today: date) -> None:
        on, why = self.day(command, today)
        if command.message_id in self.messages:
            why.add("id_taken")
        refuse(why)
        self.next_version(on)
        self.messages.add(command.message_id)

    def close_account(self, command: c.CloseAccount, today: date, number: str) -> None:
        on, why = self.day(command, today)
        if self.closed:
            why.add("account_closed")
        if self.figures(date.max).pending_payments:
            why.add("account_not_settled")
        unbilled = self.unbilled_lines()
        if unbilled and not command.final_bill:
            why.add("account_not_settled")
        if any(line.posted.on > on for line in unbilled):
            why.add("account_not_settled")
        bill = c.IssueInvoice(period_end=on, issued_on=on)
        if unbilled and command.final_bill:
            why |= self.against_bill(bill, today)[2]
        refuse(why)
        if unbilled:
            self.issue_invoice(bill, today, number)
        self.closed = self.next_version(on)
