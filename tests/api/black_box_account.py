"""The rest of the account of the prose: credits, refunds, bad debt, disputes, and every figure."""

from datetime import date
from typing import Any

from tests.api.black_box_model import (
    Credit,
    Dispute,
    Line,
    Model,
    Payment,
    Refund,
    Refused,
    Source,
    WriteOff,
    taxes_of,
)

BUCKETS = ((0, "current"), (30, "d1_30"), (60, "d31_60"), (90, "d61_90"))


class Account(Model):
    """One account, whole."""

    # Credits ---------------------------------------------------------------------------------

    def credit(
        self,
        on: date,
        credit_id: str,
        amount: int,
        applies_to: str,
        invoice: str | None = None,
        taxes: Any = (),
        **_: Any,
    ) -> None:
        self.free_id(self.credits, credit_id)
        tax = taxes_of(taxes)
        total = amount + sum(tax.values())
        if applies_to == "next_invoice":
            if self.closed:
                raise Refused("account_closed")
            less = {name: -each for name, each in tax.items()}
            self.lines[f"credit {credit_id}"] = Line(credit_id, -total, less, on)
        elif invoice is not None:
            self.check_note(invoice, total, tax)
        self.credits[credit_id] = Credit(total, tax, applies_to, invoice)
        if applies_to != "next_invoice":
            source = self.sources[f"credit:{credit_id}"] = Source(f"credit:{credit_id}", total)
            self.pay_note(source, invoice)

    def noted(self, number: str) -> list[Credit]:
        return [one for one in self.credits.values() if one.invoice == number and not one.reversed]

    def tax_left(self, number: str) -> dict[str, int]:
        notes = self.noted(number)
        return {
            name: amount - sum(note.tax.get(name, 0) for note in notes)
            for name, amount in self.invoices[number].tax.items()
        }

    def check_note(self, number: str, total: int, tax: dict[str, int]) -> None:
        invoice = self.known(self.invoices, number)
        if invoice.cancelled:
            raise Refused("invoice_cancelled")
        if total > invoice.total - sum(note.total for note in self.noted(number)):
            raise Refused("credit_exceeds_invoice")
        left = self.tax_left(number)
        if any(amount > left.get(name, 0) for name, amount in tax.items()):
            raise Refused("tax_exceeds_invoice")

    def pay_note(self, source: Source, number: str | None) -> None:
        if number is not None:
            self.put(source, number, source.free)
        self.settle()

    def credit_reversal(self, on: date, credit_id: str, **_: Any) -> None:
        credit = self.known(self.credits, credit_id)
        if credit.reversed:
            raise Refused("already_reversed")
        if credit.applies_to == "next_invoice":
            line = self.lines[f"credit {credit_id}"]
            if line.billed_by:
                raise Refused("credit_already_billed")
            line.gone = True
        else:
            source = self.sources[f"credit:{credit_id}"]
            if source.refunded:
                raise Refused("credit_already_refunded")
            self.take(source, credit.total)
        credit.reversed = True
        self.settle()

    def reallocated(self, on: date, payment_id: str, targets: Any = ()) -> None:
        self.received(payment_id)
        source = self.sources[f"payment:{payment_id}"]
        whole = source.free + sum(one.amount for one in source.paid)
        if sum(one["amount"] for one in targets) > whole:
            raise Refused("allocation_exceeds_payment")
        for one in targets:
            own = sum(a.amount for a in source.paid if a.invoice == one["invoice"])
            owed = self.known(self.invoices, one["invoice"]).open + self.written_off(one["invoice"])
            if one["amount"] > owed + own:
                raise Refused("invoice_not_open")
        self.take(source, whole)
        source.free = whole
        for one in targets:
            rest = one["amount"] - self.put(source, one["invoice"], one["amount"])
            self.recover(source, one["invoice"], rest)
        self.settle()

    # Refunds, bad debt, disputes -------------------------------------------------------------

    def refund(
        self, on: date, refund_id: str, amount: int, payment_id: str | None = None, **_: Any
    ) -> None:
        self.free_id(self.refunds, refund_id)
        if payment_id is not None:
            self.received(payment_id)
        own = f"payment:{payment_id}"
        named = [self.sources[own]] if payment_id is not None else []
        free = [*named, *(one for one in self.sources.values() if one not in named)]
        payments = [one for one in self.sources.values() if one.id.startswith("payment:")]
        paid = named or payments[::-1]
        bound = sum(one.free for one in free) + sum(a.amount for one in paid for a in one.paid)
        if amount > bound:
            raise Refused("refund_exceeds_paid")
        drawn = []
        for source, limited in [*((one, True) for one in free), *((one, False) for one in paid)]:
            part = min(amount, source.free) if limited else amount
            for number, gone in self.take(source, part):
                drawn.append((source.id, number, gone))
                source.refunded += gone
                amount -= gone
        self.refunds[refund_id] = Refund(drawn)

    def refund_reversal(self, on: date, refund_id: str, **_: Any) -> None:
        refund = self.known(self.refunds, refund_id)
        if refund.reversed:
            raise Refused("already_reversed")
        refund.reversed = True
        for name, number, amount in refund.drawn:
            source = self.sources[name]
            source.refunded -= amount
            source.free += amount
            if number is not None:
                rest = amount - self.put(source, number, amount)
                self.recover(source, number, rest)
        self.settle()

    def write_off(
        self, on: date, write_off_id: str, invoice: str, amount: int | None = None, **_: Any
    ) -> None:
        self.free_id(self.write_offs, write_off_id)
        of = self.known(self.invoices, invoice)
        amount = of.open if amount is None else amount
        if not amount or amount > of.open:
            raise Refused("invoice_not_open")
        of.open -= amount
        self.write_offs[write_off_id] = WriteOff(invoice, amount, amount)

    def write_off_reversal(self, on: date, write_off_id: str, **_: Any) -> None:
        one = self.known(self.write_offs, write_off_id)
        if one.reversed:
            raise Refused("already_reversed")
        left = min(one.amount, self.written_off(one.invoice))
        if not left:
            raise Refused("write_off_recovered")
        self.invoices[one.invoice].open += left
        one.reversed = True
        beside = (w for w in self.write_offs.values() if w.invoice == one.invoice and w is not one)
        for each in (one, *beside):
            taken = min(each.left, left)
            each.left -= taken
            left -= taken
        self.settle()

    def dispute(
        self, on: date, dispute_id: str, invoice: str, amount: int | None = None, **_: Any
    ) -> None:
        self.free_id(self.disputes, dispute_id)
        left = self.known(self.invoices, invoice).open - self.contested(invoice)
        if not left:
            raise Refused("nothing_to_dispute")
        self.disputes[dispute_id] = Dispute(invoice, left if amount is None else min(amount, left))

    def resolution(
        self, on: date, dispute_id: str, outcome: str, amount: int | None = None
    ) -> None:
        dispute = self.known(self.disputes, dispute_id)
        if dispute.status != "open":
            raise Refused("dispute_not_open")
        if outcome == "upheld":
            amount = dispute.amount if amount is None else amount
            if amount > dispute.amount:
                raise Refused("dispute_exceeded")
            of = self.invoices[dispute.invoice]
            self.check_note(of.number, amount, {})
            tax = share(of.tax, amount, of.total, self.tax_left(of.number))
            self.credits[dispute_id] = Credit(amount, tax, "invoice", of.number)
            source = self.sources[f"credit:{dispute_id}"] = Source(f"credit:{dispute_id}", amount)
            self.put(source, of.number, amount)
        dispute.status = outcome
        self.settle()

    def closure(self, on: date, final_bill: bool = False, **_: Any) -> None:
        if self.closed:
            raise Refused("account_closed")
        if self.unbilled():
            if not final_bill:
                raise Refused("account_not_settled")
            self.invoice(on)
        self.closed = True

    # Figures ---------------------------------------------------------------------------------

    def figures(self) -> dict[str, Any]:
        """The figures that a command's reply holds."""
        free = sum(one.free for one in self.sources.values())
        due_on = None
        for invoice in self.in_order():
            free -= invoice.open
            if free < 0:
                due_on = str(invoice.due_on)
                break
        return {
            "balance": self.balance(),
            "total_amount_due": max(0, self.balance()),
            "available_credit": max(0, -self.balance()),
            "due_on": due_on,
            "current_activity": sum(line.total for line in self.unbilled()),
            "pending_payments": self.pending_payments(),
            "payable_now": self.payable_now(),
        }

    def late(self, day: date) -> dict[str, Any]:
        """What else a summary shows on a day."""
        aging = dict.fromkeys((*(name for _, name in BUCKETS), "d91"), 0)
        free = sum(one.free for one in self.sources.values())
        past_due, days_past_due, oldest = 0, 0, 0
        for invoice in self.in_order():
            days = max(0, (day - invoice.due_on).days)
            oldest = max(oldest, days)
            aging[next((name for end, name in BUCKETS if days <= end), "d91")] += invoice.open
            undisputed = invoice.open - self.contested(invoice.number)
            if days and undisputed > free:
                past_due += undisputed - free
                days_past_due = max(days_past_due, days)
            free = max(0, free - invoice.open)
        disputed = sum(self.contested(number) for number in self.invoices)
        return {
            "past_due": past_due,
            "days_past_due": days_past_due,
            "aging": {**aging, "disputed": disputed, "oldest_days": oldest},
        }

    def invoice_rows(self) -> dict[str, tuple[Any, ...]]:
        """Of each invoice: status, total, open, disputed, written off, carried to credit."""
        rows = {}
        for number, one in self.invoices.items():
            off = self.written_off(number)
            status = "open" if one.open else "written_off" if off else "paid"
            status = "cancelled" if one.cancelled else status
            rows[number] = (status, one.total, one.open, self.contested(number), off, one.carried)
        return rows

    def payment_rows(self) -> dict[str, tuple[Any, ...]]:
        """Of each payment: status, amount, processed, returned, refunded, unapplied, applied."""
        return {id: self.payment_row(id, one) for id, one in self.payments.items()}

    def payment_row(self, id: str, one: Payment) -> tuple[Any, ...]:
        source = self.sources.get(f"payment:{id}", Source(id))
        settled = one.processed, one.returned, source.refunded, source.free
        return one.status, one.amount, *settled, applied(source)

    def credit_rows(self) -> dict[str, tuple[Any, ...]]:
        """Of each credit: status, total, unapplied, applied."""
        rows = {}
        for id, one in self.credits.items():
            source = self.sources.get(f"credit:{id}", Source(id))
            status = "reversed" if one.reversed else "issued"
            rows[id] = (status, one.total, source.free, applied(source))
        return rows


def applied(source: Source) -> dict[str, int]:
    """How much of a source is on each invoice."""
    sums: dict[str, int] = {}
    for one in source.paid:
        sums[one.invoice] = sums.get(one.invoice, 0) + one.amount
    return sums


def share(tax: dict[str, int], amount: int, total: int, left: dict[str, int]) -> dict[str, int]:
    """The tax in an amount of a total: half away from zero, then by largest remainder."""
    whole = sum(tax.values())
    if not whole:
        return {}
    wanted = (2 * amount * whole + total) // (2 * total)
    parts = {name: wanted * each // whole for name, each in tax.items()}
    by_rest = sorted(tax, key=lambda name: (-(wanted * tax[name] % whole), name))
    for name in by_rest[: wanted - sum(parts.values())]:
        parts[name] += 1
    return {name: min(part, left[name]) for name, part in parts.items()}
