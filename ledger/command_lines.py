"""Bulk input as lines of commands: each line a request, decoded by whoever knows the contract."""

from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import sha256
from typing import BinaryIO

from ledger.commands import Request
from ledger.import_marks import Marks
from ledger.import_steps import Step
from ledger.importing import Fault, Finding, numbered_lines
from ledger.store.lanes import LANES

Decode = Callable[[bytes], Request | list[Fault]]
"""The request of a line, or everything that is wrong with it."""
LaneOf = Callable[[bytes], int]
"""The lane of the account that a line names; 0 when it names none."""


class CommandLines:
    """Those lines of a file whose accounts live in some lanes, as steps in the file's order."""

    def __init__(
        self,
        file: BinaryIO,
        decode: Decode,
        *,
        lane_of: LaneOf = lambda line: 0,
        lanes: Collection[int] = range(LANES),
    ) -> None:
        self.lines = self.steps_total = self.resumed = 0
        self.sha256 = b""
        """The digest of the whole file, after `check`."""
        self.marks = Marks(lanes)
        """What need not be done again: to be given between `check` and `steps`, if it is known."""
        self._file = file
        self._decode = decode
        self._lane_of = lane_of
        self._lanes = frozenset(lanes)
        self._on_their_way: dict[int, int] = {}  # lane by line

    def check(self) -> Iterator[Finding | None]:
        """What is wrong with the lines."""
        self.lines = self.steps_total = 0
        digest = sha256()
        for number, _, line in self._own(digest.update):
            self.lines += 1
            read = self._read(line)
            if isinstance(read, Request):
                self.steps_total += 1
                yield None
                continue
            for fault in read:
                yield Finding(line=number, code=fault.code, message=fault.message)
        self.sha256 = digest.digest()

    def steps(self) -> Iterator[Step]:
        """The requests of the good lines that are not done."""
        self.resumed = 0
        for number, lane, line in self._own(lambda read: None):
            if self.marks.is_done(lane, number):
                self.resumed += 1
                continue
            read = self._read(line)
            if isinstance(read, Request):
                self._on_their_way[number] = lane
                yield Step(line=number, request=read)
            else:
                self.marks.leave(lane, number)

    def settled(self, steps: Sequence[Step], refused: Collection[int]) -> None:
        """The marks move on past steps whose outcomes are known, some of them refused."""
        for step in steps:
            settle = self.marks.leave if step.line in refused else self.marks.done
            settle(self._on_their_way.pop(step.line), step.line)
        self.marks.reach(steps[-1].line)

    def _own(self, seen: Callable[[bytes], None]) -> Iterator[tuple[int, int, bytes | None]]:
        """Number, lane and content of the lines in the lanes."""
        for number, line in numbered_lines(self._file, seen):
            lane = 0 if line is None else self._lane_of(line)
            if lane in self._lanes:
                yield number, lane, line

    def _read(self, line: bytes | None) -> Request | list[Fault]:
        if line is None:
            return [Fault(code="too_long", message="the line is too long")]
        return self._decode(line)
