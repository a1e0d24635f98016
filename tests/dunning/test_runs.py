"""Runs in a database: what they post, previews, other runs and payments at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from typing import Any

import msgspec
import pytest

from api import dunning as run_module
from api.dunning import Run, Send, policy_for
from api.regions import Region
from ledger import commands as c
from ledger.dunning import fee_id, interest_id, mark, reminder_id
from ledger.dunning_policy import Fee, Step
from ledger.errors import AccountChanged, EffectiveInFuture, NoDunningPolicy, Refusal
from ledger.store.committer import Ledger
from ledger.store.outcomes import Outcome, Refused
from projections import dunning
from tests.dunning.books import (
    DUE,
    FEE_ALONE,
    POLICY,
    Dunned,
    catch_up,
    late,
    proposed,
    told,
)
from tests.store.databases import US, Database

MANY = 40


def test_a_preview_is_what_the_run_then_does(
    dunned: Dunned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line by line and in the totals; the preview posts nothing, and the log holds what was told."""
    monkeypatch.setattr(dunning, "PAGE", 7)
    numbers = dunned.many(MANY)
    dunned.pay(numbers[3], "p", 4_000, late(5))
    dunned.send([(numbers[3], c.ReturnPayment(payment_id="p", reason="NSF"))], late(6))
    before = dunned.database.rows("SELECT sum(position)::bigint FROM ledger.lane_head")
    preview, expected = dunned.run(late(16), dry_run=True)
    assert {} == dunned.posted()
    assert before == dunned.database.rows("SELECT sum(position)::bigint FROM ledger.lane_head")
    lines, totals = dunned.run(late(16))
    by_id = lambda line: (line.account_number, line.id)  # noqa: E731 # the order of one account's waves
    assert sorted(preview, key=by_id) == sorted(proposed(lines), key=by_id)
    assert (expected.totals, expected.accounts) == (totals.totals, totals.accounts)
    assert (True, False) == (expected.dry_run, totals.dry_run)
    assert told(lines, late(16)) == dunned.posted()
    counts = {total.kind: total.count for total in totals.totals}
    assert {"late_fee": 80, "interest": 40, "reminder": 40, "return_fee": 1} == counts
    sums = {total.kind: total.amount.amount for total in totals.totals}
    assert ("0.00", "25.00") == (sums["reminder"], sums["return_fee"])


def test_a_second_run_changes_nothing(dunned: Dunned) -> None:
    """On the same day; and on a later one only what that day adds."""
    dunned.many(5)
    lines, _ = dunned.run(late(8))
    assert 15 == len(lines)
    posted = dunned.posted()
    assert [] == dunned.run(late(8))[0]
    assert [] == dunned.run(late(7), today=late(8))[0]
    assert posted == dunned.posted()
    assert {"interest"} == {line.kind for line in dunned.run(late(9))[0]}


def test_what_was_reversed_stays_reversed(dunned: Dunned) -> None:
    """A fee and interest that were taken back are not charged again; nor is a fee of that id posted by
    hand charged twice."""
    [one, other] = dunned.many(2)
    dunned.send([(other, c.PostCharge(charge_id=fee_id("N", 7), amount_minor=1, description="waived",
                                      category="late_fee"))], late(1))  # fmt: skip  # one thing
    dunned.run(late(8))
    ids = (fee_id("N", 7), interest_id("N", late(8)))
    dunned.send([(one, c.ReverseCharge(charge_id=id)) for id in ids], late(8))
    assert {(other, interest_id("N", late(8))), (other, reminder_id("N", 3))} == {
        key for key in dunned.posted() if key[0] == other
    }
    assert [] == dunned.run(late(8))[0]


@pytest.mark.parametrize(
    ("end", "category"),
    [
        ("x", "usage"),
        ("20209999", "interest"),  # begins as a day does
        ("20201131", "interest"),  # a day that no month has
        ("99991231", "interest"),  # not the charge's own
        (f"{late(4):%Y%m%d}", "usage"),
    ],
)
def test_a_charge_that_looks_like_interest_hides_none(
    dunned: Dunned, end: str, category: str
) -> None:
    """Of somebody else's with an id like those of interest, of an earlier day, of a later one or of none:
    each day is charged, and once."""
    [number] = dunned.many(1)
    alike = c.PostCharge(
        charge_id=f"interest:{mark('N')}:{end}", amount_minor=1, description="d", category=category,
        effective_on=late(4),
    )  # fmt: skip  # arguments by what they are for
    dunned.send([(number, alike)], late(1))
    days = []
    for on in (late(5), late(6)):
        days += [line.days for line in dunned.run(on)[0] if line.kind == "interest"]
    assert [3, 1] == days


def test_interest_whose_id_is_taken_is_charged_the_next_day(dunned: Dunned) -> None:
    """By somebody else's charge: nothing is refused, and no day is lost."""
    [number] = dunned.many(1)
    taken = c.PostCharge(
        charge_id=interest_id("N", late(6)), amount_minor=1, description="d", category="usage"
    )
    dunned.send([(number, taken)], late(1))
    days = []
    for on in (late(5), late(6), late(7)):
        lines, totals = dunned.run(on)
        assert 0 == totals.refused
        days.append([line.days for line in lines if line.kind == "interest"])
    assert [[3], [], [2]] == days


