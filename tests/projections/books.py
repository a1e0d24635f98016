"""Made-up books of many accounts, and their events in a database with instants spread over weeks."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import msgspec

from ledger import events as e
from ledger.book import Book
from ledger.commands import Request
from ledger.errors import Refusal
from ledger.parts import DebitItem
from ledger.store.committer import Ledger
from ledger.store.lanes import account_id
from ledger.store.outcomes import Accepted
from tests.acting import KINDS, Actor, Dice
from tests.model import Model
from tests.store.databases import US, Database

BILLING = (
    "post_charge",
    "post_charge",
    "post_charge",
    "reverse_charge",
    "issue_invoice",
    "issue_invoice",
    "cancel_invoice",
    "submit_payment",
    "submit_payment",
    "issue_credit",
    "change_settings",
    "open_dispute",
)


@dataclass
class MadeUp:
    """An account's accepted requests, and its book after them."""

    number: str
    requests: list[Request]
    book: Book
    refused: list[tuple[str, str]] = field(default_factory=list)
    """The command and the code of each refusal."""

    @property
    def id(self) -> UUID:
        return account_id(US.code, self.number)


def made_up(dice: random.Random, number: str, steps: int) -> MadeUp:
    """An account that lived through about so many requests, some of them refused."""
    made = MadeUp(number, [], Book())
    model = Model(number)  # what the actor looks at to name things that exist
    actor = Actor(model)
    for step in range(steps):
        throws = Dice(dice.randbytes(24))
        if throws.one_in(4):
            actor.today += timedelta(days=throws.below(20))
        kinds = ("open_account",) if step == 0 else BILLING if throws.below(2) else KINDS
        kind = throws.of(kinds)
        if kind == "close_account" and step < steps * 0.9:
            kind = "issue_invoice"
        request = msgspec.structs.replace(actor.request(kind, throws), account_number=number)
        try:
            decision = made.book.handle(request)
        except Refusal as refusal:
            made.refused.append((kind, refusal.code))
            continue
        model.handle(request, iter(_told(decision.events)))
        made.requests.append(request)
    return made


def _told(events: tuple[e.Event, ...]) -> list[object]:
    """What the domain chose where the design leaves it open: the model has to be told."""
    told: list[object] = []
    for event in events:
        match event:
            case e.InvoiceIssued():
                told.append(event.number)
            case e.PaymentReturned(debit=DebitItem() as debit):
                told.append(debit.number)
            case e.CreditIssued() if event.dispute_id:
                told.append(tuple((tax.name, tax.amount_minor) for tax in event.taxes))
    return told


def books(seed: int, accounts: int, steps: int) -> list[MadeUp]:
    """So many accounts, the same for the same seed; each holds the opening at least."""
    dice = random.Random(seed)
    made = (made_up(dice, f"M-{n}", dice.randint(3, steps)) for n in range(accounts))
    return [account for account in made if account.requests]


def interleaved(seed: int, accounts: list[MadeUp]) -> list[Request]:
    """All requests, each account's in its order."""
    dice = random.Random(seed)
    turns = [account.number for account in accounts for _ in account.requests]
    dice.shuffle(turns)
    rest = {account.number: iter(account.requests) for account in accounts}
    return [next(rest[number]) for number in turns]


def append(ledger: Ledger, requests: list[Request]) -> int:
    """Hands the requests to the log; how many events they made."""
    events = 0
    for start in range(0, len(requests), 400):
        for outcome in ledger.handle_now(requests[start : start + 400]):
            assert isinstance(outcome, Accepted), outcome
            events += len(outcome.events)
    return events


def spread(database: Database) -> None:
    """Rewrites when events were recorded: a few a day in each lane, at odd hours."""
    database.run(
        "UPDATE ledger.event SET recorded_at ="
        " timestamptz '2020-02-01 01:30+00' + position * interval '7 hours 13 minutes'"
    )


def positions(database: Database) -> dict[UUID, list[int]]:
    """The positions of each account's events, in order."""
    found = defaultdict(list)
    for id, position in database.rows(
        "SELECT account_id, position FROM ledger.event ORDER BY lane, position"
    ):
        found[id].append(position)
    return found
