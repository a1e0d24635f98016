"""What every row is given: where to work, how much, and how long."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import NamedTuple

from api.wiring import Database
from benchmarks.model import Model
from benchmarks.places import Place
from benchmarks.told import Told, accounts, request
from ledger.commands import Request
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted

TOGETHER = 5_000
"""Commands handed to the committer at once: more than a flush takes, so that it never waits."""

ACCOUNTS_MIN = 40


class Bench(NamedTuple):
    """How a run goes. `scale` multiplies what is stored, `seconds` is how long a round lasts."""

    place: Place
    scale: float
    pairs: int
    seconds: float
    progress: Callable[[str, int, int], None]

    def scaled(self, count: int, *, at_least: int = 1, at_most: int | None = None) -> int:
        """A count grown or shrunk by the scale."""
        grown = max(round(count * self.scale), at_least)
        return grown if at_most is None else min(grown, at_most)

    def accounts(self, count: int) -> list[str]:
        """The numbers of that many accounts; of fewer when less is told of them."""
        return accounts(self.scaled(count, at_least=ACCOUNTS_MIN, at_most=count))

    def fill(self, database: Database, model: Model, told: Iterable[Told], total: int = 0) -> int:
        """Tells all of it through the committer and the model; how many commands."""
        done = 0
        with closing(database.ledger()) as ledger:
            for part in parts(told):
                handle(ledger, [request(one) for one in part])
                model.take(part)
                done += len(part)
                self.progress("filling", done, total)
        return done


def handle(ledger: Ledger, requests: Sequence[Request]) -> None:
    """All of them are done now, none refused."""
    for start in range(0, len(requests), TOGETHER):
        for outcome in ledger.handle_now(requests[start : start + TOGETHER]):
            assert isinstance(outcome, Accepted), outcome


def parts(told: Iterable[Told]) -> Iterator[list[Told]]:
    """As many at a time as are handed over together."""
    left = iter(told)
    while part := list(islice(left, TOGETHER)):
        yield part
