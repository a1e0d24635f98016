"""Steps of bulk input: handed over in bounded batches, several on their way at once, told in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import msgspec

from ledger.commands import Request
from ledger.store.outcomes import Outcome, Refused

BATCH_MAX = 500
"""Requests handed over together."""
BATCHES_MAX = 4
"""Batches on their way: while one is appended, another is decided and the next ones are read."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A request and the line it comes from.

    `if_refused`: sent when this is refused, so that a line leaves nothing half done.
    `fenced`: handed over only when the outcomes of the account's earlier steps that are fenced or
    have an `if_refused` are known, and nothing of them is left half done.
    `had`: codes of refusals that say that what is asked for is there already.
    """

    line: int
    request: Request
    fenced: bool = False
    if_refused: Request | None = None
    had: frozenset[str] = frozenset()

    def is_refused(self, outcome: Outcome) -> bool:
        """Whether the outcome is a refusal of what is not there already."""
        return isinstance(outcome, Refused) and outcome.refusal.code not in self.had


Enqueue = Callable[[Sequence[Request]], Future[list[Outcome]]]
"""Takes requests to be decided and recorded in order, also those of several calls: the store's door."""


class Decided(NamedTuple):
    """A batch of steps with their outcomes, and what was sent because some were refused."""

    steps: list[tuple[Step, Outcome]]
    undone: list[tuple[Request, Outcome]]


def decided(steps: Iterable[Step], enqueue: Enqueue) -> Iterator[Decided]:
    """What became of the steps, in order, a batch at a time; raises what the door raises.

    Up to BATCHES_MAX batches are on their way meanwhile.
    """
    flying: deque[_Flight] = deque()
    for batch in _batches(steps):
        while flying and (
            len(flying) >= BATCHES_MAX
            or flying[0].answer.done()
            or any(batch.fenced & flight.batch.fences for flight in flying)
        ):
            yield flying.popleft().landed(enqueue)
        flying.append(_Flight(batch, enqueue([step.request for step in batch.steps])))
    while flying:
        yield flying.popleft().landed(enqueue)


class _Batch:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.fenced: set[str] = set()
        """Accounts whose fences must be gone before this is handed over."""
        self.fences: set[str] = set()
        """Accounts whose fenced steps wait until this is done."""

    def takes(self, step: Step) -> bool:
        is_held = step.fenced and step.request.account_number in self.fences
        return len(self.steps) < BATCH_MAX and not is_held

    def add(self, step: Step) -> None:
        self.steps.append(step)
        if step.fenced:
            self.fenced.add(step.request.account_number)
        if step.fenced or step.if_refused is not None:
            self.fences.add(step.request.account_number)


class _Flight(NamedTuple):
    """A batch on its way."""

    batch: _Batch
    answer: Future[list[Outcome]]

    def landed(self, enqueue: Enqueue) -> Decided:
        """What became of the batch, once that is known and what was refused is undone."""
        steps = list(zip(self.batch.steps, self.answer.result(), strict=True))
        undoing = [
            step.if_refused
            for step, outcome in steps
            if step.if_refused is not None and step.is_refused(outcome)
        ]
        outcomes = enqueue(undoing).result() if undoing else []
        return Decided(steps, list(zip(undoing, outcomes, strict=True)))


def _batches(steps: Iterable[Step]) -> Iterator[_Batch]:
    batch = _Batch()
    for step in steps:
        if not batch.takes(step):
            yield batch
            batch = _Batch()
        batch.add(step)
    if batch.steps:
        yield batch
