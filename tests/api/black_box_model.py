"""What an account owes, worked out from the prose of the docs alone: amounts in minor units."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

NET_DAYS = 30


class Refused(Exception):
    """The account's state does not allow the command; the code says why."""


@dataclass
class Line:
    """A charge, or a credit for the next invoice with a negative total."""

    id: str
    total: int
    tax: dict[str, int]
    on: date
    billed_by: str | None = None
    gone: bool = False


@dataclass
class Invoice:
    """An invoice or a debit item, and what is left to pay of it."""

    number: str
    issued_on: date
    due_on: date
    total: int
    tax: dict[str, int] = field(default_factory=dict)
    open: int = 0
    carried: int = 0
    cancelled: bool = False

    @property
    def order(self) -> tuple[date, date]:
        return self.due_on, self.issued_on


@dataclass
class Source:
    """Money or a credit: what is on no invoice, and what went where."""

    id: str
    free: int = 0
    refunded: int = 0
    paid: list["Allocation"] = field(default_factory=list)
    taken: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Allocation:
    """An amount of a source on an invoice."""

    invoice: str
    amount: int
    turn: int
    at_issue: bool


@dataclass
class Payment:
    """A payment and what became of it."""

    amount: int
    invoice: str | None
    status: str = "pending"
    processed: int = 0
    returned: int = 0
    left_debit: bool = False


@dataclass
class Credit:
    """A credit; one for an invoice is a credit note of it."""

    total: int
    tax: dict[str, int]
    applies_to: str
    invoice: str | None
    reversed: bool = False


@dataclass
class WriteOff:
    """Bad debt: what of it is still written off."""

    invoice: str
    amount: int
    left: int
    reversed: bool = False


@dataclass
class Dispute:
    """A contested amount; resolved ones have an outcome."""

    invoice: str
    amount: int
    status: str = "open"


@dataclass
class Refund:
    """Money given back: what each source gave, free or off which invoice."""

    drawn: list[tuple[str, str | None, int]]
    reversed: bool = False


