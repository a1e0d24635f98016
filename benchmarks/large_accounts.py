"""Accounts of a wanted size, grown through the ledger's own door."""

from datetime import date

from ledger import commands as c
from ledger.calendar import Net
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted

FIRST = date(2020, 1, 1)
TODAY = date(2020, 7, 15)
BATCH = 512


def grow(ledger: Ledger, account_number: str, *, events: int, invoices: int) -> str:
    """The number of an account with that many open invoices (I0, I1, ...), and charges until it
    has at least that many events; grown further when it exists already."""
    wanted: list[c.AnyCommand] = [
        c.OpenAccount(
            company="Example", country="USA", currency="USD", terms=Net(30), opened_on=FIRST
        )
    ]
    for n in range(invoices):
        wanted += [_charge(f"line-{n}", 1_000), c.IssueInvoice(number=f"I{n}")]
    wanted += [_charge(f"c-{n}", 1) for n in range(events - len(wanted))]
    for start in range(0, len(wanted), BATCH):
        requests = [
            c.Request(
                account_number=account_number, key=f"grow-{start + n}", command=command,
                actor="bench", today=TODAY,
            )
            for n, command in enumerate(wanted[start : start + BATCH])
        ]  # fmt: skip  # arguments by what they are for
        for outcome in ledger.handle_now(requests):
            assert isinstance(outcome, Accepted), outcome
    return account_number


def _charge(id: str, amount_minor: int) -> c.PostCharge:
    return c.PostCharge(
        charge_id=id, amount_minor=amount_minor, description="a call", category="usage"
    )
