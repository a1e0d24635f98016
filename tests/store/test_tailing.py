"""Many writers and a reader that follows them: nothing missed, no gaps, nothing read twice."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

from eventsourcing.persistence import StoredEvent

from ledger.store.connection import OneConnection
from ledger.store.hashes import first_break_of_lane
from ledger.store.lanes import LANES
from ledger.store.log import Log
from ledger.store.recorder import EventAt, LaneRecorder
from ledger.store.roles import PROJECTOR
from tests.store.databases import Database

ROOT = Path(__file__).parents[2]
WRITERS = 8
COMMANDS = 2_600
LIMIT_S = 90


class Follower:
    """Follows every lane from its start, and notes what it misses."""

    def __init__(self, conninfo: str) -> None:
        self.log = Log(conninfo)
        self.seen: list[EventAt] = []
        self.gaps = 0
        self._at = [0] * LANES

    def follow(self) -> None:
        """Reads what is past the positions read so far."""
        for lane, position, _ in self.log.heads():
            if position > self._at[lane]:
                for event in self.log.read_lane(lane, self._at[lane]):
                    self.gaps += event.position != self._at[lane] + 1
                    self._at[lane] = event.position
                    self.seen.append(event)


def follow_writers(database: Database, commands: int) -> tuple[Follower, int, int]:
    """Lets writers in processes of their own write while a follower reads; gives the follower,
    what the writers recorded, and how many of them failed."""
    follower = Follower(database.acting_as(PROJECTOR))
    program = [sys.executable, "-m", "tests.store.writing", database.service_url]
    writers = [
        subprocess.Popen(
            [*program, str(n), str(commands)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for n in range(1, WRITERS + 1)
    ]  # fmt: skip  # arguments by what they are for
    limit = time.monotonic() + LIMIT_S
    while any(writer.poll() is None for writer in writers):
        follower.follow()
        if time.monotonic() > limit:
            for writer in writers:
                writer.kill()
    answers = [writer.communicate()[0] for writer in writers]
    follower.follow()
    follower.log.close()
    failed = sum(writer.returncode != 0 for writer in writers)
    return follower, sum(int(answer or 0) for answer in answers), failed


def missed(follower: Follower, database: Database) -> int:
    """How many stored events the follower has not seen."""
    stored = set(database.rows("SELECT lane, position FROM ledger.event"))
    return len(stored - {(event.lane, event.position) for event in follower.seen})


def test_a_reader_that_follows_writers_misses_nothing(database: Database) -> None:
    """8 writing processes and a tailing reader over more than 20,000 events: 0 missed, 0 gaps,
    every accepted command once, and history holds together."""
    follower, recorded, failed = follow_writers(database, COMMANDS)
    assert failed == 0
    assert recorded >= 20_000
    assert (missed(follower, database), follower.gaps) == (0, 0)
    assert len(follower.seen) == recorded
    assert max(Counter((e.account_id, e.version) for e in follower.seen).values()) == 1
    for lane in range(LANES):
        assert first_break_of_lane(e for e in follower.seen if e.lane == lane) is None


def test_appends_without_the_lock_are_seen(database: Database) -> None:
    """When appends do not lock the lane's head, the log's own constraints stop the writers."""
    database.plant("append", "FOR UPDATE", "")
    _, _, failed = follow_writers(database, 300)
    assert failed > 0


def test_positions_out_of_commit_order_are_seen(database: Database) -> None:
    """When a position becomes visible after a later one, the reader that went on has missed it."""
    recorder = LaneRecorder(OneConnection(database.writer), lane=5)
    recorder.insert_events([StoredEvent(uuid4(), 1, "said:1", b"") for _ in range(9)])
    recorder.datastore.close()
    database.run(
        "CREATE TABLE late AS SELECT * FROM ledger.event WHERE position = 4;"
        " DELETE FROM ledger.event WHERE position = 4"
    )
    follower = Follower(database.acting_as(PROJECTOR))
    follower.follow()
    database.run("INSERT INTO ledger.event SELECT * FROM late")
    follower.follow()
    follower.log.close()
    assert (missed(follower, database), follower.gaps) == (1, 1)
