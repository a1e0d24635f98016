"""A sample account's diary: what is planned for which day, and the requests made so far."""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import date, timedelta
from random import Random

from api.sample.tally import Tally
from ledger.commands import AnyCommand, Request

ENTRIES_MAX = 200_000
RATING = "service:rating"
BILLING = "service:billing"
CASHIER = "service:payments"
SUPPORT = "staff:support"
FINANCE = "staff:finance"


class Diary(ABC):
    """Plans for days, carried out in order; the tally of what has come of them."""

    def __init__(self, account_number: str, seed: str, last_day: date) -> None:
        self.account_number = account_number
        self.dice = Random(f"{seed}/{account_number}")
        self.day = date.min
        self.requests: list[Request] = []
        self.tally = Tally()
        self._last_day = last_day
        self._plans: list[tuple[date, int, Callable[[], None]]] = []
        self._planned = 0
        self._numbers: dict[str, int] = {}

    @abstractmethod
    def begin(self) -> None:
        """The account is opened, and everything that will come is planned."""

    def plan(self, day: date, action: Callable[[], None]) -> None:
        """The action is carried out on the day (never before now), unless the sample ends first."""
        self._planned += 1
        heapq.heappush(self._plans, (max(day, self.day), self._planned, action))

    def plan_in(self, days: float, action: Callable[[], None]) -> None:
        self.plan(self.day + timedelta(days=round(days)), action)

    def carry_out(self) -> None:
        """Everything planned up to the last day is done."""
        for _ in range(ENTRIES_MAX):
            if not self._plans or self._plans[0][0] > self._last_day:
                return
            self.day, _, action = heapq.heappop(self._plans)
            action()
        raise AssertionError(f"{self.account_number} is never done")

    def ask(self, command: AnyCommand, actor: str) -> None:
        """The command is asked for on the day that it is in the diary."""
        self.requests.append(
            Request(
                account_number=self.account_number,
                key=f"sample-{len(self.requests) + 1}",
                command=command,
                actor=actor,
                today=self.day,
            )
        )

    def new_id(self, kind: str) -> str:
        """The next identifier of a kind, such as P-12."""
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return f"{kind}-{self._numbers[kind]}"

    def happens(self, share: float) -> bool:
        return self.dice.random() < share
