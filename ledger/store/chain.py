"""Commands of one account taken by one flush: each decided on what the one before it made."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from ledger.account import Account, figures
from ledger.commands import PostMessage
from ledger.decider import Decision, decide, needs
from ledger.errors import IdempotencyKeyReused, Refusal
from ledger.items import Item, Ref
from ledger.needs import Known, Named, Query, RangeQuery
from ledger.store.append import (
    AccountRow,
    Batch,
    EventRow,
    KeyRow,
    TextRow,
    account_state,
    encode,
    item_row,
)
from ledger.store.hashes import account_hash
from ledger.store.held import Held, range_key
from ledger.store.mapper import EventMapper, Recorded
from ledger.store.outcomes import Accepted, Outcome, Refused, Reply
from ledger.store.reads import Wanted
from ledger.store.waiting import Waiting

Settle = Callable[[Batch], Outcome | Exception]
"""Makes an outcome once the batch that holds the chain is appended."""


class Chain:
    """The commands of one account, its state and items as they become, and the rows to append.

    Every outcome holds only once the chain is appended: also a refusal may follow from an event
    before it.
    """

    def __init__(
        self,
        waiting: Sequence[Waiting],
        account: Account | None,
        hash: bytes,
        named: Mapping[Named, Item | None],
        mapper: EventMapper,
    ) -> None:
        """All of one moment: the account and its hash, and items or that they are not."""
        self.waiting = waiting
        self.place = waiting[0].place
        self.expected = account.version if account else 0
        self.settled: list[tuple[Waiting, Settle]] = []
        self._left = deque(waiting)
        self._mapper = mapper
        self._account = account
        self._hash = hash
        self._held = Held(nothing_stored=account is None)
        for query, item in named.items():
            self._held.take_named(query, item)
        self._events: list[EventRow] = []
        self._keys: list[KeyRow] = []
        self._changed: dict[Ref, tuple[Item, int]] = {}
        self._texts: list[TextRow] = []
        self._done: dict[str, tuple[Waiting, Settle]] = {}

    @property
    def appends(self) -> bool:
        """Whether the chain has events to append."""
        return bool(self._events)

    def advance(self) -> Wanted | None:
        """Decides as many commands as can be; what must be read for the next one, or None."""
        while self._left:
            waiting = self._left[0]
            done = self._done.get(waiting.request.key)
            if done is not None:
                self._repeat(waiting, *done)
            else:
                known, unread = self._known(waiting)
                if unread:
                    return self._wanted(unread)
                self._decide(waiting, known)
            self._left.popleft()
        return None

    def defer(self) -> list[Waiting]:
        """Leaves what is not decided to the next flush; gives it back."""
        left = list(self._left)
        self._left.clear()
        self.waiting = self.waiting[: len(self.waiting) - len(left)]
        return left

    def is_in(self, batch: Batch) -> bool:
        """Whether the account was at the version expected, so that all of the chain was stored."""
        return (self.place[1].bytes, self.expected + 1) in batch.placed

    def add_to(self, batch: Batch) -> None:
        """Adds the chain's rows to an append."""
        assert self._account is not None
        lane, account_id = self.place
        account = self._account
        batch.accounts.append(
            AccountRow(
                lane,
                account_id,
                self.expected,
                account.account_number,
                account.version,
                account_state(account),
                self._hash,
            )
        )
        place = len(batch.accounts)
        batch.events.add(place, self._events)
        batch.keys.add(place, self._keys)
        batch.items.add(place, [item_row(*changed) for changed in self._changed.values()])
        batch.texts.add(place, self._texts)

    def _known(self, waiting: Waiting) -> tuple[Known, list[Query]]:
        """What is known for a command, and what must be read first, if anything."""
        request, known, unread = waiting.request, Known(), []
        for query in needs(self._account, known, request.command, request.today):
            items = self._held.answer(query)
            if items is None:
                unread.append(query)
            else:
                known.answer(query, items)
        return known, unread

    def _wanted(self, unread: Sequence[Query]) -> Wanted:
        """What to read: for the next command, and what those after it name outright."""
        asked = list(unread)
        for waiting in list(self._left)[1:]:
            request = waiting.request
            queries = needs(self._account, Known(), request.command, request.today)
            asked.extend(query for query in queries if self._held.answer(query) is None)
        named = {query: None for query in asked if isinstance(query, Named)}
        ranges: dict[tuple[type[RangeQuery], str], RangeQuery] = {}
        for query in asked:
            if not isinstance(query, Named):
                ranges.setdefault(range_key(query), query)
        return Wanted(
            self.place,
            self.expected,
            self._held,
            list(named),
            list(ranges.values()),
            len(self._left),
        )

    def _decide(self, waiting: Waiting, known: Known) -> None:
        try:
            decision = decide(self._account, known, waiting.request)
        except Refusal as refusal:
            # Without its traceback, which refers to this frame: whoever keeps the one keeps the flush.
            refused = Refused(refusal.with_traceback(None))
            self.settled.append((waiting, lambda _: refused))
        except Exception as fault:  # noqa: BLE001 # goes to the one who asked; the others go on
            crashed = fault
            self.settled.append((waiting, lambda _: crashed))
        else:
            self._accept(waiting, decision)

    def _accept(self, waiting: Waiting, decision: Decision) -> None:
        request = waiting.request
        lane, account_id = self.place
        version = self._account.version if self._account else 0
        assert decision.account.version == version + len(decision.events), request
        recorded = tuple(
            Recorded(
                account_id=account_id,
                version=version + n,
                key=request.key,
                actor=request.actor,
                event=event,
            )
            for n, event in enumerate(decision.events, start=1)
        )
        reply = Reply(figures(decision.account, request.today), request.today)
        accepted = Accepted(
            account_id=account_id,
            lane=lane,
            version=decision.account.version,
            events=recorded,
            figures=reply.figures,
            today=reply.today,
        )
        if request.dry_run:
            self.settled.append((waiting, lambda _: accepted))
            return
        hashes = tuple([self._record(event) for event in recorded])
        self._keys.append(
            KeyRow(
                request.key,
                waiting.command_sha256,
                version + 1,
                decision.account.version,
                encode(reply),
            )
        )
        for ref, item in decision.changed.items():
            self._changed[ref] = item, decision.account.version
        self._held.change(decision.changed.values())
        if isinstance(request.command, PostMessage):
            self._texts.append(TextRow(request.command.message_id, request.command.text))
        self._account = decision.account
        settle = partial(_placed, accepted, hashes)
        self._done[request.key] = waiting, settle
        self.settled.append((waiting, settle))

    def _record(self, event: Recorded) -> bytes:
        """Takes an event to append; the account's hash after it."""
        topic, state = self._mapper.body(event.event, event.key, event.actor)
        assert self._mapper.read(topic, state).data == event.event, event
        self._hash = account_hash(self._hash, event.account_id, event.version, topic, state)
        self._events.append(EventRow(event.version, topic, state, self._hash))
        return self._hash

    def _repeat(self, waiting: Waiting, first: Waiting, settle: Settle) -> None:
        """Settles a command whose key another one of this flush has used."""
        if waiting.command_sha256 == first.command_sha256:
            self.settled.append((waiting, lambda batch: _replayed(settle(batch))))
        else:
            reused = Refused(IdempotencyKeyReused(key=waiting.request.key))
            self.settled.append((waiting, lambda _: reused))


def _placed(accepted: Accepted, hashes: tuple[bytes, ...], batch: Batch) -> Accepted:
    account = accepted.account_id.bytes
    places = [batch.placed[account, event.version] for event in accepted.events]
    return msgspec.structs.replace(
        accepted,
        positions=tuple(place.position for place in places),
        recorded_at=places[-1].recorded_at,
        hashes=hashes,
        leaf=places[-1].leaf,
    )


def _replayed(outcome: Outcome | Exception) -> Outcome | Exception:
    assert isinstance(outcome, Accepted)
    return msgspec.structs.replace(outcome, replayed=True)
