"""Connections cut around the commit of every kind of command: nothing doubled, nothing lost."""

from collections.abc import Iterator
from itertools import product

import msgspec
import pytest

from ledger.book import Book
from ledger.store import flush, writer
from ledger.store.committer import Ledger
from ledger.store.faults import LedgerClosed
from ledger.store.outcomes import Accepted, Outcome
from tests.store.cutting import Cut, CuttingProxy
from tests.store.databases import US, Database
from tests.store.scenario import every_command, requests

CUTS: tuple[Cut, ...] = ("before", "during", "after")


@pytest.fixture
def proxy(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[CuttingProxy]:
    monkeypatch.setattr(writer, "BACKOFF_S", 0.0005)
    cutting = CuttingProxy(database.service_url)
    yield cutting
    cutting.close()


def faults(database: Database, proxy: CuttingProxy, cut: Cut, number: str) -> list[str]:
    """Sends a command of every kind, each with its append cut once; what went wrong, if anything."""
    wrong: list[str] = []
    book = Book()
    ledger = Ledger(proxy.url, US.code)
    try:
        for request in requests(number, every_command()):
            kind = type(request.command).__name__
            expected = book.handle(request)
            proxy.cut = cut
            (first,) = ledger.handle_now([request])
            if proxy.cut is not None:
                wrong.append(f"{kind}: not cut")
            (again,) = ledger.handle_now([request])
            if not isinstance(first, Accepted):
                wrong.append(f"{kind}: answered {first}")
            elif tuple(recorded.event for recorded in first.events) != expected.events:
                wrong.append(f"{kind}: other events")
            if as_replay(again) != as_replay(first):
                wrong.append(f"{kind}: the retry was answered otherwise")
    except LedgerClosed as crash:
        wrong.append(f"crashed: {crash.__cause__!r}")
    finally:
        proxy.cut = None
        ledger.close()
    stored = [recorded.event for recorded in database.recorded(number)]
    if len(stored) != len(book.events):
        wrong.append(f"{len(stored)} events stored of {len(book.events)}")
    elif stored != book.events:
        wrong.append("other events stored")
    return wrong


def as_replay(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Accepted):
        return msgspec.structs.replace(outcome, replayed=True)
    return outcome


def test_cuts_neither_double_nor_lose(database: Database, proxy: CuttingProxy) -> None:
    """More than 200 cuts before, during and after the commit of every kind of command: each is
    recorded once, and every retry gets the first reply."""
    for n, cut in product(range(3), CUTS):
        assert faults(database, proxy, cut, f"{cut}-{n}") == []
    assert proxy.cuts == 9 * len(every_command())
    assert proxy.cuts > 200
    assert database.first_break() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_without_the_check_of_keys_cuts_do_harm(
    database: Database, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the look-up of keys removed the same run finds commands doubled or answered wrongly."""
    monkeypatch.setattr(flush, "replay_of", lambda waiting, used, mapper: None)
    found = faults(database, proxy, "after", "A-1")
    assert any("answered" in fault for fault in found), found
    # The primary key of command_key stops what got past the look-up; without it there is a double.
    database.run("ALTER TABLE ledger.command_key DROP CONSTRAINT command_key_pkey")
    found = faults(database, proxy, "after", "A-2")
    assert any("events stored of" in fault for fault in found), found
