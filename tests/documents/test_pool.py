"""The processes that typeset: bounded, replaced when they die, stopped when they take too long."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psutil
import pytest

from api.documents import pool
from api.documents.pool import NotTypeset, TookTooMuch, Typesetters, TypesettersBusy
from api.documents.typesetting import Typesetter
from tests.api.serving import eventually
from tests.documents.contents import invoice, line, text_of

SMALL = msgspec.json.encode(invoice())
ANA, BEN = UUID(int=1), UUID(int=2)


@pytest.fixture
def typesetters() -> Iterator[Typesetters]:
    made = Typesetters()
    yield made
    made.close()


def processes() -> list[psutil.Process]:
    """The typesetters that this process has started."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):  # others' children may end
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_it_makes_what_a_typesetter_makes(typesetters: Typesetters) -> None:
    """The same bytes, by one process for one document after another."""

    async def twice() -> list[bytes]:
        return [await typesetters.pdf(SMALL, ANA), await typesetters.pdf(SMALL, ANA)]

    before = set(processes())
    first, second = asyncio.run(twice())
    assert first == second == Typesetter().pdf(invoice())
    assert 1 == len(set(processes()) - before)


def test_more_than_may_wait_are_turned_away_at_once(typesetters: Typesetters) -> None:
    """As many as may wait get their document; the rest know at once that they do not."""
    too_many = pool.TYPESETTERS + pool.WAITING_MAX + 5

    async def crowd() -> list[bytes | BaseException]:
        asked = (typesetters.pdf(SMALL, uuid4()) for _ in range(too_many))
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(crowd())
    assert 5 == sum(isinstance(one, TypesettersBusy) for one in found)
    assert too_many - 5 == sum(isinstance(one, bytes) for one in found)
    assert len(processes()) <= pool.TYPESETTERS
    assert isinstance(asyncio.run(crowd())[0], bytes)  # and is open to others again


@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
def test_one_who_asks_for_much_leaves_room_for_others(
    typesetters: Typesetters, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """Above their own bound they are told so at once, and nobody else is; then they may ask again."""
    if is_large:
        monkeypatch.setattr(pool, "LARGE_BYTES", 0)
    theirs_max = pool.LARGE_OF_ONE_MAX if is_large else pool.OF_ONE_MAX

    async def crowd() -> list[bytes | BaseException]:
        askers = [ANA] * (theirs_max + 30) + [BEN, uuid4()]
        asked = (typesetters.pdf(SMALL, asker) for asker in askers)
        found = await asyncio.gather(*asked, return_exceptions=True)
        return [*found, await typesetters.pdf(SMALL, ANA)]

    found = asyncio.run(crowd())
    turned_away = found[theirs_max:-3]
    assert all(isinstance(one, bytes) for one in (*found[:theirs_max], *found[-3:]))
    assert all(isinstance(one, TypesettersBusy) for one in turned_away)
    assert {f"you have {theirs_max}"} == {str(one)[:10] for one in turned_away}
    assert not typesetters._inside


def test_a_process_that_was_killed_is_replaced(typesetters: Typesetters) -> None:
    """Whoever asks next does not notice."""
    before = set(processes())
    asyncio.run(typesetters.pdf(SMALL, ANA))
    [worker] = set(processes()) - before
    worker.kill()
    eventually(lambda: worker.status() == psutil.STATUS_ZOMBIE)
    assert asyncio.run(typesetters.pdf(SMALL, ANA)).startswith(b"%PDF")


def test_a_large_document_ends_its_process(
    typesetters: Typesetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took of memory is given back."""
    before = set(processes())
    lines = [line(n, description="a call of some length " * 8) for n in range(1_000)]
    content = msgspec.json.encode(invoice(lines))
    assert len(content) > pool.LARGE_BYTES
    monkeypatch.setattr(pool, "KEPT_BYTES_MAX", 110 * 2**20)
    asyncio.run(typesetters.pdf(SMALL, ANA))
    assert 1 == len(set(processes()) - before)
    pdf = asyncio.run(typesetters.pdf(content, ANA))
    assert set() == set(processes()) - before
    assert "Total USD 11,000.00" in text_of(pdf)


def test_what_takes_too_long_is_stopped(
    typesetters: Typesetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is gone, and the next document is made by another."""
    before = set(processes())
    with monkeypatch.context() as patched:
        patched.setattr(pool, "_work", _never_answers)
        patched.setattr(pool, "TIME_S_MAX", 0.1)
        with pytest.raises(TookTooMuch):
            asyncio.run(typesetters.pdf(SMALL, ANA))
    assert set() == set(processes()) - before
    assert asyncio.run(typesetters.pdf(SMALL, ANA)).startswith(b"%PDF")


def _never_answers(parent: pool.Parent, fonts: Path | None) -> None:
    while True:
        parent.hear()


def test_what_dies_of_a_document_is_not_tried_for_ever(
    typesetters: Typesetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that ends two processes is refused."""
    monkeypatch.setattr(pool, "_work", _dies)
    with pytest.raises(TookTooMuch):
        asyncio.run(typesetters.pdf(SMALL, ANA))
    assert 0 == typesetters._idle.qsize()


def _dies(parent: pool.Parent, fonts: Path | None) -> None:
    parent.hear()
    raise SystemExit(9)


def test_a_fault_of_the_typesetter_is_told(
    typesetters: Typesetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be typeset is raised with the reason."""
    monkeypatch.setattr(pool, "_work", _fails)
    with pytest.raises(NotTypeset, match="the template is wrong"):
        asyncio.run(typesetters.pdf(SMALL, ANA))


def _fails(parent: pool.Parent, fonts: Path | None) -> None:
    while parent.hear():
        parent.tell(pool._Told(None, 0, "the template is wrong"))
