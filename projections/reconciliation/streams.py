"""Rows of a lane in order of account (and position), read in batches and taken as their turn comes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Row = tuple[Any, ...]


class Stream:
    """Rows that are taken by the fields they begin with; keys must come in ascending order."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._next: Row | None = None

    def begin(self) -> None:
        """The first rows are there."""
        self._next = next(self._rows, None)

    def before(self, *key: Any) -> Iterable[Row]:
        """The rows before a key, which nobody took."""
        if self._next is None or self._next[: len(key)] >= key:
            return ()
        return self._while(lambda row: row[: len(key)] < key)

    def at(self, *key: Any) -> list[Row]:
        """The rows of a key, once there are none before it."""
        row, fields = self._next, len(key)
        if row is None or row[:fields] != key:
            return []
        found = list[Row]()
        while row is not None and row[:fields] == key:
            found.append(row)
            row = next(self._rows, None)
        self._next = row
        return found

    def rest(self) -> Iterable[Row]:
        """The rows after all that were taken."""
        return self._while(lambda row: True)

    def _while(self, holds: Callable[[Row], bool]) -> Iterator[Row]:
        while self._next is not None and holds(self._next):
            row, self._next = self._next, next(self._rows, None)
            yield row
