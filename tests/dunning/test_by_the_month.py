"""Interest by the month in a database: what runs read and post, previewed, again, and at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date

from msgspec.structs import replace

from ledger import commands as c
from ledger.dunning import interest_id
from ledger.store.committer import Ledger
from projections.dunning import DunningReading
from tests.dunning.books import POLICY, Dunned, catch_up, late, proposed, told
from tests.store.databases import US, Database

assert POLICY.interest is not None
MONTHLY = replace(POLICY, interest=replace(POLICY.interest, every="month"))
"""The first day that bears interest is 2 September: what is due on 30 August, after two days of grace."""
MONTH_END, FIRST = date(2020, 9, 30), date(2020, 10, 1)


def interest(dunned: Dunned, on: date) -> dict[str, int | None]:
    """The days of interest that a run on a day charges, by account."""
    lines, totals = dunned.run(on, MONTHLY)
    assert 0 == totals.refused
    return {line.account_number: line.days for line in lines if line.kind == "interest"}


def debts(dunned: Dunned, on: date) -> list[int]:
    """How many invoices of each account a run on a day would look at."""
    catch_up(dunned.database)
    with closing(DunningReading(dunned.database.service_url, MONTHLY, on)) as reading:
        return [len(one.facts.debts) for one in reading.after(None) if one.facts]


def test_a_line_a_month_previewed_and_once(dunned: Dunned) -> None:
    """Runs within the month charge fees alone; the first after it, what its preview told; then nothing
    until the next one is over, also when it was taken back."""
    [one, other] = dunned.many(2)
    assert {} == interest(dunned, late(16))
    dunned.pay(other, "p", 20_000, date(2020, 9, 20))
    preview, _ = dunned.run(FIRST, MONTHLY, dry_run=True)
    lines, _ = dunned.run(FIRST, MONTHLY)
    by_account = lambda line: line.account_number  # noqa: E731 # a line of each
    assert sorted(preview, key=by_account) == sorted(proposed(lines), key=by_account)
    assert {one: 29, other: 18} == {line.account_number: line.days for line in lines}
    assert told(lines, FIRST).items() <= dunned.posted().items()
    assert {(a, interest_id("N", MONTH_END)) for a in (one, other)} == told(lines, FIRST).keys()
    dunned.send([(one, c.ReverseCharge(charge_id=interest_id("N", MONTH_END)))], FIRST)
    for on in (MONTH_END, FIRST, date(2020, 10, 30)):
        assert [] == dunned.run(on, MONTHLY, today=date(2020, 10, 30))[0]
    assert {one: 31} == interest(dunned, date(2020, 10, 31))


def test_what_is_settled_is_read_again_when_its_month_is_over(dunned: Dunned) -> None:
    """A paid invoice is no debt while the months that are over are charged; its last days then are."""
    [number] = dunned.many(1)
    assert {number: 29} == interest(dunned, FIRST)
    dunned.pay(number, "p", 10_000, date(2020, 10, 5))
    assert [0] == debts(dunned, date(2020, 10, 30))
    assert [1] == debts(dunned, date(2020, 10, 31))
    assert {number: 4} == interest(dunned, date(2020, 11, 2))
    assert [0] == debts(dunned, date(2020, 12, 31))


def test_interest_whose_id_is_taken_is_charged_with_the_next_month(dunned: Dunned) -> None:
    """By somebody else's charge: nothing is refused, and no day is lost."""
    [number] = dunned.many(1)
    taken = c.PostCharge(
        charge_id=interest_id("N", MONTH_END), amount_minor=1, description="d", category="usage"
    )
    dunned.send([(number, taken)], late(1))
    assert {} == interest(dunned, FIRST)
    assert {number: 60} == interest(dunned, date(2020, 10, 31))


def test_two_runs_of_different_days_make_one_line(dunned: Dunned, database: Database) -> None:
    """At once, on two days of one month: whichever comes first, each invoice has its line once."""
    numbers = dunned.many(10)
    catch_up(database)
    at_once = threading.Barrier(2)

    def run(on: date) -> int:
        with closing(Ledger(database.service_url, US.code)) as ledger:
            at_once.wait()
            return Dunned(database, ledger).run(on, MONTHLY, today=late(40))[1].refused

    with ThreadPoolExecutor(2) as threads:
        assert [0, 0] == list(threads.map(run, (FIRST, late(40))))
    posted = {key: of[1] for key, of in dunned.posted().items() if of[0] == "interest"}
    owed = {number: 10_000 + n for n, number in enumerate(numbers)}
    assert {
        (number, interest_id("N", MONTH_END)): (29 * minor + 500) // 1_000
        for number, minor in owed.items()
    } == posted
