"""What every account must show afterwards: a fold of what was told, written from the prose alone.

"Unbilled until an invoice takes it": charges are current activity, and billed by the month's end.
An invoice "takes every unbilled line". "Only processed money counts": the payments told are
processed, and lower the balance, invoiced or not. "Safe to retry everything": a key counts once for its account, however often it is sent.
"""

from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.told import Charged, Invoiced, Opened, Paid, Told


class Owed(NamedTuple):
    """An account's figures in cents."""

    balance: int
    current_activity: int


class Model:
    """The accounts that were told of; `sent_again`: keys may come twice, and are remembered."""

    def __init__(self, *, sent_again: bool = False) -> None:
        self._charged: dict[str, int] = {}
        self._billed: dict[str, int] = {}
        self._paid: dict[str, int] = {}
        self._seen: set[tuple[str, str]] | None = set() if sent_again else None

    def take(self, told: Iterable[Told]) -> None:
        """Folds in what the ledger has accepted."""
        for one in told:
            if self._seen is not None:
                if (one.account, one.key) in self._seen:
                    continue
                self._seen.add((one.account, one.key))
            match one:
                case Opened(account):
                    self._charged[account] = self._billed[account] = self._paid[account] = 0
                case Charged(account, _, _, cents):
                    self._charged[account] += cents
                case Paid(account, _, _, cents):
                    self._paid[account] += cents
                case Invoiced(account):
                    self._billed[account] = self._charged[account]

    def end_month(self) -> None:
        """Everything charged so far is billed."""
        self._billed = dict(self._charged)

    def owed(self) -> dict[str, Owed]:
        """What every account shows."""
        return {
            account: Owed(
                balance=self._billed[account] - self._paid[account],
                current_activity=charged - self._billed[account],
            )
            for account, charged in self._charged.items()
        }
