"""Aging and receivables over HTTP: what accounts owe, in total and one by one, at one moment."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime

import msgspec
import pytest

import api.standings
from api.embedded import EmbeddedServer
from api.vectors import Vector
from ledger.history import as_of
from ledger.money import decimal_text
from tests.api.made_up import Asked, Json, made_up_region
from tests.projections.books import append, books

ACCOUNTS = 40
BUCKETS = ("current", "d1_30", "d31_60", "d61_90", "d91")
AGED = (*BUCKETS, "disputed", "unapplied", "balance", "past_due")
OWED = (
    *("balance", "total_amount_due", "available_credit", "unapplied", "past_due", "disputed"),
    *("current_activity", "pending_payments"),
)
AGING, RECEIVABLES_PATH = "/v1/finance/aging", "/v1/finance/receivables"


@pytest.fixture(scope="module")
def asked(server: EmbeddedServer) -> Asked:
    """Random accounts, to be asked for."""
    return made_up_region(server)


def expected(asked: Asked, day: date) -> dict[str, tuple[str, dict[str, int]]]:
    """The currency and the figures of every account on a day, as now known."""
    found = {}
    for number, account in asked.accounts.items():
        seen = as_of(account.book.events, day)
        standing, aging = seen.standing, seen.standing.aging
        assert account.book.account is not None
        figures = {bucket: getattr(aging, bucket) for bucket in (*BUCKETS, "disputed")}
        figures |= {name: getattr(standing, f"{name}_minor") for name in OWED[:3]}
        figures |= {
            "unapplied": sum(seen.unapplied_minor.values()),
            "past_due": standing.past_due_minor,
            "current_activity": standing.current_activity_minor,
            "pending_payments": standing.pending_payments_minor,
            "open_items": len(seen.open_items),
            "days_past_due": standing.days_past_due,
        }
        found[number] = (account.book.account.currency, figures)
    return found


LISTED: dict[str, Callable[[dict[str, int]], object]] = {
    "": lambda f: (
        f["open_items"] or f["unapplied"] or f["current_activity"] or f["pending_payments"]
    ),
    "owing": lambda f: f["balance"] > 0,
    "credit_balance": lambda f: f["balance"] < 0,
    "past_due": lambda f: f["past_due"] > 0,
    "disputed": lambda f: f["disputed"] > 0,
}


def same(names: tuple[str, ...], shown: Json, figures: dict[str, int]) -> bool:
    """Whether amounts are shown as the figures are."""
    currency = shown["currency"]
    assert {currency} == {shown[name]["currency"] for name in names}
    return {name: shown[name]["amount"] for name in names} == {
        name: decimal_text(figures[name], currency) for name in names
    }


def moments(asked: Asked) -> list[date]:
    """Some days of the histories, and today."""
    days = sorted(e.effective_on for a in asked.accounts.values() for e in a.book.events)
    return [days[len(days) // 3], days[2 * len(days) // 3], asked.database.today()]


def test_aging_is_that_of_each_account(asked: Asked) -> None:
    """Accounts with open items or unapplied credit, their buckets, what is disputed apart; totals by
    currency are their sums, and buckets less unapplied credit are the balance, live and as of."""
    for day in moments(asked):
        wanted = {
            number: (currency, figures)
            for number, (currency, figures) in expected(asked, day).items()
            if figures["open_items"] or figures["unapplied"]
        }
        pages = asked.pages(AGING, 7, effective_on=day.isoformat())
        rows = [row for page in pages for row in page["data"]]
        assert sorted(wanted) == [row["account_number"] for row in rows]
        sums: dict[str, Counter[str]] = {}
        for row in rows:
            currency, figures = wanted[row["account_number"]]
            assert same(AGED, row, figures), (day, row, figures)
            assert figures["days_past_due"] == row["days_past_due"]
            assert sum(figures[b] for b in BUCKETS) - figures["unapplied"] == figures["balance"]
            sums.setdefault(currency, Counter()).update({**figures, "accounts": 1})
        totals = pages[0]["totals"]
        assert sorted(sums) == [total["currency"] for total in totals]
        for total in totals:
            summed = sums[total["currency"]]
            assert same(AGED, total, summed), (day, total, summed)
            assert (summed["accounts"], summed["open_items"]) == (
                total["accounts"],
                total["open_items"],
            )
        assert all(page["totals"] is None for page in pages[1:])
        assert {day.isoformat()} == {page["effective_on"] for page in pages}
        assert 1 == len({page["position"] for page in pages})
        assert len(totals) > 1


def test_receivables_by_status(asked: Asked) -> None:
    """Each status lists exactly the accounts that are so, credit balances apart, with their sums."""
    listed = Counter[str]()
    for day in moments(asked):
        figures_of = expected(asked, day)
        for status, is_listed in LISTED.items():
            wanted = {number for number, (_, f) in figures_of.items() if is_listed(f)}
            query = {"effective_on": day.isoformat(), **({"status": status} if status else {})}
            pages = asked.pages(RECEIVABLES_PATH, 9, **query)
            rows = [row for page in pages for row in page["data"]]
            assert sorted(wanted) == [row["account_number"] for row in rows], (day, status)
            sums: dict[str, Counter[str]] = {}
            for row in rows:
                currency, figures = figures_of[row["account_number"]]
                assert same(OWED, row, figures), (day, row, figures)
                sums.setdefault(currency, Counter()).update({**figures, "accounts": 1})
            assert sorted(sums) == [total["currency"] for total in pages[0]["totals"]]
            for total in pages[0]["totals"]:
                assert same(OWED, total, sums[total["currency"]]), (day, status, total)
                assert sums[total["currency"]]["accounts"] == total["accounts"]
            listed[status] += len(rows)
    assert all(listed[status] for status in LISTED), listed


def test_a_page_looks_at_more_accounts_until_it_is_full(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few accounts are looked at together, the list is the same."""
    whole = asked.pages(RECEIVABLES_PATH, 500, status="disputed")
    monkeypatch.setattr(api.standings, "ACCOUNTS_AT_ONCE", 1)
    monkeypatch.setattr(api.standings, "ACCOUNTS_AT_ONCE_MAX", 3)
    pages = asked.pages(RECEIVABLES_PATH, 1, status="disputed")
    rows = [row for page in pages for row in page["data"]]
    assert whole[0]["data"] == rows
    assert len(rows) > 1


