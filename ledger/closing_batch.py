"""One batch of a month end: accounts looked at, invoices asked for through the one door, counted."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from ledger.account import Account
from ledger.commands import Request
from ledger.errors import EffectiveBeforeCause, IdempotencyKeyReused, Refusal
from ledger.events import InvoiceIssued
from ledger.items import Item
from ledger.month_end import Asked, Period, invoice_of, key_of, names_of
from ledger.needs import Named
from ledger.store.append import decode_account, decode_item
from ledger.store.committer import Ledger
from ledger.store.mapper import TOPICS
from ledger.store.outcomes import Outcome, Refused
from ledger.store.reads import Seen

_NOTHING = frozenset({"nothing_to_bill", "period_billed"})
_INVOICES = frozenset(name for name, event in TOPICS.items() if event is InvoiceIssued)


class RefusedAccount(msgspec.Struct, frozen=True):
    """An account that is due and was not billed: why, as a stable code and a sentence."""

    account_number: str
    code: str
    message: str


class Claim(NamedTuple):
    """A lane of a run, and how far it is."""

    lane: int
    asked: Asked
    actor: str
    from_position: int
    after: UUID | None
    refusals_kept: int


class Found(NamedTuple):
    """An account's row; position and topic of the first event under the period's key, if any.

    Then the items of `month_end.names_of`, those that exist.
    """

    account_id: UUID
    account_number: str
    state: bytes
    hash: bytes
    position: int | None
    topic: str | None
    invoice: bytes | None
    month: bytes | None
    earlier: bytes | None

    def seen(self, account: Account, period: Period) -> Seen:
        """As the door takes it."""
        number, *months = names_of(self.account_number, period)
        named: dict[Named, Item | None] = {number: _item(number, self.invoice)}
        for name, state in zip(months, (self.month, self.earlier), strict=True):
            named[name] = _item(name, state)
        return Seen(account, self.hash, named)


def _item(name: Named, state: bytes | None) -> Item | None:
    return None if state is None else decode_item(name.kind, state)


Asking = tuple[Request, UUID, Seen]
"""What is asked for an account, its id, and the account as it was looked at."""


class Stretch(NamedTuple):
    """The next accounts of a lane; `is_last`: there are none behind them."""

    claim: Claim
    found: list[Found]
    is_last: bool


class Tally(msgspec.Struct):
    """What became of a stretch's accounts."""

    issued: int = 0
    replayed: int = 0
    nothing_to_bill: int = 0
    not_due: int = 0
    refused: int = 0
    refusals: list[RefusedAccount] = msgspec.field(default_factory=list)

    def refuse(self, account_number: str, code: str, message: str) -> None:
        self.refused += 1
        self.refusals.append(RefusedAccount(account_number, code, message))


def bill(stretches: Sequence[Stretch], ledger: Ledger) -> list[Tally] | None:
    """What became of each stretch's accounts, once every invoice is in the log.

    None: an account was billed or changed by somebody else since it was looked at, so look again.
    """
    asked = [ask_for(stretch) for stretch in stretches]
    outcomes = iter(ledger.handle_seen([one for _, asking in asked for one in asking]))
    for stretch, (tally, asking) in zip(stretches, asked, strict=True):
        for request, _, _ in asking:
            if not _count(tally, stretch.claim, request, next(outcomes)):
                return None
    return [tally for tally, _ in asked]


def ask_for(stretch: Stretch, *, dry_run: bool = False) -> tuple[Tally, list[Asking]]:
    """What is asked for the accounts that are to be billed; the others are counted."""
    claim = stretch.claim
    asked, key = claim.asked, key_of(claim.asked.period)
    tally = Tally()
    asking = []
    for account in stretch.found:
        if account.position is not None:
            _count_used(tally, claim, account, key)
            continue
        state = decode_account(account.state)
        command = invoice_of(state, asked)
        if command == "not_due":
            tally.not_due += 1
        elif command == "nothing_to_bill":
            tally.nothing_to_bill += 1
        else:
            request = Request(
                account_number=account.account_number,
                key=key,
                command=command,
                actor=claim.actor,
                # It may be issued later than it was asked for: when an invoice was cancelled since.
                today=max(asked.asked_on, command.issued_on or asked.asked_on),
                currency=state.currency,
                dry_run=dry_run,
            )
            asking.append((request, account.account_id, account.seen(state, asked.period)))
    return tally, asking


def _count_used(tally: Tally, claim: Claim, account: Found, key: str) -> None:
    """Counts an account whose key was used: it keeps the invoice it has, whoever issued it."""
    assert account.position is not None
    assert account.topic is not None
    if account.topic.partition(":")[0] in _INVOICES:
        _count_invoice(tally, claim, account.position)
    else:
        refusal = IdempotencyKeyReused(key=key)
        tally.refuse(account.account_number, refusal.code, str(refusal))


def _count(tally: Tally, claim: Claim, request: Request, outcome: Outcome) -> bool:
    """Counts an outcome; False when the account was changed since it was looked at, as below."""
    if isinstance(outcome, Refused):
        return count_refused(tally, claim.asked, request, outcome.refusal)
    _count_invoice(tally, claim, outcome.positions[0])
    return True


def count_refused(tally: Tally, asked: Asked, request: Request, refusal: Refusal) -> bool:
    """Counts an account that got no invoice; False when it must be looked at again.

    Its key was used for another command since, or an invoice of it was cancelled: without a day of
    issue asked for, the one that the command names is then too early.
    """
    if isinstance(refusal, IdempotencyKeyReused):
        return False
    if asked.issued_on is None and isinstance(refusal, EffectiveBeforeCause):
        return False
    if refusal.code in _NOTHING:
        tally.nothing_to_bill += 1
    else:
        tally.refuse(request.account_number, refusal.code, str(refusal))
    return True


def _count_invoice(tally: Tally, claim: Claim, position: int) -> None:
    if position > claim.from_position:
        tally.issued += 1
    else:
        tally.replayed += 1