def taxes_of(given: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The tax amounts by name."""
    return {one["name"]: one["amount"] for one in given}


class Model:
    """One account. Each command is a method of its name that changes it or raises Refused."""

    def __init__(self, number: str) -> None:
        self.number = number
        self.closed = False
        self.turn = 0
        self.billed_on = date.min
        self.lines: dict[str, Line] = {}
        self.invoices: dict[str, Invoice] = {}
        self.sources: dict[str, Source] = {}
        self.payments: dict[str, Payment] = {}
        self.credits: dict[str, Credit] = {}
        self.write_offs: dict[str, WriteOff] = {}
        self.disputes: dict[str, Dispute] = {}
        self.refunds: dict[str, Refund] = {}

    def tell(self, command: str, on: date, **given: Any) -> None:
        """The command is done, or Refused is raised and nothing has changed."""
        self.turn += 1
        getattr(self, command)(on=on, **given)

    # Money that moves ------------------------------------------------------------------------

    def contested(self, number: str) -> int:
        live = (d for d in self.disputes.values() if d.invoice == number and d.status == "open")
        return min(self.invoices[number].open, sum(one.amount for one in live))

    def written_off(self, number: str) -> int:
        return sum(one.left for one in self.write_offs.values() if one.invoice == number)

    def in_order(self) -> list[Invoice]:
        return sorted((i for i in self.invoices.values() if i.open), key=lambda i: i.order)

    def put(self, source: Source, number: str, limit: int, at_issue: bool = False) -> int:
        """Puts up to a limit of free money on what is open of an invoice; how much it was."""
        invoice = self.invoices[number]
        amount = min(source.free, limit, invoice.open)
        if amount:
            source.free -= amount
            invoice.open -= amount
            source.paid.append(Allocation(number, amount, self.turn, at_issue))
        return amount

    def settle(self, issued: str | None = None) -> None:
        """No free money is left beside an undisputed open amount; the oldest source goes first."""
        for source in self.sources.values():
            for invoice in self.in_order():
                undisputed = invoice.open - self.contested(invoice.number)
                self.put(source, invoice.number, undisputed, issued == invoice.number)

    def pay_named(self, source: Source, number: str | None) -> None:
        """Money pays what it names, disputed or written off; then all; then bad debt."""
        if number is not None and not self.invoices[number].cancelled:
            self.put(source, number, source.free)
            self.recover(source, number, source.free)
        self.settle()
        for invoice in sorted(self.invoices.values(), key=lambda one: one.order):
            self.recover(source, invoice.number, source.free)

    def recover(self, source: Source, number: str, limit: int) -> None:
        """Free money of a source pays, up to a limit, what is written off of an invoice."""
        for one in self.write_offs.values():
            if one.invoice == number and (recovered := min(one.left, source.free, limit)):
                limit -= recovered
                one.left -= recovered
                source.free -= recovered
                source.paid.append(Allocation(number, recovered, self.turn, False))

    def take(self, source: Source, amount: int) -> list[tuple[str | None, int]]:
        """Money leaves a source: the free part first, then what it paid, latest first."""
        taken: list[tuple[str | None, int]] = []
        if free := min(source.free, amount):
            source.free -= free
            taken.append((None, free))
            amount -= free
        while amount and source.paid:
            last = source.paid[-1]
            part = min(last.amount, amount)
            last.amount -= part
            amount -= part
            self.invoices[last.invoice].open += part
            taken.append((last.invoice, part))
            if not last.amount:
                source.paid.pop()
        return taken

    # Commands --------------------------------------------------------------------------------

    def known(self, things: dict[str, Any], id: str | None) -> Any:
        if id not in things:
            raise Refused("item_unknown")
        return things[id]

    def free_id(self, things: dict[str, Any], id: str) -> None:
        if id in things:
            raise Refused("id_taken")

    def charge(self, on: date, charge_id: str, amount: int, taxes: Any = (), **_: Any) -> None:
        if self.closed:
            raise Refused("account_closed")
        self.free_id(self.lines, charge_id)
        tax = taxes_of(taxes)
        self.lines[charge_id] = Line(charge_id, amount + sum(tax.values()), tax, on)

    def charge_reversal(self, on: date, charge_id: str) -> None:
        line = self.known(self.lines, charge_id)
        if line.gone:
            raise Refused("already_reversed")
        if line.billed_by:
            raise Refused("charge_already_billed")
        line.gone = True

    def unbilled(self) -> list[Line]:
        return [one for one in self.lines.values() if not one.gone and not one.billed_by]

    def invoice(self, on: date, due_on: str | None = None, **_: Any) -> None:
        if on < self.billed_on:
            raise Refused("period_billed")
        lines = self.unbilled()
        if not lines:
            raise Refused("nothing_to_bill")
        prefix = f"{self.number}-{on:%Y-%m}-"
        number = prefix + str(1 + sum(one.startswith(prefix) for one in self.invoices))
        due = date.fromisoformat(due_on) if due_on else on + timedelta(NET_DAYS)
        total = sum(line.total for line in lines)
        tax: dict[str, int] = {}
        for line in lines:
            line.billed_by = number
            for name, amount in line.tax.items():
                tax[name] = tax.get(name, 0) + amount
        made = Invoice(number, on, due, max(total, 0), tax, max(total, 0), max(-total, 0))
        self.invoices[number] = made
        self.billed_on = on
        if made.carried:
            self.sources[f"carried:{number}"] = Source(f"carried:{number}", made.carried)
        self.settle(issued=number)

    def cancellation(self, on: date, number: str) -> None:
        invoice = self.known(self.invoices, number)
        if invoice.cancelled:
            raise Refused("invoice_cancelled")
        payments = (one for one in self.sources.values() if one.id.startswith("payment:"))
        paid = [one for each in payments for one in each.paid if one.invoice == number]
        notes = [c for c in self.credits.values() if c.invoice == number and not c.reversed]
        contested = [d for d in self.disputes.values() if d.invoice == number]
        live = any(one.status == "open" for one in contested)
        late = any(not one.at_issue for one in paid) or number.startswith(f"{self.number}-D")
        if late or notes or live or self.written_off(number):
            raise Refused("invoice_settled")
        carried = self.sources.get(f"carried:{number}")
        if carried and carried.refunded:
            raise Refused("credit_already_refunded")
        for source in self.sources.values():
            source.free += sum(one.amount for one in source.paid if one.invoice == number)
            source.paid = [one for one in source.paid if one.invoice != number]
        if carried:
            self.take(carried, invoice.carried)
        invoice.open, invoice.cancelled = 0, True
        for line in self.lines.values():
            if line.billed_by == number:
                line.billed_by = None
        self.settle()

    def payment(
        self,
        on: date,
        payment_id: str,
        pay: str,
        amount: int | None = None,
        invoice: str | None = None,
        status: str = "pending",
        **_: Any,
    ) -> None:
        self.free_id(self.payments, payment_id)
        if invoice is not None and self.known(self.invoices, invoice).cancelled:
            raise Refused("invoice_cancelled")
        if pay == "total":
            amount = self.payable_now()
        elif pay == "invoice" and invoice is not None:
            owed = self.invoices[invoice].open + self.written_off(invoice)
            amount = max(0, owed - self.pending_payments(invoice))
        if not amount:
            raise Refused("nothing_to_pay")
        self.payments[payment_id] = Payment(amount, invoice)
        if status == "processed":
            self.processed(on, payment_id)

    def pending(self, payment_id: str) -> Payment:
        payment: Payment = self.known(self.payments, payment_id)
        if payment.status != "pending":
            raise Refused("payment_not_pending")
        return payment

    def received(self, payment_id: str) -> Payment:
        payment: Payment = self.known(self.payments, payment_id)
        if payment.status not in ("processed", "returned"):
            raise Refused("payment_not_processed")
        return payment

    def processed(self, on: date, payment_id: str, amount: int | None = None) -> None:
        payment = self.pending(payment_id)
        amount = payment.amount if amount is None else amount
        if amount > payment.amount:
            raise Refused("processed_exceeds_submitted")
        payment.status, payment.processed = "processed", amount
        name = f"payment:{payment_id}"
        self.sources[name] = Source(name, amount)
        self.pay_named(self.sources[name], payment.invoice)

    def failed(self, on: date, payment_id: str, **_: Any) -> None:
        self.pending(payment_id).status = "failed"

    def returned(self, on: date, payment_id: str, amount: int | None = None, **_: Any) -> None:
        payment, source = self.received(payment_id), self.sources.get(f"payment:{payment_id}")
        assert source is not None
        left = payment.processed - payment.returned
        amount = left if amount is None else amount
        if amount > left or not left:
            raise Refused("return_exceeds_processed")
        taken = self.take(source, amount)
        payment.returned += amount
        payment.status = "returned"
        source.taken += [(number, part) for number, part in taken if number is not None]
        if missing := amount - sum(part for _, part in taken):
            count = sum(one.startswith(f"{self.number}-D") for one in self.invoices)
            number = f"{self.number}-D{count + 1}"
            self.invoices[number] = Invoice(number, on, on, missing, {}, missing)
            source.taken.insert(0, (number, missing))
            payment.left_debit = True
        self.settle()

    def reinstated(self, on: date, payment_id: str) -> None:
        payment = self.received(payment_id)
        if not payment.returned:
            raise Refused("payment_not_returned")
        source = self.sources[f"payment:{payment_id}"]
        source.free += payment.returned
        payment.returned, payment.status = 0, "processed"
        for number, part in source.taken:
            self.recover(source, number, part - self.put(source, number, part))
        source.taken = []
        self.pay_named(source, None)

    def unprocessed(self, on: date, payment_id: str) -> None:
        payment = self.received(payment_id)
        source = self.sources[f"payment:{payment_id}"]
        if source.refunded or payment.returned or payment.left_debit:
            raise Refused("payment_refunded")
        self.take(source, payment.processed)
        del self.sources[source.id]
        payment.status, payment.processed = "pending", 0
        self.settle()

    def balance(self) -> int:
        free = sum(one.free for one in self.sources.values())
        return sum(one.open for one in self.invoices.values()) - free

    def pending_payments(self, invoice: str | None = None) -> int:
        """Of all payments, or of those that name an invoice."""
        pending = [one for one in self.payments.values() if one.status == "pending"]
        return sum(one.amount for one in pending if invoice in (None, one.invoice))

    def payable_now(self) -> int:
        return max(0, max(0, self.balance()) - self.pending_payments())
