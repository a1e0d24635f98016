"""Which accounts a month end bills, through which day, and which lines."""

from calendar import monthrange
from datetime import date, timedelta

import msgspec
import pytest

from ledger import commands as c
from ledger.calendar import BillingCycle, DayOfMonth, EndOfMonth, Net, Terms
from ledger.closing import RefusedAccount
from ledger.money import AMOUNT_MINOR_MAX
from ledger.parts import SettingsChange, Tax
from tests.closing.books import ACTOR, OPENED_ON, Closing, charge, credit, opening

CYCLES: tuple[BillingCycle, ...] = ("month_end", 1, 15, 28, 29, 30, 31)
CURRENCIES = ("USD", "JPY", "KWD")
MONTHS = ("2020-01", "2020-02", "2020-03", "2020-04", "2021-01", "2021-02", "2021-03")
JULY_31 = date(2020, 7, 31)
MID_JULY = date(2020, 7, 15)
AUGUST_5 = date(2020, 8, 5)


def last_day(cycle: BillingCycle, period: str) -> date:
    """The period's end, worked out independently."""
    year, month = map(int, period.split("-"))
    length = monthrange(year, month)[1]
    return date(year, month, length if cycle == "month_end" else min(cycle, length))


def test_every_cycle_and_currency_is_billed_through_its_own_day(closing: Closing) -> None:
    """Month end and days 1 to 31, clamped in leap and other Februaries and in April, in currencies of
    two, no and three decimals: one invoice a month, whose total is what was charged since the last."""
    accounts = {f"{y}-{x}": x for y in CURRENCIES for x in CYCLES}
    accounts |= {f"USD-{day}": day for day in range(1, 32)}
    closing.send_all([(n, opening(x, n[:3])) for n, x in accounts.items()])
    days = [OPENED_ON + timedelta(days=3 * n) for n in range(170)]
    closing.send_all(
        [
            (number, charge(f"c-{n}", day, 1_000 + n * n, taxes=(Tax("VAT", "0.1", n),)))
            for number in accounts
            for n, day in enumerate(days)
            if n % 7 < 3
        ]
    )
    for period in MONTHS:
        assert len(accounts) == closing.close(period).issued
    for number, cycle in accounts.items():
        invoices = closing.invoices(number)
        ends = [last_day(cycle, period) for period in MONTHS]
        assert ends == [invoice.period_end for invoice in invoices]
        assert ends == [invoice.effective_on for invoice in invoices]
        assert [f"{number}-{period}-1" for period in MONTHS] == [i.number for i in invoices]
        begins = [date.min, *(end + timedelta(days=1) for end in ends)]
        wanted = [
            closing.posted_through(number, end, begin)
            for begin, end in zip(begins, ends, strict=False)
        ]
        assert wanted == [invoice.total_minor for invoice in invoices]
        left = closing.posted_through(number, date.max, begins[-1])
        assert left == closing.unbilled(number) > 0


def due_day(terms: Terms, issued_on: date) -> date:
    """The due day, worked out independently: a day at a time."""
    day, step = issued_on, timedelta(days=1)
    match terms:
        case Net(days):
            return date.fromordinal(issued_on.toordinal() + days)
        case EndOfMonth(days):
            while (day + step).month == day.month:
                day += step
            return date.fromordinal(day.toordinal() + days)
        case DayOfMonth(wanted, cutoff):
            for _ in range(1 if issued_on.day <= cutoff else 2):
                day = date(day.year + (day.month == 12), day.month % 12 + 1, 1)
            while day.day < wanted and (day + step).month == day.month:
                day += step
            return day


def test_every_kind_of_terms_gives_its_due_day(closing: Closing) -> None:
    """Net days, days after the end of the month, a day of the next month or, past the cut-off, of the
    one after: from January to March of a leap year and another, over the turn of a year, for accounts
    billed at month end and on days about the cut-off."""
    every = [
        *(Net(days) for days in (0, 30, 366)),
        *(EndOfMonth(days) for days in (0, 10, 60)),
        *(DayOfMonth(day, cutoff) for day in (1, 15, 29, 30, 31) for cutoff in (1, 20, 28, 31)),
    ]
    cycles: tuple[BillingCycle, ...] = ("month_end", 1, 20, 21, 29)
    accounts = {
        f"T{n}-{cycle}": (terms, cycle) for n, terms in enumerate(every) for cycle in cycles
    }
    months = ("2020-01", "2020-02", "2020-11", "2020-12", "2021-01", "2021-02")
    closing.send_all(
        [
            (number, msgspec.structs.replace(opening(cycle), terms=terms))
            for number, (terms, cycle) in accounts.items()
        ]
    )
    for period in months:
        first_on = date.fromisoformat(f"{period}-01")
        closing.send_all([(n, charge(f"c-{period}", first_on, 100)) for n in accounts])
        run = closing.close(period)
        assert (len(accounts), 0) == (run.issued, run.refused)
    for period in months:
        for number, [invoice] in closing.under_key(period).items():
            terms, cycle = accounts[number]
            end = last_day(cycle, period)
            assert (end, end) == (invoice.period_end, invoice.effective_on)
            assert due_day(terms, end) == invoice.due_on, number


