"""How far an import of a file of lines got, lane by lane: where a second run goes on.

The keys alone keep a line from being done twice; a mark only saves sending it again.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psycopg

from ledger.store.roles import WRITER, acting_as
from ledger.store.sql import load

LEFT_MAX = 256
"""Lines that a lane's mark remembers as not done; it goes no further than the last it can hold."""
STATEMENT_TIMEOUT = "30s"

_SQL = load("ledger", "import_marks.sql")

Connection = psycopg.Connection[tuple[Any, ...]]


class Mark(msgspec.Struct):
    """The outcome of every line of a lane up to `line` is known; all but those `left` are done.

    What is left was refused or bad. `line_max`: how far the mark may go, as it can hold no more.
    """

    line: int = 0
    left: set[int] = msgspec.field(default_factory=set)
    line_max: int = sys.maxsize


class Marks:
    """The marks of some lanes in memory: what a run found, and what it adds."""

    def __init__(self, lanes: Iterable[int]) -> None:
        self.of = {lane: Mark() for lane in lanes}

    def is_done(self, lane: int, line: int) -> bool:
        """Whether an earlier run did the line."""
        mark = self.of[lane]
        return line <= mark.line and line not in mark.left

    def leave(self, lane: int, line: int) -> None:
        """The line is not done."""
        mark = self.of[lane]
        if line in mark.left or len(mark.left) < LEFT_MAX:
            mark.left.add(line)
        else:
            mark.line_max = min(mark.line_max, line - 1)

    def done(self, lane: int, line: int) -> None:
        """The line is done."""
        self.of[lane].left.discard(line)

    def reach(self, line: int) -> None:
        """The outcome of every line up to this one is known, in every lane."""
        for mark in self.of.values():
            mark.line = max(mark.line, min(line, mark.line_max))


class KeptMarks:
    """The marks of one file, by its digest, kept in the region's database; used by one thread."""

    def __init__(self, url: str, file_sha256: bytes) -> None:
        self._conninfo = acting_as(url, WRITER, statement_timeout=STATEMENT_TIMEOUT)
        self._file_sha256 = file_sha256
        self._connection: Connection | None = None

    def read(self, lanes: Sequence[int]) -> Marks:
        """The marks of the lanes."""
        marks = Marks(lanes)
        given = {"lanes": list(lanes), "file_sha256": self._file_sha256}
        for lane, line, left in self._open().execute(_SQL["read"], given).fetchall():
            marks.of[lane] = Mark(line, set(left))
        return marks

    def write(self, marks: Marks) -> bool:
        """Whether the marks are kept; they are not while the database is away.

        A lane's is left as it is where another run of the same file got further.
        """
        given = [
            {
                "lane": lane,
                "file_sha256": self._file_sha256,
                "line": mark.line,
                "left": sorted(line for line in mark.left if line <= mark.line),
            }
            for lane, mark in marks.of.items()
            if mark.line
        ]
        try:
            connection = self._open()
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_SQL["write"], given)
        except psycopg.OperationalError:
            self.close()
            return False
        return True

    def forget(self) -> None:
        """Nothing is kept of the file, nor of any that nobody went on with for a month."""
        self._open().execute(_SQL["forget"], {"file_sha256": self._file_sha256})

    def close(self) -> None:
        """No connection is open; the next use opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
        return self._connection
