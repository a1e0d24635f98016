"""One account in memory: its history folded from the first event, for replay, audit and proofs."""

from collections.abc import Iterable

import msgspec

from ledger.account import Account
from ledger.allocation import first_open
from ledger.commands import Request
from ledger.decider import Decision, decide, evolve, needs
from ledger.events import Event
from ledger.items import Item, Ref
from ledger.needs import Known, Named, answered_from

NEEDS_ROUNDS_MAX = 6
"""Rounds of reading a command may take before it is decided."""


class Book:
    """An account, all its items and all its events."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.account: Account | None = None
        self.items: dict[Ref, Item] = {}
        self.events: list[Event] = []
        for event in events:
            self._evolve(event)
        self._set_due_on()

    def apply(self, event: Event) -> None:
        """Takes an event that has happened."""
        self._evolve(event)
        self._set_due_on()

    def handle(self, request: Request) -> Decision:
        """Decides a command and takes its events; raises the Refusal, and then nothing changes."""
        known = Known()
        for _ in range(NEEDS_ROUNDS_MAX):
            wanted = known.missing(needs(self.account, known, request.command, request.today))
            if not wanted:
                break
            # What is named is read first, as the store does: what it says may narrow the ranges.
            for query in [query for query in wanted if isinstance(query, Named)] or wanted:
                known.answer(query, answered_from(self.items, query))
        else:
            raise AssertionError(f"{request.command} needs more than {NEEDS_ROUNDS_MAX} rounds")
        decision = decide(self.account, known, request)
        if not request.dry_run:
            for event in decision.events:
                self._evolve(event)
            self._set_due_on()
        return decision

    def _evolve(self, event: Event) -> None:
        self.account, changed = evolve(self.account, self.items, event)
        self.items.update(changed)
        self.events.append(event)

    def _set_due_on(self) -> None:
        if self.account is None:
            return
        due_on = first_open(self.items, self.account.unapplied_minor)
        self.account = msgspec.structs.replace(self.account, due_on=due_on)
