"""Trial balances and entries over HTTP: they balance, tie to the figures, page, and name their events."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import closing
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
import psycopg
import pytest

from api.app import create_app
from api.embedded import EmbeddedServer
from api.vectors import Vector
from api.wiring import Database, Doors
from ledger.money import decimal_text
from ledger.store.sql import load
from projections.journal.entries import CONTROLS, entries
from tests.api.books import TOKENS, fill
from tests.api.conftest import REGIONS, filled_database, fresh_database
from tests.api.in_process import Sent, in_process
from tests.projections.books import MadeUp, append, books, interleaved

TRIAL_BALANCE, JOURNAL = "/v1/finance/trial-balance", "/v1/finance/journal"
DAY = date(2020, 3, 6)


@pytest.fixture(scope="module")
def region(server: EmbeddedServer) -> Database:
    """A region with the book of every test, and made-up accounts."""
    return filled_database(server)


@pytest.fixture(scope="module")
def accounts(region: Database) -> list[MadeUp]:
    """Made-up accounts of the region, besides those of `fill`; some entries of theirs are late."""
    made = books(11, 8, 60)
    half = len(made) // 2
    with closing(region.ledger()) as ledger:
        append(ledger, interleaved(11, made[:half]))
    cut = (
        "INSERT INTO ledger.period_close (lane, period, position, actor, cut_at)"
        " SELECT lane, '2020-02', position, 'test', now() FROM ledger.lane_head"
    )
    assert region.owner_url is not None
    with psycopg.connect(region.owner_url, autocommit=True) as owner:
        owner.execute(cut)
    with closing(region.ledger()) as ledger:
        append(ledger, interleaved(11, made[half:]))
    region.catch_up(30)
    return made


def ask(region: Database, path: str, **query: str) -> tuple[int, Any]:
    """Status and body of an answer to the service's token."""

    async def work() -> tuple[int, Any]:
        async with in_process(create_app(Doors((region,)))) as asked:
            bearer = (b"authorization", f"Bearer {TOKENS['us']}".encode())
            sent = Sent("GET", path.encode(), urlencode(query).encode(), [bearer])
            got = await asked.ask(sent)
            return got.status, msgspec.json.decode(got.body)

    return asyncio.run(work())


def asked(region: Database, path: str, **query: str) -> Any:
    status, body = ask(region, path, **query)
    assert 200 == status, body
    return body


def listed(region: Database, **query: str) -> list[Any]:
    """Every entry, some at a time."""
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = asked(region, JOURNAL, **query, **cursor)
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        assert page["data"]
        cursor = {"cursor": page["next_cursor"]}


def amounts(balance: Mapping[str, Any], name: str) -> dict[str, str]:
    """An amount of every account of the books, by name."""
    return {account["account"]: account[name]["amount"] for account in balance["accounts"]}


def test_the_books_of_the_example(server: EmbeddedServer) -> None:
    """By hand: charges billed and not, a payment of 30.00; nothing else moved money."""
    own = fresh_database(server, REGIONS[0])
    own.migrate()
    fill(own)
    [usd] = asked(own, TRIAL_BALANCE, effective_on=DAY.isoformat())["currencies"]
    other = 100_00  # of the other account, not billed
    expected = {
        "accounts_receivable": decimal_text(100_00 + 50_05 - 30_00, "USD"),
        "cash:card": "30.00",
        "customer_credits": "0.00",
        "revenue:voice": decimal_text(-(100_00 + 50_05 + 7_77 + other), "USD"),
        "unbilled_receivables": decimal_text(7_77 + other, "USD"),
    }
    assert expected == amounts(usd, "balance")
    assert usd["debit"] == usd["credit"]


def test_what_there_was_before_and_what_moved_it(region: Database, accounts: list[MadeUp]) -> None:
    """From a day on, and by posting period: opening + debits - credits = balance, account by account;
    the openings of a month are the balances of the one before."""
    days = asked(region, TRIAL_BALANCE, **{"from": "2020-03-01", "effective_on": "2020-03-31"})
    until = asked(region, TRIAL_BALANCE, effective_on="2020-02-29")
    march, february = (asked(region, TRIAL_BALANCE, period=p) for p in ("2020-03", "2020-02"))
    for now, before in ((days, until), (march, february)):
        [usd], [was] = now["currencies"], before["currencies"]
        for account in usd["accounts"]:
            opening, debit, credit, balance = (
                round(100 * float(account[name]["amount"]))
                for name in ("opening", "debit", "credit", "balance")
            )
            assert opening + debit - credit == balance, account
        openings = {name: a for name, a in amounts(usd, "opening").items() if a != "0.00"}
        assert openings == {name: a for name, a in amounts(was, "balance").items() if a != "0.00"}
    assert days["currencies"] != march["currencies"]  # some entries are late


