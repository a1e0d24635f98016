"""What a command costs on a large account against a small one: `python -m benchmarks.account_size`.

Prints the median of the ratios of alternating pairs, so that what else the machine does meanwhile
weighs on both sides alike. The aim is at most 1.3.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import date

from benchmarks.large_accounts import grow
from ledger import commands as c
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted

TODAY = date(2020, 7, 15)


def main() -> None:
    """Grows the accounts in the database given, and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="the database as the service's login, migrated")
    parser.add_argument("--region", default="us")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--invoices", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=400)
    given = parser.parse_args()
    ledger = Ledger(given.url, given.region)
    small = grow(ledger, "small", events=10, invoices=5)
    events = grow(ledger, "events", events=given.events, invoices=5)
    invoices = grow(ledger, "invoices", events=0, invoices=given.invoices)
    for name, large in (
        (f"{given.events} events", events),
        (f"{given.invoices} open invoices", invoices),
    ):
        for kind, make in (("charge", charge), ("payment of one named invoice", payment)):
            ratio, small_ms, large_ms = compare(ledger, make, small, large, given.pairs)
            print(f"{kind}, {name}: {ratio:.2f} x ({large_ms:.2f} ms against {small_ms:.2f} ms)")
    ledger.close()


def charge(n: int) -> c.AnyCommand:
    """A charge."""
    return c.PostCharge(
        charge_id=f"pair-{n}", amount_minor=100, description="a call", category="usage"
    )


def payment(n: int) -> c.AnyCommand:
    """A payment of the first invoice, in part."""
    return c.SubmitPayment(
        payment_id=f"pair-{n}", pay="amount", amount_minor=1, invoice="I0", method="card",
        status="processed",
    )  # fmt: skip  # arguments by what they are for


def compare(
    ledger: Ledger, make: Callable[[int], c.AnyCommand], small: str, large: str, pairs: int
) -> tuple[float, float, float]:
    """Median ratio of large to small over alternating pairs, and both medians in milliseconds."""
    taken: dict[str, list[float]] = {small: [], large: []}
    run = time.time_ns()
    for n in range(pairs):
        for number in (small, large) if n % 2 else (large, small):
            request = c.Request(
                account_number=number, key=f"{run}.{n}", command=make(run + n), actor="bench",
                today=TODAY,
            )  # fmt: skip  # arguments by what they are for
            started = time.perf_counter()
            (outcome,) = ledger.handle_now([request])
            taken[number].append((time.perf_counter() - started) * 1_000)
            assert isinstance(outcome, Accepted), outcome
    ratios = [b / a for a, b in zip(taken[small], taken[large], strict=True)]
    return (
        statistics.median(ratios),
        statistics.median(taken[small]),
        statistics.median(taken[large]),
    )


if __name__ == "__main__":
    main()
