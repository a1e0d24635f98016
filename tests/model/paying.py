"""Payments, returns, refunds and their corrections in the model."""

from __future__ import annotations

from datetime import date
from typing import Any

from ledger import commands as c
from tests.model.applying import Refused
from tests.model.days import Days, refuse
from tests.model.records import Invoice, Payment, Refund, Source, Stamp, Step


class Paying(Days):
    """Money that comes and goes."""

    def submit_payment(self, command: c.SubmitPayment, today: date) -> None:
        on, why = self.day(command, today)
        if command.payment_id in self.payments:
            why.add("id_taken")
        if (command.amount_minor is None) == (command.pay == "amount"):
            why.add("amount_needed")
        if command.pay == "invoice" and command.invoice is None:
            why.add("invoice_needed")
        if command.pay == "total" and command.invoice is not None:
            why.add("invoice_needed")
        invoice = self.invoices.get(command.invoice or "")
        if command.invoice is not None and invoice is None:
            why.add("item_unknown")
        if invoice is not None and invoice.cancelled:
            why.add("invoice_cancelled")
        amount = command.amount_minor or 0
        if command.pay == "total":
            amount = self.figures(today).payable_now
        if command.pay == "invoice" and invoice is not None:
            amount = max(invoice.open() + invoice.written_off() - self.promised(invoice), 0)
        if amount == 0 and command.pay != "amount":
            why.add("nothing_to_pay")
        refuse(why)
        payment = Payment(
            f"payment:{command.payment_id}",
            0,
            id=command.payment_id,
            submitted=amount,
            submitted_on=on,
            invoice=command.invoice,
        )
        at = self.next_version(on)
        self.payments[payment.id] = payment
        payment.pending.append(Step(at.version, on, amount))
        if command.status == "processed":
            self._receive(payment, amount, self.next_version(on))

    def promised(self, invoice: Invoice) -> int:
        """What payments on their way are to pay of an invoice."""
        named = (p for p in self.payments.values() if p.invoice == invoice.number)
        return sum(payment.submitted for payment in named if payment.status == "pending")

    def process_payment(self, command: c.ProcessPayment, today: date) -> None:
        payment = self.known(self.payments, command.payment_id, command, today)
        on, why = self.day(command, today, payment.pending[-1].on)
        amount = command.amount_minor or payment.submitted
        if payment.status != "pending":
            why.add("payment_not_pending")
        if amount > payment.submitted:
            why.add("processed_exceeds_submitted")
        refuse(why)
        self._receive(payment, amount, self.next_version(on))

    def _receive(self, payment: Payment, amount: int, at: Stamp) -> None:
        payment.status = "processed"
        payment.order = at.version
        payment.pending.append(Step(at.version, at.on, -payment.submitted))
        self.move(payment, at, amount, "processed")
        self.book(at, -amount, "processed")
        named = self.invoices.get(payment.invoice) if payment.invoice else None
        if named is not None and not named.cancelled:
            self.put_named(payment, named, at, recovers=True)
        self.put_unnamed(payment, at, recovers=True)

    def fail_payment(self, command: c.FailPayment, today: date) -> None:
        payment = self.known(self.payments, command.payment_id, command, today)
        on, why = self.day(command, today, payment.pending[-1].on)
        if payment.status != "pending":
            why.add("payment_not_pending")
        refuse(why)
        at = self.next_version(on)
        payment.status = "failed"
        payment.pending.append(Step(at.version, at.on, -payment.submitted))

    def return_payment(self, command: c.ReturnPayment, today: date, debit: str) -> None:
        payment = self.known(self.payments, command.payment_id, command, today)
        came = [step.on for step in payment.steps if step.why in ("processed", "reinstated")]
        on, why = self.day(command, today, *came)
        if payment.status != "processed":
            why.add("payment_not_processed")
        amount = command.amount_minor or payment.returnable
        if not 0 < amount <= payment.returnable:
            why |= {"return_exceeds_processed"}
        refuse(why)
        at = self.next_version(on)
        own = min(amount, payment.unapplied())
        taken = self.undo_latest(payment, amount - own, at)
        left = amount - own - sum(part for _, part in taken)
        payment.taken_back += taken
        self.book(at, amount, "returned")
        self.move(payment, at, -amount, "returned")
        if left:
            assert debit not in self.invoices, f"the domain used the number {debit} twice"
            item = Invoice(debit, at, on, left, is_debit=True)
            self.invoices[debit] = item
            payment.debits.append(item)
            self.move(payment, at, left, "debit")
        self.settle(at)

    def reinstate_payment(self, command: c.ReinstatePayment, today: date) -> None:
        payment = self.known(self.payments, command.payment_id, command, today)
        back = [step.on for step in payment.steps if step.why == "returned"]
        on, why = self.day(command, today, *back)
        amount = payment.returned
        if amount == 0:
            why |= {"payment_not_returned", "payment_not_processed"}
        refuse(why)
        at = self.next_version(on)
        self.book(at, -amount, "reinstated")
        self.move(payment, at, amount, "reinstated")
        left = amount
        for item in payment.debits:
            left -= self.put_again(payment, item, left, at)
        for invoice, part in payment.taken_back:
            left -= self.put_again(payment, invoice, min(left, part), at)
        payment.debits, payment.taken_back = [], []
        self.put_unnamed(payment, at, recovers=True)

    def unprocess_payment(self, command: c.UnprocessPayment, today: date) -> None:
        payment, on, why = self._processed(command, today)
        if payment.returned or payment.refunded or payment.sum_of("debit"):
            why.add("payment_refunded")
        refuse(why)
        at = self.next_version(on)
        amount = payment.sum_of("processed", "unprocessed")
        self.undo_all(payment, at)
        self.book(at, amount, "unprocessed")
        self.move(payment, at, -amount, "unprocessed")
        payment.pending.append(Step(at.version, at.on, payment.submitted))
        payment.status = "pending"
        self.settle(at)

    def reallocate_payment(self, command: c.ReallocatePayment, today: date) -> None:
        payment, on, why = self._processed(command, today)
        targets = [(self.invoices.get(t.invoice), t.amount_minor) for t in command.targets]
        money = payment.unapplied() + sum(a.live() for a in payment.allocations)
        if sum(amount for _, amount in targets) > money:
            why.add("allocation_exceeds_payment")
        for invoice, _ in targets:
            if invoice is None:
                why.add("item_unknown")
                continue
            wanted = sum(amount for i, amount in targets if i is invoice)
            freed = sum(a.live() for a in payment.allocations if a.invoice is invoice)
            if invoice.cancelled:
                why |= {"invoice_cancelled", "invoice_not_open"}
            if wanted > invoice.open() + invoice.written_off() + freed:
                why.add("invoice_not_open")
        refuse(why)
        at = self.next_version(on)
        self.undo_all(payment, at)
        for invoice, amount in targets:
            assert invoice is not None
            self.put_again(payment, invoice, amount, at)
        self.settle(at)

    def issue_refund(self, command: c.IssueRefund, today: date) -> None:
        payment = None
        on, why = self.day(command, today)
        taken = command.refund_id in self.refunds
        if command.payment_id is not None:
            payment = self.known(self.payments, command.payment_id, command, today, taken)
            came = [step.on for step in payment.steps if step.why == "processed"]
            on, why = self.day(command, today, *came[-1:])
            if payment.status != "processed":
                why.add("payment_not_processed")
        if taken:
            why.add("id_taken")
        spare = [source for source in self.sources() if source.unapplied() > 0]
        paid = [p for p in reversed(self.sources()) if isinstance(p, Payment)]
        if payment is not None:
            spare.sort(key=lambda source: source is not payment)
            paid = [payment]
        left = command.amount_minor
        drawn: list[tuple[Source, int]] = []
        for source in spare:
            drawn.append((source, min(left, source.unapplied())))
            left -= drawn[-1][1]
        reopening: list[tuple[Payment, int]] = []
        for money in paid:
            part = min(left, sum(a.live() for a in money.allocations))
            reopening.append((money, part))
            left -= part
        if left:
            why.add("refund_exceeds_paid")
        if any(on < s.grown_on for s, part in (*drawn, *reopening) if part):
            why.add("effective_before_cause")
        refuse(why)
        at = self.next_version(on)
        reopened = [
            (money, invoice, part)
            for money, amount in reopening
            for invoice, part in self.undo_latest(money, amount, at)
        ]
        for source, part in (*drawn, *reopening):
            self.move(source, at, -part, "refunded")
        both = [(s, part) for s, part in (*drawn, *reopening) if part]
        self.refunds[command.refund_id] = Refund(command.refund_id, at, both, reopened)
        self.book(at, command.amount_minor, "refunded")

    def reverse_refund(self, command: c.ReverseRefund, today: date) -> None:
        refund = self.refunds.get(command.refund_id)
        if refund is None:
            raise Refused({"item_unknown"})
        on, why = self.day(command, today, refund.issued.on)
        if refund.reversed:
            why.add("already_reversed")
        refuse(why)
        at = refund.reversed = self.next_version(on)
        for source, part in refund.drawn:
            self.move(source, at, part, "refund reversed")
            self.book(at, -part, "refund reversed")
        for source, invoice, part in refund.reopened:
            self.put_again(source, invoice, part, at)
        self.settle(at)

    def _processed(self, command: Any, today: date) -> tuple[Payment, date, set[str]]:
        """The payment named, the effective day, and the codes against them."""
        payment = self.known(self.payments, command.payment_id, command, today)
        on, why = self.day(command, today, *(payment.steps and [payment.grown_on]))
        if payment.status != "processed":
            why.add("payment_not_processed")
        return payment, on, why
