"""Steps of bulk input on their way: several batches at once, bounded, and nothing left half done."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from ledger import events as e
from ledger import import_steps
from ledger.commands import PostCharge, Request
from ledger.import_steps import BATCH_MAX, BATCHES_MAX, Step, decided
from ledger.store.outcomes import Outcome
from tests.importing.books import Books
from tests.importing.files import TODAY, csv_file, imported, row


def steps(count: int) -> list[Step]:
    """Charges of one account that does not exist."""
    command = PostCharge(charge_id="c", amount_minor=1, description="calls", category="voice")
    return [
        Step(
            line=n + 1,
            request=Request(
                account_number="A", key=f"k-{n}", command=command, actor="t", today=TODAY
            ),
        )
        for n in range(count)
    ]


class Slow:
    """A door that decides a batch only when too many wait, the oldest first, or when no more come."""

    def __init__(self, waiting_max: int, batches: int) -> None:
        self.waiting_most = 0
        self._waiting_max = waiting_max
        self._to_come = batches
        self._books = Books()
        self._waiting: deque[tuple[Sequence[Request], Future[list[Outcome]]]] = deque()

    def enqueue(self, requests: Sequence[Request]) -> Future[list[Outcome]]:
        answer: Future[list[Outcome]] = Future()
        self._waiting.append((requests, answer))
        self._to_come -= 1
        self.waiting_most = max(self.waiting_most, len(self._waiting))
        while len(self._waiting) > (self._waiting_max if self._to_come else 0):
            waited, its_answer = self._waiting.popleft()
            its_answer.set_result(self._books.handle(waited))
        return answer


def test_batches_are_on_their_way_while_earlier_ones_are_decided() -> None:
    """As many as may be and no more, and what became of each is told in order."""
    slow = Slow(BATCHES_MAX - 1, batches=9)
    told = [
        step.line
        for batch in decided(steps(9 * BATCH_MAX), slow.enqueue)
        for step, _ in batch.steps
    ]
    assert list(range(1, 9 * BATCH_MAX + 1)) == told
    assert BATCHES_MAX == slow.waiting_most


class Unseen(Future[list[Outcome]]):
    """Outcomes that are there, but that nobody knows of before they are waited for."""

    def done(self) -> bool:
        return False


class FarBooks(Books):
    """Books far away: whatever is sent on meanwhile is decided before an answer is read."""

    def enqueue(self, requests: Sequence[Request]) -> Future[list[Outcome]]:
        answer = Unseen()
        answer.set_result(self.handle(requests))
        return answer


@pytest.mark.parametrize("size", range(1, 9))
def test_a_refused_invoice_takes_its_charge_back_wherever_a_batch_ends(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Billed through May by hand, the lines of March and April are refused, and no later invoice
    bills their charges, however the steps fall into batches, and however late answers are."""
    monkeypatch.setattr(import_steps, "BATCH_MAX", size)
    books = FarBooks()

    def month(n: int) -> str:
        days = {"InvoiceDate": f"{n}/1/2019", "DueDate": f"{n}/28/2019"}
        return row(invoiceNumber=str(n), SettledDate="", PaperlessDate="12/1/2018", **days)

    imported(csv_file(month(1), month(5)), books)
    _, reported = imported(csv_file(month(3), month(4), month(7), month(8)), books)
    assert [(2, "period_billed"), (3, "period_billed")] == [(p.line, p.code) for p in reported]
    issued = [i for i in books.of["0042-AB"].events if isinstance(i, e.InvoiceIssued)]
    assert {"1": 5594, "5": 5594, "7": 5594, "8": 5594} == {i.number: i.total_minor for i in issued}
