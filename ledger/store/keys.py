"""The check of keys that makes every retry safe."""

from hashlib import sha256

import msgspec

from ledger.commands import Command
from ledger.errors import IdempotencyKeyReused
from ledger.store.mapper import EventMapper, Recorded
from ledger.store.outcomes import Accepted, Outcome, Refused, Reply
from ledger.store.reads import KeyFound
from ledger.store.waiting import Waiting

_canonical = msgspec.json.Encoder(order="sorted").encode
_decode_reply = msgspec.json.Decoder(Reply).decode


def command_sha256(command: Command) -> bytes:
    """The digest of what is asked: the command alone, in canonical JSON."""
    return sha256(_canonical(command)).digest()


def replay_of(waiting: Waiting, used: KeyFound | None, mapper: EventMapper) -> Outcome | None:
    """What a command gets whose key was used before; None when it was not.

    The same command gets the reply it got, another one is refused. This is the only check of keys:
    whatever happened to an append, nothing is decided before its key was looked up here, unless its
    caller read together with the account that it was not used, and no append was tried since.
    """
    if used is None:
        return None
    if used.command_sha256 != waiting.command_sha256:
        return Refused(IdempotencyKeyReused(key=waiting.request.key))
    lane, account_id = waiting.place
    reply = _decode_reply(used.reply)
    events = []
    for event in used.events:
        body = mapper.read(event.topic, event.state)
        events.append(
            Recorded(
                account_id=account_id,
                version=event.version,
                key=body.key,
                actor=body.actor,
                event=body.data,
            )
        )
    last = used.events[-1]
    return Accepted(
        account_id=account_id,
        lane=lane,
        version=last.version,
        events=tuple(events),
        figures=reply.figures,
        today=reply.today,
        positions=tuple(event.position for event in used.events),
        recorded_at=last.recorded_at,
        hashes=tuple(event.hash for event in used.events),
        leaf=last.leaf,
        # What is found after an append whose end was not seen is this very request's doing.
        replayed=not waiting.maybe_done,
    )
