"""Previews of month ends: what they show is what the close then does, and they leave no trace."""

from collections.abc import Iterable, Iterator
from contextlib import closing as closed
from datetime import date

import psycopg
import pytest

from ledger import closing as closing_module
from ledger import commands as c
from ledger.calendar import DayOfMonth, EndOfMonth, Net
from ledger.closing import MonthEnds
from ledger.closing_batch import RefusedAccount
from ledger.closing_preview import Preview, Previewed, PreviewedInvoice
from ledger.errors import (
    EffectiveBeforeCause,
    EffectiveInFuture,
    InvalidPeriod,
    MonthEndRunning,
    PeriodNotBegun,
)
from ledger.events import InvoiceIssued
from ledger.invoice_totals import InvoiceTotals
from ledger.money import AMOUNT_MINOR_MAX
from ledger.parts import Tax
from ledger.store.committer import Ledger
from tests.closing.books import ACTOR, TODAY, Closing, charge, credit, many, opening
from tests.store.databases import US

JULY_10 = date(2020, 7, 10)
MID_JULY = date(2020, 7, 15)
JULY_31 = date(2020, 7, 31)
AUGUST_5 = date(2020, 8, 5)
TABLES = ("event", "command_key", "account", "item", "month_end", "lane_head")


def preview(
    closing: Closing, period: str, issued_on: date | None = None, *, today: date = TODAY
) -> Preview:
    return closing.month_ends.preview(period, issued_on, today=today)


def read(
    shown: Preview, ledger: Ledger
) -> tuple[dict[str, PreviewedInvoice], dict[str, RefusedAccount]]:
    """All of a preview: invoices and refusals by account."""
    every: list[Previewed] = [one for batch in shown.batches(ledger) for one in batch]
    invoices = {one.account_number: one for one in every if isinstance(one, PreviewedInvoice)}
    refused = {one.account_number: one for one in every if isinstance(one, RefusedAccount)}
    assert len(every) == len(invoices) + len(refused)
    return invoices, refused


def paid(id: str, amount_minor: int, on: date) -> c.SubmitPayment:
    return c.SubmitPayment(
        payment_id=id, amount_minor=amount_minor, pay="amount", method="card", status="processed",
        effective_on=on,
    )  # fmt: skip  # arguments by what they are for


def varied(closing: Closing) -> None:
    """Accounts that become everything that an account may become in July."""
    closing.send("plain", opening(), charge("c", JULY_10, 100), charge("later", AUGUST_5, 9))
    taxes = (Tax("VAT", "0.1", 10), Tax("city", "0.02", 2))
    closing.send(
        "yen",
        opening(10, "JPY"),
        charge("c", JULY_10, 100, taxes=taxes),
        charge("d", JULY_10, 7, taxes=taxes[:1]),
    )
    closing.send("fills", opening(31, "KWD"), charge("c", MID_JULY, 300), credit("k", MID_JULY, 40))
    closing.send("excess", opening(), charge("c", MID_JULY, 70), credit("k", MID_JULY, 100))
    closing.send("prepaid", opening(), paid("p", 60, JULY_10), charge("c", MID_JULY, 100))
    closing.send("rich", opening(15), paid("p", 500, JULY_10), charge("c", MID_JULY, 100))
    closing.send("owes", opening(), charge("c", JULY_10, 50))
    closing.send("owes", c.IssueInvoice(period_end=JULY_10, issued_on=JULY_10))
    closing.send("owes", charge("d", MID_JULY, 10), credit("k", MID_JULY, 25))
    closing.send("nothing", opening(), charge("c", AUGUST_5, 100))
    closing.send("huge", opening("month_end", "KWD"), charge("c", JULY_10, AMOUNT_MINOR_MAX))
    closing.send("freed", opening(), charge("c", JULY_10, 100))
    closing.send("freed", c.IssueInvoice(number="I", period_end=JULY_10, issued_on=JULY_10))
    closing.send("freed", c.CancelInvoice(number="I", reason="wrong", effective_on=AUGUST_5))
    for number, terms in (
        ("eom", EndOfMonth(15)),
        ("day", DayOfMonth(31, 20)),
        ("net", Net(0)),
    ):
        closing.send(number, c.OpenAccount(
            company="X", country="USA", currency="USD", billing_cycle=29, terms=terms,
            opened_on=date(2020, 1, 1),
        ), charge("c", JULY_10, 5))  # fmt: skip  # arguments by what they are for
    closing.send("billed", opening(), charge("c", JULY_10, 100))
    billing = c.Request(
        account_number="billed", key="month-end:2020-07", actor="t", today=TODAY,
        command=c.IssueInvoice(period_end=MID_JULY),
    )  # fmt: skip  # arguments by what they are for
    closing.ledger.handle_now([billing])


