"""A load that can be sent again from any point: request n of a writer is the same in every life."""

import random
from collections.abc import Iterator
from datetime import date

from ledger import commands as c
from ledger.calendar import Net
from ledger.parts import SettingsChange

ACCOUNTS = tuple(f"K-{n}" for n in range(12))
TODAY = date(2020, 7, 15)


def opening() -> list[c.Request]:
    """Opens every account, with the same keys whoever sends it."""
    return [
        _request(
            number,
            "open",
            c.OpenAccount(
                company="Example Conferencing Inc.",
                country="USA",
                currency="USD",
                terms=Net(30),
                opened_on=date(2020, 1, 1),
            ),
        )
        for number in ACCOUNTS
    ]


def requests(seed: int) -> Iterator[c.Request]:
    """Requests without end; keys and ids carry the seed, so several writers can share accounts."""
    dice = random.Random(seed)
    n = 0
    while True:
        n += 1
        id = f"{seed}-{n}"
        earlier = f"{seed}-{dice.randint(max(1, n - 40), n)}"
        yield _request(dice.choice(ACCOUNTS), id, _command(dice, id, earlier))


def _command(dice: random.Random, id: str, earlier: str) -> c.AnyCommand:
    amount = dice.randint(1, 20_000)
    match dice.randint(0, 9):
        case 0 | 1 | 2 | 3:
            return c.PostCharge(
                charge_id=id, amount_minor=amount, description="a call", category="usage"
            )
        case 4:
            return c.IssueInvoice()
        case 5 | 6:
            return c.SubmitPayment(
                payment_id=id, pay="amount", amount_minor=amount, method="card", status="processed"
            )
        case 7:
            return c.ReturnPayment(payment_id=earlier, reason="NSF")
        case 8:
            return c.IssueCredit(
                credit_id=id, amount_minor=amount, applies_to="account", reason="goodwill"
            )
        case _:
            # No id of its own: only its key keeps it from being done twice.
            return c.ChangeSettings(changes=SettingsChange(payment_method="card"))


def _request(number: str, key: str, command: c.AnyCommand) -> c.Request:
    return c.Request(account_number=number, key=key, command=command, actor="load", today=TODAY)
