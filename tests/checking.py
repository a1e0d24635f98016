"""What must hold after every step: the book beside the model, and the invariants of the design."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from ledger import commands as c
from ledger import events as e
from ledger.account import STATE_BYTES_MAX, figures
from ledger.book import Book
from ledger.errors import Refusal
from ledger.history import as_of
from ledger.items import (
    AllocationItem,
    InvoiceItem,
    PaymentItem,
    SourceItem,
)
from ledger.money import AMOUNT_MINOR_MAX
from ledger.movements import Movement, movements
from ledger.parts import DebitItem
from ledger.standing import Standing
from tests.model import Figures, Model, Refused

FIGURES = ("open", "unapplied", "unbilled", "pending", "flagged")
LIMITS = {"amount_overflow", "too_many_ahead", "too_many_items"}


class Checked:
    """A book and the model of the same account, fed with the same requests."""

    def __init__(self) -> None:
        self.book = Book()
        self.again = Book()
        self.model = Model()
        self.moved: list[tuple[int, Movement]] = []
        self.came = dict.fromkeys(FIGURES, 0)
        self.went = dict.fromkeys(FIGURES, 0)
        self.accepted = self.refused = 0

    def handle(self, request: c.Request) -> bool:
        """Hands the request to both; true when they accepted it."""
        before = self.book.account, dict(self.book.items), len(self.book.events)
        try:
            decision = self.book.handle(request)
        except Refusal as refusal:
            assert (self.book.account, self.book.items, len(self.book.events)) == before
            self._refused_alike(request, refusal)
            self.refused += 1
            return False
        try:
            self.model.handle(request, iter(_told(decision.events)))
        except Refused as refused:
            raise AssertionError(f"accepted, but refused by the model: {refused}") from refused
        self.accepted += 1
        self._evolve_again(decision.events)
        assert decision.account == self.book.account
        assert decision.changed == {ref: self.book.items[ref] for ref in decision.changed}
        same = self.book.items.keys() - decision.changed.keys()
        assert all(before[1].get(ref) == self.book.items[ref] for ref in same)
        assert self.book.account is not None
        assert self.book.account.version == before[2] + len(decision.events) == self.model.version
        return True

    def _refused_alike(self, request: c.Request, refusal: Refusal) -> None:
        """The model refuses for that reason too; limits of size it does not know."""
        if refusal.code in LIMITS:
            moved = sum(self.came.values()) + sum(self.went.values())
            far = 8 * (moved + _size(request.command)) > AMOUNT_MINOR_MAX
            assert far or refusal.code != "amount_overflow", refusal
            return
        version = self.model.version
        with pytest.raises(Refused) as refused:
            self.model.handle(request, iter(["?"]))
        assert refusal.code in refused.value.codes, f"{refusal!r}: model {refused.value}"
        assert version == self.model.version

    def _evolve_again(self, events: tuple[e.Event, ...]) -> None:
        """What is stored, read back and folded from nothing, gives the same account and items."""
        for event in events:
            stored = msgspec.json.encode(event)
            read = msgspec.json.decode(stored, type=type(event))
            assert event == read
            self.again.apply(read)
            version = len(self.again.events)
            self.moved += [(version, movement) for movement in movements(read)]
            self._count(movements(read))
        assert self.again.account == self.book.account
        assert self.again.items == self.book.items

    def _count(self, moved: list[Movement]) -> None:
        """Adds an event's movements to what ever came into each figure, and what went out of it.

        What one event moves of one item on one day is never seen apart.
        """
        sums: dict[tuple[str, str, date], int] = {}
        for figure, item, on, amount in moved:
            sums[figure, item, on] = sums.get((figure, item, on), 0) + amount
        for (figure, _, _), amount in sums.items():
            self.came[figure] += max(amount, 0)
            self.went[figure] += max(-amount, 0)

    def check(self, today: date, days_back: int = 0, versions_back: int = 0) -> None:
        """Every invariant, live and at a day and version some way back."""
        if self.book.account is None:
            return
        self.check_live(today)
        self.check_items()
        self.check_as_of(today, self.model.version)
        known = max(self.model.version - versions_back, 1)
        self.check_as_of(today - timedelta(days=days_back), known)
        self.check_as_of(today - timedelta(days=days_back), self.model.version)

    def check_live(self, today: date) -> None:
        """The live figures are the model's, whichever way the balance is summed."""
        account, expected = self.book.account, self.model.figures(today)
        assert account is not None
        assert len(msgspec.json.encode(account)) <= STATE_BYTES_MAX
        shown = figures(account, today)
        assert expected.balance == shown.balance_minor
        assert expected.total_amount_due == shown.total_amount_due_minor
        assert expected.available_credit == shown.available_credit_minor
        assert expected.due_on == shown.due_on
        assert expected.current_activity == shown.current_activity_minor
        assert expected.pending_payments == shown.pending_payments_minor
        assert expected.payable_now == shown.payable_now_minor
        assert expected.unapplied == account.unapplied_minor
        assert expected.disputed == account.disputed_minor
        assert expected.balance == self.model.balance_by_events(today, self.model.version)
        assert expected.balance == (
            account.billed_minor
            - account.processed_minor
            - account.credited_minor
            - account.written_off_minor
            + account.refunded_minor
            + account.returned_minor
        )
        assert sum(expected.aging.values()) - expected.unapplied == expected.balance
        assert not (account.unapplied_minor and account.undisputed_minor)
        assert account.unapplied_minor >= 0
        for minor in msgspec.structs.asdict(account).values():
            assert not isinstance(minor, int) or abs(minor) <= AMOUNT_MINOR_MAX
        self.check_sums_fit()

    def check_sums_fit(self) -> None:
        """Whatever days and versions are summed over, 64 bits hold the sum, and a balance of two."""
        assert self.book.account is not None
        most = {figure: max(self.came[figure], self.went[figure]) for figure in FIGURES}
        turnover_minor = self.book.account.turnover_minor
        assert turnover_minor <= AMOUNT_MINOR_MAX
        assert max(most.values()) <= turnover_minor
        assert most["open"] + most["unapplied"] <= turnover_minor
        if turnover_minor < AMOUNT_MINOR_MAX:  # a return at the limit goes on without it
            assert sum(most.values()) <= turnover_minor

    def check_items(self) -> None:
        """Every item is the model's; no allocation exceeds its source or its invoice."""
        items = self.book.items
        onto: dict[str, int] = {}
        out_of: dict[str, int] = {}
        for item in items.values():
            if isinstance(item, AllocationItem):
                assert item.amount_minor >= 0
                onto[item.invoice] = onto.get(item.invoice, 0) + item.amount_minor
                out_of[item.source] = out_of.get(item.source, 0) + item.amount_minor
        invoices = [item for item in items.values() if isinstance(item, InvoiceItem)]
        assert {i.id for i in invoices} == self.model.invoices.keys()
        for invoice in invoices:
            expected = self.model.invoices[invoice.id]
            assert (expected.open(), expected.flagged(), expected.written_off()) == (
                invoice.open_minor,
                invoice.flagged_minor,
                invoice.written_off_minor,
            ), invoice.id
            assert invoice.open_minor >= 0
            assert invoice.written_off_minor >= 0
            assert self.model.promised(expected) == invoice.pending_minor
            assert expected.due_on == invoice.due_on
            assert expected.total == invoice.total_minor
            owed = 0 if invoice.cancelled else invoice.total_minor
            settled = onto.get(invoice.id, 0) + invoice.written_off_minor
            assert owed == invoice.open_minor + settled
            if invoice.lines is not None:
                assert invoice.total_minor == invoice.lines.total_minor + invoice.carried_minor
                assert len(expected.lines) == invoice.lines.count
        spare = {s.name: s.unapplied() for s in self.model.sources()}
        for item in items.values():
            if isinstance(item, SourceItem):
                assert spare.pop(item.source, 0) == item.unapplied_minor >= 0, item.source
                assert out_of.get(item.source, 0) == item.allocated_minor
            if isinstance(item, PaymentItem):
                payment = self.model.payments[item.id]
                assert (payment.status, payment.returned) == (item.status, item.returned_minor)
        assert not any(spare.values())

    def check_as_of(self, day: date, known: int) -> None:
        """Sums of the events' movements are the model's figures, for any day and version."""
        found: dict[tuple[str, str], int] = {}
        for version, (figure, item, on, amount) in self.moved:
            if on <= day and version <= known:
                found[figure, item] = found.get((figure, item), 0) + amount
        model, expected = self.model, dict[tuple[str, str], int]()
        for invoice in model.invoices.values():
            expected["open", invoice.number] = invoice.open(day, known)
            expected["flagged", invoice.number] = invoice.flagged(day, known)
        for source in model.sources():
            expected["unapplied", source.name] = source.unapplied(day, known)
        for payment in model.payments.values():
            expected["pending", payment.id] = sum(
                s.amount for s in payment.pending if s.holds(day, known)
            )
        figures = model.figures(day, known)
        expected["unbilled", ""] = figures.current_activity
        expected = {key: amount for key, amount in expected.items() if amount}
        assert expected == {key: amount for key, amount in found.items() if amount}, (day, known)
        assert figures.balance == model.balance_by_events(day, known)
        shown = as_of(self.book.events[:known], day)
        self.check_standing(shown.standing, figures)
        assert model.oldest_days(day, known) == shown.standing.aging.oldest_days
        assert model.settings_on(day, known) == shown.settings

    def check_standing(self, shown: Standing, expected: Figures) -> None:
        """The standing shown is the model's, figure by figure."""
        assert expected == Figures(
            balance=shown.balance_minor,
            total_amount_due=shown.total_amount_due_minor,
            available_credit=shown.available_credit_minor,
            due_on=shown.due_on,
            past_due=shown.past_due_minor,
            days_past_due=shown.days_past_due,
            current_activity=shown.current_activity_minor,
            pending_payments=shown.pending_payments_minor,
            payable_now=shown.payable_now_minor,
            unapplied=expected.unapplied,
            disputed=shown.aging.disputed,
            aging={name: getattr(shown.aging, name) for name in expected.aging},
        )


def _told(events: tuple[e.Event, ...]) -> list[object]:
    """What the domain chose where the design leaves it open."""
    told: list[object] = []
    for event in events:
        match event:
            case e.InvoiceIssued():
                told.append(event.number)
            case e.PaymentReturned(debit=DebitItem() as debit):
                told.append(debit.number)
            case e.CreditIssued() if event.dispute_id:
                told.append(tuple((tax.name, tax.amount_minor) for tax in event.taxes))
    return told


def _size(command: c.Command) -> int:
    """The largest amount a command states."""
    amounts = [getattr(command, "amount_minor", None) or 0]
    amounts += [t.amount_minor for t in getattr(command, "taxes", ())]
    amounts += [t.amount_minor for t in getattr(command, "targets", ())]
    return sum(abs(amount) for amount in amounts)
