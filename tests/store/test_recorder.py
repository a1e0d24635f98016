"""The lane recorder keeps the library's contract."""

from typing import Any

import pytest
from eventsourcing.tests.persistence import ApplicationRecorderTestCase

from ledger.store.connection import OneConnection
from ledger.store.recorder import LaneRecorder
from tests.store.databases import Database


class TestLaneRecorder(ApplicationRecorderTestCase[LaneRecorder]):
    """Everything the library's own test case asks of an application recorder, timings excepted."""

    @pytest.fixture(autouse=True)
    def _of(self, database: Database) -> Any:
        self.datastore = OneConnection(database.writer)
        yield
        self.datastore.close()

    def create_recorder(self) -> LaneRecorder:
        return LaneRecorder(self.datastore, lane=7)

    def test_insert_subscribe(self) -> None:
        """A subscription gives what is there, then what comes, and stops when told."""
        self.optional_test_insert_subscribe()
