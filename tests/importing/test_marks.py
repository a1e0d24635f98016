"""Marks of an import: a second run sends what is not known to be done, and nothing else is lost."""

import io
from collections.abc import Iterator
from contextlib import suppress

import pytest

from api.embedded import EmbeddedServer
from api.wire import Lines
from ledger import import_marks, import_steps
from ledger.command_lines import CommandLines
from ledger.import_marks import KeptMarks, Mark, Marks
from ledger.importing import Problem, Summary, apply, check
from ledger.store.migrate import migrate
from tests.importing.bodies import CHARGE, OPENING
from tests.importing.books import Books
from tests.importing.files import TODAY, line
from tests.store.databases import SERVICE, US, Database

SHA256 = b"\x01" * 32


class Broken(Exception):
    """Stands for the end of a process."""


def run(books: Books, found: list[bytes], marks: Marks, batches: int) -> tuple[Summary, list[int]]:
    """What an import of the lines does that is broken off after some batches, and whom it refused."""
    lines = Lines(currency="USD", currency_of=lambda _: "USD", today=TODAY, actor="import")
    source = CommandLines(io.BytesIO(b"\n".join(found)), lines.request_or_faults)
    refused: list[Problem] = []
    left = [batches]

    def progress(phase: str, done: int, total: int) -> None:
        left[0] -= phase == "apply"
        if left[0] < 0:
            raise Broken

    summary = check(source, report=lambda problem: None, progress=progress)
    source.marks = marks
    with suppress(Broken):
        apply(
            source,
            books.enqueue,
            summary,
            report=refused.append,
            progress=progress,
            settled=source.settled,
        )
    return summary, [problem.line for problem in refused]


def test_what_was_refused_or_bad_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the lines before the mark just those are sent, and then told and counted, that were not
    done; once done they are passed over as well."""
    monkeypatch.setattr(import_steps, "BATCH_MAX", 2)
    books, marks = Books(), Marks(range(64))
    charges = [
        line("post_charge", key=f"c{n}", **{**CHARGE, "charge_id": f"C-{n}"}) for n in range(9)
    ]
    found = [
        line("post_charge", key="early", **{**CHARGE, "charge_id": "early"}),
        b"not json",
        line("open_account", key="open", **OPENING),
        *charges,
    ]
    _, refused = run(books, found, marks, batches=2)
    assert [1] == refused
    assert Mark(line=7, left={1, 2}) == marks.of[0]
    summary, refused = run(books, found, marks, batches=99)
    assert [] == refused  # the account is there by now
    assert (5, 0, 6) == (summary.resumed, summary.replayed, summary.accepted)
    assert Mark(line=12, left={2}) == marks.of[0]
    events = books.events
    summary, _ = run(books, found, marks, batches=99)
    assert (11, 0, 0) == (summary.resumed, summary.replayed, summary.accepted)
    assert events == books.events


def test_a_mark_that_can_hold_no_more_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lines are refused, no line that was not done lies before the mark unnamed."""
    monkeypatch.setattr(import_marks, "LEFT_MAX", 3)
    marks = Marks([7])
    for at in (9, 10, 11, 4, 6):  # bad lines are met earlier than the outcomes of those before them
        marks.leave(7, at)
    marks.reach(20)
    assert (3, True) == (marks.of[7].line, {9, 10, 11} == marks.of[7].left)
    assert [False] * 2 == [marks.is_done(7, at) for at in (4, 6)]


@pytest.fixture
def kept(server: EmbeddedServer, empty_database: str) -> Iterator[KeptMarks]:
    database = Database(
        empty_database, server.owner_url(empty_database), server.service_url(empty_database)
    )
    migrate(database.owner_url, region=US, service_role=SERVICE)
    marks = KeptMarks(database.service_url, SHA256)
    yield marks
    marks.close()


def test_marks_are_kept_by_file_and_lane_and_never_go_back(kept: KeptMarks) -> None:
    """Whoever got further is believed, with what is left up to there; other lanes have none, and
    a file that is done has none."""
    further = Marks([1, 2])
    assert kept.write(further)
    further.of = {1: Mark(10, {3, 11}), 2: Mark(5, set())}
    assert kept.write(further)
    behind = Marks([1])
    behind.of[1] = Mark(9, set())
    assert kept.write(behind)
    assert {1: Mark(10, {3}), 2: Mark(5, set()), 3: Mark()} == kept.read([1, 2, 3]).of
    kept.forget()
    assert {1: Mark()} == kept.read([1]).of
