"""Credits: for an invoice, for the account, for the next invoice; and their reversal."""

from ledger import commands as c
from ledger.account import figures
from ledger.errors import (
    AlreadyReversed,
    CreditAlreadyBilled,
    CreditExceedsInvoice,
    EffectiveBeforeCause,
    IdTaken,
    InvoiceIsCancelled,
    InvoiceNeeded,
    ItemUnknown,
    TaxExceedsInvoice,
)
from ledger.events import CreditIssued, CreditReversed
from ledger.parts import Allocation, Tax, Undoing
from tests.examples import (
    TODAY,
    VAT,
    Given,
    billed,
    charge,
    credit,
    day,
    invoice,
    opening,
    payment,
)


def taxed() -> Given:
    """An invoice N of 100 and 20 of VAT."""
    return Given(opening(), charge("C", 100, taxes=(VAT,)), invoice("N", TODAY))


def test_a_credit_note_reduces_its_invoice() -> None:
    """With its tax."""
    tax = (Tax("VAT", "0.20", 5),)
    expected = CreditIssued(
        effective_on=TODAY,
        credit_id="R",
        amount_minor=25,
        taxes=tax,
        applies_to="invoice",
        invoice="N",
        reason="goodwill",
        allocations=(Allocation("credit:R", "N", 30, TODAY),),
    )
    assert [expected] == taxed().when(credit("R", 25, "invoice", invoice="N", taxes=tax))


def test_credit_notes_never_exceed_their_invoice() -> None:
    """Earlier ones are counted in."""
    given = taxed()
    given.ask(credit("R", 100, "invoice", invoice="N"))
    refused = given.when(credit("S", 21, "invoice", invoice="N"))
    assert CreditExceedsInvoice(invoice="N", left_minor=20, amount_minor=21) == refused


def test_the_tax_of_a_credit_note_never_exceeds_the_invoice_s() -> None:
    """By name."""
    given = taxed()
    given.ask(credit("R", 50, "invoice", invoice="N", taxes=(Tax("VAT", "0.20", 15),)))
    refused = given.when(credit("S", 10, "invoice", invoice="N", taxes=(Tax("VAT", "0.20", 6),)))
    assert TaxExceedsInvoice(invoice="N", name="VAT", left_minor=5, amount_minor=6) == refused
    other = given.when(credit("S", 10, "invoice", invoice="N", taxes=(Tax("GST", "", 1),)))
    assert TaxExceedsInvoice(invoice="N", name="GST", left_minor=0, amount_minor=1) == other


def test_a_credit_note_for_a_paid_invoice_is_account_credit() -> None:
    """Its rest follows the rule for unnamed money."""
    given = Given(*billed(("N", 50, TODAY)), payment("P", 50))
    (event,) = given.when(credit("R", 20, "invoice", invoice="N"))
    assert () == event.allocations
    assert given.book.account
    assert -20 == given.book.account.balance_minor


def test_an_invoice_is_named_exactly_for_a_credit_note() -> None:
    """The other kinds have none."""
    assert isinstance(taxed().when(credit("R", 5, "invoice")), InvoiceNeeded)
    assert isinstance(taxed().when(credit("R", 5, "account", invoice="N")), InvoiceNeeded)


def test_a_credit_note_needs_an_invoice_that_stands() -> None:
    """Not an unknown one, nor one that was cancelled."""
    given = taxed()
    asked = credit("R", 5, "invoice", invoice="X")
    assert ItemUnknown(kind="invoice", id="X") == given.when(asked)
    given.ask(c.CancelInvoice(number="N"))
    asked = credit("R", 5, "invoice", invoice="N")
    assert InvoiceIsCancelled(invoice="N") == given.when(asked)


def test_a_credit_note_does_not_precede_its_invoice() -> None:
    """An event may not precede what it acts on."""
    asked = credit("R", 5, "invoice", invoice="N", effective_on=day(7, 29))
    assert isinstance(taxed().when(asked), EffectiveBeforeCause)


def test_a_credit_for_the_account_waits_when_nothing_is_open() -> None:
    """We owe the customer."""
    given = Given(opening(), credit("R", 30, "account"))
    assert given.book.account
    shown = figures(given.book.account, TODAY)
    assert (-30, 30) == (shown.balance_minor, shown.available_credit_minor)


def test_a_credit_for_the_next_invoice_is_a_line_of_it() -> None:
    """Part of current activity until then, and no credit in the balance."""
    given = Given(opening(), charge("C", 100), credit("R", 30, "next_invoice"))
    assert given.book.account
    shown = figures(given.book.account, TODAY)
    assert (70, 0) == (shown.current_activity_minor, shown.balance_minor)
    (issued,) = given.when(c.IssueInvoice())
    assert (2, 100, 30, 70) == (
        issued.lines.count,
        issued.lines.charges_minor,
        issued.lines.credits_minor,
        issued.total_minor,
    )


def test_a_credit_id_is_used_once() -> None:
    """It would count twice."""
    given = Given(opening(), credit("R", 5, "account"))
    assert IdTaken(kind="credit", id="R") == given.when(credit("R", 5, "next_invoice"))


def test_a_reversed_credit_leaves_the_invoices_it_paid() -> None:
    """Other unapplied credit takes its place at once."""
    given = Given(opening(), credit("R", 50, "account"), credit("S", 10, "account"))
    given.ask(charge("C", 50))
    given.ask(invoice("N", TODAY))
    expected = CreditReversed(
        effective_on=TODAY,
        credit_id="R",
        amount_minor=50,
        applies_to="account",
        reason="mistake",
        undone=(Undoing("5.0", "credit:R", "N", 50, TODAY),),
        allocations=(Allocation("credit:S", "N", 10, TODAY),),
    )
    assert [expected] == given.when(c.ReverseCredit(credit_id="R", reason="mistake"))


def test_a_credit_is_reversed_once() -> None:
    """The second time there is nothing left of it."""
    reversal = c.ReverseCredit(credit_id="R")
    given = Given(opening(), credit("R", 5, "account"), reversal)
    assert AlreadyReversed(kind="credit", id="R") == given.when(reversal)


def test_a_billed_credit_is_not_reversed() -> None:
    """A charge corrects it."""
    given = Given(opening(), credit("R", 5, "next_invoice"), charge("C", 9), invoice("N", TODAY))
    assert CreditAlreadyBilled(credit_id="R") == given.when(c.ReverseCredit(credit_id="R"))