def test_a_day_before_today_is_charged_as_it_stood(dunned: Dunned) -> None:
    """A run that is late by days charges what was past due on its day, effective on it, although it was
    paid since; on today nothing is past due."""
    [number] = dunned.many(1)
    dunned.pay(number, "p", 10_000, late(9))
    assert [] == dunned.run(late(12), FEE_ALONE)[0]
    [line] = dunned.run(late(8), FEE_ALONE, today=late(12))[0]
    assert (fee_id("N", 7), late(8)) == (line.id, dunned.posted()[number, fee_id("N", 7)][2])


class Between(Ledger):
    """A door to the log where something happens between a run's reading and its posting."""

    def __init__(self, url: str, happens: list[tuple[str, c.AnyCommand, date]]) -> None:
        super().__init__(url, US.code)
        self._happens = happens

    def handle_now(self, requests: Sequence[c.Request]) -> list[Outcome]:
        if self._happens:
            number, command, today = self._happens.pop(0)
            request = c.Request(
                account_number=number, key=f"between-{len(self._happens)}", command=command,
                actor="t", today=today,
            )  # fmt: skip  # arguments by what they are for
            super().handle_now([request])
        return super().handle_now(requests)


def paying(amount_minor: int) -> c.SubmitPayment:
    return c.SubmitPayment(
        payment_id=f"p-{amount_minor}", pay="amount", amount_minor=amount_minor, method="card",
        status="processed",
    )  # fmt: skip  # arguments by what they are for


@pytest.mark.parametrize(
    ("happens", "fees"),
    [
        ([paying(10_000)], []),
        ([paying(4_000)], ["6.00"]),
        ([paying(4_000), paying(1_000)], ["5.00"]),
        (
            [c.OpenDispute(dispute_id="d", invoice="N", amount_minor=9_000, reason="not mine")],
            ["1.00"],
        ),
        ([c.PostMessage(message_id="m", text="Hello")], ["10.00"]),
    ],
)
def test_the_fee_is_on_what_is_owed_when_it_is_posted(
    dunned: Dunned, database: Database, happens: list[c.AnyCommand], fees: list[str]
) -> None:
    """What comes between the run's reading and its posting is known to the fee: it is reckoned anew."""
    [number] = dunned.many(1)
    between = [(number, command, late(8)) for command in happens]
    with closing(Between(database.service_url, between)) as ledger:
        lines, totals = dunned.run(late(8), FEE_ALONE, send=ledger.handle_now)
    assert fees == [line.amount.amount for line in lines if line.amount]
    assert 0 == totals.refused
    assert len(fees) == len(dunned.posted())


