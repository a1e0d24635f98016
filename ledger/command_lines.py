"""Bulk input as lines of commands: each line a request, decoded by whoever knows the contract."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from ledger.commands import Request
from ledger.importing import Fault, Finding, Step, numbered_lines

Decode = Callable[[bytes], Request | list[Fault]]
"""The request of a line, or everything that is wrong with it."""


class CommandLines:
    """A file of lines as a source of steps, in the file's order."""

    def __init__(self, file: BinaryIO, decode: Decode) -> None:
        self.lines = 0
        self.steps_total = 0
        self._file = file
        self._decode = decode

    def check(self) -> Iterator[Finding | None]:
        """What is wrong with the lines."""
        self.lines = self.steps_total = 0
        for number, line in numbered_lines(self._file):
            self.lines += 1
            read = self._read(line)
            if isinstance(read, Request):
                self.steps_total += 1
                yield None
                continue
            for fault in read:
                yield Finding(line=number, code=fault.code, message=fault.message)

    def steps(self) -> Iterator[Step]:
        """The requests of the good lines."""
        for number, line in numbered_lines(self._file):
            read = self._read(line)
            if isinstance(read, Request):
                yield Step(line=number, request=read)

    def _read(self, line: bytes | None) -> Request | list[Fault]:
        if line is None:
            return [Fault(code="too_long", message="the line is too long")]
        return self._decode(line)
