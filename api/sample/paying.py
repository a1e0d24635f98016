"""How sample customers pay: late or early, in part, too much, not at all; and what banks take back."""

from datetime import timedelta

from api.sample.billing import Billing
from api.sample.diary import CASHIER, FINANCE
from api.sample.tally import Bill, Purse
from ledger import commands as c
from ledger.parts import Pay


class Paying(Billing):
    """Payments, returns, refunds and write-offs."""

    def await_payment(self, bill: Bill) -> None:
        who = self.customer
        days = who.days_to_settle(self.dice)
        if self.day > who.switches_on:
            days = max(days - 3, 0)
        if bill.adjusted:
            days += 13
        if not (who.pays_badly and self.happens(0.12)):
            self.plan_in(days, lambda: self._pay(bill))
        self.plan(bill.due_on + timedelta(days=120), lambda: self._give_up(bill))

    # Payments

    def _pay(self, bill: Bill) -> None:
        """The bill is paid, as far as nothing is on its way for it yet."""
        if not bill.open_minor or self.tally.pending:
            if bill.open_minor:
                self.plan_in(4, lambda: self._pay(bill))
            return
        open_minor = bill.open_minor
        if self.customer.pays_total and self.tally.payable_minor:
            self._submit("total", self.tally.payable_minor, None)
        elif self.happens(0.073):
            share = 1 - self.dice.betavariate(0.6, 0.6)
            self._submit("amount", max(round(open_minor * share), 1), bill)
            if self.happens(0.5):
                self.plan_in(30, lambda: self._pay(bill))
        elif self.happens(0.03):
            self._submit("amount", max(open_minor // 2, 1), bill)
            self.plan_in(10, lambda: self._pay(bill))
        elif self.happens(0.05):
            self._submit("amount", open_minor + max(open_minor // 5, 1), bill)
            if self.happens(0.6):
                self.plan_in(self.dice.randint(10, 20), self._refund)
        else:
            self._submit("invoice", open_minor, bill)

    def _submit(self, pay: Pay, amount_minor: int, bill: Bill | None) -> None:
        payment_id = self.new_id("P")
        at_once = self.customer.method == "cash_check"
        # A cheque counts from the day it came, and is entered up to some days later.
        days_late = self.dice.choice((0, 0, 1, 2, 4)) if at_once else 0
        on = max(self.day - timedelta(days=days_late), self.customer.opened_on)
        self.ask(
            c.SubmitPayment(
                payment_id=payment_id,
                pay=pay,
                amount_minor=amount_minor if pay == "amount" else None,
                invoice=bill.number if bill else None,
                method=self.customer.method,
                reference=f"{self.account_number}/{payment_id}",
                effective_on=on,
                status="processed" if at_once else "pending",
            ),
            CASHIER if at_once else f"customer:{self.customer.client_id}",
        )
        if at_once:
            self._received(payment_id, amount_minor, bill)
            return
        self.tally.pending[payment_id] = amount_minor
        days = self.dice.randint(0, 4)
        self.plan_in(days, lambda: self._process(payment_id, amount_minor, bill))

    def _process(self, payment_id: str, amount_minor: int, bill: Bill | None) -> None:
        del self.tally.pending[payment_id]
        if self.happens(0.03):
            reason = "declined"
            self.ask(
                c.FailPayment(payment_id=payment_id, reason=reason, effective_on=self.day), CASHIER
            )
            if bill is not None:
                self.plan_in(5, lambda: self._pay(bill))
            return
        received = None
        if self.happens(0.01) and amount_minor > 1:
            received = amount_minor // 2
        self.ask(
            c.ProcessPayment(payment_id=payment_id, amount_minor=received, effective_on=self.day),
            CASHIER,
        )
        self._received(payment_id, received or amount_minor, bill)

    def _received(self, payment_id: str, amount_minor: int, bill: Bill | None) -> None:
        self.tally.receive(f"payment:{payment_id}", amount_minor, bill)
        if self.happens(0.025):
            self.plan_in(self.dice.randint(2, 12), lambda: self._return(payment_id, bill))

    def _return(self, payment_id: str, bill: Bill | None) -> None:
        source = f"payment:{payment_id}"
        if self.tally.purses[source].refunded_minor:
            return
        command = c.ReturnPayment(
            payment_id=payment_id, reason="insufficient funds", effective_on=self.day
        )
        self.ask(command, CASHIER)
        self.tally.give_back(source)
        if self.happens(0.45):
            self.plan_in(self.dice.randint(3, 10), lambda: self._reinstate(payment_id))
        elif bill is not None:
            self.plan_in(14, lambda: self._pay(bill))

    def _reinstate(self, payment_id: str) -> None:
        command = c.ReinstatePayment(payment_id=payment_id, effective_on=self.day)
        self.ask(command, CASHIER)
        self.tally.reinstate(f"payment:{payment_id}")

    # Refunds and write-offs

    def _refund(self) -> None:
        amount_minor = self.tally.unapplied_minor
        if not amount_minor:
            return
        refund_id = self.new_id("R")
        self.ask(
            c.IssueRefund(
                refund_id=refund_id,
                amount_minor=amount_minor,
                method="bank_transfer",
                reason="paid too much",
                effective_on=self.day,
            ),
            FINANCE,
        )
        drawn = self.tally.refund(amount_minor)
        if self.happens(0.15):
            self.plan_in(4, lambda: self._reverse_refund(refund_id, drawn))

    def _reverse_refund(self, refund_id: str, drawn: list[tuple[Purse, int]]) -> None:
        reason = "account closed at the bank"
        command = c.ReverseRefund(refund_id=refund_id, reason=reason, effective_on=self.day)
        self.ask(command, FINANCE)
        self.tally.cancel_refund(drawn)

    def _give_up(self, bill: Bill) -> None:
        if not bill.open_minor or bill.flagged_minor or self.tally.pending:
            return
        write_off_id = self.new_id("W")
        self.ask(
            c.WriteOffInvoice(
                write_off_id=write_off_id,
                invoice=bill.number,
                reason="120 days past due",
                effective_on=self.day,
            ),
            FINANCE,
        )
        self.tally.write_off(bill)
        if self.happens(0.1):
            self.plan_in(9, lambda: self._reverse_write_off(write_off_id, bill))
        elif self.happens(0.4):
            self.plan_in(self.dice.randint(20, 70), lambda: self._recover(bill))

    def _reverse_write_off(self, write_off_id: str, bill: Bill) -> None:
        if not bill.written_off_minor:
            return
        command = c.ReverseWriteOff(
            write_off_id=write_off_id, reason="the customer answered", effective_on=self.day
        )
        self.ask(command, FINANCE)
        self.tally.cancel_write_off(bill)
        self.plan_in(10, lambda: self._pay(bill))

    def _recover(self, bill: Bill) -> None:
        """What was given up is paid after all."""
        if bill.written_off_minor and not bill.open_minor and not self.tally.pending:
            self._submit("invoice", bill.written_off_minor, bill)
