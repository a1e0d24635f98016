"""Calls in one order: what was sent after a command that is given up is not done before it."""

import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from eventsourcing.persistence import OperationalError

from ledger.store import writer
from ledger.store.committer import Ledger
from ledger.store.faults import StoreUnavailable
from ledger.store.flush import flush
from ledger.store.outcomes import Accepted
from ledger.store.waiting import Order, Waiting
from tests.store.databases import Database
from tests.store.scenario import charge, opening, requests

LIMIT_S = 30


def test_nothing_overtakes_a_command_that_is_given_up(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database fails once too often for a call: what waits behind it in its order is given up
    as well, and what comes later is turned away; another caller's command of the same account is
    done. Sent again in a new order, all are done, in order."""
    first, second, third, fourth = requests(
        "A-1", [opening(), charge("c1"), charge("c2"), charge("c3")]
    )
    [other] = requests("A-2", [opening()])
    others = msgspec.structs.replace(other, account_number="A-1", key="other")
    sent, failed = threading.Event(), threading.Event()

    def failing(taken: Sequence[Waiting], *given: Any) -> list[Waiting]:
        if not failed.is_set():
            sent.wait(LIMIT_S)
            failed.set()
            raise OperationalError("planted")
        return flush(taken, *given)

    monkeypatch.setattr(writer, "flush", failing)
    monkeypatch.setattr(writer, "FAILURES_MAX", 0)
    order = Order()
    answers = [ledger.enqueue([first], order)]
    for _ in range(LIMIT_S * 100):
        if not ledger.waiting:  # the writer has taken it alone
            break
        failed.wait(0.01)
    answers += [ledger.enqueue([second], order), ledger.enqueue([third], order)]
    done = ledger.enqueue([others])
    sent.set()
    for answer in answers:
        with pytest.raises(StoreUnavailable, match="planted"):
            answer.result(LIMIT_S)
    assert isinstance(done.result(LIMIT_S)[0], Accepted)
    with pytest.raises(StoreUnavailable, match="given up"):
        ledger.enqueue([fourth], order).result(LIMIT_S)
    assert 1 == len(database.recorded("A-1"))
    again = Order()
    again_sent = [ledger.enqueue([request], again) for request in (second, third, fourth)]
    assert all(isinstance(answer.result(LIMIT_S)[0], Accepted) for answer in again_sent)
    assert ["other", "key-1", "key-2", "key-3"] == [r.key for r in database.recorded("A-1")]
