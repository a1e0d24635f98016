"""Many commands at once: the next are decided while the last are appended, whatever goes wrong."""

import threading
from collections.abc import Callable, Iterator

import msgspec
import pytest
from eventsourcing.persistence import OperationalError

from ledger.commands import Request
from ledger.store import writer
from ledger.store.append import Batch
from ledger.store.committer import Ledger
from ledger.store.faults import LedgerClosed, StoreUnavailable
from ledger.store.flush import Flush
from ledger.store.outcomes import Accepted
from ledger.store.waiting import Order
from tests.store.databases import US, Database
from tests.store.scenario import charge, opening, requests

ACCOUNTS = 30
CHARGES = 60
"""Of each account: more than two flushes take of all."""
LIMIT_S = 30

Append = Callable[[Batch], None]


@pytest.fixture
def asked(ledger: Ledger) -> list[Request]:
    """Charges of many accounts, which are open, in turns."""
    numbers = [f"A-{n}" for n in range(ACCOUNTS)]
    for number in numbers:
        ledger.handle_now(requests(number, [opening()]))
    return [
        msgspec.structs.replace(request, key=f"c{n}")
        for n in range(CHARGES)
        for number in numbers
        for request in requests(number, [charge(f"c{n}")])
    ]


@pytest.fixture
def beside(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Append]]:
    """What is done, in this order, instead of the appends beside the reads; those left are real."""
    steps: list[Append] = []
    real = ledger._writer._beside.append

    def append(batch: Batch) -> None:
        (steps.pop(0) if steps else real)(batch)

    monkeypatch.setattr(ledger._writer._beside, "append", append)
    yield steps
    assert not steps, "not all was done"


def are_whole(database: Database) -> bool:
    """Whether each account has every charge once, in order."""
    told = [f"c{n}" for n in range(CHARGES)]
    return all(
        [recorded.key for recorded in database.recorded(f"A-{n}")[1:]] == told
        for n in range(ACCOUNTS)
    )


def test_the_next_are_decided_while_the_last_are_appended(
    ledger: Ledger,
    database: Database,
    asked: list[Request],
    beside: list[Append],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An append that waits for the next flush to be decided ends; all is done once, in order."""
    real = ledger._writer._beside.append
    decided, came = threading.Event(), []

    def deciding(*given: object) -> Flush:
        flush = Flush(*given)  # type: ignore[arg-type] # handed on
        decided.set()
        return flush

    def waits(batch: Batch) -> None:
        decided.clear()
        came.append(decided.wait(LIMIT_S))
        real(batch)

    monkeypatch.setattr(writer, "Flush", deciding)
    beside.append(waits)
    outcomes = ledger.enqueue(asked).result(LIMIT_S)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert [True] == came
    assert are_whole(database)
    assert database.first_break() is None


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_connection_lost_in_a_stream_loses_and_doubles_nothing(
    ledger: Ledger,
    database: Database,
    asked: list[Request],
    beside: list[Append],
    *,
    is_stored: bool,
) -> None:
    """An append's end is not seen, whether it was stored or not: all is done once, in order, and
    nobody is told of a replay."""
    real = ledger._writer._beside.append

    def lost(batch: Batch) -> None:
        if is_stored:
            real(batch)
        raise OperationalError("planted")

    beside.append(lost)
    outcomes = ledger.enqueue(asked).result(LIMIT_S)
    assert all(isinstance(outcome, Accepted) and not outcome.replayed for outcome in outcomes)
    assert are_whole(database)
    assert database.first_break() is None


def test_nothing_decided_behind_a_command_that_is_given_up_is_appended(
    ledger: Ledger,
    database: Database,
    asked: list[Request],
    beside: list[Append],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database fails once too often: nothing of the order is recorded, also what was decided
    meanwhile; sent again in a new order all is done, in order."""
    monkeypatch.setattr(writer, "FAILURES_MAX", 0)

    def lost(batch: Batch) -> None:
        raise OperationalError("planted")

    beside.append(lost)
    order = Order()
    with pytest.raises(StoreUnavailable, match="planted"):
        ledger.enqueue(asked, order).result(LIMIT_S)
    with pytest.raises(StoreUnavailable, match="given up"):
        ledger.enqueue(asked[:1], order).result(LIMIT_S)
    assert [ACCOUNTS] == database.rows("SELECT count(*) FROM ledger.event")
    assert all(isinstance(outcome, Accepted) for outcome in ledger.enqueue(asked).result(LIMIT_S))
    assert are_whole(database)


def test_an_account_changed_meanwhile_is_decided_again(
    ledger: Ledger, database: Database, asked: list[Request], beside: list[Append]
) -> None:
    """Another process changes accounts between a flush's reads and its append: these are decided
    again, and all is done once, in order."""
    real = ledger._writer._beside.append
    other = Ledger(database.service_url, US.code)

    def overtaken(batch: Batch) -> None:
        first = batch.accounts[0].account_number
        [request] = requests(first, [charge("other")])
        other.handle_now([msgspec.structs.replace(request, key="other")])
        real(batch)

    beside += [overtaken, overtaken]
    outcomes = ledger.enqueue(asked).result(LIMIT_S)
    other.close()
    assert all(isinstance(outcome, Accepted) and not outcome.replayed for outcome in outcomes)
    told = [f"c{n}" for n in range(CHARGES)]
    keys = [[r.key for r in database.recorded(f"A-{n}")[1:]] for n in range(ACCOUNTS)]
    assert all([key for key in found if key != "other"] == told for found in keys)
    assert 1 <= sum("other" in found for found in keys)
    assert database.first_break() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_crash_of_an_append_is_heard_by_everybody(
    ledger: Ledger, asked: list[Request], beside: list[Append]
) -> None:
    """Who waits for the append, for what was decided behind it, or for their turn is told why."""

    def crash(batch: Batch) -> None:
        raise ZeroDivisionError("planted")

    beside.append(crash)
    with ledger._writer._changed:  # nothing is taken before all of it waits
        answers = [ledger.enqueue(asked[n : n + 100]) for n in range(0, len(asked), 100)]
    for answer in answers:
        with pytest.raises(LedgerClosed, match="planted"):
            answer.result(LIMIT_S)
    with pytest.raises(LedgerClosed, match="planted"):
        ledger.handle_now(asked[:1])