@pytest.mark.parametrize(
    ("before", "after", "end"),
    [
        ("month_end", 15, date(2020, 7, 15)),
        (15, "month_end", JULY_31),
        (31, 5, date(2020, 7, 5)),
        (5, 25, date(2020, 7, 25)),
    ],
)
def test_a_cycle_changed_in_the_month_gives_one_invoice(
    closing: Closing, before: BillingCycle, after: BillingCycle, end: date
) -> None:
    """The cycle in force on the month's last day counts; the next month begins where this one ended,
    and nothing is left out or billed twice."""
    closing.send("A", opening(before))
    changes = SettingsChange(billing_cycle=after)
    closing.send("A", c.ChangeSettings(changes=changes, effective_on=date(2020, 7, 20)))
    closing.send("A", *(charge(f"c-{n}", date(2020, 7, n), n) for n in range(1, 32)))
    closing.send("A", charge("later", date(2020, 8, 3), 1_000))
    closing.close("2020-07")
    closing.close("2020-08")
    july, august = closing.invoices("A")
    assert (end, last_day(after, "2020-08")) == (july.period_end, august.period_end)
    assert sum(range(1, end.day + 1)) == july.total_minor
    assert sum(range(end.day + 1, 32)) + 1_000 == august.total_minor


def test_a_cycle_changed_after_the_invoice_gives_no_second_one(closing: Closing) -> None:
    """The period was billed under the old cycle: what comes after waits for the next month."""
    closing.send("A", opening(15), charge("c-1", MID_JULY, 100))
    assert 1 == closing.close("2020-07", today=date(2020, 7, 16)).issued
    changes = SettingsChange(billing_cycle="month_end")
    closing.send("A", c.ChangeSettings(changes=changes, effective_on=date(2020, 7, 20)))
    closing.send("A", charge("c-2", date(2020, 7, 28), 30))
    run = closing.close("2020-07")
    assert (0, 1, 0) == (run.issued, run.replayed, run.refused)
    assert [100] == [invoice.total_minor for invoice in closing.invoices("A")]
    assert 1 == closing.close("2020-08").issued
    assert [100, 30] == [invoice.total_minor for invoice in closing.invoices("A")]


def test_lines_that_cancel_out_and_credits_that_exceed_charges(closing: Closing) -> None:
    """A total of zero is an invoice too, and an excess of credits is carried; nothing is negative."""
    closing.send("zero", opening(), charge("c", MID_JULY, 70), credit("k", MID_JULY, 70))
    closing.send("free", opening(), charge("c", MID_JULY, 0))
    closing.send("excess", opening(), charge("c", MID_JULY, 70), credit("k", MID_JULY, 100))
    closing.send("none", opening(), charge("c", MID_JULY, 70), c.ReverseCharge(charge_id="c"))
    run = closing.close("2020-07")
    assert (3, 1, 4) == (run.issued, run.nothing_to_bill, run.accounts)
    assert [(0, 0)] == [(i.total_minor, i.carried_minor) for i in closing.invoices("zero")]
    assert [(0, 0)] == [(i.total_minor, i.carried_minor) for i in closing.invoices("free")]
    assert [(0, 30)] == [(i.total_minor, i.carried_minor) for i in closing.invoices("excess")]
    assert [] == closing.invoices("none")


