"""Which earlier months' books are open, and are closed with a month's."""

from datetime import date
from typing import cast

import psycopg

from ledger.month_end import Period
from ledger.store.roles import AUDITOR, acting_as
from ledger.store.sql import load
from projections.model import Connection

_SQL = load("projections", "open_months.sql")


def closed_with(url: str, period: Period, *, today: date) -> list[str]:
    """Earlier months that closing this one now would close too, of those that anything is posted in.

    None while the month is not over, or when it was closed already, by itself or with a later one.
    """
    if period.last_on >= today:
        return []
    with psycopg.connect(acting_as(url, AUDITOR, timezone="UTC")) as opened:
        connection = cast(Connection, opened)
        connection.execute(_SQL["scope"])
        given = {"first_on": period.first_on}
        return [str(month) for (month,) in connection.execute(_SQL["open_before"], given)]
