"""Bulk input: a file checked whole in a first pass, then applied in bounded batches, retry-safe."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Protocol

import msgspec

from ledger.commands import OpenAccount, Request
from ledger.store.outcomes import Outcome, Refused

LINE_BYTES_MAX = 262_144
"""Longest line read; a longer one is reported and passed over."""
BATCH_MAX = 500
"""Requests handed over together."""
PROBLEMS_KEPT_MAX = 10_000
"""Problems a summary holds; every one is reported as it is found, and counted."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong: a stable code, and a sentence for a person."""

    code: str
    message: str


class Problem(Fault, frozen=True, kw_only=True):
    """What is wrong with a line, by its number from 1."""

    line: int


class Finding(Problem, frozen=True, kw_only=True):
    """What the first pass says of a line: bad, or (`repeated`) the same as an earlier one."""

    repeated: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A request and the line it comes from.

    `fenced`: handed over only when the outcome of the account's last fenced step is known.
    `if_refused`: sent next when this is refused, so that a line leaves nothing half done.
    `had`: codes of refusals that say that what is asked for is there already.
    """

    line: int
    request: Request
    fenced: bool = False
    if_refused: Request | None = None
    had: frozenset[str] = frozenset()


class Source(Protocol):
    """A file that can be read twice."""

    def check(self) -> Iterator[Finding | None]:
        """What is wrong with its lines, in order, in memory that does not grow with the file.

        None for a line with nothing wrong.
        """
        ...

    def steps(self) -> Iterator[Step]:
        """What its good lines ask for, after `check`, each account's in order."""
        ...

    @property
    def lines(self) -> int:
        """The lines checked that hold something."""
        ...

    @property
    def steps_total(self) -> int:
        """How many steps there are, after `check`."""
        ...


Handle = Callable[[Sequence[Request]], Sequence[Outcome]]
"""Decides requests in order and records them: the store's committer."""
Progress = Callable[[str, int, int], None]
"""Told the phase ("check" or "apply"), how much is done, and of how much (0: not known)."""


class Summary(msgspec.Struct, kw_only=True):
    """What an import did; `applied` is False when bad lines kept it from starting.

    `accounts` are those it opened. `accepted`, `replayed` and `refused` count commands, the others
    lines. The lists hold the first PROBLEMS_KEPT_MAX.
    """

    applied: bool = False
    lines: int = 0
    bad_lines: int = 0
    repeated_lines: int = 0
    accounts: int = 0
    accepted: int = 0
    replayed: int = 0
    refused: int = 0
    bad: list[Problem] = msgspec.field(default_factory=list)
    repeated: list[Problem] = msgspec.field(default_factory=list)
    refusals: list[Problem] = msgspec.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything in the file is in the ledger."""
        return self.applied and not self.bad_lines and not self.refused


def run(
    source: Source,
    handle: Handle,
    *,
    skip_bad: bool = False,
    report: Callable[[Problem], None] = lambda problem: None,
    progress: Progress = lambda phase, done, total: None,
) -> Summary:
    """What importing the source did.

    Nothing is applied when a line is bad, unless `skip_bad`. A step that is refused is reported
    with its line and refuses only itself. A second run changes nothing: keys are the file's.
    """
    summary = Summary()
    last_bad = 0
    for found in source.check():
        if source.lines % BATCH_MAX == 0:
            progress("check", source.lines, 0)
        if found is None:
            continue
        if found.repeated:
            summary.repeated_lines += 1
            _keep(summary.repeated, found)
        else:
            summary.bad_lines += found.line != last_bad
            last_bad = found.line
            _keep(summary.bad, found)
        report(found)
    summary.lines = source.lines
    if summary.bad_lines and not skip_bad:
        return summary
    summary.applied = True
    done = 0
    for batch in _batches(source.steps()):
        for refused in _apply(batch, handle, summary):
            summary.refused += 1
            _keep(summary.refusals, refused)
            report(refused)
        done += len(batch)
        progress("apply", done, source.steps_total)
    return summary


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """The lines from the file's start, numbered from 1, without their ends; None: too long.

    Lines that hold nothing are left out. A mark of byte order before the first is dropped.
    """
    file.seek(0)
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) > LINE_BYTES_MAX:
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_BYTES_MAX)
            yield number, None
        elif line.strip():
            yield number, line.rstrip(b"\r\n")


def _batches(steps: Iterator[Step]) -> Iterator[list[Step]]:
    batch: list[Step] = []
    fenced: set[str] = set()
    for step in steps:
        account = step.request.account_number
        if len(batch) >= BATCH_MAX or (step.fenced and account in fenced):
            yield batch
            batch, fenced = [], set()
        batch.append(step)
        if step.fenced:
            fenced.add(account)
    if batch:
        yield batch


def _apply(batch: list[Step], handle: Handle, summary: Summary) -> Iterator[Problem]:
    outcomes = handle([step.request for step in batch])
    undoing = []
    for step, outcome in zip(batch, outcomes, strict=True):
        if not isinstance(outcome, Refused):
            _count(summary, step.request, replayed=outcome.replayed)
        elif outcome.refusal.code in step.had:
            summary.replayed += 1
        else:
            refusal = outcome.refusal
            yield Problem(line=step.line, code=refusal.code, message=str(refusal))
            if step.if_refused is not None:
                undoing.append(step.if_refused)
    for request, outcome in zip(undoing, handle(undoing) if undoing else (), strict=True):
        if not isinstance(outcome, Refused):
            _count(summary, request, replayed=outcome.replayed)


def _count(summary: Summary, request: Request, *, replayed: bool) -> None:
    if replayed:
        summary.replayed += 1
    else:
        summary.accepted += 1
        summary.accounts += isinstance(request.command, OpenAccount)


def _keep(kept: list[Problem], problem: Problem) -> None:
    if len(kept) < PROBLEMS_KEPT_MAX:
        kept.append(problem)
