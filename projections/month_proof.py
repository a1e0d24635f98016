"""Whether the journal and the receivables views say of a month what its events come to, lane by lane."""

from typing import Any, cast

import psycopg

from ledger.closing_report import CurrencyReport, LaneReport
from ledger.month_end import Period, key_of
from ledger.period_close import Disagreement
from ledger.store.roles import AUDITOR, acting_as
from ledger.store.sql import load
from projections.model import Connection

_INVOICED = (
    "accounts",
    "invoices",
    "lines",
    "charges_minor",
    "credits_minor",
    "tax_minor",
    "carried_minor",
    "total_minor",
)
_POSTED = {
    "journal.entry": "entered",
    "journal.daily": "summed_by_day",
    "journal.monthly": "summed_by_month",
}
"""What the journal says of a month, by view: the statement that reads it."""
_SQL = load("projections", "month_proof.sql")


Figures = dict[tuple[str, str, str, str], int | str]
"""By month, view, currency and name; a text is what a damaged view holds for a number."""
_TEXT_CHARS_MAX = 100


class MonthProof:
    """Compares lanes, as auditors see them; used by one thread. To be closed."""

    def __init__(self, url: str, period: Period, since: Period) -> None:
        """Of all months from `since` to the period, whose reports are compared with it."""
        self._period = str(period)
        self._given = {
            "since": since.first_on,
            "first_on": period.first_on,
            "last_on": period.last_on,
            "first_key": key_of(since),
            "last_key": key_of(period),
        }
        self._connection: Connection = psycopg.connect(
            acting_as(url, AUDITOR, timezone="UTC"), autocommit=True
        )

    def close(self) -> None:
        self._connection.close()

    def lane(self, lane: int, position: int, report: LaneReport) -> list[Disagreement]:
        """Where the views differ from the report of a lane's events up to its cut at a position.

        They must have reached it. An account that they could not read differs by what they lack.
        """
        given = self._given | {"lane": lane, "position": position}
        with self._connection.transaction():
            self._connection.execute(_SQL["scope"])
            posted = [
                (view, *row) for view, query in _POSTED.items() for row in self._rows(query, given)
            ]
            invoiced = self._rows("invoiced", given)
            categories = self._rows("categories", given)
        found: Figures = {}
        for view, month, currency, account, amount in posted:
            found[month, view, currency, account] = _number(amount)
        for month, currency, *counted in invoiced:
            for name, value in zip(_INVOICED, counted, strict=True):
                found[month, "receivables", currency, name] = _number(value)
        for month, currency, category, amount in categories:
            name = f"charges:{category}"
            found[month, "receivables", currency, name] = _number(amount)
        return _compared(lane, self._expected(report), found)

    def _rows(self, query: str, given: dict[str, object]) -> list[Any]:
        return cast(list[Any], self._connection.execute(_SQL[query], given).fetchall())

    def _expected(self, report: LaneReport) -> Figures:
        """The figures that views must show."""
        expected: Figures = {}
        for month, currencies in {**report.earlier, self._period: report.currencies}.items():
            for currency, of in currencies.items():
                for account, amount_minor in of.movements.items():
                    for view in _POSTED:
                        expected[month, view, currency, account] = amount_minor
                for name, value in _invoiced(of).items():
                    expected[month, "receivables", currency, name] = value
        return expected


def _number(told: int | str) -> int | str:
    """A number as PostgreSQL tells it: the text itself, shortened, of one that no events come to."""
    try:
        return int(told)
    except ValueError:
        text = str(told)
        return text if len(text) <= _TEXT_CHARS_MAX else f"{text[:_TEXT_CHARS_MAX]}..."


def _invoiced(of: CurrencyReport) -> dict[str, int]:
    totals = of.invoices
    found = {name: getattr(totals, name) for name in _INVOICED if name != "accounts"}
    categories = {f"charges:{name}": amount for name, amount in totals.categories.items()}
    return {"accounts": of.accounts, **found, **categories}


def _compared(lane: int, expected: Figures, found: Figures) -> list[Disagreement]:
    differing = []
    for key in sorted(expected.keys() | found.keys()):
        events, shown = expected.get(key, 0), found.get(key, 0)
        if events != shown:
            differing.append(Disagreement(lane, *key, str(events), str(shown)))
    return differing
