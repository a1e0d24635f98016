"""The known truth of the receivables book, and the comparison of any reading of a ledger with it."""

import csv
import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec

from ledger.calendar import month_end
from ledger.standing import Standing

BUCKETS = ("current", "d1_30", "d31_60", "d61_90", "d91")


class Seen(msgspec.Struct, frozen=True):
    """What a reading of the ledger says of a customer on a day."""

    standing: Standing
    open_invoices: int
    delivery_channel: str


Read = Callable[[str, date], Seen]
"""How a customer stands on a day."""
Moved = Callable[[str, date, date], tuple[int, int]]
"""A customer's invoices and payments, summed, from a day to a day."""


def folder() -> Path:
    return Path(os.environ["TEST_DATA"]) / "ibm_ar"


def receivables() -> Path:
    return folder() / "receivables.csv"


def rows(name: str) -> list[dict[str, str]]:
    """The rows of one of the truth's tables; there is at least one."""
    with (folder() / f"truth_{name}.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert found, name
    return found


def customers() -> list[str]:
    return sorted({row["customer"] for row in rows("customer_asof")})


def differences(read: Read, moved: Moved) -> list[str]:
    """Where the reading and the truth differ, for every customer, day and month: none is right."""
    return [
        *_of_customers(read, moved),
        *_of_totals(read),
        *_of_months(read, moved),
    ]


def delivery_differences(read: Read) -> Iterator[str]:
    """Invoices dated after a customer's PaperlessDate are electronic, the others paper."""
    with receivables().open(newline="") as file:
        for row in csv.DictReader(file):
            month, day, year = map(int, row["InvoiceDate"].split("/"))
            on = date(year, month, day)
            found = {"PaperlessBill": read(row["customerID"], on).delivery_channel.title()}
            yield from _unlike(f"{row['customerID']} on {on}", found, row)


def switch_days() -> dict[str, date]:
    """The day each customer chose to get its bills electronically, which counts from the next."""
    return {
        row["customerID"]: date.fromisoformat(row["paperless_date"])
        for row in rows("customer_totals")
    }


def _of_customers(read: Read, moved: Moved) -> Iterator[str]:
    for row in rows("customer_asof"):
        customer, on = row["customer"], date.fromisoformat(row["as_of"])
        seen = read(customer, on)
        aging = seen.standing.aging
        charges, payments = moved(customer, date(2012, 1, 1), on)
        expected = {
            "billed_cents": charges,
            "paid_cents": payments,
            "open_cents": seen.standing.balance_minor,
            "open_invoices": seen.open_invoices,
            "disputed_open_cents": aging.disputed,
            "oldest_due": seen.standing.due_on or "",
            "max_dpd": aging.oldest_days,
            **{bucket: getattr(aging, bucket) for bucket in BUCKETS},
        }
        # The oldest due date when past due, from which the oldest days are counted.
        late_from = on - timedelta(days=aging.oldest_days) if aging.oldest_days else ""
        expected["oldest_due_overdue"] = late_from
        yield from _unlike(f"{customer} on {on}", expected, row)


def _of_totals(read: Read) -> Iterator[str]:
    names = customers()
    for row in rows("totals_asof"):
        on = date.fromisoformat(row["as_of"])
        seen = [read(customer, on) for customer in names]
        standings = [one.standing for one in seen]
        found = {
            "open_cents": sum(one.balance_minor for one in standings),
            "open_invoices": sum(one.open_invoices for one in seen),
            "disputed_open_cents": sum(one.aging.disputed for one in standings),
            "customers_with_balance": sum(one.balance_minor > 0 for one in standings),
            "customers_overdue": sum(one.aging.oldest_days > 0 for one in standings),
            **{b: sum(getattr(one.aging, b) for one in standings) for b in BUCKETS},
        }
        yield from _unlike(f"all on {on}", found, row)


def _of_months(read: Read, moved: Moved) -> Iterator[str]:
    for row in rows("monthly_statement"):
        customer, first = row["customer"], date.fromisoformat(f"{row['month']}-01")
        last = month_end(first)
        charges, payments = moved(customer, first, last)
        found = {
            "opening_cents": read(customer, first - timedelta(days=1)).standing.balance_minor,
            "charges_cents": charges,
            "payments_cents": payments,
            "closing_cents": read(customer, last).standing.balance_minor,
        }
        yield from _unlike(f"{customer} in {row['month']}", found, row)


def _unlike(where: str, found: dict[str, object], row: dict[str, str]) -> Iterator[str]:
    for name, value in found.items():
        if str(value) != row[name]:
            yield f"{where}: {name} is {value!r}, the truth {row[name]!r}"
