"""Which invoice carried what came late: told of entries over HTTP and in exports, the same for ever."""

import csv
import io
from contextlib import closing
from datetime import date
from typing import Any

import psycopg
import pyarrow
import pytest
from pyarrow import parquet

from api.embedded import EmbeddedServer
from api.wiring import Database
from ledger import commands as c
from ledger.store.sql import load
from tests.api.books import COMMANDS, TOKENS, fill
from tests.api.conftest import REGIONS, fresh_database
from tests.api.test_finance_journal import JOURNAL, asked
from tests.exports.downloading import downloaded
from tests.projections.books import append

NUMBER = "L-1"
LATE = {"charge:late", "credit:late"}
CUT = (
    "INSERT INTO ledger.period_close (lane, period, position, actor, cut_at)"
    " SELECT lane, '2020-07', position, 'test', now() FROM ledger.lane_head"
)
JULY = date(2020, 7, 10)
OTHERS: tuple[c.AnyCommand, ...] = (
    c.PostCharge(
        charge_id="timely", amount_minor=700, description="calls", category="usage",
        effective_on=date(2020, 8, 10),
    ),
    c.IssueCredit(
        credit_id="account", amount_minor=50, applies_to="account", reason="goodwill",
        effective_on=JULY,
    ),
)  # fmt: skip  # arguments by what they are for
CAME_LATE: tuple[c.AnyCommand, ...] = (
    c.PostCharge(
        charge_id="late", amount_minor=900, description="calls", category="usage",
        taxes=(c.Tax("vat", "0.2", 180),), effective_on=JULY,
    ),
    c.IssueCredit(
        credit_id="late", amount_minor=300, applies_to="next_invoice", reason="outage",
        effective_on=JULY,
    ),
)  # fmt: skip  # arguments by what they are for


def invoice(number: str, on: date) -> c.IssueInvoice:
    return c.IssueInvoice(number=number, period_end=on, issued_on=on)


STEPS: tuple[tuple[tuple[c.AnyCommand, ...], str | None], ...] = (
    ((*OTHERS, *CAME_LATE), None),
    ((invoice("first", date(2020, 8, 31)),), "first"),
    ((c.CancelInvoice(number="first", reason="wrong", effective_on=date(2020, 9, 5)),), None),
    ((invoice("second", date(2020, 9, 30)),), "second"),
)
"""What is done, and the invoice that then carries the late lines."""


@pytest.fixture(scope="module")
def region(server: EmbeddedServer) -> Database:
    """A region whose July is cut off."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    fill(database)
    do(database, COMMANDS[0])
    assert database.owner_url is not None
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(CUT.encode())
    return database


def do(region: Database, *commands: c.AnyCommand) -> None:
    """The commands are done on the account, and seen."""
    with closing(region.ledger()) as ledger:
        for n, command in enumerate(commands):
            key = f"{type(command).__name__}-{n}-{getattr(command, 'number', '')}"
            request = c.Request(
                account_number=NUMBER, key=key, command=command, actor="t", today=region.today()
            )
            append(ledger, [request])
    region.catch_up(30)


def carried(region: Database, **query: str) -> dict[str, set[str | None]]:
    """By document what the journal tells of the account's charges and credits."""
    found: dict[str, set[str | None]] = {}
    for entry in asked(region, JOURNAL, limit="500", **query)["data"]:
        if entry["account_number"] == NUMBER:
            found.setdefault(entry["document"], set()).add(entry["carried_by"])
    return found


def exported(region: Database, at: str) -> dict[str, set[str]]:
    """By document what CSV and Parquet tell of the late ones."""
    given = {"period": "2020-08", "through": "2020-09", "at": at}
    text = downloaded(region, TOKENS["us"], "csv", **given).decode()
    lines: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(text, newline="")))
    file = pyarrow.BufferReader(downloaded(region, TOKENS["us"], "parquet", **given))
    found: dict[str, set[str]] = {document: set() for document in LATE}
    for line in (*lines, *parquet.read_table(file).to_pylist()):
        if line["document"] in LATE:
            found[line["document"]].add(line["carried_by"] or "")
    return found


def test_what_came_late_names_the_invoice_that_carried_it(region: Database) -> None:
    """None while unbilled, the one it is on, none once that is cancelled, the next that took it; however
    it is asked for, in exports too, and of nothing else. Asked again at each position, the answer stays."""
    told: list[tuple[dict[str, str], Any]] = []
    for commands, number in STEPS:
        do(region, *commands)
        for query in (
            {"late": "true"},
            {"account_number": NUMBER},
            {"period": "2020-08"},
            {"account": "unbilled_receivables", "late": "true"},
        ):
            found = carried(region, **query)
            assert [{number}] * len(LATE) == [found.pop(document) for document in LATE], query
            assert all(others == {None} for others in found.values())
            page = asked(region, JOURNAL, limit="500", **query)
            told.append((query | {"at": page["position"]}, page["data"]))
        assert [{number or ""}] * len(LATE) == [*exported(region, page["position"]).values()]
        for form in ("beancount", "hledger"):
            text = downloaded(region, TOKENS["us"], form, period="2020-08")
            assert bool(number) == (b"carried_by" in text)
            assert (number or "").encode() in text
    for query, data in told:
        assert data == asked(region, JOURNAL, limit="500", **query)["data"], query


def test_an_invoice_carries_from_its_own_day(region: Database) -> None:
    """As of a day: not before it was issued, nor from the day it was cancelled on."""
    for day, number in (
        ("2020-08-30", None),
        ("2020-08-31", "first"),
        ("2020-09-04", "first"),
        ("2020-09-05", None),
        ("2020-09-30", "second"),
    ):
        found = carried(region, late="true", effective_on=day)
        assert [{number}] * len(LATE) == [found[document] for document in LATE], day


def test_lines_are_looked_up_by_their_ids(region: Database) -> None:
    """Of however many charges and credits an account has."""
    given: dict[str, Any] = {
        "lanes": [1] * 500, "uptos": [1] * 500, "account_numbers": ["A-1"] * 500,
        "kinds": ["charge", "credit"] * 250, "ids": ["late"] * 500, "day": date(2020, 9, 30),
    }  # fmt: skip  # one page, as it is asked for
    statement = load("projections.receivables", "carrying.sql")["carriers"]
    assert region.owner_url is not None
    with psycopg.connect(region.owner_url) as owner:
        for planned in ("seqscan", "sort", "bitmapscan"):  # of few rows anything is as cheap
            owner.execute(f"SET enable_{planned} = off".encode())
        plan = str(owner.execute(b"EXPLAIN " + statement, given).fetchall())
    assert "using charge_pkey on charge" in plan
    assert "using credit_pkey on credit" in plan
