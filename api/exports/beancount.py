"""The journal for Beancount (version 3 of its language), with assertions that have no tolerance."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from api.exports.books import Month, Outline, Row
from api.exports.names import OPENING, name
from api.exports.transactions import (
    Posted,
    accounts,
    currencies,
    end_of,
    of_currency,
    said_of,
    transactions,
)
from ledger.money import decimal_text


class Beancount:
    """Writes one export."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._eve = outline.months[0].period.first_on - timedelta(days=1)
        self._known = outline.months[-1].balances

    def head(self) -> bytes:
        """What it is of, the accounts, and what they stood at before the first month."""
        outline = self._outline
        return _encoded(
            (
                *(f"; {said}" for said in said_of(outline)),
                f'option "title" {_quoted(f"Journal of region {outline.region}")}',
                *(
                    f'option "operating_currency" "{currency}"'
                    for currency in currencies(self._known)
                ),
                *(f"{self._eve} commodity {currency}" for currency in currencies(self._known)),
                *(f"{self._eve} open {name(account)}" for account in accounts(self._known)),
                f"{self._eve} open {OPENING}",
                "",
                *self._opening(),
            )
        )

    def events(self, month: Month, rows: Sequence[Row]) -> bytes:
        """The transactions of whole events."""
        return _encoded(line for one in transactions(month, rows) for line in _transaction(one))

    def balances(self, month: Month) -> bytes:
        """What every account stands at when the month is over: Beancount looks as a day begins."""
        day = month.period.last_on + timedelta(days=1)
        asserted = [
            *(
                (name(account), minor, currency)
                for (currency, account), minor in month.balances.items()
            ),
            *((OPENING, 0, currency) for currency in currencies(month.balances)),
        ]
        return _encoded(
            [
                *(
                    f"{day} balance {account}  {decimal_text(minor, currency)}"
                    f" ~ {decimal_text(0, currency)} {currency}"
                    for account, minor, currency in asserted
                ),
                "",
            ]
        )

    def tail(self) -> bytes:
        """That nothing is missing."""
        return _encoded([f"; {end_of(self._outline)}"])

    def _opening(self) -> Iterator[str]:
        for currency in currencies(self._outline.opening):
            balances = [one for one in of_currency(self._outline.opening, currency) if one[1]]
            if balances:
                yield f'{self._eve} * "Opening balances"'
                for account, minor in balances:
                    yield _posting(name(account), minor, currency)
                yield _posting(OPENING, -sum(minor for _, minor in balances), currency)
                yield ""


def _transaction(posted: Posted) -> Iterator[str]:
    yield f"{posted.on} * {_quoted(posted.account_number)} {_quoted(posted.kinds)}"
    yield f"  position: {_quoted(posted.position)}"
    yield f"  recorded_at: {_quoted(posted.recorded_at)}"
    yield from _facts(posted.shared, "  ")
    for row, own in posted.entries:
        for account, minor in ((row.debit, row.amount_minor), (row.credit, -row.amount_minor)):
            yield _posting(name(account), minor, row.currency)
            yield from _facts(own, "    ")
    yield ""


def _facts(facts: dict[str, str], indent: str) -> Iterator[str]:
    for fact, value in facts.items():
        yield f"{indent}{fact}: {value if fact == 'effective_on' else _quoted(value)}"


def _posting(account: str, minor: int, currency: str) -> str:
    return f"  {account}  {decimal_text(minor, currency)} {currency}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _encoded(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
