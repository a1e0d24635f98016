"""Questions asked together: each asker gets the answer to their own question, or a fault."""

import asyncio
from typing import cast

import pytest

from api import gathering as gathering_module
from api.database import DatabaseUnavailable, Line, PoolBusy
from api.gathering import BATCH_MAX, BESIDE_MIN, Gathering

LINES = [cast(Line, object())]


def test_an_answer_that_is_missing_is_given_to_nobody() -> None:
    """Were one answer left out, those after it would be somebody else's: all get a fault instead."""

    async def answers(line: Line, asked: list[int]) -> list[int]:
        return [one for one in asked if one != 2]

    async def ask_all() -> list[int | BaseException]:
        gathering = Gathering(LINES, answers)
        return await asyncio.gather(*map(gathering.ask, (1, 2, 3)), return_exceptions=True)

    assert [AssertionError] * 3 == [type(one) for one in asyncio.run(ask_all())]


def test_who_leaves_takes_no_answer_from_others() -> None:
    """An asker who is gone before the answer comes changes nothing for those asked with them."""

    async def answers(line: Line, asked: list[int]) -> list[int]:
        await asyncio.sleep(0)
        return [10 * one for one in asked]

    async def ask_all() -> list[int]:
        gathering = Gathering(LINES, answers)
        asking = [asyncio.ensure_future(gathering.ask(one)) for one in (1, 2, 3)]
        await asyncio.sleep(0)
        asking[1].cancel()
        left = [await asking[0], await asking[2]]
        with pytest.raises(asyncio.CancelledError):
            await asking[1]
        return [*left, await gathering.ask(4)]

    assert [10, 30, 40] == asyncio.run(ask_all())


def test_who_has_waited_too_long_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is away, and a batch has waited for it in vain: whoever waited behind it as long
    is told at once, and not after a vain wait of each batch."""
    tried: list[int] = []

    async def answers(line: Line, asked: list[int]) -> list[int]:
        tried.append(len(asked))
        await asyncio.sleep(0)
        monkeypatch.setattr(gathering_module, "WAIT_S", -1.0)  # and so long it has taken
        raise DatabaseUnavailable

    async def ask_all() -> list[int | BaseException]:
        gathering = Gathering(LINES, answers)
        asking = map(gathering.ask, range(3 * BATCH_MAX))
        return await asyncio.gather(*asking, return_exceptions=True)

    told = [type(one) for one in asyncio.run(ask_all())]
    assert [DatabaseUnavailable] * BATCH_MAX + [PoolBusy] * 2 * BATCH_MAX == told
    assert [BATCH_MAX] == tried


def test_a_second_call_is_made_for_many_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one call is under way a few questions wait for its end, and enough of them do not."""
    monkeypatch.setattr(gathering_module, "BESIDE_S", 60.0)
    asked: list[int] = []
    end = asyncio.Event()

    async def answers(line: Line, batch: list[int]) -> list[int]:
        asked.append(len(batch))
        await end.wait()
        return batch

    async def ask_all() -> None:
        gathering = Gathering([cast(Line, object()), cast(Line, object())], answers)

        async def ask(count: int) -> list[asyncio.Future[int]]:
            answers = [gathering.ask(n) for n in range(count)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return answers

        waiting = await ask(1)
        waiting += await ask(BESIDE_MIN - 1)
        assert [1] == asked
        waiting += await ask(1)
        assert [1, BESIDE_MIN] == asked
        waiting += await ask(2)
        end.set()
        await asyncio.gather(*waiting)

    asyncio.run(ask_all())
    assert [1, BESIDE_MIN, 2] == asked


def test_nobody_waits_for_a_line_that_is_dead() -> None:
    """One call does not end; a single question that comes after it is answered over the other line."""
    calls: list[list[int]] = []
    end = asyncio.Event()

    async def answers(line: Line, batch: list[int]) -> list[int]:
        calls.append(batch)
        if batch == [1]:
            await end.wait()
        return batch

    async def ask_all() -> list[int]:
        gathering = Gathering([cast(Line, object()), cast(Line, object())], answers)
        held_up = gathering.ask(1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert 2 == await asyncio.wait_for(gathering.ask(2), 10.0)
        end.set()
        return [await held_up, await gathering.ask(3)]

    assert [1, 3] == asyncio.run(ask_all())
    assert [[1], [2], [3]] == calls