def test_accounts_without_anything_to_bill_get_no_invoice(closing: Closing) -> None:
    """No lines, none yet, opened after the period's end, closed, or billed beyond it on demand."""
    closing.send("empty", opening())
    closing.send("ahead", opening(), charge("c", date(2020, 8, 1), 10))
    closing.send("young", opening(15, opened_on=date(2020, 7, 20)), charge("c", JULY_31, 10))
    closing.send("closed", opening(), charge("c", MID_JULY, 10), c.CloseAccount(final_bill=True))
    closing.send("beyond", opening(), charge("c", MID_JULY, 10))
    closing.send("beyond", c.IssueInvoice(period_end=AUGUST_5), charge("late", MID_JULY, 5))
    before = closing.events()
    run = closing.close("2020-07")
    assert (5, 5, 0) == (run.accounts, run.nothing_to_bill, run.refused)
    assert before == closing.events()
    assert 3 == closing.close("2020-08").issued  # ahead, young and the late line of beyond
    assert [10, 5] == [invoice.total_minor for invoice in closing.invoices("beyond")]


def test_late_charges_go_to_the_next_invoice(closing: Closing) -> None:
    """What becomes known after the invoice of its period is on the next one, marked late; what is
    dated after the period's end stays unbilled."""
    closing.send("A", opening(), charge("c-1", MID_JULY, 100), charge("c-2", AUGUST_5, 7))
    closing.close("2020-07", today=date(2020, 8, 2))
    assert 7 == closing.unbilled("A")
    closing.send("A", charge("c-3", MID_JULY, 20))
    run = closing.close("2020-07")
    assert (0, 1) == (run.issued, run.replayed)
    assert 27 == closing.unbilled("A")
    closing.close("2020-08")
    assert [100, 27] == [invoice.total_minor for invoice in closing.invoices("A")]
    assert 0 == closing.unbilled("A")


def test_asking_again_bills_who_has_something_now(closing: Closing) -> None:
    """A finished period asked for again looks at every account: opened or charged since, it is
    billed; billed before, it keeps its one invoice, even when that was cancelled."""
    closing.send("A", opening(), charge("c", MID_JULY, 100))
    closing.send("B", opening())
    first = closing.close("2020-07")
    assert (1, 0, 1) == (first.issued, first.replayed, first.nothing_to_bill)
    closing.send("A", c.CancelInvoice(number="A-2020-07-1", reason="wrong"))
    closing.send("B", charge("c", MID_JULY, 30))
    closing.send("C", opening(), charge("c", MID_JULY, 40))
    again = closing.close("2020-07")
    assert (2, 1, 0) == (again.issued, again.replayed, again.nothing_to_bill)
    assert [100] == [invoice.total_minor for invoice in closing.invoices("A")]
    assert (100, 0, 0) == tuple(map(closing.unbilled, "ABC"))


def test_a_second_run_changes_nothing(closing: Closing) -> None:
    """Not one event more, whatever the day of issue asked for the second time."""
    closing.send("A", opening(), charge("c", MID_JULY, 100))
    closing.send("B", opening(15), charge("c", MID_JULY, 100))
    first = closing.close("2020-07")
    before = closing.events()
    for issued_on in (None, JULY_31, AUGUST_5):
        again = closing.close("2020-07", issued_on)
        assert (2, 0, 2, 0) == (again.accounts, again.issued, again.replayed, again.refused)
        assert again.asked_at > first.asked_at
    assert before == closing.events()


def test_the_day_of_issue_says_who_is_due(closing: Closing) -> None:
    """Every invoice is issued on the day given, and falls due from it; an account whose period ends
    later is not due, instead of being refused."""
    closing.send("A", opening(15), charge("c", MID_JULY, 100))
    closing.send("B", opening(), charge("c", MID_JULY, 100))
    run = closing.close("2020-07", date(2020, 7, 20))
    assert (1, 1, 0) == (run.issued, run.not_due, run.refused)
    [invoice] = closing.invoices("A")
    assert (MID_JULY, date(2020, 7, 20)) == (invoice.period_end, invoice.effective_on)
    assert date(2020, 8, 19) == invoice.due_on
    run = closing.close("2020-07", AUGUST_5)
    assert (1, 1, 0) == (run.issued, run.replayed, run.not_due)
    [invoice] = closing.invoices("B")
    assert (JULY_31, AUGUST_5) == (invoice.period_end, invoice.effective_on)


def test_who_is_not_due_yet_is_counted_and_billed_later(closing: Closing) -> None:
    """In the middle of its month a period bills who is due by the region's today, no others."""
    closing.send("A", opening(15), charge("c", MID_JULY, 100), today=date(2020, 7, 20))
    closing.send("B", opening(), charge("c", MID_JULY, 100), today=date(2020, 7, 20))
    run = closing.close("2020-07", today=date(2020, 7, 14))
    assert (0, 2) == (run.issued, run.not_due)
    run = closing.close("2020-07", today=MID_JULY)
    assert (1, 1) == (run.issued, run.not_due)
    run = closing.close("2020-07", today=JULY_31)
    assert (1, 1, 0) == (run.issued, run.replayed, run.not_due)


