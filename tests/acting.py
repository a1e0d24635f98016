"""Requests made up from dice: mostly sensible for what the account has, sometimes wrong on purpose."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any, TypeVar

from ledger import commands as c
from ledger.calendar import DayOfMonth, EndOfMonth, Net
from ledger.parts import SettingsChange, Tax
from tests.model import Model

T = TypeVar("T")

NUMBER = "A-1"
FIRST_DAY = date(2020, 1, 15)
HUGE = 2**62
METHODS = ("cash_check", "card", "bank_transfer", "direct_debit")
TERMS = (Net(30), Net(0), Net(7), EndOfMonth(10), DayOfMonth(15, 20), DayOfMonth(31))


class Dice:
    """Choices read off bytes that a seed stands for; all are as likely, whatever the seed."""

    def __init__(self, seed: bytes) -> None:
        self._thrown = iter(random.Random(seed).randbytes(40))

    def below(self, count: int) -> int:
        return next(self._thrown, 0) % count

    def one_in(self, count: int) -> bool:
        return next(self._thrown, 0) % count == count - 1

    def of(self, several: Any) -> Any:
        options = list(several)
        return options[self.below(len(options))]


class Actor:
    """Makes requests for one account, looking at the model to name things that exist."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.today = FIRST_DAY
        self.made = 0

    def request(self, kind: str, dice: Dice) -> c.Request:
        """A request of a kind, named as the method below that makes its command."""
        self.made += 1
        command = getattr(self, kind)(dice)
        return c.Request(
            account_number=NUMBER, key=f"k{self.made}", command=command, actor="t", today=self.today
        )

    def makes_sense(self, kind: str) -> bool:
        """Whether there is something that a request of this kind could be about."""
        model = self.model
        match kind:
            case "reverse_charge":
                return any(line.unbilled() for line in model.lines.values())
            case "reverse_credit":
                return bool(model.credits)
            case "process_payment" | "fail_payment":
                return any(p.status == "pending" for p in model.payments.values())
            case "return_payment" | "unprocess_payment" | "reallocate_payment" | "issue_refund":
                return any(p.status == "processed" for p in model.payments.values())
            case "reinstate_payment":
                return any(p.returned for p in model.payments.values())
            case "reverse_refund":
                return bool(model.refunds)
            case "write_off_invoice" | "open_dispute":
                return any(i.open() for i in model.invoices.values())
            case "reverse_write_off":
                return bool(model.write_offs)
            case "resolve_dispute":
                return any(not dispute.resolved for dispute in model.disputes.values())
            case "cancel_invoice":
                return bool(model.invoices)
        return True

    def new_id(self, dice: Dice, taken: Any) -> str:
        if taken and dice.one_in(16):
            return str(next(iter(taken)))
        return f"{self.made}"

    def known_id(self, dice: Dice, known: Any, preferred: Any = ()) -> str:
        """Mostly one that the request makes sense for, else any, seldom an unknown one."""
        throw = dice.below(16)
        if throw == 15 or not known:
            return "none"
        options = list(preferred) if preferred and throw < 13 else list(known)
        return str(options[-1 - dice.below(min(len(options), 8))])

    def day(self, dice: Dice) -> date | None:
        """None or today, often a day or weeks back, seldom far back or in the future."""
        throw = dice.below(16)
        if throw < 8:
            return None
        if throw == 15:
            return self.today + timedelta(days=dice.below(40) - 3)
        if throw == 14:
            return self.today - timedelta(days=dice.below(250))
        return self.today - timedelta(days=dice.below(16) if throw < 12 else dice.below(64))

    def amount(self, dice: Dice, full: int = 0) -> int:
        """Small, or all of something there is, or odd, or (seldom) huge."""
        throw = dice.below(32)
        if throw == 31 and dice.one_in(16):
            return HUGE + dice.below(256)
        if throw > 20 and full > 0:
            return max(full + (dice.below(3) - 1 if throw > 28 else 0), 1)
        if throw > 16:
            return 1 + dice.below(256) * 37 + dice.below(100)
        return (1 + dice.below(20)) * 5

    def maybe_amount(self, dice: Dice, full: int = 0) -> int | None:
        return None if dice.below(2) == 0 else self.amount(dice, full)

    def taxes(self, dice: Dice) -> tuple[Tax, ...]:
        throw = dice.below(8)
        if throw < 5:
            return ()
        if throw == 5:
            return (Tax("vat", "0.2", dice.below(40)),)
        return (Tax("vat", "0.07", dice.below(9)), Tax("city", "0.01", dice.below(5)))

    # What is asked

    def open_account(self, dice: Dice) -> c.OpenAccount:
        opened_on = self.today - timedelta(days=dice.below(120)) if dice.below(4) else None
        if dice.one_in(32):
            opened_on = self.today + timedelta(days=1)
        return c.OpenAccount(
            company="Example Conferencing Inc.",
            country="USA",
            currency="XXX" if dice.one_in(32) else "USD",
            terms=dice.of(TERMS),
            opened_on=opened_on,
        )

    def change_settings(self, dice: Dice) -> c.ChangeSettings:
        changes = dice.of(
            (
                SettingsChange(terms=dice.of(TERMS)),
                SettingsChange(payment_method=dice.of(METHODS)),
                SettingsChange(billing_cycle=dice.of((1, 15, 31))),
                SettingsChange(),
            )
        )
        ahead = self.today + timedelta(days=dice.below(60)) if dice.one_in(3) else None
        return c.ChangeSettings(changes=changes, effective_on=ahead or self.day(dice))

    def post_charge(self, dice: Dice) -> c.PostCharge:
        ahead = self.today + timedelta(days=dice.below(40)) if dice.one_in(8) else None
        zero = dice.one_in(16)
        return c.PostCharge(
            charge_id=self.new_id(dice, self.model.lines),
            amount_minor=0 if zero else self.amount(dice),
            effective_on=ahead or self.day(dice),
            taxes=self.taxes(dice),
            description="a call",
            category=dice.of(("usage", "fee", "rent")),
        )

    def reverse_charge(self, dice: Dice) -> c.ReverseCharge:
        unbilled = [line.id for line in self.model.lines.values() if line.unbilled()]
        return c.ReverseCharge(
            charge_id=self.known_id(dice, self.model.lines, unbilled), effective_on=self.day(dice)
        )

    def issue_credit(self, dice: Dice) -> c.IssueCredit:
        applies_to = dice.of(("invoice", "account", "next_invoice", "account", "invoice"))
        invoice, full = None, 0
        if (applies_to == "invoice") != dice.one_in(32):
            invoice = self.known_id(dice, self.model.invoices, self.opened())
            if invoice in self.model.invoices:
                full = self.model.invoices[invoice].creditable()
        return c.IssueCredit(
            credit_id=self.new_id(dice, self.model.credits),
            amount_minor=self.amount(dice, full),
            applies_to=applies_to,
            invoice=invoice,
            reason="goodwill",
            effective_on=self.day(dice),
            taxes=self.taxes(dice) if dice.one_in(3) else (),
        )

    def reverse_credit(self, dice: Dice) -> c.ReverseCredit:
        live = [credit.id for credit in self.model.credits.values() if not credit.reversed]
        return c.ReverseCredit(
            credit_id=self.known_id(dice, self.model.credits, live), effective_on=self.day(dice)
        )

    def submit_payment(self, dice: Dice) -> c.SubmitPayment:
        pay = dice.of(("amount", "invoice", "total", "amount", "amount"))
        wrong = dice.one_in(32)
        invoice = None
        full = self.model.figures(self.today).balance if self.model.opened else 0
        if pay == "invoice" or (pay == "amount" and dice.one_in(3)):
            invoice = self.known_id(dice, self.model.invoices, self.opened())
        return c.SubmitPayment(
            payment_id=self.new_id(dice, self.model.payments),
            pay=pay,
            amount_minor=self.amount(dice, full) if (pay == "amount") != wrong else None,
            invoice=invoice,
            method=dice.of(METHODS),
            effective_on=self.day(dice),
            status=dice.of(("processed", "pending", "processed")),
        )

    def process_payment(self, dice: Dice) -> c.ProcessPayment:
        id = self.payment(dice, "pending")
        return c.ProcessPayment(
            payment_id=id,
            amount_minor=self.maybe_amount(dice, self.submitted(id)),
            effective_on=self.day(dice),
        )

    def fail_payment(self, dice: Dice) -> c.FailPayment:
        return c.FailPayment(
            payment_id=self.payment(dice, "pending"), reason="no", effective_on=self.day(dice)
        )

    def return_payment(self, dice: Dice) -> c.ReturnPayment:
        id = self.payment(dice, "processed")
        return c.ReturnPayment(
            payment_id=id,
            amount_minor=self.maybe_amount(dice, self.submitted(id)),
            reason="NSF",
            effective_on=self.day(dice),
        )

    def reinstate_payment(self, dice: Dice) -> c.ReinstatePayment:
        returned = [p.id for p in self.model.payments.values() if p.returned]
        id = self.known_id(dice, self.model.payments, returned)
        return c.ReinstatePayment(payment_id=id, effective_on=self.day(dice))

    def unprocess_payment(self, dice: Dice) -> c.UnprocessPayment:
        return c.UnprocessPayment(
            payment_id=self.payment(dice, "processed"), effective_on=self.day(dice)
        )

    def reallocate_payment(self, dice: Dice) -> c.ReallocatePayment:
        id = self.payment(dice, "processed")
        targets = tuple(
            c.Target(
                self.known_id(dice, self.model.invoices, self.opened()),
                self.amount(dice, self.submitted(id)),
            )
            for _ in range(dice.below(3))
        )
        return c.ReallocatePayment(payment_id=id, targets=targets, effective_on=self.day(dice))

    def issue_refund(self, dice: Dice) -> c.IssueRefund:
        named = self.payment(dice, "processed") if dice.below(2) else None
        full = self.submitted(named) if named else self.model.figures(self.today).unapplied
        return c.IssueRefund(
            refund_id=self.new_id(dice, self.model.refunds),
            amount_minor=self.amount(dice, full),
            payment_id=named,
            method=dice.of(METHODS),
            reason="overpaid",
            effective_on=self.day(dice),
        )

    def reverse_refund(self, dice: Dice) -> c.ReverseRefund:
        live = [refund.id for refund in self.model.refunds.values() if not refund.reversed]
        return c.ReverseRefund(
            refund_id=self.known_id(dice, self.model.refunds, live), effective_on=self.day(dice)
        )

    def write_off_invoice(self, dice: Dice) -> c.WriteOffInvoice:
        return c.WriteOffInvoice(
            write_off_id=self.new_id(dice, self.model.write_offs),
            invoice=self.known_id(dice, self.model.invoices, self.opened()),
            amount_minor=self.maybe_amount(dice),
            reason="bad debt",
            effective_on=self.day(dice),
        )

    def reverse_write_off(self, dice: Dice) -> c.ReverseWriteOff:
        live = [written.id for written in self.model.write_offs.values() if not written.reversed]
        return c.ReverseWriteOff(
            write_off_id=self.known_id(dice, self.model.write_offs, live),
            effective_on=self.day(dice),
        )

    def open_dispute(self, dice: Dice) -> c.OpenDispute:
        return c.OpenDispute(
            dispute_id=self.new_id(dice, self.model.disputes),
            invoice=self.known_id(dice, self.model.invoices, self.opened()),
            amount_minor=self.maybe_amount(dice),
            reason="not mine",
            effective_on=self.day(dice),
        )

    def resolve_dispute(self, dice: Dice) -> c.ResolveDispute:
        live = [dispute.id for dispute in self.model.disputes.values() if not dispute.resolved]
        outcome = dice.of(("upheld", "rejected"))
        return c.ResolveDispute(
            dispute_id=self.known_id(dice, self.model.disputes, live),
            outcome=outcome,
            amount_minor=self.amount(dice) if outcome == "upheld" and dice.one_in(2) else None,
            effective_on=self.day(dice),
        )

    def issue_invoice(self, dice: Dice) -> c.IssueInvoice:
        issued_on = self.day(dice) if dice.one_in(4) else None
        period_end = self.day(dice) if dice.one_in(4) else issued_on
        due_on = self.today + timedelta(days=dice.below(40) - 8) if dice.one_in(3) else None
        number = self.new_id(dice, self.model.invoices) if dice.one_in(4) else None
        if dice.one_in(16):
            number = f"{NUMBER}-D{1 + dice.below(3)}"
        return c.IssueInvoice(
            issued_on=issued_on, period_end=period_end, due_on=due_on, number=number
        )

    def cancel_invoice(self, dice: Dice) -> c.CancelInvoice:
        live = [i.number for i in self.model.invoices.values() if not i.cancelled]
        return c.CancelInvoice(
            number=self.known_id(dice, self.model.invoices, live), effective_on=self.day(dice)
        )

    def post_message(self, dice: Dice) -> c.PostMessage:
        return c.PostMessage(message_id=self.new_id(dice, self.model.messages), text="hello")

    def close_account(self, dice: Dice) -> c.CloseAccount:
        return c.CloseAccount(final_bill=bool(dice.below(2)), effective_on=self.day(dice))

    # What there is

    def opened(self) -> list[str]:
        return [i.number for i in self.model.invoices.values() if i.open() or i.written_off()]

    def payment(self, dice: Dice, status: str) -> str:
        fitting = [p.id for p in self.model.payments.values() if p.status == status]
        return self.known_id(dice, self.model.payments, fitting)

    def bill(self, dice: Dice) -> str:
        """A charge, or an invoice when something waits for one."""
        if dice.below(2) and (self.model.unbilled_lines() or dice.one_in(8)):
            return "issue_invoice"
        return "post_charge"

    def submitted(self, payment_id: str) -> int:
        payment = self.model.payments.get(payment_id)
        return payment.submitted if payment else 0


KINDS = tuple(c.snake_case(command.__name__) for command in c.AnyCommand.__args__)
