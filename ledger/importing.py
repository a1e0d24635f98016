"""Bulk input: a file checked whole in a first pass, then applied in bounded batches, retry-safe."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import BinaryIO, Protocol

import msgspec

from ledger.commands import OpenAccount, Request
from ledger.import_steps import Decided, Enqueue, Step, decided
from ledger.store.outcomes import Outcome, Refused

CHECKS_TOLD_EVERY = 500
"""Lines checked between two words of progress."""
LINE_BYTES_MAX = 262_144
"""Longest line read; a longer one is reported and passed over."""
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

    @property
    def resumed(self) -> int:
        """How many steps were passed over so far because an earlier run did them."""
        ...


Settled = Callable[[Sequence[Step], Collection[int]], None]
"""Told of steps once their outcomes are known, in order, and of the lines of those refused."""
Progress = Callable[[str, int, int], None]
"""Told the phase ("check" or "apply"), how much is done, and of how much (0: not known)."""


class Summary(msgspec.Struct, kw_only=True):
    """What an import did; `applied` is False when bad lines kept it from starting.

    `accounts` are those it opened. `accepted`, `replayed`, `resumed` (not sent again, since an
    earlier run that was broken off did them) and `refused` count commands, the others lines. The
    lists hold the first PROBLEMS_KEPT_MAX.
    """

    applied: bool = False
    lines: int = 0
    bad_lines: int = 0
    repeated_lines: int = 0
    accounts: int = 0
    accepted: int = 0
    replayed: int = 0
    resumed: int = 0
    refused: int = 0
    bad: list[Problem] = msgspec.field(default_factory=list)
    repeated: list[Problem] = msgspec.field(default_factory=list)
    refusals: list[Problem] = msgspec.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything in the file is in the ledger."""
        return self.applied and not self.bad_lines and not self.refused


Report = Callable[[Problem], None]


def run(
    source: Source,
    enqueue: Enqueue,
    *,
    skip_bad: bool = False,
    report: Report = lambda problem: None,
    progress: Progress = lambda phase, done, total: None,
) -> Summary:
    """What importing the source did.

    Nothing is applied when a line is bad, unless `skip_bad`. A step that is refused is reported
    with its line and refuses only itself. A second run changes nothing: keys are the file's.
    """
    summary = check(source, report=report, progress=progress)
    if skip_bad or not summary.bad_lines:
        apply(source, enqueue, summary, report=report, progress=progress)
    return summary


def check(source: Source, *, report: Report, progress: Progress) -> Summary:
    """What is wrong with the source, of which nothing is applied."""
    summary = Summary()
    last_bad = 0
    for found in source.check():
        if source.lines % CHECKS_TOLD_EVERY == 0:
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
    return summary


def apply(
    source: Source,
    enqueue: Enqueue,
    summary: Summary,
    *,
    report: Report,
    progress: Progress,
    settled: Settled = lambda steps, refused: None,
) -> None:
    """The source's steps are applied, after its check, and counted in the summary."""
    summary.applied = True
    done = 0
    for batch in decided(source.steps(), enqueue):
        problems = _count_all(summary, batch)
        for problem in problems:
            _keep(summary.refusals, problem)
            report(problem)
        done += len(batch.steps)
        settled([step for step, _ in batch.steps], {problem.line for problem in problems})
        progress("apply", source.resumed + done, source.steps_total)
    summary.resumed = source.resumed


def merged(summaries: Sequence[Summary]) -> Summary:
    """What several did, each with other lines of one file."""
    whole = Summary(applied=all(summary.applied for summary in summaries))
    for name in Summary.__struct_fields__:
        values = [getattr(summary, name) for summary in summaries]
        if name in ("bad", "repeated", "refusals"):
            problems = sorted((p for kept in values for p in kept), key=lambda p: p.line)
            setattr(whole, name, problems[:PROBLEMS_KEPT_MAX])
        elif name != "applied":
            setattr(whole, name, sum(values))
    return whole


def numbered_lines(
    file: BinaryIO, seen: Callable[[bytes], None] = lambda read: None
) -> Iterator[tuple[int, bytes | None]]:
    """The lines from the file's start, numbered from 1, without their ends; None: too long.

    Lines that hold nothing are left out. A mark of byte order before the first is dropped. `seen`
    is given every byte that is read, in order.
    """
    file.seek(0)
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        seen(line)
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) > LINE_BYTES_MAX:
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_BYTES_MAX)
                seen(line)
            yield number, None
        elif line.strip():
            yield number, line.rstrip(b"\r\n")


def _count_all(summary: Summary, batch: Decided) -> list[Problem]:
    """The refusals of a batch, whose outcomes are counted."""
    problems = []
    for step, outcome in batch.steps:
        if not isinstance(outcome, Refused):
            _count(summary, step.request, outcome)
        elif step.is_refused(outcome):
            refusal = outcome.refusal
            problems.append(Problem(line=step.line, code=refusal.code, message=str(refusal)))
        else:
            summary.replayed += 1
    for request, outcome in batch.undone:
        _count(summary, request, outcome)
    summary.refused += len(problems)
    return problems


def _count(summary: Summary, request: Request, outcome: Outcome) -> None:
    if isinstance(outcome, Refused):
        return
    if outcome.replayed:
        summary.replayed += 1
    else:
        summary.accepted += 1
        summary.accounts += isinstance(request.command, OpenAccount)


def _keep(kept: list[Problem], problem: Problem) -> None:
    if len(kept) < PROBLEMS_KEPT_MAX:
        kept.append(problem)
