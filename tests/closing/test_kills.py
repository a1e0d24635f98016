"""Runners killed with -9 at the worst moments: every account has exactly one invoice all the same."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from uuid import UUID

import pytest

from api.embedded import EmbeddedServer
from ledger import closing as closing_module
from ledger.closing import MonthEnds
from ledger.closing_batch import Tally, bill
from ledger.commands import Request
from ledger.store.committer import Ledger
from ledger.store.outcomes import Outcome
from ledger.store.reads import Seen
from tests.closing.books import ACTOR, TODAY, Closing, check_each_billed_once, many

ACCOUNTS = 200
MID_JULY = date(2020, 7, 15)
JULY_31 = date(2020, 7, 31)
LIMIT_S = 60


def runner(
    server: EmbeddedServer, closing: Closing, when: str, batch: int
) -> "subprocess.Popen[bytes]":
    directory = str(server.directory)
    command = [sys.executable, "-m", "tests.closing.runner", directory, closing.database.name]
    return subprocess.Popen([*command, when, str(batch)])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_runner_killed_in_the_midst(server: EmbeddedServer, closing: Closing, when: str) -> None:
    """Killed twice before, or after, a batch is in the log and before the lane moves on: whoever
    continues bills each account once, the totals are those of the charges, and the counts exact."""
    many(closing, ACCOUNTS, MID_JULY)
    closing.month_ends.ask("2020-07", None, actor=ACTOR, today=TODAY)
    for batch in (3, 30):
        assert -signal.SIGKILL == runner(server, closing, when, batch).wait(LIMIT_S)
        left = closing.month_ends.status("2020-07")
        assert left is not None
        assert ("running", True) == (left.state, left.accounts < ACCOUNTS)
        billed = sum(map(len, closing.under_key("2020-07").values()))
        assert billed > left.issued if when == "after" else billed == left.issued
    run = closing.close("2020-07")
    assert (ACCOUNTS, ACCOUNTS, 0) == (run.accounts, run.issued, run.replayed)
    check_each_billed_once(closing, "2020-07", JULY_31)


def test_several_processes_one_of_them_killed(server: EmbeddedServer, closing: Closing) -> None:
    """Two runners share the lanes; one is killed, and the other goes on with its lane at once."""
    many(closing, ACCOUNTS, MID_JULY)
    closing.month_ends.ask("2020-07", None, actor=ACTOR, today=TODAY)
    killed, other = (
        runner(server, closing, when, batch) for when, batch in (("after", 10), ("never", 0))
    )
    assert (-signal.SIGKILL, 0) == (killed.wait(LIMIT_S), other.wait(LIMIT_S))
    run = closing.month_ends.status("2020-07")
    assert run is not None
    assert ("finished", ACCOUNTS, ACCOUNTS) == (run.state, run.accounts, run.issued)
    check_each_billed_once(closing, "2020-07", JULY_31)


class Died(Exception):
    """Stands for the end of a process."""


class DyingOnce:
    """A door to the log that dies before it appends its fifth batch with invoices."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._left = 5

    def handle_seen(self, seen: Sequence[tuple[Request, UUID, Seen]]) -> list[Outcome]:
        self._left -= bool(seen)
        if self._left == 0:
            raise Died
        return self._ledger.handle_seen(seen)


def moved_ahead(self: MonthEnds, ledger: Ledger) -> bool:
    """The fault: a lane moves on before its invoices are in the log."""
    connection = self._open()
    with connection.transaction():
        claims = closing_module._claims(connection)
        if not claims:
            return False
        stretches = closing_module._stretches(connection, claims, closing_module.BATCH_MAX)
        tallies = [Tally(issued=len(stretch.found)) for stretch in stretches]
        closing_module._move(connection, stretches, tallies)
    bill(stretches, ledger)
    return True


@pytest.mark.parametrize("planted", [False, True])
def test_progress_moved_before_the_append_is_caught(
    closing: Closing, monkeypatch: pytest.MonkeyPatch, planted: bool
) -> None:
    """The check that each account is billed once holds; with the fault planted it fails."""
    if planted:
        monkeypatch.setattr(MonthEnds, "_step", moved_ahead)
    many(closing, ACCOUNTS, MID_JULY)
    closing.month_ends.ask("2020-07", None, actor=ACTOR, today=TODAY)
    with pytest.raises(Died):
        closing.month_ends.work(DyingOnce(closing.ledger))  # type: ignore[arg-type] # the part used
    closing.close("2020-07")
    if planted:
        with pytest.raises(AssertionError):
            check_each_billed_once(closing, "2020-07", JULY_31)
    else:
        check_each_billed_once(closing, "2020-07", JULY_31)
