"""What benchmarks tell the ledger, in their own words, and each word in the ledger's three forms.

Amounts are cents of USD. Money and days are chosen so that the model needs no rule of the ledger's.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from ledger import commands as c
from ledger.calendar import Net
from ledger.parts import Method

OPENED_ON = date(2020, 7, 1)
PERIOD = "2020-07"
PAID_ON = date(2020, 7, 20)
TODAY = date(2020, 9, 1)
ACTOR = "bench"
DAYS = 31
COMPANY, COUNTRY, DAYS_NET = "Example Conferencing Inc.", "USA", 30
DESCRIPTION, CATEGORY = "Conference call, 12 minutes", "usage"
METHOD: Method = "card"

_encode = msgspec.json.Encoder().encode


class Opened(NamedTuple):
    """An account is opened."""

    account: str
    key: str


class Charged(NamedTuple):
    """An account is charged."""

    account: str
    key: str
    id: str
    cents: int
    day: int
    """Of the period, from 1."""


class Paid(NamedTuple):
    """A payment was received and processed, for the account or for an invoice."""

    account: str
    key: str
    id: str
    cents: int
    invoice: str | None = None


class Invoiced(NamedTuple):
    """An account is billed on demand."""

    account: str
    key: str
    number: str


Told = Opened | Charged | Paid | Invoiced


def request(told: Told) -> c.Request:
    """As the committer takes it."""
    return c.Request(
        account_number=told.account, key=told.key, command=_command(told), actor=ACTOR, today=TODAY
    )


def line(told: Opened | Charged | Paid) -> bytes:
    """As a line of bulk input, without its end."""
    kind, data = _wire(told)
    return _encode({"key": told.key, "account": told.account, "type": kind, "data": data})


def post(told: Charged | Paid, token: str) -> bytes:
    """As an HTTP request on a connection that is kept."""
    kind, data = _wire(told)
    path = f"/v1/accounts/{told.account}/{'charges' if kind == 'post_charge' else 'payments'}"
    body = _encode(data)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: {told.key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str, token: str) -> bytes:
    """A read as an HTTP request on a connection that is kept."""
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    return head.encode()


def accounts(count: int, prefix: str = "B") -> list[str]:
    """Numbers of accounts."""
    return [f"{prefix}-{n:07}" for n in range(count)]


def openings(numbers: Sequence[str]) -> list[Told]:
    """Every account opened."""
    return [Opened(number, "open") for number in numbers]


def charges(
    numbers: Sequence[str], count: int, prefix: str, *, hot: float = 0.0
) -> Iterator[Charged]:
    """Charges of chance accounts; a share `hot` of them is the first account's.

    Keys and ids begin with the prefix, which also is the seed.
    """
    rng = random.Random(prefix)
    for n in range(count):
        account = numbers[0] if hot and rng.random() < hot else rng.choice(numbers)
        id = f"{prefix}-{n}"
        yield Charged(account, id, id, rng.randrange(1, 20_000), rng.randrange(1, DAYS + 1))


def payments(
    numbers: Sequence[str], count: int, prefix: str, *, hot: float = 0.0
) -> Iterator[Paid]:
    """Payments of chance accounts, otherwise as `charges`."""
    rng = random.Random(prefix)
    for n in range(count):
        account = numbers[0] if hot and rng.random() < hot else rng.choice(numbers)
        id = f"{prefix}-{n}"
        yield Paid(account, id, id, rng.randrange(1, 5_000))


def _command(told: Told) -> c.AnyCommand:
    match told:
        case Opened():
            return c.OpenAccount(
                company=COMPANY, country=COUNTRY, currency="USD", terms=Net(DAYS_NET),
                opened_on=OPENED_ON,
            )  # fmt: skip  # arguments by what they are for
        case Charged():
            return c.PostCharge(
                charge_id=told.id, amount_minor=told.cents, description=DESCRIPTION,
                category=CATEGORY, effective_on=OPENED_ON.replace(day=told.day),
            )  # fmt: skip  # arguments by what they are for
        case Paid():
            return c.SubmitPayment(
                payment_id=told.id, pay="amount", amount_minor=told.cents, method=METHOD,
                status="processed", effective_on=None if told.invoice else PAID_ON,
                invoice=told.invoice,
            )  # fmt: skip  # arguments by what they are for
        case Invoiced():
            return c.IssueInvoice(number=told.number)


def _wire(told: Opened | Charged | Paid) -> tuple[str, dict[str, object]]:
    match told:
        case Opened():
            return "open_account", {
                "company": COMPANY,
                "country": COUNTRY,
                "terms": {"kind": "net", "days": DAYS_NET},
                "opened_on": OPENED_ON,
            }
        case Charged():
            return "post_charge", {
                "charge_id": told.id,
                "amount": _decimal(told.cents),
                "description": DESCRIPTION,
                "category": CATEGORY,
                "effective_on": OPENED_ON.replace(day=told.day),
            }
        case Paid():
            return "submit_payment", {
                "payment_id": told.id,
                "pay": "amount",
                "amount": _decimal(told.cents),
                "method": METHOD,
                "status": "processed",
                "effective_on": PAID_ON,
            }


def _decimal(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"
