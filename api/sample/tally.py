"""What a sample customer owes, kept by plain sums beside the requests that it explains.

Small and separate from the domain on purpose: the generator asks it what can happen next, and a
test holds the ledger's figures against it.
"""

from dataclasses import dataclass, field
from datetime import date

from ledger.parts import Tax


@dataclass
class Line:
    """A charge, or a credit for the next invoice (negative), that no invoice has taken."""

    id: str
    effective_on: date
    amount_minor: int
    taxes: tuple[Tax, ...] = ()

    @property
    def total_minor(self) -> int:
        return self.amount_minor + sum(tax.amount_minor for tax in self.taxes)


@dataclass
class Bill:
    """An invoice, and what is open of it."""

    number: str
    order: int
    due_on: date
    total_minor: int
    lines: list[Line]
    open_minor: int = 0
    flagged_minor: int = 0
    written_off_minor: int = 0
    adjusted: bool = False
    """Disputed, credited or cancelled: the generator leaves it alone then."""

    @property
    def undisputed_minor(self) -> int:
        return max(self.open_minor - self.flagged_minor, 0)


@dataclass
class Purse:
    """Money or credit: what is left of it, and where the rest went, in order."""

    id: str
    left_minor: int
    put: list[tuple[Bill, int]] = field(default_factory=list)
    taken_back: list[tuple[Bill, int]] = field(default_factory=list)
    returned_minor: int = 0
    refunded_minor: int = 0

    @property
    def whole_minor(self) -> int:
        return self.left_minor + sum(amount for _, amount in self.put)


class Tally:
    """One customer's lines, bills and purses; purses in the order in which they came to count."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.bills: dict[str, Bill] = {}
        self.purses: dict[str, Purse] = {}
        self.pending: dict[str, int] = {}

    # What it comes to

    @property
    def unapplied_minor(self) -> int:
        return sum(purse.left_minor for purse in self.purses.values())

    @property
    def balance_minor(self) -> int:
        return sum(bill.open_minor for bill in self.bills.values()) - self.unapplied_minor

    @property
    def pending_minor(self) -> int:
        return sum(self.pending.values())

    @property
    def payable_minor(self) -> int:
        return max(max(self.balance_minor, 0) - self.pending_minor, 0)

    @property
    def due_on(self) -> date | None:
        cover = self.unapplied_minor
        for bill in self._in_due_order():
            if bill.open_minor > cover:
                return bill.due_on
            cover -= bill.open_minor
        return None

    def current_activity_minor(self, today: date) -> int:
        return sum(line.total_minor for line in self.lines if line.effective_on <= today)

    def unbilled_through(self, day: date) -> list[Line]:
        return [line for line in self.lines if line.effective_on <= day]

    # What happens

    def bill(self, number: str, period_end: date, due_on: date) -> Bill:
        taken = self.unbilled_through(period_end)
        self.lines = [line for line in self.lines if line.effective_on > period_end]
        total = sum(line.total_minor for line in taken)
        bill = Bill(number, len(self.bills), due_on, max(total, 0), taken, open_minor=max(total, 0))
        self.bills[number] = bill
        if total < 0:
            self.purses[f"carried:{number}"] = Purse(f"carried:{number}", -total)
        self._settle()
        return bill

    def receive(self, id: str, amount_minor: int, bill: Bill | None) -> None:
        """Money of a payment: for the bill named, then open ones, then what was given up."""
        purse = self.purses[id] = Purse(id, amount_minor)
        self._put_all(purse, [(bill, amount_minor)] if bill else [])

    def credit(self, id: str, amount_minor: int, bill: Bill | None) -> None:
        purse = self.purses[id] = Purse(id, amount_minor)
        if bill is not None:
            self._put(purse, bill, min(amount_minor, bill.open_minor))
        self._settle()

    def give_back(self, id: str) -> None:
        """All of a payment's money is returned; none of it was refunded."""
        purse = self.purses[id]
        purse.returned_minor = purse.whole_minor
        purse.taken_back = purse.put[::-1]
        self._empty(purse)

    def reinstate(self, id: str) -> None:
        purse = self.purses[id]
        purse.left_minor, purse.returned_minor = purse.returned_minor, 0
        targets, purse.taken_back = purse.taken_back, []
        self._put_all(purse, targets)

    def cancel_credit(self, id: str) -> None:
        """A credit no longer stands; none of it was refunded."""
        self._empty(self.purses[id])

    def refund(self, amount_minor: int) -> list[tuple[Purse, int]]:
        """Unapplied money is given back, the oldest first; gives what came from where."""
        drawn: list[tuple[Purse, int]] = []
        for purse in self.purses.values():
            part = min(amount_minor - sum(part for _, part in drawn), purse.left_minor)
            if part:
                drawn.append((purse, part))
        self._move(drawn, -1)
        return drawn

    def cancel_refund(self, drawn: list[tuple[Purse, int]]) -> None:
        self._move(drawn, 1)
        self._settle()

    def cancel_bill(self, bill: Bill) -> None:
        """An invoice on which no money was put no longer stands; its lines are unbilled again."""
        assert bill.open_minor == bill.total_minor
        bill.open_minor = 0
        self.lines += bill.lines

    def write_off(self, bill: Bill) -> None:
        bill.written_off_minor += bill.open_minor
        bill.open_minor = 0

    def cancel_write_off(self, bill: Bill) -> None:
        bill.open_minor += bill.written_off_minor
        bill.written_off_minor = 0
        self._settle()

    def dispute(self, bill: Bill, amount_minor: int) -> None:
        bill.flagged_minor += amount_minor

    def resolve(self, bill: Bill, flagged_minor: int) -> None:
        bill.flagged_minor -= flagged_minor
        self._settle()

    def _empty(self, purse: Purse) -> None:
        for bill, amount in purse.put:
            bill.open_minor += amount
        purse.put, purse.left_minor = [], 0
        self._settle()

    def _move(self, drawn: list[tuple[Purse, int]], sign: int) -> None:
        for purse, part in drawn:
            purse.left_minor += sign * part
            purse.refunded_minor -= sign * part

    def _put_all(self, purse: Purse, targets: list[tuple[Bill, int]]) -> None:
        for bill, amount in targets:
            rest = min(amount, purse.left_minor)
            paid = min(rest, bill.open_minor)
            self._put(purse, bill, paid)
            self._recover(purse, bill, rest - paid)
        self._settle()
        for bill in self._in_due_order():
            self._recover(purse, bill, purse.left_minor)

    def _recover(self, purse: Purse, bill: Bill, most_minor: int) -> None:
        amount = min(most_minor, bill.written_off_minor)
        bill.written_off_minor -= amount
        bill.open_minor += amount
        self._put(purse, bill, amount)

    def _put(self, purse: Purse, bill: Bill, amount_minor: int) -> None:
        if amount_minor:
            bill.open_minor -= amount_minor
            purse.left_minor -= amount_minor
            purse.put.append((bill, amount_minor))

    def _settle(self) -> None:
        for bill in self._in_due_order():
            for purse in self.purses.values():
                self._put(purse, bill, min(bill.undisputed_minor, purse.left_minor))

    def _in_due_order(self) -> list[Bill]:
        return sorted(self.bills.values(), key=lambda bill: (bill.due_on, bill.order))
