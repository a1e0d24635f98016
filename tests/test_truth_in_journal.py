"""The real book's journal: trial balances of nothing, receivables as the truth has them, every month."""

from collections import defaultdict
from contextlib import closing
from datetime import date
from decimal import Decimal

import pytest

from projections.follower import Follower
from projections.journal import JOURNAL
from tests import truth
from tests.store.databases import Database
from tests.test_truth_in_database import database  # noqa: F401 # the fixture

pytestmark = pytest.mark.needs("TEST_DATA")

BALANCES = (
    "SELECT account, sum(debit_minor), sum(credit_minor) FROM journal.sums(NULL, NULL, %s)"
    " WHERE effective_on <= %s GROUP BY account ORDER BY account"
)
OF_CUSTOMERS = (
    "SELECT a.account_number, sum(CASE WHEN e.debit = 'accounts_receivable' THEN e.amount_minor"
    " ELSE -e.amount_minor END) FROM journal.entry AS e"
    " JOIN journal.account AS a USING (lane, account_id)"
    " WHERE 'accounts_receivable' IN (e.debit, e.credit) AND e.effective_on <= %s"
    " GROUP BY a.account_number"
)
MONTHLY = (
    "SELECT a.account_number, to_char(e.period, 'YYYY-MM'), e.kind, sum(e.amount_minor)"
    " FROM journal.entry AS e JOIN journal.account AS a USING (lane, account_id)"
    " WHERE e.kind IN ('charge', 'payment')"
    " GROUP BY a.account_number, e.period, e.kind"
)


@pytest.fixture(scope="module")
def journal(database: Database) -> Database:  # noqa: F811 # the fixture
    """The real book's database, its journal caught up."""
    with closing(Follower(database.service_url, JOURNAL)) as follower:
        follower.catch_up()
        assert [] == follower.parked()
    return database


def test_trial_balances_on_every_day_of_the_truth(journal: Database) -> None:
    """Debits are credits; accounts receivable are the open amounts, cash what was paid, revenue what
    was billed; nothing is unbilled or unapplied."""
    for row in truth.rows("totals_asof"):
        on = date.fromisoformat(row["as_of"])
        found = journal.rows(BALANCES, on, on)
        assert 0 == sum(debit - credit for _, debit, credit in found)
        balances: dict[str, Decimal] = defaultdict(Decimal)
        for account, debit, credit in found:
            balances[account.partition(":")[0]] += debit - credit
        names = (
            "accounts_receivable",
            "cash",
            "revenue",
            "unbilled_receivables",
            "customer_credits",
        )
        assert (
            int(row["open_cents"]), int(row["paid_cents"]), -int(row["billed_cents"]), 0, 0,
        ) == tuple(balances[name] for name in names)  # fmt: skip # one line a row


def test_receivables_of_every_customer_on_every_day_of_the_truth(journal: Database) -> None:
    """Account by account: 0 differences."""
    compared = 0
    for row in truth.rows("totals_asof"):
        on = row["as_of"]
        shown = dict(journal.rows(OF_CUSTOMERS, date.fromisoformat(on)))
        for customer in truth.rows("customer_asof"):
            if customer["as_of"] == on:
                assert int(customer["open_cents"]) == shown.get(customer["customer"], 0), customer
                compared += 1
    assert compared > 500


def test_every_month_of_every_customer(journal: Database) -> None:
    """What was charged and paid in each posting period is what the truth's statements say."""
    posted: dict[tuple[str, str, str], int] = {
        (customer, month, kind): int(amount)
        for customer, month, kind, amount in journal.rows(MONTHLY)
    }
    told = set()
    for row in truth.rows("monthly_statement"):
        told.add(row["customer"])
        of = (row["customer"], row["month"])
        assert (int(row["charges_cents"]), int(row["payments_cents"])) == (
            posted.pop((*of, "charge"), 0),
            posted.pop((*of, "payment"), 0),
        ), row
    assert len(told) >= 20
    assert not [of for of in posted if of[0] in told]