def test_every_entry_is_listed_once(region: Database, accounts: list[MadeUp]) -> None:
    """In pages, by day, of each account what its events debit and credit; the filters agree with it."""
    every = listed(region, limit="37")
    order = [(e["effective_on"], *map(int, e["position"].split("-")), e["n"]) for e in every]
    assert sorted(order, reverse=True) == order
    assert len(set(order)) == len(order)
    today = region.today()
    for made in accounts:
        expected = sorted(
            (e.on.isoformat(), e.kind, e.debit, e.credit, decimal_text(e.amount_minor, "USD"))
            for event in made.book.events
            for e in entries(event)
            if e.on <= today
        )
        for shown in (
            [e for e in every if e["account_number"] == made.number],
            listed(region, account_number=made.number, limit="11"),
        ):
            assert expected == sorted(
                (e["effective_on"], e["kind"], e["debit"], e["credit"], e["amount"]["amount"])
                for e in shown
            )
    late = [e for e in every if e["late"]]
    assert late
    assert late == listed(region, late="true", limit="5")
    dice = random.Random(1)
    for account in ("accounts_receivable", "bad_debt", "cash:card", "revenue:usage"):
        on = DAY + timedelta(days=dice.randint(-30, 60))
        since = {"from": on.isoformat()}
        found = [
            e
            for e in every
            if account in (e["debit"], e["credit"]) and e["effective_on"] >= since["from"]
        ]
        assert found == listed(region, account=account, limit="23", **since)
    for period in ("2020-02", "2020-03", "2020-04"):
        assert [e for e in every if e["period"] == period] == listed(
            region, period=period, limit="29"
        )


def test_a_general_ledger_is_all_that_there_is_of_its_account(
    region: Database, accounts: list[MadeUp]
) -> None:
    """In pages of any size, of a posting period, of what came late, and as known at any position: of all
    entries those of the account, in their order."""
    every = listed(region, limit="500")
    heads = Vector.read("us", asked(region, JOURNAL)["position"]).positions
    dice = random.Random(2)
    early = Vector("us", [dice.randint(0, head) for head in heads]).text()
    known = {(e["position"], e["n"]) for e in listed(region, limit="500", at=early)}
    assert 0 < len(known) < len(every)
    for account, limit in (
        ("accounts_receivable", "53"),
        ("bad_debt", "3"),
        ("allowances", "7"),
    ):
        own = [e for e in every if account in (e["debit"], e["credit"])]
        assert own == listed(region, account=account, limit=limit)
        for late in (
            {"late": "true"},
            {"late": "true", "period": "2020-03"},
            {"period": "2020-03"},
        ):
            found = [
                e
                for e in own
                if (e["late"] or "late" not in late)
                and e["period"] == late.get("period", e["period"])
            ]
            assert found == listed(region, account=account, limit=limit, **late), (account, late)
        assert [e for e in own if (e["position"], e["n"]) in known] == [
            e | {"carried_by": now["carried_by"]}
            for e in listed(region, account=account, limit=limit, at=early)
            for now in own
            if (now["position"], now["n"]) == (e["position"], e["n"])
        ]


def test_a_general_ledger_passes_over_no_days_of_others(region: Database) -> None:
    """Its days are found by their index, of however many entries there are."""
    assert region.owner_url is not None
    given: dict[str, Any] = {
        "account": "revenue:rare", "period": None, "late": False, "positions": None, "limit": 50,
        "from": date.min, "to": date.max, "before_on": date.max, "before_lane": 63,
        "before_position": 2**63 - 1, "before_n": 0,
    }  # fmt: skip  # one page, as it is asked for
    statement = load("projections.journal", "reading.sql")["entries_on"]
    with psycopg.connect(region.owner_url) as owner:
        for planned in ("seqscan", "sort", "bitmapscan"):  # of few rows anything is as cheap
            owner.execute(f"SET enable_{planned} = off".encode())
        plan = str(owner.execute(b"EXPLAIN " + statement, given).fetchall())
    assert 2 == plan.count("using daily_of on daily")
    assert "daily_pkey" not in plan
    assert "entry_listed" in plan


