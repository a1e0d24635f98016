"""Charges, credits, invoices, disputes and write-offs in the model."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from math import floor

from ledger import commands as c
from ledger.calendar import due_date
from tests.model.applying import by_name, with_tax
from tests.model.days import Days, refuse
from tests.model.records import (
    Credit,
    Dispute,
    Invoice,
    Line,
    Source,
    Stamp,
    Step,
    Taxes,
    WriteOff,
)


class Billing(Days):
    """What is owed, and what makes it less."""

    def post_charge(self, command: c.PostCharge, today: date) -> None:
        on, why = self.day(command, today, ahead=True)
        if self.closed:
            why.add("account_closed")
        if command.charge_id in self.lines:
            why.add("id_taken")
        refuse(why)
        amount = with_tax(command.amount_minor, command.taxes)
        at = self.next_version(on)
        line = Line("charge", command.charge_id, at, amount, by_name(command.taxes))
        self.lines[command.charge_id] = line

    def reverse_charge(self, command: c.ReverseCharge, today: date) -> None:
        line = self.known(self.lines, command.charge_id, command, today)
        on, why = self.day(command, today, self.waits_from(line), ahead=True)
        if command.effective_on is None:
            on, why = max(today, line.posted.on), set()
        if on > max(today, line.posted.on) or (on > today and on < line.posted.on):
            why.add("effective_in_future")
        if line.reversed:
            why.add("already_reversed")
        elif not line.unbilled():
            why.add("charge_already_billed")
        refuse(why)
        line.reversed = self.next_version(on)

    def issue_credit(self, command: c.IssueCredit, today: date) -> None:
        on, why = self.day(command, today)
        if (command.invoice is None) == (command.applies_to == "invoice"):
            why.add("invoice_needed")
        if command.credit_id in self.credits:
            why.add("id_taken")
        if self.closed and command.applies_to == "next_invoice":
            why.add("account_closed")
        amount, taxes = with_tax(command.amount_minor, command.taxes), by_name(command.taxes)
        if command.invoice is not None:
            why |= self._against_note(command.invoice, on, amount, taxes)
        refuse(why)
        at = self.next_version(on)
        self._add_credit(command.credit_id, at, amount, taxes, command.applies_to, command.invoice)

    def _against_note(self, number: str, on: date, amount: int, taxes: Taxes) -> set[str]:
        """Why a credit note of an amount and its taxes is too much for an invoice."""
        invoice = self.invoices.get(number)
        if invoice is None:
            return {"item_unknown"}
        why = set()
        if invoice.cancelled:
            why.add("invoice_cancelled")
        if on < invoice.issued.on:
            why.add("effective_before_cause")
        if amount > invoice.creditable():
            why.add("credit_exceeds_invoice")
        names = {name for name, _ in taxes}
        for name in names:
            if sum(a for n, a in taxes if n == name) > max(invoice.creditable_tax(name), 0):
                why.add("tax_exceeds_invoice")
        return why

    def _add_credit(
        self, id: str, at: Stamp, amount: int, taxes: Taxes, applies_to: str, number: str | None
    ) -> None:
        credit = Credit(
            f"credit:{id}",
            at.version,
            id=id,
            on=at.on,
            amount=amount,
            taxes=taxes,
            applies_to=applies_to,
            invoice=number,
        )
        self.credits[id] = credit
        if applies_to == "next_invoice":
            minus = tuple((name, -tax) for name, tax in taxes)
            credit.line = Line("credit", id, at, -amount, minus)
            return
        self.book(at, -amount, "credit")
        self.move(credit, at, amount, "issued")
        if number is not None:
            self.invoices[number].notes.append(credit)
            self.put_named(credit, self.invoices[number], at, recovers=False)
        self.put_unnamed(credit, at, recovers=False)

    def reverse_credit(self, command: c.ReverseCredit, today: date) -> None:
        credit = self.known(self.credits, command.credit_id, command, today)
        cause = self.waits_from(credit.line) if credit.line else credit.grown_on
        on, why = self.day(command, today, cause)
        if credit.reversed:
            why.add("already_reversed")
        elif credit.line and not credit.line.unbilled():
            why.add("credit_already_billed")
        if credit.refunded:
            why.add("credit_already_refunded")
        refuse(why)
        at = credit.reversed = self.next_version(on)
        if credit.line:
            credit.line.reversed = at
            return
        self.book(at, credit.amount, "credit reversed")
        self.undo_all(credit, at)
        self.move(credit, at, -credit.amount, "reversed")
        self.settle(at)

    def issue_invoice(self, command: c.IssueInvoice, today: date, number: str) -> None:
        issued_on, period_end, why = self.against_bill(command, today)
        refuse(why)
        due_on = command.due_on or due_date(self.settings_on(issued_on)["terms"], issued_on)
        lines = [line for line in self.unbilled_lines() if line.posted.on <= period_end]
        self.period_ends.append(period_end)
        self._bill(lines, self.next_version(issued_on), number, due_on)

    def against_bill(self, command: c.IssueInvoice, today: date) -> tuple[date, date, set[str]]:
        """The day of issue, the end of the period, and the codes against an invoice of them."""
        issued_on = command.issued_on or today
        period_end = command.period_end or issued_on
        why = self.against(issued_on, today)
        if period_end > issued_on:
            why |= {"effective_before_cause", "effective_in_future"}
        why |= self.against(period_end, period_end)
        if command.number in self.invoices:
            why.add("id_taken")
        if command.due_on is not None and command.due_on < issued_on:
            why.add("due_before_issue")
        if any(period_end < end for end in self.period_ends):
            why.add("period_billed")
        if not any(line.posted.on <= period_end for line in self.unbilled_lines()):
            why.add("nothing_to_bill")
        if issued_on < self.freed_on():
            why.add("effective_before_cause")
        number = command.number or ""
        if number.startswith(f"{self.number}-D" if not why else f"{self.number}-"):
            why.add("number_reserved")
        return issued_on, period_end, why

    def _bill(self, lines: list[Line], at: Stamp, number: str, due_on: date) -> None:
        amount = sum(line.amount for line in lines)
        invoice = Invoice(number, at, due_on, max(amount, 0), lines)
        assert number not in self.invoices, f"the domain used the number {number} twice"
        self.invoices[number] = invoice
        for line in lines:
            line.invoices.append(invoice)
        self.book(at, amount, "billed")
        if amount < 0:
            invoice.carried = Source(f"carried:{number}", at.version)
            self.carried.append(invoice.carried)
            self.move(invoice.carried, at, -amount, "carried")
        self.settle(at)
        for allocation in invoice.allocations:
            allocation.at_issue = True

    def cancel_invoice(self, command: c.CancelInvoice, today: date) -> None:
        invoice = self.known(self.invoices, command.number, command, today)
        live = [a for a in invoice.allocations if a.live()]
        live += [a for a in invoice.carried.allocations if a.live()] if invoice.carried else []
        on, why = self.day(command, today, invoice.grown_on, *(a.made.on for a in live))
        if invoice.is_debit:
            why.add("invoice_settled")
        if invoice.cancelled:
            why.add("invoice_cancelled")
        paid = any(
            a.live() and a.source.name.startswith("payment:") and not a.at_issue
            for a in invoice.allocations
        )
        if paid or invoice.live_notes() or invoice.written_off() or invoice.flagged():
            why.add("invoice_settled")
        if invoice.carried and invoice.carried.refunded:
            why.add("credit_already_refunded")
        refuse(why)
        at = self.next_version(on)
        self.book(at, -sum(line.amount for line in invoice.lines), "cancelled")
        for allocation in invoice.allocations:
            if allocation.live():
                self.undo(allocation, allocation.live(), at)
        invoice.cancelled = at
        if invoice.carried:
            self.undo_all(invoice.carried, at)
            self.move(invoice.carried, at, -invoice.carried.unapplied(), "cancelled")
        self.settle(at)

    def write_off_invoice(self, command: c.WriteOffInvoice, today: date) -> None:
        taken = command.write_off_id in self.write_offs
        invoice = self.known(self.invoices, command.invoice, command, today, taken)
        on, why = self.day(command, today, invoice.grown_on)
        if taken:
            why.add("id_taken")
        if invoice.cancelled:
            why |= {"invoice_cancelled", "invoice_not_open"}
        amount = command.amount_minor or invoice.open()
        if not 0 < amount <= invoice.open():
            why.add("invoice_not_open")
        refuse(why)
        at = self.next_version(on)
        self.write_offs[command.write_off_id] = WriteOff(command.write_off_id, at, invoice, amount)
        invoice.write_offs.append(Step(at.version, at.on, amount))
        self.book(at, -amount, "written off")

    def reverse_write_off(self, command: c.ReverseWriteOff, today: date) -> None:
        written = self.known(self.write_offs, command.write_off_id, command, today)
        on, why = self.day(command, today, written.issued.on)
        amount = min(written.amount, written.invoice.written_off())
        if written.reversed:
            why.add("already_reversed")
        elif amount == 0:
            why.add("write_off_recovered")
        refuse(why)
        at = written.reversed = self.next_version(on)
        written.invoice.write_offs.append(Step(at.version, at.on, -amount))
        self.book(at, amount, "write-off reversed")
        self.settle(at)

    def open_dispute(self, command: c.OpenDispute, today: date) -> None:
        taken = command.dispute_id in self.disputes
        invoice = self.known(self.invoices, command.invoice, command, today, taken)
        on, why = self.day(command, today, invoice.issued.on)
        if taken:
            why.add("id_taken")
        if invoice.cancelled:
            why |= {"invoice_cancelled", "nothing_to_dispute"}
        amount = min(command.amount_minor or invoice.open(), invoice.undisputed())
        if amount <= 0:
            why.add("nothing_to_dispute")
        refuse(why)
        at = self.next_version(on)
        self.disputes[command.dispute_id] = Dispute(command.dispute_id, at, invoice, amount)
        invoice.flags.append(Step(at.version, at.on, amount))

    def resolve_dispute(self, command: c.ResolveDispute, today: date, taxes: Taxes) -> None:
        dispute = self.known(self.disputes, command.dispute_id, command, today)
        on, why = self.day(command, today, dispute.opened.on)
        if dispute.resolved:
            why.add("dispute_not_open")
        upheld, amount = command.outcome == "upheld", command.amount_minor or dispute.amount
        if not upheld and command.amount_minor is not None:
            why.add("amount_not_applicable")
        if upheld and amount > dispute.amount:
            why.add("dispute_exceeded")
        if upheld:
            why |= self._against_note(dispute.invoice.number, on, amount, ())
            if dispute.id in self.credits:
                why.add("id_taken")
        refuse(why)
        if upheld:
            self._check_shares(dispute.invoice, amount, taxes)
            number = dispute.invoice.number
            self._add_credit(dispute.id, self.next_version(on), amount, taxes, "invoice", number)
        at = dispute.resolved = self.next_version(on)
        dispute.invoice.flags.append(Step(at.version, at.on, -dispute.amount))
        self.settle(at)

    def _check_shares(self, invoice: Invoice, amount: int, taxes: Taxes) -> None:
        """The tax within a credit note is the invoice's share, as far as there is tax left."""
        billed = [tax for line in invoice.lines for tax in line.taxes]
        left = {name: max(invoice.creditable_tax(name), 0) for name, _ in billed}
        assert all(0 < tax <= left[name] for name, tax in taxes), (taxes, left)
        exact = Fraction(amount * max(sum(tax for _, tax in billed), 0), invoice.total)
        share = floor(exact + Fraction(1, 2))
        assert min(share, amount, sum(left.values())) == sum(tax for _, tax in taxes)
