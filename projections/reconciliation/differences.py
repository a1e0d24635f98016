"""Where the books do not agree: the account, the figure, what it should be, and since which event."""

from datetime import datetime
from typing import Literal

import msgspec

KEPT_MAX = 100
"""Differences of a lane that are kept; all of them are counted."""

Kind = Literal["differs", "parked"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one account that does not agree; amounts in minor units, null where there is none.

    `where` is what was found wrong: a table, and of what it holds which, such as
    `receivables.invoice A-1-2020-06-1`. `account_number` is null for sums over accounts.
    `first_position` is the first event of the lane that disagrees; where only a sum does, the last one
    that moved it; null where there is none. `kind` is "parked" for an account that a read model has
    stopped at an event of: its figures stand still, and were compared as far as they go.
    """

    lane: int
    account_number: str | None
    currency: str | None
    where: str
    figure: str
    expected_minor: int | None = None
    found_minor: int | None = None
    first_position: int | None = None
    says: str
    kind: Kind = "differs"


class Differences:
    """The differences found in a lane: the first of them kept, all counted."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[Difference] = []

    def add(self, difference: Difference) -> None:
        """One more."""
        self.count += 1
        if len(self.kept) < KEPT_MAX:
            self.kept.append(difference)


class LaneProof(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of a lane, and at which positions: of the log, and of what was held against it.

    `seen_at` is when that was, by the database's clock.
    """

    lane: int
    seen_at: datetime
    log_position: int
    receivables_position: int
    journal_position: int
    accounts: int
    events: int
    differences: int
    kept: tuple[Difference, ...]