def test_a_general_ledger_has_its_balances(region: Database, accounts: list[MadeUp]) -> None:
    """Those of the trial balance at the same days."""
    days = {"from": "2020-03-01", "to": "2020-03-31"}
    page = asked(region, JOURNAL, account="accounts_receivable", **days)
    [usd] = asked(region, TRIAL_BALANCE, **{"from": days["from"], "effective_on": days["to"]})[
        "currencies"
    ]
    [receivable] = [a for a in usd["accounts"] if a["account"] == "accounts_receivable"]
    assert [
        {"currency": "USD", "opening": receivable["opening"], "closing": receivable["balance"]}
    ] == page["balances"]
    assert [] == asked(region, JOURNAL, account="accounts_receivable", late="true")["balances"]


def test_what_was_known_stays(region: Database, accounts: list[MadeUp]) -> None:
    """Asked for at the position that an answer told, it is the same answer; entries likewise."""
    for path in (TRIAL_BALANCE, JOURNAL):
        first = asked(region, path)
        again = asked(region, path, at=first["position"], effective_on=first["effective_on"])
        for page in (first, again):  # a cursor is good for what it was made for
            page.pop("next_cursor", None)
        assert first == again


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (TRIAL_BALANCE, {"period": "2020-13"}),
        (TRIAL_BALANCE, {"period": "2020-07", "from": "2020-07-01"}),
        (TRIAL_BALANCE, {"from": "2020-07-02", "effective_on": "2020-07-01"}),
        (TRIAL_BALANCE, {"account": "cash:card"}),
        (JOURNAL, {"period": "2020-07", "to": "2020-07-01"}),
        (JOURNAL, {"account": "cash:card", "from": "2020-07-02", "to": "2020-07-01"}),
        (JOURNAL, {"from": "2020-07-02", "effective_on": "2020-07-01"}),
        (JOURNAL, {"account": ""}),
        (JOURNAL, {"account": "accounts_receivables"}),
        (JOURNAL, {"account": "Bad_debt"}),
        (JOURNAL, {"account": "revenue:"}),
        (JOURNAL, {"account": "tax_payable"}),
        (JOURNAL, {"account": "cash:cards"}),
        (JOURNAL, {"account": "bank:main"}),
        (JOURNAL, {"account": "revenue:a\nb"}),
        (JOURNAL, {"cursor": "abc"}),
        (JOURNAL, {"late": "yes"}),
    ],
)
def test_what_makes_no_sense_is_refused(region: Database, path: str, query: dict[str, str]) -> None:
    """With 422, and the parameter named."""
    status, body = ask(region, path, **query)
    assert 422 == status, body
    assert body["errors"]


def test_an_account_of_the_books_without_entries_has_none(region: Database) -> None:
    """Of a category, tax or method that nothing was booked to yet; of another name it is told what there is."""
    for account in ("revenue:nothing", "tax_payable:none", "cash:direct_debit"):
        assert [] == listed(region, account=account)
    _, body = ask(region, JOURNAL, account="revenues:voice")
    [error] = body["errors"]
    assert "/query/account" == error["pointer"]
    for name in (*CONTROLS, "bad_debt", "allowances", "revenue:<", "tax_payable:<", "cash:card"):
        assert name in error["message"]


def test_entries_of_no_customers_account_are_not_found(
    region: Database, accounts: list[MadeUp]
) -> None:
    """A number that nobody has, or nobody had then, is no account without entries."""
    number = accounts[0].number
    nothing = Vector("us", [0] * 64).text()
    for query in ({"account_number": "no-such"}, {"account_number": number, "at": nothing}):
        status, body = ask(region, JOURNAL, **query)
        assert (404, "account_unknown") == (status, body["code"])
    days = {"from": "1999-01-01", "to": "1999-12-31"}
    assert [] == listed(region, account_number=number, **days)