def summed(invoices: Iterable[InvoiceIssued]) -> InvoiceTotals:
    totals = InvoiceTotals()
    for invoice in invoices:
        totals.add(invoice)
    return totals


@pytest.mark.parametrize(
    ("issued_on", "today"),
    [
        (None, TODAY),
        (AUGUST_5, TODAY),
        (JULY_31, TODAY),
        (None, date(2020, 7, 30)),
        (MID_JULY, TODAY),
    ],
)
def test_what_is_previewed_is_what_the_close_does(
    closing: Closing, issued_on: date | None, today: date
) -> None:
    """Preview, close, equal: event by event with its allocations, refusal by refusal, and every
    count, whatever the cycle, terms, currency, credit at hand and day of issue."""
    varied(closing)
    shown = preview(closing, "2020-07", issued_on, today=today)
    invoices, refused = read(shown, closing.ledger)
    before = closing.under_key("2020-07")
    run = closing.close("2020-07", issued_on, today=today)
    after = closing.under_key("2020-07")
    assert set(before) == set(after)
    made = {number: after[number] for number in after if after[number] != before[number]}
    assert made == {number: [one.event] for number, one in invoices.items()}
    assert {r.account_number: r for r in run.refusals} == refused
    assert shown.counts == {name: getattr(run, name) for name in shown.counts}
    currencies = {one.currency for one in invoices.values()}
    assert shown.totals == {
        currency: summed(one.event for one in invoices.values() if one.currency == currency)
        for currency in currencies
    }


def test_a_preview_says_what_is_applied_at_once(closing: Closing) -> None:
    """Credit at hand lowers what is open; what a carried excess pays elsewhere is not counted here."""
    varied(closing)
    invoices, refused = read(preview(closing, "2020-07"), closing.ledger)
    totals = {number: summed([one.event]) for number, one in invoices.items()}
    assert (100, 60, 40) == (
        totals["prepaid"].total_minor, totals["prepaid"].applied_minor, totals["prepaid"].open_minor,
    )  # fmt: skip  # field by field
    assert (100, 0) == (totals["rich"].applied_minor, totals["rich"].open_minor)
    owes = totals["owes"]
    assert (0, 15, 0, 0) == (
        owes.total_minor, owes.carried_minor, owes.applied_minor, owes.open_minor,
    )  # fmt: skip  # field by field
    assert 15 == sum(one.amount_minor for one in invoices["owes"].event.allocations)
    assert ({"usage": 107}, {"VAT": 20, "city": 2}) == (
        totals["yen"].categories, totals["yen"].taxes,
    )  # fmt: skip  # field by field
    assert ["huge"] == list(refused)
    assert "amount_overflow" == refused["huge"].code
    assert "KWD is beyond the 64 bits" in refused["huge"].message


def contents(closing: Closing) -> list[object]:
    """Number of rows and a digest of them, table by table."""
    query = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM ledger.{} AS t"
    return [row for table in TABLES for row in closing.database.rows(query.format(table))]


def test_a_preview_leaves_no_trace_and_waits_for_nobody(closing: Closing) -> None:
    """While a transaction holds every row of the ledger locked against change, a preview is made; and
    not a row is added or another than it was."""
    varied(closing)
    closing.close("2020-06")
    before = contents(closing)
    with closed(psycopg.connect(closing.database.owner_url)) as holding:
        for table in ("account", "item", "month_end", "lane_head"):
            holding.execute(f"SELECT FROM ledger.{table} FOR UPDATE".encode())
        invoices, _ = read(preview(closing, "2020-07"), closing.ledger)
    assert len(invoices) > 5
    assert before == contents(closing)


