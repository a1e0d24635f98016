"""The checks can fail: each fault here is planted once and must be caught by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

from ledger import allocation, deciding, disputes, events
from ledger import commands as c
from ledger.book import Book
from ledger.items import InvoiceItem, Item, Ref
from ledger.parts import Tax
from tests import counting, examples, test_machine, test_properties
from tests.checking import Checked

CAUGHT = (AssertionError, ExceptionGroup)
UPHELD = (
    examples.opening(),
    examples.charge("C", 90, taxes=(Tax("VAT", "0.11", 10),)),
    examples.invoice("N", examples.TODAY),
    examples.dispute("D", "N", 25),
    c.ResolveDispute(dispute_id="D", outcome="upheld"),
)
"""A quarter of an invoice with a tax of 10 is credited: 2.5 of tax."""


def run_machine(theme: str, runs: int) -> None:
    """Runs of a theme, the same every time, that only look for a failure and explain nothing."""
    run_state_machine_as_test(
        seed(0)(test_machine.machine(theme)),
        settings=counting.thorough(runs, phases=[Phase.generate], stateful_step_count=40),
    )


def run_checked(*asked: c.Command) -> None:
    """The requests, one after the other, with every check between them."""
    checked = Checked()
    for i, command in enumerate(asked):
        checked.handle(
            c.Request(
                account_number=examples.NUMBER,
                key=f"key-{i}",
                command=command,
                actor="tests",
                today=examples.TODAY,
            )
        )
        checked.check(examples.TODAY)


@pytest.fixture(autouse=True)
def _not_counted() -> Iterator[None]:
    """What runs here proves nothing about the product."""
    before = counting.COUNTED.copy()
    yield
    counting.COUNTED.clear()
    counting.COUNTED.update(before)


def half_even(numerator: int, denominator: int) -> int:
    """The bug: halves go to the even neighbour."""
    return round(numerator / denominator)


def test_without_a_fault_the_short_runs_pass() -> None:
    """So what fails below fails for the fault."""
    run_machine("payments", 100)
    run_checked(*UPHELD)
    test_properties.test_rounding_is_half_away_from_zero()
    test_properties.test_unnamed_money_goes_by_due_date_then_order_of_issue()


def test_money_that_goes_by_order_of_issue_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """An allocation bug: the due date is forgotten."""

    def by_issue(items: Mapping[Ref, Item]) -> list[InvoiceItem]:
        return sorted(
            (item for item in items.values() if isinstance(item, InvoiceItem)),
            key=lambda invoice: invoice.seq,
        )

    monkeypatch.setattr(allocation, "in_due_order", by_issue)
    with pytest.raises(CAUGHT):
        run_machine("payments", 500)
    with pytest.raises(CAUGHT):
        test_properties.test_unnamed_money_goes_by_due_date_then_order_of_issue()


def test_halves_that_go_to_even_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rounding bug, in the function and in what uses it."""
    monkeypatch.setattr(test_properties, "rounded", half_even)
    with pytest.raises(CAUGHT):
        test_properties.test_rounding_is_half_away_from_zero()
    monkeypatch.setattr(disputes, "rounded", half_even)
    with pytest.raises(CAUGHT):
        run_checked(*UPHELD)


def test_an_unbounded_turnover_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug: every total fits, so large charges may be posted and reversed over and over."""
    over_and_over = [
        asked
        for n in range(9)
        for asked in (examples.charge(f"C-{n}", 2**60), c.ReverseCharge(charge_id=f"C-{n}"))
    ]
    run_checked(examples.opening(), *over_and_over)
    monkeypatch.setattr(deciding, "within_64_bits", lambda minor: minor)
    with pytest.raises(CAUGHT):
        run_checked(examples.opening(), *over_and_over)


def test_a_dropped_event_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that has lost one processed payment does not give the same account."""
    apply = Book.apply

    def forgetful(book: Book, event: events.Event) -> None:
        if not isinstance(event, events.PaymentProcessed):
            apply(book, event)

    monkeypatch.setattr(Book, "apply", forgetful)
    with pytest.raises(CAUGHT):
        run_machine("payments", 500)
