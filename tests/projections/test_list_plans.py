"""A page of a list is read in its order from an index, whatever the size of the account."""

import json
import re
from contextlib import closing
from datetime import date
from typing import Any

import psycopg
import pytest

from ledger.store.committer import Ledger
from ledger.store.lanes import account_id, lane_of
from ledger.store.roles import READER
from projections.follower import Follower
from tests.projections.books import append, books, interleaved
from tests.store.databases import US, Database
from tests.store.scenario import every_command, requests

ID = account_id(US.code, "A-1")
PAGE = (
    "SELECT l.* FROM receivables.{function}(%s, %s, {invoice}%s, %s) AS l"
    " WHERE l.{on} BETWEEN %s AND %s AND (l.{on}, l.seq) < (%s, %s)"
    " ORDER BY l.{on} DESC, l.seq DESC LIMIT %s"
)
FUNCTION = re.compile(r'"Function Name": "(\w+)"')
IN_ORDER = {
    "charges": "charge_listed",
    "invoices": "invoice_listed",
    "payments": "payment_step_listed",
    "credits": "credit_listed",
    "refunds": "refund_listed",
    "write_offs": "write_off_listed",
    "disputes": "dispute_listed",
    "messages": "message_listed",
}
"""The index that each list is read in order of."""
OTHERS = (
    "activity",
    "unbilled_charges",
    "reversed_charges",
    "invoice_charges",
    "invoice_lines",
    "invoice_payments",
    "invoice_credits",
)
"""Put together from what several indexes find, most of it few."""


@pytest.fixture(scope="module")
def clocks() -> dict[str, tuple[date, int | None]]:
    return {"live": (date.max, None), "as of": (date(2020, 7, 15), 5)}


def plan(database: Database, function: str, day: date, position: int | None, mode: str) -> Any:
    """The plan of a page."""
    on = "issued_on" if function == "invoices" else "effective_on"
    of_invoice = function.startswith("invoice_")
    query = PAGE.format(function=function, on=on, invoice="%s, " if of_invoice else "")
    number = ("I1",) if of_invoice else ()
    given = (lane_of(ID), ID, *number, day, position, date.min, date.max, date.max, 2**62, 51)
    with closing(psycopg.connect(database.acting_as(READER), autocommit=True)) as connection:
        connection.execute("SELECT set_config('billing.scope', '*', false)")
        connection.execute(f"SET plan_cache_mode = {mode}".encode())
        # Few rows: without this, sorting all of them is truly cheaper than an index.
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        connection.execute("SET enable_sort = off")
        row = connection.execute(
            f"EXPLAIN (FORMAT JSON) {query}".encode(), given, prepare=True
        ).fetchone()
    assert row is not None
    return row[0][0]["Plan"]


def driving(node: Any) -> list[Any]:
    """The nodes from the page down to what it is read from, the outer ones of joins."""
    below = [n for n in node.get("Plans", ()) if n["Parent Relationship"] in ("Outer", "Subquery")]
    below = below or [n for n in node.get("Plans", ()) if n["Parent Relationship"] == "Member"]
    return [node, *(driving(below[0]) if below else [])]


@pytest.fixture
def filled(database: Database, ledger: Ledger, follower: Follower) -> Database:
    """Accounts with something of everything."""
    append(ledger, requests("A-1", every_command()))
    append(ledger, interleaved(3, books(3, 20, 60)))
    follower.catch_up()
    database.run("ANALYZE")
    return database


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_a_page_is_read_in_order(
    filled: Database, clocks: dict[str, tuple[date, int | None]], mode: str
) -> None:
    """Every list is inlined and scans no table; those of one table get their order from an index, so
    that a page's LIMIT ends the reading."""
    for clock, (day, position) in clocks.items():
        for function in (*IN_ORDER, *OTHERS):
            found = plan(filled, function, day, position, mode)
            whole = json.dumps(found)
            where = f"{function} {clock}"
            assert {*FUNCTION.findall(whole)} <= {"jsonb_array_elements"}, where
            assert '"Seq Scan"' not in whole, where
            if function in IN_ORDER:
                nodes = driving(found)
                assert "Sort" not in [node["Node Type"] for node in nodes], where
                assert IN_ORDER[function] == nodes[-1].get("Index Name"), (where, nodes[-1])
