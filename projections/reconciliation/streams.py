"""Rows of a lane in order of account (and position), read in batches and taken as their turn comes."""

from collections.abc import Iterator
from typing import Any

Row = tuple[Any, ...]


class Stream:
    """Rows that are taken by the fields they begin with; keys must come in ascending order."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def before(self, *key: Any) -> Iterator[Row]:
        """The rows before a key that nobody took."""
        while self._next is not None and self._next[: len(key)] < key:
            yield self._pop()

    def at(self, *key: Any) -> list[Row]:
        """The rows of a key, once there are none before it."""
        found = []
        while self._next is not None and self._next[: len(key)] == key:
            found.append(self._pop())
        return found

    def rest(self) -> Iterator[Row]:
        """The rows after all that were taken."""
        while self._next is not None:
            yield self._pop()

    def _pop(self) -> Row:
        row = self._next
        assert row is not None
        self._next = next(self._rows, None)
        return row