def test_without_the_version_a_payment_in_between_is_missed(
    dunned: Dunned, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: commands that do not name the version they were decided on. The check above catches
    it: a paid invoice is charged."""
    [number] = dunned.many(1)
    real = run_module.Request
    monkeypatch.setattr(
        run_module, "Request", lambda **given: real(**{**given, "if_version": None})
    )
    with closing(Between(database.service_url, [(number, paying(10_000), late(8))])) as ledger:
        lines, _ = dunned.run(late(8), FEE_ALONE, send=ledger.handle_now)
    assert ["10.00"] == [line.amount.amount for line in lines if line.amount]


def counting_ahead(
    run: Run, send: Send, accounts: Iterable[Any], changed: list[Any]
) -> Iterator[tuple[Any, Any, Any]]:
    """The fault: all of an account at once, each on the version that those before it would make."""
    asked = [(account, one) for account in accounts for one in account.left]
    requests = []
    for account, one in asked:
        requests.append(run._request(account, one))
        account.version += 1
    for (account, one), outcome in zip(asked, send(requests), strict=True):
        if isinstance(outcome, Refused):
            changed.append(account)
        else:
            yield account, one, run._answer(account, one, outcome)


@pytest.mark.parametrize("planted", [False, True])
def test_no_fee_of_several_slips_behind_a_payment(
    dunned: Dunned, database: Database, monkeypatch: pytest.MonkeyPatch, planted: bool
) -> None:
    """Of two fees none is charged once the invoice is paid. With versions counted ahead one is: the
    payment takes the place of the first."""
    if planted:
        monkeypatch.setattr(Run, "_post", counting_ahead)
    [number] = dunned.many(1)
    by = msgspec.structs.replace(
        FEE_ALONE, steps=(*FEE_ALONE.steps, Step(after_days=9, fee=Fee(flat_minor=200)))
    )
    paid = c.IssueCredit(credit_id="k", amount_minor=10_000, applies_to="account", reason="gift")
    with closing(Between(database.service_url, [(number, paid, late(16))])) as ledger:
        lines, _ = dunned.run(late(16), by, send=ledger.handle_now)
    assert ([number] if planted else []) == [line.account_number for line in lines]


def test_payments_race_a_run(
    dunned: Dunned, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While runs go on, every account pays: each fee is a tenth of what was owed by the version that it
    followed, and no account has two."""
    monkeypatch.setattr(dunning, "PAGE", 3)
    numbers = dunned.many(MANY)
    catch_up(database)

    def pay() -> None:
        with closing(Ledger(database.service_url, US.code)) as ledger:
            payer = Dunned(database, ledger, sent=1_000_000)
            for number in reversed(numbers):
                payer.pay(number, "race", 5_000, late(8))

    payer = threading.Thread(target=pay)
    payer.start()
    try:
        _, totals = dunned.run(late(8), FEE_ALONE)
    finally:
        payer.join()
    assert (0, MANY) == (totals.refused, totals.totals[0].count)
    for n, number in enumerate(numbers):
        owed, fees = 10_000 + n, []
        for recorded in database.recorded(number):
            if recorded.key.startswith("dunning:"):
                fees.append((owed + 5) // 10)
                assert fees[-1] == recorded.event.amount_minor  # type: ignore[attr-defined] # a charge
            elif hasattr(recorded.event, "submitted_minor"):
                owed -= recorded.event.amount_minor
        assert 1 == len(fees), number


def test_two_runs_at_once_charge_nothing_twice(
    dunned: Dunned, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several at once, on one day or on two: together they post what one run would have."""
    monkeypatch.setattr(dunning, "PAGE", 3)
    dunned.many(MANY)
    catch_up(database)
    expected = told(dunned.run(late(16), dry_run=True)[0], late(16))
    at_once = threading.Barrier(3)

    def run(_: int) -> tuple[int, int]:
        with closing(Ledger(database.service_url, US.code)) as ledger:
            at_once.wait()
            lines, totals = Dunned(database, ledger).run(late(16))
            return len([line for line in lines if line.status == "posted"]), totals.refused

    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(run, range(3)))
    assert 0 == sum(refused for _, refused in done)
    assert len(expected) == sum(posted for posted, _ in done)
    assert expected == dunned.posted()


def test_two_runs_of_different_days_charge_no_day_twice(dunned: Dunned, database: Database) -> None:
    """Yesterday's run and today's at once: whichever comes first, the interest of each account sums to
    today's, or yesterday's came too late to add a day."""
    numbers = dunned.many(10)
    catch_up(database)
    at_once = threading.Barrier(2)

    def run(on: date) -> None:
        with closing(Ledger(database.service_url, US.code)) as ledger:
            at_once.wait()
            Dunned(database, ledger).run(on, today=late(16))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, (late(15), late(16))))
    posted = dunned.posted()
    for n, number in enumerate(numbers):
        lines = {
            id: a
            for (of, id), (kind, a, _) in posted.items()
            if of == number and kind == "interest"
        }
        assert (14 * (10_000 + n) + 500) // 1_000 == sum(lines.values())
    assert 2 * len(numbers) == sum(kind == "late_fee" for kind, _, _ in posted.values())


def test_an_account_that_never_rests_is_given_up(dunned: Dunned) -> None:
    """After so many tries it is refused, and the others are done."""
    one, other = dunned.many(2)

    def send(requests: Sequence[c.Request]) -> list[Outcome]:
        outcomes = dunned.ledger.handle_now([r for r in requests if r.account_number == other])
        changed = Refused(AccountChanged(account_number=one, version=9, expected=3))
        rest = iter(outcomes)
        return [changed if r.account_number == one else next(rest) for r in requests]

    lines, totals = dunned.run(late(8), FEE_ALONE, send=send)
    assert {(one, "refused"), (other, "posted")} == {
        (line.account_number, line.status) for line in lines
    }
    assert (1, "account_changed") == (
        totals.refused,
        next(line.problem.code for line in lines if line.problem),
    )


def test_what_the_rules_forbid_is_refused_alone(dunned: Dunned, database: Database) -> None:
    """A message of that id, an account whose views stopped: told, and everything else is done."""
    numbers = dunned.many(3)
    catch_up(database)
    database.run(
        "INSERT INTO receivables.parked SELECT lane, account_id, 1, 1, 'x', 'x', now()"
        f" FROM receivables.account WHERE account_number = '{numbers[0]}'"
    )
    lines, totals = dunned.run(late(8), FEE_ALONE)
    assert {(numbers[0], "refused"), (numbers[1], "posted"), (numbers[2], "posted")} == {
        (line.account_number, line.status) for line in lines
    }
    assert (1, 3) == (totals.refused, totals.accounts)


def test_a_day_ahead_and_a_region_without_policy_are_refused() -> None:
    """Nothing is ever charged without a policy, nor for days that have not come."""
    plain = Region(code="us", name="US", currency="USD", zone="America/New_York")
    with pytest.raises(NoDunningPolicy):
        policy_for(plain, DUE, DUE)

    class With(Region, frozen=True):
        @property
        def policy(self):  # type: ignore[no-untyped-def] # as its base
            return POLICY

    charging = With(code="us", name="US", currency="USD", zone="America/New_York")
    assert POLICY == policy_for(charging, DUE, DUE)
    with pytest.raises(EffectiveInFuture):
        policy_for(charging, late(1), DUE)
    assert issubclass(NoDunningPolicy, Refusal)
