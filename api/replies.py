"""What a command is answered with: its events, the figures after them, position and receipt."""

from datetime import date, datetime
from typing import Annotated, Any, TypeVar

import msgspec

from api.amounts import Money, money
from ledger.account import Figures
from ledger.events import Event
from ledger.store.mapper import TOPICS
from ledger.store.outcomes import Accepted

_NAME_OF = {cls: name for name, cls in TOPICS.items()}
_to_json = msgspec.json.Encoder().encode


class EventShown(msgspec.Struct, frozen=True, kw_only=True):
    """An event; `data` is what is kept of it, as its schema in docs/events says (minor units).

    Of a dry run nothing is recorded: no position, instant or hash. `hash` is the account's hash
    chain after the event, SHA-256 in hex.
    """

    position: str | None
    version: int
    type: str
    effective_on: date
    recorded_at: datetime | None
    actor: str
    reason: str | None
    key: str
    data: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
    hash: str | None


Shown = TypeVar("Shown", bound=EventShown)


class FiguresShown(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of the account after the command, on the region's date of the reply."""

    balance: Money
    total_amount_due: Money
    available_credit: Money
    due_on: date | None
    current_activity: Money
    pending_payments: Money
    payable_now: Money


class Receipt(msgspec.Struct, frozen=True):
    """Names the leaf of the last event: what a checkpoint of its lane commits to (SHA-256, hex)."""

    position: str
    recorded_at: datetime
    leaf: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a command; of a dry run without position and receipt."""

    events: list[EventShown]
    figures: FiguresShown
    version: int
    position: str | None
    receipt: Receipt | None


def done(accepted: Accepted, currency: str) -> Done:
    """The answer to a command that was accepted."""
    lane, positions = accepted.lane, accepted.positions
    events = []
    for n, recorded in enumerate(accepted.events):
        is_stored = bool(positions)
        events.append(
            event_shown(
                recorded.event,
                EventShown,
                version=recorded.version,
                actor=recorded.actor,
                key=recorded.key,
                position=f"{lane}-{positions[n]}" if is_stored else None,
                recorded_at=accepted.recorded_at,
                hash=accepted.hashes[n] if is_stored else None,
            )
        )
    position = f"{lane}-{positions[-1]}" if positions else None
    receipt = None
    if position is not None:
        assert accepted.recorded_at is not None
        assert accepted.leaf is not None
        receipt = Receipt(position, accepted.recorded_at, accepted.leaf.hex())
    return Done(
        events=events,
        figures=_figures(accepted.figures, currency),
        version=accepted.version,
        position=position,
        receipt=receipt,
    )


def event_shown(
    event: Event,
    kind: type[Shown],
    *,
    version: int,
    actor: str,
    key: str,
    position: str | None,
    recorded_at: datetime | None,
    hash: bytes | None,
    **more: str,
) -> Shown:
    """An event as replies, lists and the feed show it; `more` is what its kind has besides."""
    reason: Any = getattr(event, "reason", None)
    return kind(
        position=position,
        version=version,
        type=_NAME_OF[type(event)],
        effective_on=event.effective_on,
        recorded_at=recorded_at,
        actor=actor,
        reason=reason,
        key=key,
        data=msgspec.Raw(_to_json(event)),
        hash=hash.hex() if hash is not None else None,
        **more,
    )


def _figures(figures: Figures, currency: str) -> FiguresShown:
    return FiguresShown(
        balance=money(figures.balance_minor, currency),
        total_amount_due=money(figures.total_amount_due_minor, currency),
        available_credit=money(figures.available_credit_minor, currency),
        due_on=figures.due_on,
        current_activity=money(figures.current_activity_minor, currency),
        pending_payments=money(figures.pending_payments_minor, currency),
        payable_now=money(figures.payable_now_minor, currency),
    )
