"""The journal for hledger and Ledger: one file that the strict checks of both accept.

Measured with hledger 1.25 and Ledger 3.3: `format` is not to be given for a currency without decimals
(hledger asks for a decimal mark, Ledger then reads no currency); assertions are exact in both, and
are met in the order of the file by Ledger, of days by hledger, so a month's stand on its last day
after all that it has.
"""

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
from ledger.money import decimal_text, exponent


class Hledger:
    """Writes one export."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._eve = outline.months[0].period.first_on - timedelta(days=1)
        self._known = outline.months[-1].balances

    def head(self) -> bytes:
        """What it is of, the accounts, and what they stood at before the first month."""
        return _encoded(
            (
                *(f"; {said}" for said in said_of(self._outline)),
                *(line for currency in currencies(self._known) for line in _commodity(currency)),
                *(f"account {name(account)}" for account in accounts(self._known)),
                f"account {OPENING}",
                "",
                *self._opening(),
            )
        )

    def events(self, month: Month, rows: Sequence[Row]) -> bytes:
        """The transactions of whole events."""
        return _encoded(line for one in transactions(month, rows) for line in _transaction(one))

    def balances(self, month: Month) -> bytes:
        """What every account stands at on the month's last day."""
        return _encoded(
            line
            for currency in currencies(month.balances)
            for line in (
                f"{month.period.last_on} * Balances of {month.period}",
                *(
                    _assertion(name(account), minor, currency)
                    for account, minor in of_currency(month.balances, currency)
                ),
                _assertion(OPENING, 0, currency),
                "",
            )
        )

    def tail(self) -> bytes:
        """That nothing is missing."""
        return _encoded([f"; {end_of(self._outline)}"])

    def _opening(self) -> Iterator[str]:
        for currency in currencies(self._outline.opening):
            balances = [one for one in of_currency(self._outline.opening, currency) if one[1]]
            if balances:
                yield f"{self._eve} * Opening balances"
                for account, minor in balances:
                    yield _posting(name(account), minor, currency, {})
                yield _posting(OPENING, -sum(minor for _, minor in balances), currency, {})
                yield ""


def _commodity(currency: str) -> Iterator[str]:
    yield f"commodity {currency}"
    if exponent(currency):
        yield f"    format {decimal_text(10 ** (exponent(currency) + 3), currency)} {currency}"


def _transaction(posted: Posted) -> Iterator[str]:
    facts = {
        "position": posted.position,
        "account_number": posted.account_number,
        "recorded_at": posted.recorded_at,
        **posted.shared,
    }
    yield f"{posted.on} * ({posted.position}) {posted.account_number} | {posted.kinds}"
    yield f"    {_tags(facts)}"
    for row, own in posted.entries:
        yield _posting(name(row.debit), row.amount_minor, row.currency, own)
        yield _posting(name(row.credit), -row.amount_minor, row.currency, own)
    yield ""


def _posting(account: str, minor: int, currency: str, own: dict[str, str]) -> str:
    amount = f"{decimal_text(minor, currency)} {currency}"
    return f"    {account}  {amount}" + (f"  {_tags(own)}" if own else "")


def _assertion(account: str, minor: int, currency: str) -> str:
    zero = _posting(account, 0, currency, {})
    return f"{zero} = {decimal_text(minor, currency)} {currency}"


def _tags(facts: dict[str, str]) -> str:
    """hledger reads tags of it; Ledger, which would want each declared, a note.

    To Ledger a note that begins with a word with a colon at its end is metadata, so no id of ours is
    left to stand there as the last: a comma ends it, which is of no value to hledger.
    """
    said = ", ".join(f"{fact}:{value}" for fact, value in facts.items())
    return f"; {said}," if said.endswith(":") else f"; {said}"


def _encoded(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