def test_lines_freed_by_a_cancellation_are_issued_when_they_can_be(closing: Closing) -> None:
    """An invoice cannot precede the cancellation that freed its lines: issued on that day unless one
    is given, and refused, with the reason, when the day given is before it."""
    closing.send("A", opening(), charge("c", MID_JULY, 100))
    closing.send("A", c.IssueInvoice(number="I", period_end=MID_JULY, issued_on=MID_JULY))
    cancelling = c.CancelInvoice(number="I", reason="wrong", effective_on=AUGUST_5)
    closing.send("A", cancelling)
    closing.send("B", opening(), charge("c", MID_JULY, 100))
    run = closing.close("2020-07", JULY_31)
    assert (1, 1) == (run.issued, run.refused)
    [refusal] = run.refusals
    assert ("A", "effective_before_cause") == (refusal.account_number, refusal.code)
    assert "2020-07-31 is before 2020-08-05" in refusal.message
    run = closing.close("2020-07")
    assert (1, 1, 0) == (run.issued, run.replayed, run.refused)
    assert (JULY_31, AUGUST_5) == (
        closing.invoices("A")[-1].period_end,
        closing.invoices("A")[-1].effective_on,
    )


def test_an_invoice_cancelled_after_the_month_end_was_asked_for(closing: Closing) -> None:
    """Asked for yesterday and worked on today: lines that a cancellation freed today are billed all the
    same, on the day of the cancellation, and falls due from it; who was due yesterday is as before, and
    asking again today finds nothing left."""
    yesterday, today = date(2020, 8, 4), AUGUST_5
    closing.send("A", opening(), charge("c", MID_JULY, 100), today=yesterday)
    closing.send("A", c.IssueInvoice(number="I", period_end=MID_JULY), today=yesterday)
    closing.send("B", opening(), charge("c", MID_JULY, 70), today=yesterday)
    closing.month_ends.ask("2020-07", None, actor=ACTOR, today=yesterday)
    closing.send("A", c.CancelInvoice(number="I", reason="wrong"), today=today)
    closing.month_ends.work(closing.ledger)
    run = closing.month_ends.status("2020-07")
    assert run is not None
    assert ("finished", yesterday, 2, 0) == (run.state, run.asked_on, run.issued, run.refused)
    [_, again], [other] = closing.invoices("A"), closing.invoices("B")
    assert (JULY_31, today, today + timedelta(days=30), 100) == (
        again.period_end, again.effective_on, again.due_on, again.total_minor,
    )  # fmt: skip  # field by field
    assert JULY_31 == other.effective_on
    later = closing.close("2020-07", today=today)
    assert (0, 2, 0) == (later.issued, later.replayed, later.refused)


def test_a_refused_account_is_told_in_its_money(closing: Closing) -> None:
    """What moves beyond 64 bits refuses that account alone; the run keeps it with the currency."""
    closing.send("A", opening("month_end", "KWD"), charge("c", MID_JULY, AMOUNT_MINOR_MAX))
    closing.send("B", opening(), charge("c", AUGUST_5, 100))
    run = closing.close("2020-08")
    assert (1, 1) == (run.issued, run.refused)
    [refusal] = run.refusals
    assert ("A", "amount_overflow") == (refusal.account_number, refusal.code)
    assert refusal.message.startswith("36893488147419103.228 KWD is beyond the 64 bits")


def test_a_key_used_for_something_else_is_told_and_stops_nobody(closing: Closing) -> None:
    """An account whose key for the period was used otherwise is refused by name; others are billed."""
    request = c.Request(
        account_number="A", key="month-end:2020-07", command=opening(), actor="t", today=AUGUST_5
    )
    closing.ledger.handle_now([request])
    closing.send("A", charge("c", MID_JULY, 100))
    closing.send("B", opening(), charge("c", MID_JULY, 100))
    run = closing.close("2020-07")
    assert (1, 1) == (run.issued, run.refused)
    said = "key 'month-end:2020-07' was used for another command of this account"
    assert (RefusedAccount("A", "idempotency_key_reused", said),) == run.refusals
    assert 100 == closing.unbilled("A")
