"""Reports of month ends: small books worked out by hand, and what must hold of any."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from uuid import UUID

import msgspec
import pytest

from ledger import closing_report, postings
from ledger import commands as c
from ledger.closing_report import CurrencyReport, LaneReport, fold_lane, read_lane, read_lanes
from ledger.events import Event, InvoiceIssued
from ledger.invoice_totals import InvoiceTotals
from ledger.month_end import key_of, period_of
from ledger.parts import Tax
from ledger.store.lanes import LANES
from ledger.store.log import Log
from ledger.store.mapper import Recorded
from ledger.store.roles import AUDITOR
from tests.closing.books import Closing, charge, credit, many, opening
from tests.counting import seed
from tests.examples import Given, day
from tests.examples import charge as one_charge
from tests.examples import opening as one_opening
from tests.examples import payment as one_payment
from tests.projections.books import books

AR = "accounts_receivable"
UNBILLED = "unbilled_receivables"
CREDITS = "customer_credits"
ALLOWANCES = "allowances"
BAD_DEBT = "bad_debt"
VAT = "tax_payable:VAT"

ID = UUID(int=7)


def month(lane: int, position: int, on: date) -> str:
    """No month was ever closed: everything posts to the month of its day."""
    return on.isoformat()[:7]


def nobody(account_id: UUID) -> str:
    raise AssertionError(f"{account_id} was opened in the stretch")


def placed(
    events: Iterable[Event], account_id: UUID = ID, key: str = ""
) -> list[tuple[int, Recorded]]:
    """A lane of these events; invoices have the key."""
    return [
        (n, Recorded(
            account_id=account_id, version=n, key=key if isinstance(event, InvoiceIssued) else "k",
            actor="t", event=event,
        ))
        for n, event in enumerate(events, start=1)
    ]  # fmt: skip  # arguments by what they are for


def folded(
    events: Sequence[tuple[int, Recorded]],
    period: str,
    posting_period: closing_report.PostingPeriod = month,
    currency_of: Callable[[UUID], str] = nobody,
    since: str | None = None,
) -> LaneReport:
    return fold_lane(
        events, lane=3, period=period_of(period), posting_period=posting_period,
        currency_of=currency_of, since=period_of(since) if since else None,
    )  # fmt: skip  # arguments by what they are for


def eventful() -> Given:
    """A charge with tax, one reversed, a credit, payments, a write-off recovered, money out and back."""
    vat = (Tax("VAT", "0.2", 20_00),)
    return Given(
        one_opening(),
        one_charge("c1", 100_00, taxes=vat, effective_on=day(6, 10)),
        one_charge("c2", 30_00, category="line", effective_on=day(6, 11)),
        c.IssueCredit(
            credit_id="k1", amount_minor=10_00, taxes=(Tax("VAT", "0.2", 2_00),), reason="goodwill",
            applies_to="next_invoice", effective_on=day(6, 20),
        ),
        c.IssueInvoice(number="I", period_end=day(6, 30), issued_on=day(6, 30)),
        one_charge("c3", 5_00, category="line", effective_on=day(7, 2)),
        c.ReverseCharge(charge_id="c3", effective_on=day(7, 3)),
        one_payment("p1", 100_00, method="card", effective_on=day(7, 5), status="processed"),
        c.IssueCredit(
            credit_id="k2", amount_minor=6_00, taxes=(Tax("VAT", "0.2", 1_00),), reason="goodwill",
            applies_to="invoice", invoice="I", effective_on=day(7, 6),
        ),
        c.WriteOffInvoice(
            write_off_id="w", invoice="I", amount_minor=20_00, reason="gone", effective_on=day(7, 10)
        ),
        one_payment("p2", 50_00, method="bank_transfer", effective_on=day(7, 20), status="processed"),
        c.IssueRefund(
            refund_id="r", amount_minor=19_00, method="cash_check", reason="asked",
            effective_on=day(7, 25),
        ),
        c.ReturnPayment(payment_id="p2", reason="no funds", effective_on=day(7, 28)),
    )  # fmt: skip  # arguments by what they are for


JUNE = {
    AR: 138_00,
    "revenue:usage": -100_00,
    "revenue:line": -30_00,
    VAT: -18_00,
    ALLOWANCES: 10_00,
}
JULY = {
    AR: -100_00 - 7_00 - 20_00 + 20_00 - 31_00 + 31_00 + 19_00,
    "cash:card": 100_00,
    "cash:cash_check": -19_00,
    ALLOWANCES: 6_00,
    VAT: 1_00,
}
"""What came and went again within July (bank transfer, bad debt, customer credits) is not there."""


def test_an_eventful_account_by_hand() -> None:
    """Every kind of posting, each in the month of its day; what was invoiced under the key, with its
    categories and tax."""
    given = eventful()
    assert given.book.account is not None
    assert 50_00 == given.book.account.open_minor == JUNE[AR] + JULY[AR]
    events = placed(given.book.events, key=key_of(period_of("2020-06")))
    invoiced = InvoiceTotals(
        invoices=1, lines=3, charges_minor=130_00, credits_minor=10_00, tax_minor=18_00,
        total_minor=138_00, categories={"usage": 100_00, "line": 30_00}, taxes={"VAT": 18_00},
    )  # fmt: skip  # arguments by what they are for
    june = CurrencyReport(accounts=1, invoices=invoiced, movements=JUNE)
    assert LaneReport(events=15, currencies={"USD": june}) == folded(events, "2020-06")
    july = CurrencyReport(movements=JULY)
    assert LaneReport(events=15, currencies={"USD": july}) == folded(events, "2020-07")
    assert CurrencyReport() == folded(events, "2020-08").currencies["USD"]


def test_what_arrives_after_a_month_was_closed_posts_to_the_next() -> None:
    """It is the caller who says where a line posts, by its lane, place in it and day; what the days of
    June recorded after position 4 is July's."""

    def closed(lane: int, position: int, on: date) -> str:
        assert lane == 3
        return max(month(lane, position, on), "2020-07" if position > 4 else "")

    events = placed(eventful().book.events)
    june = folded(events, "2020-06", closed).currencies["USD"]
    assert june.movements == {
        UNBILLED: 138_00,
        **{to: amount for to, amount in JUNE.items() if to != AR},
    }
    july = folded(events, "2020-07", closed).currencies["USD"]
    assert july.movements == {**JULY, UNBILLED: -138_00, AR: JULY[AR] + 138_00}


