"""A ledger in memory for tests of importing: a book an account, with keys that replay."""

from collections.abc import Sequence
from concurrent.futures import Future

from ledger.account import figures
from ledger.book import Book
from ledger.commands import Request
from ledger.errors import IdempotencyKeyReused, Refusal
from ledger.store.lanes import account_id, lane_of
from ledger.store.outcomes import Accepted, Outcome, Refused


class Books:
    """Accounts by number, each a book; `enqueue` is the one door."""

    def __init__(self) -> None:
        self.of: dict[str, Book] = {}
        self.batches: list[int] = []
        self._keys: dict[tuple[str, str], object] = {}

    def enqueue(self, requests: Sequence[Request]) -> Future[list[Outcome]]:
        answer: Future[list[Outcome]] = Future()
        answer.set_result(self.handle(requests))
        return answer

    def handle(self, requests: Sequence[Request]) -> list[Outcome]:
        self.batches.append(len(requests))
        return [self._one(request) for request in requests]

    def currency_of(self, account_number: str) -> str | None:
        book = self.of.get(account_number)
        return book.account.currency if book and book.account else None

    @property
    def events(self) -> int:
        return sum(len(book.events) for book in self.of.values())

    def _one(self, request: Request) -> Outcome:
        key = (request.account_number, request.key)
        if key in self._keys:
            if self._keys[key] == request.command:
                return self._accepted(request, replayed=True)
            return Refused(IdempotencyKeyReused(key=request.key))
        book = self.of.get(request.account_number) or Book()
        try:
            book.handle(request)
        except Refusal as refusal:
            return Refused(refusal)
        self.of[request.account_number] = book
        self._keys[key] = request.command
        return self._accepted(request, replayed=False)

    def _accepted(self, request: Request, *, replayed: bool) -> Accepted:
        account = self.of[request.account_number].account
        assert account is not None
        id = account_id("test", request.account_number)
        return Accepted(
            account_id=id,
            lane=lane_of(id),
            version=account.version,
            events=(),
            figures=figures(account, request.today),
            today=request.today,
            replayed=replayed,
        )
