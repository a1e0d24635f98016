"""How many accounts a second a month end bills: `python -m benchmarks.month_end URL`.

Prints the rate of a run that issues every invoice, and of a second one that finds them all.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice

from ledger import commands as c
from ledger.calendar import Net
from ledger.closing import MonthEnds
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted

PERIOD = "2020-07"
OPENED_ON = date(2020, 7, 1)
TODAY = date(2020, 8, 3)
BATCH = 512


def main() -> None:
    """Fills the database given, and closes the month twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="an empty database as the service's login, migrated")
    parser.add_argument("--region", default="us")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=20)
    given = parser.parse_args()
    ledger = Ledger(given.url, given.region)
    month_ends = MonthEnds(given.url)
    numbers = [f"{n:08}" for n in range(given.accounts)]
    fill(ledger, numbers, given.lines)
    for what in ("issued", "found again"):
        month_ends.ask(PERIOD, None, actor="bench", today=TODAY)
        started = time.perf_counter()
        month_ends.work(ledger)
        took_s = time.perf_counter() - started
        run = month_ends.status(PERIOD)
        assert run is not None
        assert given.accounts == (run.issued if what == "issued" else run.replayed), run
        print(f"{what}: {given.accounts / took_s:,.0f} accounts/s ({took_s:.2f} s)")
    month_ends.close()
    ledger.close()


def fill(ledger: Ledger, numbers: Sequence[str], lines: int) -> None:
    """Every account is open and has so many charges over the month."""
    requests = _requests(numbers, lines)
    while batch := list(islice(requests, BATCH)):
        for outcome in ledger.handle_now(batch):
            assert isinstance(outcome, Accepted), outcome


def _requests(numbers: Sequence[str], lines: int) -> Iterator[c.Request]:
    opening = c.OpenAccount(
        company="Example", country="USA", currency="USD", terms=Net(30), opened_on=OPENED_ON
    )
    for number in numbers:
        for n in range(lines + 1):
            charge = c.PostCharge(
                charge_id=f"c-{n}", amount_minor=100 + n, description="a call", category="usage",
                effective_on=OPENED_ON.replace(day=1 + n % 31),
            )  # fmt: skip  # arguments by what they are for
            yield c.Request(
                account_number=number, key=f"fill-{n}", command=charge if n else opening,
                actor="bench", today=TODAY,
            )  # fmt: skip  # arguments by what they are for


if __name__ == "__main__":
    main()
