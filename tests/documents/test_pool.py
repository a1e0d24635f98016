"""The processes that typeset: bounded, replaced when they die, stopped when they take too long."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from api.documents import pool
from api.documents.pool import NotTypeset, TookTooMuch, Typesetters, TypesettersBusy
from api.documents.typesetting import Typesetter
from tests.api.serving import eventually
from tests.documents.contents import invoice, line, text_of

SMALL = msgspec.json.encode(invoice())


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
        return [await typesetters.pdf(SMALL), await typesetters.pdf(SMALL)]

    before = set(processes())
    first, second = asyncio.run(twice())
    assert first == second == Typesetter().pdf(invoice())
    assert 1 == len(set(processes()) - before)


def test_more_than_may_wait_are_turned_away_at_once(typesetters: Typesetters) -> None:
    """As many as may wait get their document; the rest know at once that they do not."""
    too_many = pool.TYPESETTERS + pool.WAITING_MAX + 5

    async def crowd() -> list[bytes | BaseException]:
        asked = (typesetters.pdf(SMALL) for _ in range(too_many))
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(crowd())
    assert 5 == sum(isinstance(one, TypesettersBusy) for one in found)
    assert too_many - 5 == sum(isinstance(one, bytes) for one in found)
    assert len(processes()) <= pool.TYPESETTERS
    assert isinstance(asyncio.run(crowd())[0], bytes)  # and is open to others again


def test_a_process_that_was_killed_is_replaced(typesetters: Typesetters) -> None:
    """Whoever asks next does not notice."""
    before = set(processes())
    asyncio.run(typesetters.pdf(SMALL))
    [worker] = set(processes()) - before
    worker.kill()
    eventually(lambda: worker.status() == psutil.STATUS_ZOMBIE)
    assert asyncio.run(typesetters.pdf(SMALL)).startswith(b"%PDF")


def test_a_large_document_ends_its_process(
    typesetters: Typesetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took of memory is given back."""
    before = set(processes())
    lines = [line(n, description="a call of some length " * 8) for n in range(1_000)]
    content = msgspec.json.encode(invoice(lines))
    assert len(content) > pool.LARGE_BYTES
    monkeypatch.setattr(pool, "KEPT_BYTES_MAX", 150 * 2**20)
    asyncio.run(typesetters.pdf(SMALL))
    assert 1 == len(set(processes()) - before)
    pdf = asyncio.run(typesetters.pdf(content))
    assert set() == set(processes()) - before
    assert "Total USD 11,000.00" in text_of(pdf)


def test_what_takes_too_long_is_stopped(
    typesetters: Typesetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is gone, and the next document is made by another."""
    asyncio.run(typesetters.pdf(SMALL))
    before = set(processes())
    with monkeypatch.context() as patched:
        patched.setattr(pool, "TIME_S_MAX", 0.0)
        with pytest.raises(TookTooMuch):
            asyncio.run(typesetters.pdf(SMALL))
    assert not any(process.is_running() for process in before)
    assert asyncio.run(typesetters.pdf(SMALL)).startswith(b"%PDF")


def test_what_dies_of_a_document_is_not_tried_for_ever(
    typesetters: Typesetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that ends two processes is refused."""
    monkeypatch.setattr(pool, "_work", _dies)
    with pytest.raises(TookTooMuch):
        asyncio.run(typesetters.pdf(SMALL))
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
        asyncio.run(typesetters.pdf(SMALL))


def _fails(parent: pool.Parent, fonts: Path | None) -> None:
    while parent.hear():
        parent.tell(pool._Told(None, 0, "the template is wrong"))
