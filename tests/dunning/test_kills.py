"""Runs killed with -9 in their midst: what is missing is posted by the next, and nothing twice."""

import signal
import subprocess
import sys

import pytest

from api.embedded import EmbeddedServer
from tests.dunning.books import Dunned, late, told

ACCOUNTS = 30
LIMIT_S = 60


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_killed_in_the_midst(server: EmbeddedServer, dunned: Dunned, when: str) -> None:
    """Killed twice, within an account's charges too, before or after they are in the log: a run then
    posts the rest, and all of it together is what one run would have posted."""
    dunned.many(ACCOUNTS)
    expected = told(dunned.run(late(16), dry_run=True)[0], late(16))
    for batch in (2, 7):
        before = len(dunned.posted())
        command = [sys.executable, "-m", "tests.dunning.runner", str(server.directory)]
        runner = subprocess.Popen([*command, dunned.database.name, when, str(batch)])
        assert -signal.SIGKILL == runner.wait(LIMIT_S)
        assert before < len(dunned.posted()) < len(expected)
    _, totals = dunned.run(late(16))
    assert (0, 0) == (totals.refused, totals.posted_before)
    assert expected == dunned.posted()
    assert dunned.database.first_break() is None
