"""Write-offs: bad debt, its recovery by later payments, its reversal."""

from datetime import timedelta

from ledger import commands as c
from ledger.errors import (
    AlreadyReversed,
    EffectiveBeforeCause,
    InvoiceNotOpen,
    WriteOffRecovered,
)
from ledger.events import InvoiceWrittenOff, WriteOffReversed
from ledger.parts import Allocation
from tests.examples import TODAY, Given, billed, credit, day, dispute, payment, write_off


def owing() -> Given:
    return Given(*billed(("N", 100, day(8, 1)), ("M", 60, day(8, 9))))


def written_off() -> Given:
    """N is written off, M is open."""
    given = owing()
    given.ask(write_off("W", "N"))
    return given


def test_a_write_off_closes_what_is_open() -> None:
    """All of it unless an amount is said."""
    expected = InvoiceWrittenOff(
        effective_on=TODAY, write_off_id="W", invoice="N", amount_minor=100, reason="bankrupt"
    )
    given = owing()
    assert [expected] == given.when(write_off("W", "N"))
    assert given.book.account
    assert 60 == given.book.account.balance_minor


def test_no_more_than_is_open_is_written_off() -> None:
    """Nor anything of a closed invoice."""
    refused = owing().when(write_off("W", "N", 101))
    assert InvoiceNotOpen(invoice="N", open_minor=100, amount_minor=101) == refused
    assert isinstance(written_off().when(write_off("V", "N")), InvoiceNotOpen)


def test_a_write_off_does_not_precede_the_debt() -> None:
    """An event may not precede what it acts on."""
    asked = c.WriteOffInvoice(
        write_off_id="W", invoice="N", reason="x", effective_on=TODAY - timedelta(days=1)
    )
    assert isinstance(owing().when(asked), EffectiveBeforeCause)


def test_a_payment_of_the_invoice_recovers_it() -> None:
    """As if it were open."""
    _, processed = written_off().when(payment("P", 70, invoice="N"))
    assert (Allocation("payment:P", "N", 70, TODAY, 70),) == processed.allocations


def test_unnamed_money_recovers_after_open_invoices() -> None:
    """And before it stays unapplied."""
    given = written_off()
    _, processed = given.when(payment("P", 170))
    expected = (
        Allocation("payment:P", "M", 60, TODAY),
        Allocation("payment:P", "N", 100, TODAY, 100),
    )
    assert expected == processed.allocations
    assert given.book.account
    assert -10 == given.book.account.balance_minor


def test_a_reallocated_payment_recovers_what_it_is_told_to() -> None:
    """The invoice it leaves is owed again; the balance grows by the loss taken back."""
    given = owing()
    given.ask(payment("P", 60, invoice="M"))
    given.ask(write_off("W", "N"))
    (event,) = given.when(c.ReallocatePayment(payment_id="P", targets=(c.Target("N", 40),)))
    assert event.allocations == (
        Allocation("payment:P", "N", 40, TODAY, recovered_minor=40),
        Allocation("payment:P", "M", 20, TODAY),
    )
    assert given.book.account
    assert 40 == given.book.account.balance_minor


def test_what_a_reallocation_leaves_recovers_nothing() -> None:
    """It stays unapplied: a correction takes back no loss that nobody named."""
    given = Given(*billed(("N", 100, day(8, 1))))
    given.ask(dispute("D", "N"))
    given.ask(payment("P", 40))
    given.ask(write_off("W", "N"))
    (event,) = given.when(c.ReallocatePayment(payment_id="P"))
    assert () == event.allocations
    assert given.book.account
    assert -40 == given.book.account.balance_minor


def test_a_credit_recovers_nothing() -> None:
    """It is no money."""
    (event,) = written_off().when(credit("R", 70, "account"))
    assert (Allocation("credit:R", "M", 60, TODAY),) == event.allocations


def test_a_reversed_write_off_is_owed_again() -> None:
    """What unapplied credit there is pays it."""
    given = written_off()
    given.ask(credit("R", 70, "account"))
    expected = WriteOffReversed(
        effective_on=TODAY,
        write_off_id="W",
        invoice="N",
        amount_minor=100,
        reason="solvent",
        allocations=(Allocation("credit:R", "N", 10, TODAY),),
    )
    assert [expected] == given.when(c.ReverseWriteOff(write_off_id="W", reason="solvent"))


def test_only_what_was_not_recovered_is_reversed() -> None:
    """Nothing is owed twice."""
    given = written_off()
    given.ask(payment("P", 70, invoice="N"))
    (event,) = given.when(c.ReverseWriteOff(write_off_id="W"))
    assert 30 == event.amount_minor


def test_a_recovered_write_off_is_not_reversed() -> None:
    """There is nothing left of it."""
    given = written_off()
    given.ask(payment("P", 100, invoice="N"))
    refused = given.when(c.ReverseWriteOff(write_off_id="W"))
    assert WriteOffRecovered(write_off_id="W") == refused


def test_a_write_off_is_reversed_once() -> None:
    """Also when the amount was written off anew."""
    given = written_off()
    given.ask(c.ReverseWriteOff(write_off_id="W"))
    refused = given.when(c.ReverseWriteOff(write_off_id="W"))
    assert AlreadyReversed(kind="write_off", id="W") == refused
