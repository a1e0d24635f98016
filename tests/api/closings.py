"""Books of a region that are billed, cut off and spoilt by hand."""

from contextlib import closing
from datetime import date
from typing import Any

import psycopg

from api.wiring import Database
from tests.api.serving import Answer

JULY = date(2020, 7, 10)
OF_A_SUM = (
    "UPDATE journal.{0} SET debit_minor = debit_minor + {{}} WHERE ctid = ("
    "SELECT ctid FROM journal.{0} WHERE account = 'accounts_receivable' ORDER BY lane LIMIT 1)"
)
DAILY, MONTHLY = OF_A_SUM.format("daily"), OF_A_SUM.format("monthly")
TOTAL = (
    "UPDATE receivables.invoice SET total_minor = total_minor + {} WHERE number = 'A-1-2020-07-1'"
)
LINES = (
    "UPDATE receivables.invoice SET lines_count = lines_count + {} WHERE number = 'A-1-2020-07-1'"
)
ENTRY = "UPDATE journal.entry SET amount_minor = amount_minor + {} WHERE document = 'invoice:A-1-2020-07-1'"


def one(database: Database, query: str) -> Any:
    assert database.owner_url is not None
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        row = owner.execute(query.encode()).fetchone()
    return row and row[0]


def change(database: Database, statement: str) -> None:
    assert database.owner_url is not None
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        assert owner.execute(statement.encode()).rowcount == 1, statement


def bill(database: Database, period: str = "2020-07") -> None:
    """The month end is done, and nothing more."""
    with closing(database.month_ends()) as month_ends, closing(database.ledger()) as ledger:
        month_ends.ask(period, None, actor="t", today=database.today())
        month_ends.work(ledger)


def cut_off(database: Database, period: str = "2020-07") -> None:
    with closing(database.period_closes()) as closes:
        closes.cut_off(period, actor="t", today=database.today())


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code
