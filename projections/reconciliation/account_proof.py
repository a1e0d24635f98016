"""One account proved: its events follow from one another, and every row that was made of them from them."""

from uuid import UUID

from eventsourcing.persistence import MapperDeserialisationError

from ledger.movements import movements
from ledger.store.faults import message_of
from ledger.store.hashes import FIRST, account_hash, lane_leaf
from ledger.store.mapper import EventMapper
from projections.batches import FOLD_FAULTS
from projections.journal.entries import entries
from projections.reconciliation.books import Books
from projections.reconciliation.findings import Findings
from projections.reconciliation.journal_check import JournalCheck
from projections.reconciliation.receivables_check import ReceivablesCheck
from projections.reconciliation.streams import Row
from projections.reconciliation.written_check import WrittenCheck


class AccountProof:
    """One account while its events go by, in order of version; then `finish`.

    Each read model is held against the events that it has taken of the account, the write side
    against all of them.
    """

    def __init__(self, books: Books, account_id: bytes, mapper: EventMapper) -> None:
        self._books = books
        self._id = account_id
        self._uuid = UUID(bytes=account_id)
        self._mapper = mapper
        self._findings = Findings(books, account_id)
        self._receivables = ReceivablesCheck(self._findings)
        self._journal = JournalCheck(self._findings)
        self._written = WrittenCheck(self._findings)
        self._receivables_upto = _upto(
            books.receivables_position, books.receivables_parked.get(account_id)
        )
        self._journal_upto = _upto(books.journal_position, books.journal_parked.get(account_id))
        self._hash = FIRST
        self._is_read = True
        self._has_receivables_left = True

    def take(self, row: Row) -> None:
        """Holds one event, as the log has it, against what was made of it."""
        _, position, version, topic, state, recorded_at, _, _ = row
        if position > self._receivables_upto:
            self._finish_receivables()
        self._check_chain(row)
        if not self._is_read:
            return
        fold = self._findings.fold
        if version != fold.version + 1:
            self._stop_reading(position, f"version {fold.version + 1} is missing before it")
            return
        try:
            event = self._mapper.read(topic, state).data
            moved, entered = movements(event), entries(event)
            wrong = fold.take(position, version, recorded_at.date(), event, moved)
        except (MapperDeserialisationError, *FOLD_FAULTS) as fault:
            self._stop_reading(position, f"cannot be read: {message_of(fault)}")
            return
        for figure, expected_minor, found_minor in wrong:
            self._findings.event_differs(
                position,
                figure,
                "the event says otherwise of lines than the events of the lines do",
                expected_minor=expected_minor,
                found_minor=found_minor,
            )
        self._written.take(position, version, event)
        day = recorded_at.date()
        if position <= self._receivables_upto:
            self._books.expect_day("receivables", day, position)
            self._receivables.take(position, version, recorded_at, event, moved)
        if position <= self._journal_upto:
            self._books.expect_day("journal", day, position)
            self._journal.take(position, recorded_at, moved, entered)

    def finish(self) -> None:
        """Holds what the account has come to against what is kept of it."""
        self._finish_receivables()
        if self._is_read:
            self._written.finish(self._hash)
            self._journal.finish()
        self._tell_parked()
        self._leave()

    def _check_chain(self, row: Row) -> None:
        """The event is the one that was hashed; the next is held against the hash that is stored."""
        _, position, version, topic, state, recorded_at, hash, leaf = row
        expected = account_hash(self._hash, self._uuid, version, topic, state)
        if hash != expected:
            says = f"the event is not the one that was hashed: {expected.hex()}, not {hash.hex()}"
            self._findings.event_differs(position, "hash", says)
            self._findings.changed_at = self._findings.changed_at or position
        elif leaf != lane_leaf(self._books.lane, position, recorded_at, hash):
            says = "the event does not stand where, or is not from when, it was recorded"
            self._findings.event_differs(position, "leaf", says)
        self._hash = hash

    def _stop_reading(self, position: int, says: str) -> None:
        """Nothing of the account can be told from an event on."""
        self._is_read = False
        self._books.has_unread = True
        says = f"{says}; what follows of the account is not proved"
        self._findings.event_differs(position, "event", says)

    def _finish_receivables(self) -> None:
        if self._has_receivables_left and self._is_read:
            self._has_receivables_left = False
            self._receivables.finish()

    def _tell_parked(self) -> None:
        """Nobody's figures stand still unnoticed."""
        for model, parked in (
            ("receivables", self._books.receivables_parked),
            ("journal", self._books.journal_parked),
        ):
            if row := parked.pop(self._id, None):
                _, position, error = row
                found = {"first_position": position, "kind": "parked"}
                says = f"its figures stand still: {error}"
                self._findings.differs(f"{model}.parked", "parked", says, **found)

    def _leave(self) -> None:
        """No row of the account is left, but for those of events that cannot be read."""
        books = self._books
        for where, stream in books.streams:
            books.strays(where, stream.before(self._id))
            left = stream.at(self._id)
            is_followed = self._written.is_followed or stream is not books.written_items
            if self._is_read and is_followed:
                books.strays(where, left)
            elif stream is books.entries:
                self._journal.take_as_found(left)
        for rows in books.by_account.values():
            rows.pop(self._id, None)


def _upto(position: int, parked: Row | None) -> int:
    """The last position that a read model has of an account."""
    return position if parked is None else min(position, int(parked[1]) - 1)