def test_links_lead_to_the_same_moment(asked: Asked) -> None:
    """Behind a row are the account's own figures and open invoices, at the day and the position of
    the row, and these sum up to it."""
    day = moments(asked)[1]
    [page] = asked.all(f"{AGING}?effective_on={day}&limit=500")
    rows = [row for row in page["data"] if row["open_items"]][:8]
    summaries = asked.all(*(row["links"]["summary"] for row in rows))
    opened = asked.all(*(row["links"]["open_invoices"] + "&limit=500" for row in rows))
    for row, summary, invoices in zip(rows, summaries, opened, strict=True):
        assert row["balance"] == summary["balance"]
        assert day.isoformat() == summary["effective_on"] == invoices["effective_on"]
        assert summary["aging"] == {
            name: row[name] for name in (*BUCKETS, "disputed", "oldest_days")
        }
        amounts = [invoice["open_amount"]["amount"] for invoice in invoices["data"]]
        assert row["open_items"] == len(amounts)


def test_a_position_gives_the_same_pages_for_ever(asked: Asked) -> None:
    """After more has come, the position of an answer, or the instant, gives that answer again."""
    [before] = asked.all(AGING)
    instant = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    late = [
        msgspec.structs.replace(request, account_number=f"LATE-{request.account_number}")
        for account in books(7, 3, 40)
        for request in account.requests
    ]
    with closing(asked.database.ledger()) as ledger:
        append(ledger, late)
    asked.database.catch_up(30)
    [after] = asked.all(AGING)
    assert before["totals"] != after["totals"]
    day = before["effective_on"]
    for query in (f"at={before['position']}", f"known_at={instant}"):
        [again] = asked.all(f"{AGING}?effective_on={day}&{query}")
        for name in ("data", "totals", "position"):
            assert before[name] == again[name]
    nothing = asked.all(f"{AGING}?at={Vector('us').text()}")
    assert ([], []) == (nothing[0]["data"], nothing[0]["totals"])


def test_what_is_wrong_is_refused(asked: Asked) -> None:
    """Parameters that are not known or not right, and cursors of other lists."""
    [page] = asked.all(f"{RECEIVABLES_PATH}?limit=1")
    cursor = page["next_cursor"]
    for path in (
        f"{AGING}?status=owing",
        f"{AGING}?limit=0",
        f"{AGING}?cursor={cursor}",
        f"{RECEIVABLES_PATH}?status=paid",
        f"{RECEIVABLES_PATH}?status=owing&cursor={cursor}",
        f"{RECEIVABLES_PATH}?at=0-1",
        f"{RECEIVABLES_PATH}?effective_on=2020-13-01",
        f"{RECEIVABLES_PATH}?known_at=2999-01-01T00:00:00Z",
    ):
        [problem] = asked.all(path, expected=422)
        assert problem["code"] in {"invalid_request", "position_unknown", "known_at_in_future"}
    assert problem["detail"].startswith("2999-01-01T00:00:00Z is after")