def test_an_abandoned_preview_is_in_nobodys_way(
    closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in part and left, it holds neither lock nor transaction: the month is closed meanwhile;
    read on, it shows that the other accounts were invoiced."""
    monkeypatch.setattr(closing_module, "PREVIEW_MAX", 16)
    many(closing, 200, MID_JULY)
    shown = preview(closing, "2020-07")
    batches = shown.batches(closing.ledger)
    seen = len(next(batches))
    assert 0 < seen < 200
    idle = (
        "SELECT state FROM pg_stat_activity WHERE datname = %s AND xact_start IS NOT NULL"
        " AND backend_type = 'client backend'"
    )
    mine = "SELECT state FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    assert closing.database.rows(mine) == closing.database.rows(idle, closing.database.name)
    with closed(MonthEnds(closing.database.service_url)) as others:
        others.ask("2020-07", None, actor=ACTOR, today=TODAY)
        others.work(closing.ledger)
    assert [] == [one for batch in batches for one in batch]
    assert (seen, 200 - seen) == (shown.counts["issued"], shown.counts["replayed"])


class Beaten(Ledger):
    """A door before which somebody bills an account under the period's key, at the last moment."""

    def __init__(self, url: str, first: c.Request) -> None:
        super().__init__(url, US.code)
        self._first = [first]

    def handle_now(self, requests):  # type: ignore[no-untyped-def] # as its base
        if requests and self._first:
            super().handle_now([self._first.pop()])
        return super().handle_now(requests)


@pytest.mark.parametrize("period_end", [MID_JULY, JULY_31])
def test_a_key_used_between_look_up_and_decision(closing: Closing, period_end: date) -> None:
    """Whoever is billed while the preview looks, in the same words or otherwise, was invoiced before."""
    closing.send("A", opening(), charge("c", JULY_10, 100))
    closing.send("B", opening(), charge("c", JULY_10, 100))
    billing = c.Request(
        account_number="A", key="month-end:2020-07", actor="t", today=TODAY,
        command=c.IssueInvoice(period_end=period_end, issued_on=period_end),
    )  # fmt: skip  # arguments by what they are for
    with closed(Beaten(closing.database.service_url, billing)) as ledger:
        shown = preview(closing, "2020-07")
        invoices, refused = read(shown, ledger)
    assert (["B"], []) == (list(invoices), list(refused))
    assert (1, 1) == (shown.counts["issued"], shown.counts["replayed"])


def refusals(closing: Closing) -> Iterator[object]:
    today = date(2020, 7, 20)
    for period, issued_on in (
        ("2020-08", None),
        ("2020-07", AUGUST_5),
        ("2020-07", date(2020, 6, 30)),
        ("2020-7", None),
    ):
        try:
            preview(closing, period, issued_on, today=today)
        except (PeriodNotBegun, EffectiveInFuture, EffectiveBeforeCause, InvalidPeriod) as refusal:
            yield type(refusal)


def test_what_cannot_be_closed_cannot_be_previewed(closing: Closing) -> None:
    """A month not begun, days that cannot be, what is no month: as when it is asked for."""
    expected = [PeriodNotBegun, EffectiveInFuture, EffectiveBeforeCause, InvalidPeriod]
    assert expected == list(refusals(closing))


def test_runs_in_the_way_of_a_preview(closing: Closing) -> None:
    """An earlier month under way would still take lines that are shown, and another day of issue is
    refused: both are told; the same month, and later ones, are not in the way."""
    many(closing, 20, MID_JULY)
    closing.month_ends.ask("2020-06", None, actor=ACTOR, today=TODAY)
    with pytest.raises(MonthEndRunning, match="2020-06 is being closed"):
        preview(closing, "2020-07")
    assert 20 == closing.close("2020-06").nothing_to_bill
    for period in ("2020-07", "2020-08"):
        closing.month_ends.ask(period, None, actor=ACTOR, today=TODAY)
    with pytest.raises(MonthEndRunning, match="issued on the day each account's period ends"):
        preview(closing, "2020-07", JULY_31)
    with pytest.raises(MonthEndRunning, match="2020-07 is being closed"):
        preview(closing, "2020-08")
    assert 20 == len(read(preview(closing, "2020-07"), closing.ledger)[0])
