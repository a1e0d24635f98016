"""What differs of one account: named once each, with the first event that disagrees."""

from collections.abc import Iterator, Sequence
from typing import Any

from projections.reconciliation.account_fold import AccountFold, Sum
from projections.reconciliation.books import Books
from projections.reconciliation.streams import Row


class Findings:
    """One account's fold, and what was found to differ from it."""

    def __init__(self, books: Books, account_id: bytes) -> None:
        self.books = books
        self.account_id = account_id
        self.fold = AccountFold()
        self.changed_at: int | None = None
        """The first event that is not the one that was hashed."""
        self._first: dict[str, int] = {}
        self._said: set[tuple[str, str]] = set()

    def differs(self, where: str, figure: str, says: str, **found: Any) -> None:
        """A figure differs; it is not noted again for later events."""
        if (where, figure) in self._said:
            return
        self._said.add((where, figure))
        self.books.differs(
            where,
            figure,
            says,
            account_number=self.fold.number or self.books.number_of(self.account_id),
            currency=self.fold.currency,
            **found,
        )

    def event_differs(self, position: int, figure: str, says: str, **found: Any) -> None:
        """An event contradicts the others, or itself."""
        where = f"ledger.event {self.books.lane}-{position}"
        self.differs(where, figure, says, first_position=position, **found)

    def row_differs(
        self, where: str, figure: str, differing: "Differing", amount: int, position: int
    ) -> None:
        """A row made of one event differs; `amount` is the place of its amount."""
        should, has, says = differing
        self._first.setdefault(figure, position)
        self.differs(
            where,
            figure,
            says,
            expected_minor=should[amount] if should else None,
            found_minor=has[amount] if has else None,
            first_position=position,
        )

    def check_sum(self, where: str, figure: str, expected: Sum, found_minor: int) -> None:
        """A sum is what the events come to."""
        if expected.amount_minor != found_minor:
            first = self._first.get(figure) or self.changed_at or expected.position or None
            self.differs(
                where,
                figure,
                "it is not the sum of what the events move",
                expected_minor=expected.amount_minor,
                found_minor=found_minor,
                first_position=first,
            )

    def check_facts(self, where: str, said: Sequence[object]) -> None:
        """An account's number and currency, then version and position if given, are those of its events."""
        fold = self.fold
        facts = {
            "account_number": fold.number,
            "currency": fold.currency,
            "version": fold.version,
            "position": fold.position,
        }
        for (name, should), has in zip(facts.items(), said, strict=False):
            if should != has:
                says = f"{name} is {has}, not {should}"
                self.differs(where, name, says, first_position=fold.position)


Differing = tuple[Any, Any, str]
"""A row as it should be, as it is (either may be None), and in what it differs."""


def differing(
    names: Sequence[str], expected: Sequence[Row], found: Sequence[Row]
) -> Iterator[Differing]:
    """The rows that differ, told apart by their first field."""
    should_by, has_by = {row[0]: row for row in expected}, {row[0]: row for row in found}
    for key in sorted(should_by.keys() | has_by.keys()):
        should, has = should_by.get(key), has_by.get(key)
        if should is None:
            yield None, has, "there is a row that no event makes"
        elif has is None:
            yield should, None, "the row is not there"
        elif should != has:
            facts = zip(names, should, has, strict=True)
            says = (f"{name} is {is_}, not {not_}" for name, not_, is_ in facts if is_ != not_)
            yield should, has, ", ".join(says)