def test_an_allocation_posts_on_its_own_day() -> None:
    """A payment known late of a day before the invoice: the money is June's, putting it on is July's."""
    given = Given(
        one_opening(),
        one_charge("c", 50_00, effective_on=day(7, 1)),
        c.IssueInvoice(number="I", period_end=day(7, 1), issued_on=day(7, 1)),
        one_payment("p", 80_00, method="card", effective_on=day(6, 28), status="processed"),
    )
    events = placed(given.book.events)
    june = {"cash:card": 80_00, CREDITS: -80_00}
    july = {"revenue:usage": -50_00, CREDITS: 50_00}
    assert june == folded(events, "2020-06").currencies["USD"].movements
    assert july == folded(events, "2020-07").currencies["USD"].movements


def test_an_excess_of_credits_and_a_cancellation() -> None:
    """What is carried to account credit leaves the unbilled for the customer's credits; a cancellation
    is the inverse, on its own day, and the invoice stays in the report of its period."""
    given = Given(
        one_opening(),
        one_charge("c", 20_00, effective_on=day(6, 10)),
        c.IssueCredit(
            credit_id="k", amount_minor=50_00, reason="goodwill", applies_to="next_invoice",
            effective_on=day(6, 10),
        ),
        c.IssueInvoice(number="I", period_end=day(6, 30), issued_on=day(6, 30)),
        c.CancelInvoice(number="I", reason="wrong", effective_on=day(7, 2)),
    )  # fmt: skip  # arguments by what they are for
    events = placed(given.book.events, key=key_of(period_of("2020-06")))
    june = folded(events, "2020-06").currencies["USD"]
    revenue = "revenue:usage"
    assert {revenue: -20_00, ALLOWANCES: 50_00, CREDITS: -30_00} == june.movements
    assert (1, 1, 30_00, 0) == (
        june.accounts, june.invoices.invoices, june.invoices.carried_minor, june.invoices.total_minor,
    )  # fmt: skip  # field by field
    july = folded(events, "2020-07").currencies["USD"]
    assert ({UNBILLED: -30_00, CREDITS: 30_00}, 0) == (july.movements, july.accounts)


def test_amounts_beyond_64_bits_and_several_currencies() -> None:
    """Sums are as large as they are; no currency's are another's."""
    large = 2**62
    reports = []
    for n, currency in enumerate(("USD", "USD", "USD", "JPY")):
        given = Given(
            one_opening(currency=currency), one_charge("c", large, effective_on=day(6, 1))
        )
        reports.append(folded(placed(given.book.events, UUID(int=n)), "2020-06"))
    both = sum(reports, LaneReport())
    assert {"USD": 3 * large, "JPY": large} == {
        currency: report.movements[UNBILLED] for currency, report in both.currencies.items()
    }


def test_two_invoices_of_an_account_are_two() -> None:
    """A second invoice under the key, which the ledger never gives, is not hidden by the counts."""
    given = Given(
        one_opening(),
        one_charge("c", 10, effective_on=day(6, 1)),
        c.IssueInvoice(number="I", period_end=day(6, 1), issued_on=day(6, 1)),
        one_charge("d", 10, effective_on=day(6, 2)),
        c.IssueInvoice(number="J", period_end=day(6, 2), issued_on=day(6, 2)),
    )
    events = placed(given.book.events, key=key_of(period_of("2020-06")))
    report = folded(events, "2020-06").currencies["USD"]
    assert (1, 2) == (report.accounts, report.invoices.invoices)


