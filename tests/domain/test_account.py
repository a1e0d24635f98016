"""Opening an account, its settings, its messages and its end."""

from datetime import timedelta

from ledger import commands as c
from ledger.calendar import Net
from ledger.errors import (
    AccountClosed,
    AccountExists,
    AccountNotSettled,
    AccountUnknown,
    EffectiveInFuture,
    IdTaken,
    NothingToChange,
    UnknownCurrency,
)
from ledger.events import AccountClosed as Closed
from ledger.events import AccountOpened, InvoiceIssued, MessagePosted, SettingsChanged
from ledger.parts import Settings, SettingsChange
from tests.examples import NUMBER, OPENED_ON, TODAY, Given, charge, credit, day, opening, payment


def test_an_account_opens_on_its_day() -> None:
    """Everything that is needed to bill it is in the event."""
    expected = AccountOpened(
        effective_on=OPENED_ON,
        account_number=NUMBER,
        client_id="C-1",
        company="Example Conferencing Inc.",
        country="USA",
        currency="USD",
        billing_cycle="month_end",
        terms=Net(30),
        settings=Settings(),
    )
    assert [expected] == Given().when(opening())


def test_an_account_opens_once() -> None:
    """A second opening is refused, whatever it says."""
    assert AccountExists(account_number=NUMBER) == Given(opening()).when(opening(company="Other"))


def test_nothing_is_asked_of_an_unknown_account() -> None:
    """A charge does not open an account."""
    assert AccountUnknown(account_number=NUMBER) == Given().when(charge("C", 1))


def test_an_account_has_a_currency_of_the_standard() -> None:
    """A made-up code has no minor unit."""
    assert UnknownCurrency(currency="ABC") == Given().when(opening(currency="ABC"))


def test_an_account_does_not_open_in_the_future() -> None:
    """Only charges and settings may lie ahead."""
    tomorrow = TODAY + timedelta(days=1)
    refused = Given().when(opening(opened_on=tomorrow))
    assert EffectiveInFuture(effective_on=tomorrow, today=TODAY) == refused


def test_settings_change_from_a_day_that_may_lie_ahead() -> None:
    """The event names only what changes."""
    changes = SettingsChange(delivery_channel="electronic")
    happened = Given(opening()).when(c.ChangeSettings(changes=changes, effective_on=day(8, 15)))
    assert [SettingsChanged(effective_on=day(8, 15), changes=changes)] == happened


def test_a_change_of_nothing_is_refused() -> None:
    """There would be nothing to remember."""
    assert NothingToChange() == Given(opening()).when(c.ChangeSettings(changes=SettingsChange()))


def test_terms_ahead_do_not_move_an_invoice_issued_before() -> None:
    """The due date comes from the terms in force on the day of issue."""
    given = Given(
        opening(),
        charge("C", 100),
        c.ChangeSettings(changes=SettingsChange(terms=Net(5)), effective_on=day(7, 29)),
    )
    before = given.when(c.IssueInvoice(issued_on=TODAY))
    assert isinstance(before[0], InvoiceIssued)
    assert day(8, 4) == before[0].due_on


def test_a_message_is_posted_without_its_text() -> None:
    """The text can be erased; the event proves which text it was."""
    happened = Given(opening()).when(c.PostMessage(message_id="M", text="Hello"))
    digest = "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969"
    assert [MessagePosted(effective_on=TODAY, message_id="M", digest=digest)] == happened


def test_a_message_id_is_used_once() -> None:
    """Another text under the same id would be another message."""
    message = c.PostMessage(message_id="M", text="Hello")
    assert IdTaken(kind="message", id="M") == Given(opening(), message).when(message)


def test_a_settled_account_closes() -> None:
    """No pending payment and nothing unbilled: nothing stands in the way."""
    closed = Given(opening()).when(c.CloseAccount(reason="moved"))
    assert [Closed(effective_on=TODAY, reason="moved")] == closed


def test_an_account_with_unbilled_lines_does_not_close() -> None:
    """They would never be billed."""
    refused = Given(opening(), charge("C", 5)).when(c.CloseAccount())
    assert AccountNotSettled(account_number=NUMBER, pending_minor=0, unbilled_lines=1) == refused


def test_lines_that_cancel_each_other_out_still_wait() -> None:
    """A current activity of zero is not the same as none."""
    given = Given(opening(), charge("C", 5), credit("R", 5, "next_invoice"))
    refused = given.when(c.CloseAccount())
    assert AccountNotSettled(account_number=NUMBER, pending_minor=0, unbilled_lines=2) == refused


def test_an_account_with_a_pending_payment_does_not_close() -> None:
    """Nobody knows yet whether it counts."""
    refused = Given(opening(), payment("P", 7, status="pending")).when(c.CloseAccount())
    assert AccountNotSettled(account_number=NUMBER, pending_minor=7, unbilled_lines=0) == refused


def test_a_final_bill_comes_before_the_end() -> None:
    """What is unbilled is invoiced in the same breath."""
    bill, closed = Given(opening(), charge("C", 5)).when(c.CloseAccount(final_bill=True))
    assert isinstance(bill, InvoiceIssued)
    assert (5, TODAY, TODAY) == (bill.total_minor, bill.period_end, bill.effective_on)
    assert Closed(effective_on=TODAY, reason="") == closed


def test_a_closed_account_takes_no_charge() -> None:
    """Charges are refused for ever."""
    refused = Given(opening(), c.CloseAccount()).when(charge("C", 5))
    assert AccountClosed(account_number=NUMBER, closed_on=TODAY) == refused


def test_a_closed_account_still_takes_money() -> None:
    """A late payment is not turned away."""
    given = Given(opening(), charge("C", 5), c.CloseAccount(final_bill=True))
    _, processed = given.when(payment("P", 5))
    assert 5 == processed.amount_minor
    assert given.book.account
    assert 0 == given.book.account.balance_minor
