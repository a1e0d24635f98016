"""Outcomes of the ledger's thread reach the event loop: all of them, in one go."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from api.handover import Handover

COUNT = 50


def settle(asked: list[Future[int]]) -> None:
    """Each has its place as its result."""
    for n, one in enumerate(asked):
        one.set_result(n)


def test_what_is_settled_together_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush settles many while the loop is busy: it is called once, and each gets its own."""
    calls: list[object] = []

    async def hand_over() -> list[int]:
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe

        def counted(callback: Callable[[], object]) -> asyncio.Handle:
            calls.append(callback)
            return wake(callback)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        handover = Handover[int]()
        asked = [Future[int]() for _ in range(COUNT)]
        answers = [handover.awaited(one) for one in asked]
        flush = threading.Thread(target=settle, args=(asked,))
        flush.start()
        flush.join()  # the loop waits here: nothing can be handed over meanwhile
        return await asyncio.gather(*answers)

    assert list(range(COUNT)) == asyncio.run(hand_over())
    assert len(calls) == 1


def test_all_that_is_settled_one_after_another_arrives() -> None:
    """However a thread that settles and a loop that looks fall together, nobody waits in vain."""

    async def hand_over() -> int:
        handover = Handover[int]()
        asked = [Future[int]() for _ in range(2_000)]
        answers = [handover.awaited(one) for one in asked]
        flush = threading.Thread(target=settle, args=(asked,))
        flush.start()
        found = await asyncio.wait_for(asyncio.gather(*answers), 10)
        flush.join()
        return sum(found)

    assert sum(range(2_000)) == asyncio.run(hand_over())


def test_a_fault_reaches_who_asked_and_who_left_takes_nothing_from_others() -> None:
    """One has failed, one is asked for by nobody any more, and the third has its answer."""

    async def hand_over() -> int:
        handover = Handover[int]()
        failed, left, done = (Future[int]() for _ in range(3))
        answers = [handover.awaited(one) for one in (failed, left, done)]
        answers[1].cancel()
        failed.set_exception(KeyError("a"))
        left.set_result(2)
        done.set_result(3)
        with pytest.raises(KeyError):
            await answers[0]
        return await answers[2]

    assert 3 == asyncio.run(hand_over())
