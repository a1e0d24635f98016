"""Outcomes of the ledger's thread on their way to an event loop: all that are ready in one go."""

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """Of one event loop, which is woken once for what a flush settles, not for each of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done: deque[tuple[Future[T], asyncio.Future[T]]] = deque()
        self._is_called = False

    def awaited(self, asked: Future[T]) -> "asyncio.Future[T]":
        """The same to be awaited; whoever leaves changes nothing of what was asked."""
        answer: asyncio.Future[T] = self._loop.create_future()
        asked.add_done_callback(lambda done: self._take(done, answer))
        return answer

    def _take(self, done: Future[T], answer: "asyncio.Future[T]") -> None:
        """In the thread that settled it."""
        self._done.append((done, answer))
        # The loop unsets this before it looks: what it might have passed over calls it again.
        if not self._is_called and not self._loop.is_closed():
            self._is_called = True
            self._loop.call_soon_threadsafe(self._give)

    def _give(self) -> None:
        """In the event loop."""
        self._is_called = False
        while self._done:
            done, answer = self._done.popleft()
            if answer.done():
                continue
            fault = done.exception()
            if fault is not None:
                answer.set_exception(fault)
            else:
                answer.set_result(done.result())