def test_any_history_adds_up() -> None:
    """Made-up histories of everything that can happen: over all months, movements are the figures of
    the accounts; months add up to all; stretches, wherever cut, add up to the lane."""
    dice = random.Random(seed())
    made = books(seed(), accounts=150, steps=60)
    for account in made:
        currency = account.book.account.currency if account.book.account else ""
        events = placed(account.book.events, account.id)
        every = folded(events, "2020-01", lambda *_: "2020-01").currencies.get(
            currency, CurrencyReport()
        )
        assert 0 == sum(every.movements.values())
        sums = Counter[str]()
        for to, amount_minor in every.movements.items():
            sums[to.partition(":")[0]] += amount_minor
        state = account.book.account
        assert state is not None
        assert (
            sums["accounts_receivable"], -sums["customer_credits"], sums["unbilled_receivables"],
            sums["bad_debt"], sums["cash"],
        ) == (
            state.open_minor, state.unapplied_minor, state.unbilled_minor, state.written_off_minor,
            state.processed_minor - state.returned_minor - state.refunded_minor,
        )  # fmt: skip  # field by field
        days = {posted.on for _, one in events for posted in postings.postings(one.event)}
        by_month = [folded(events, one) for one in {month(0, 0, on) for on in days}]
        together = sum(by_month, LaneReport()).currencies.get(currency, CurrencyReport())
        assert every.movements == together.movements
        cut = dice.randint(0, len(events))
        parts = [
            folded(part, "2020-02", currency_of=lambda _, is_in=currency: is_in, since="2019-12")
            for part in (events[:cut], events[cut:])
        ]
        whole = folded(events, "2020-02", since="2019-12")
        assert settled(whole) == settled(parts[0] + parts[1])
        for earlier in ("2019-12", "2020-01"):
            alone = folded(events, earlier).currencies
            assert whole.earlier.get(earlier, {}) == {
                code: of for code, of in alone.items() if of != CurrencyReport()
            }


def settled(report: LaneReport) -> LaneReport:
    """The report without earlier months of which stretches took back what others held."""
    empty = CurrencyReport()
    earlier = {
        month: left
        for month, held in report.earlier.items()
        if (left := {currency: of for currency, of in held.items() if of != empty})
    }
    return msgspec.structs.replace(report, earlier=earlier)


def test_an_event_that_does_not_balance_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of event whose postings nobody wrote stops the report, instead of being left out of it."""
    monkeypatch.setattr(postings, "_beside", lambda event: iter(()))
    with pytest.raises(AssertionError, match="debits are not credits"):
        folded(placed(eventful().book.events), "2020-06")


def test_a_run_is_reported_from_its_log(closing: Closing) -> None:
    """Lanes read from the database, whole or in stretches, give what the run counted and the model
    charged; what was recorded past the position asked for is not in it."""
    numbers = many(closing, 50, day(7, 15))
    closing.send("yen", opening(10, "JPY"), charge("c", day(7, 3), 500), credit("k", day(7, 4), 80))
    closing.send("idle", opening())
    run = closing.close("2020-07")
    log = Log(closing.database.acting_as(AUDITOR))
    period = period_of("2020-07")
    try:
        heads = [(head.lane, head.position) for head in log.heads()]
        closing.send_all([(number, charge("late", day(7, 20), 1)) for number in numbers])
        report = read_lanes(log, heads, period, month)
        stretches = LaneReport()
        for lane, through in heads:
            middle = through // 2
            stretches += read_lane(log, lane, period, month, through=middle)
            stretches += read_lane(log, lane, period, month, after=middle, through=through)
    finally:
        log.close()
    assert LANES == len(heads)
    assert report == stretches
    assert sum(position for _, position in heads) == report.events
    assert {"USD", "JPY"} == set(report.currencies)
    usd, jpy = report.currencies["USD"], report.currencies["JPY"]
    assert run.issued == usd.accounts + jpy.accounts == 51
    charged = sum(closing.posted_through(number, day(7, 31)) for number in numbers) - len(numbers)
    assert (50, 150, charged, {"usage": charged}) == (
        usd.invoices.invoices, usd.invoices.lines, usd.invoices.total_minor, usd.invoices.categories,
    )  # fmt: skip  # field by field
    assert {AR: charged, "revenue:usage": -charged} == usd.movements
    assert (420, 80) == (jpy.invoices.total_minor, jpy.invoices.credits_minor)
    assert {AR: 420, "revenue:usage": -500, ALLOWANCES: 80} == jpy.movements
