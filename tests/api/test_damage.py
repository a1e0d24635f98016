"""A view that holds what no events make is told of: no answer believes it, and none is a fault of ours."""

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec
import psycopg
import pytest

from api.app import create_app
from api.embedded import EmbeddedServer
from api.wiring import Database, Doors
from projections.reconciliation.reconciling import reconcile
from tests.api.books import TOKENS
from tests.api.conftest import filled_database
from tests.api.in_process import Got, Sent, in_process

TRIAL_BALANCE, JOURNAL, AGING, CSV = (
    f"/v1/finance/{name}" for name in ("trial-balance", "journal", "aging", "exports/csv")
)
QUERIES = {
    TRIAL_BALANCE: "",
    JOURNAL: "account=accounts_receivable",
    AGING: "",
    CSV: "period=2020-03",
}
SUM = (
    "WHERE ctid = (SELECT ctid FROM journal.monthly WHERE account = 'accounts_receivable' LIMIT 1)"
)
ENTRY = "WHERE ctid = (SELECT ctid FROM journal.entry WHERE debit = 'accounts_receivable' LIMIT 1)"
OF_LANE = "WHERE lane = (SELECT min(lane) FROM ledger.lane_head WHERE position > 0)"


@pytest.fixture(scope="module")
def region(server: EmbeddedServer) -> Database:
    """The region with the book of every test."""
    return filled_database(server)


@contextmanager
def damaged(region: Database, statement: str) -> Iterator[None]:
    """While a view's table is changed as the owner can; it is as it was afterwards."""
    table = statement.split()[2 if statement.startswith("DELETE") else 1]
    assert region.owner_url is not None
    with psycopg.connect(region.owner_url, autocommit=True) as owner:
        owner.execute(f"CREATE TABLE kept AS TABLE {table}".encode())
        assert owner.execute(statement.encode()).rowcount == 1
        try:
            yield
        finally:
            owner.execute(f"DELETE FROM {table}".encode())
            owner.execute(f"INSERT INTO {table} TABLE kept".encode())
            owner.execute(b"DROP TABLE kept")


def asked(region: Database, queries: Mapping[str, str] = QUERIES) -> dict[str, Got]:
    """The answers to the service's token, by path; of exports the head alone."""

    async def work() -> dict[str, Got]:
        bearer = (b"authorization", f"Bearer {TOKENS['us']}".encode())
        async with in_process(create_app(Doors((region,)))) as service:
            sent = [
                Sent("HEAD" if path == CSV else "GET", path.encode(), given.encode(), [bearer])
                for path, given in queries.items()
            ]
            return dict(zip(queries, await service.ask_all(sent), strict=True))

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        (f"UPDATE journal.monthly SET debit_minor = debit_minor + 1 {SUM}", (TRIAL_BALANCE,)),
        (f"UPDATE journal.monthly SET credit_minor = 'NaN' {SUM}", (TRIAL_BALANCE, JOURNAL, CSV)),
        (f"UPDATE journal.monthly SET debit_minor = 0.5 {SUM}", (TRIAL_BALANCE, JOURNAL, CSV)),
        (f"UPDATE journal.monthly SET debit_minor = 1e40 {SUM}", (TRIAL_BALANCE,)),
        (f"UPDATE journal.monthly SET account = 'mystery' {SUM}", (TRIAL_BALANCE,)),
        (f"UPDATE journal.monthly SET currency = 'QQQ' {SUM}", (TRIAL_BALANCE, JOURNAL)),
        (f"DELETE FROM journal.monthly {SUM}", (TRIAL_BALANCE,)),
        (f"UPDATE journal.entry SET currency = 'QQQ' {ENTRY}", (JOURNAL,)),
        (f"UPDATE journal.entry SET recorded_at = 'infinity' {ENTRY}", (JOURNAL,)),
        (f"DELETE FROM journal.tracking {OF_LANE}", (TRIAL_BALANCE, JOURNAL, CSV)),
        (
            f"UPDATE journal.tracking SET position = 99 {OF_LANE}",
            (TRIAL_BALANCE, JOURNAL, CSV),
        ),
        ("UPDATE receivables.account SET currency = 'QQQ' WHERE account_number = 'A-1'", (AGING,)),
        (f"DELETE FROM receivables.tracking {OF_LANE}", (AGING, JOURNAL, CSV)),
    ],
)
def test_a_damaged_view_is_told_of(
    region: Database, caplog: pytest.LogCaptureFixture, statement: str, refused: tuple[str, ...]
) -> None:
    """503 and what to do, in the log too, where it matters; what does not rest on it is answered."""
    with damaged(region, statement):
        found = asked(region)
    for path in refused:
        got = found.pop(path)
        assert (503, b"60") == (got.status, got.headers[b"retry-after"]), path
        if got.body:
            body = msgspec.json.decode(got.body)
            assert "view_damaged" == body["code"]
            [view] = re.findall(
                "`billing-ledger rebuild ?([a-z]*) --accept-differences` mends it$", body["detail"]
            )
            assert view in ("", statement.split(".")[0].split()[-1])
    assert {200} == {got.status for got in found.values()}
    lines = [one.levelno for one in caplog.records if one.message == "view_damaged"]
    assert [logging.ERROR] * len(refused) == lines


def test_sums_of_days_are_believed_no_more_than_those_of_months(region: Database) -> None:
    """As of a day within a month they are what is told; of whole months they are not read."""
    days = {TRIAL_BALANCE: "effective_on=2020-01-15"}
    assert 200 == asked(region, days)[TRIAL_BALANCE].status
    which = "WHERE account = 'accounts_receivable' AND effective_on = '2020-01-31'"
    with damaged(region, f"UPDATE journal.daily SET debit_minor = debit_minor + 1 {which}"):
        assert 503 == asked(region, days)[TRIAL_BALANCE].status
        assert (
            200 == asked(region, {TRIAL_BALANCE: "effective_on=2020-01-31"})[TRIAL_BALANCE].status
        )


def test_a_view_that_is_mended_is_believed(region: Database) -> None:
    """Without a restart."""
    with damaged(region, f"UPDATE journal.monthly SET debit_minor = debit_minor + 1 {SUM}"):
        assert 503 == asked(region)[TRIAL_BALANCE].status
    assert {200} == {got.status for got in asked(region).values()}


def test_a_reconciliation_names_sums_that_do_not_balance(region: Database) -> None:
    """The account of the books whose sum it is, and the trial balance."""
    with damaged(region, f"UPDATE journal.monthly SET debit_minor = debit_minor + 1 {SUM}"):
        named = {
            (one.where, one.figure) for proof in reconcile(region.service_url) for one in proof.kept
        }
    figures = ("accounts_receivable", "trial balance")
    assert {("journal.monthly", figure) for figure in figures} == named
