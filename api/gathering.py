"""Questions of one turn of the event loop asked together: one round trip for all that wait."""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from api.database import WAIT_S, Line, PoolBusy
from api.problems import Problem

BATCH_MAX = 128
BESIDE_MIN = 12
"""Questions that are worth a call beside one under way; fewer wait for its end, but not for long."""
BESIDE_S = 0.05
"""That long: the call under way may be held up, or on a line that is dead."""
WAITING_MAX = 4_096
"""Questions that may wait for a line: past that, whoever asks is better told to come back."""
RETRY_AFTER_S = 1

Q = TypeVar("Q")
A = TypeVar("A")


class Gathering(Generic[Q, A]):
    """Puts questions over a few lines; `answers` gives a batch's, in order.

    A batch is as large as what waits when a line is free, so nobody waits for others to ask.
    """

    def __init__(
        self, lines: Sequence[Line], answers: Callable[[Line, list[Q]], Awaitable[list[A]]]
    ) -> None:
        self._lines = lines
        self._answers = answers
        self._idle = list(lines)
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._since: list[float] = []
        """When those that wait asked, by the event loop's clock."""
        self._due = False
        self._later: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, question: Q) -> "asyncio.Future[A]":
        """The answer to be, or what `answers` raises, or PoolBusy after WAIT_S.

        That is told when the next line is free: where the database is away, once for all who wait.
        Raises Problem at once when too many wait.
        """
        if len(self._waiting) >= WAITING_MAX:
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem("overloaded", "too many requests at once", headers=wait)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, answer))
        self._since.append(loop.time())
        if not self._due:
            self._due = True
            loop.call_soon(self._start)  # after every request that is ready to ask has asked
        return answer

    async def close(self) -> None:
        """What was asked is answered, and no connection is left."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
        for line in self._lines:
            await line.close()

    def _start(self) -> None:
        """Gives what waits to the idle lines."""
        self._due = False
        if self._waiting:
            self._refuse_late()
        while self._waiting and self._idle and self._is_worth_a_call():
            batch = self._waiting[:BATCH_MAX]
            del self._waiting[:BATCH_MAX], self._since[:BATCH_MAX]
            task = asyncio.ensure_future(self._answer(self._idle.pop(), batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._waiting and self._idle and self._later is None:
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(BESIDE_S, self._start_later)

    def _start_later(self) -> None:
        self._later = None
        self._start()

    def _is_worth_a_call(self) -> bool:
        """A call beside another that is under way costs as much as several questions do."""
        if len(self._idle) == len(self._lines) or len(self._waiting) >= BESIDE_MIN:
            return True
        return asyncio.get_running_loop().time() - self._since[0] >= BESIDE_S

    def _refuse_late(self) -> None:
        """Tells who has waited too long; they asked first."""
        late = bisect_left(self._since, asyncio.get_running_loop().time() - WAIT_S)
        for _, answer in self._waiting[:late]:
            if not answer.done():
                answer.set_exception(PoolBusy())
        del self._waiting[:late], self._since[:late]

    async def _answer(self, line: Line, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            found = await self._answers(line, [question for question, _ in batch])
            # Were one left out, those after it would be given somebody else's.
            assert len(found) == len(batch), (len(found), len(batch))
            for (_, answer), one in zip(batch, found, strict=True):
                if not answer.done():  # whoever asked may have gone
                    answer.set_result(one)
        except Exception as fault:  # noqa: BLE001 # every asker gets it, and the edge logs it
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(fault)
        finally:
            self._idle.append(line)
            self._start()
