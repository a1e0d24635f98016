"""What the views give of many accounts is what each account's events give."""

from __future__ import annotations

import random
from contextlib import closing
from datetime import date, timedelta

import pytest

from ledger import commands as c
from ledger.dunning import assess
from ledger.dunning_facts import facts_of
from ledger.dunning_policy import Fee, Interest, Percent, Policy, Step
from ledger.events import Event
from projections import dunning
from projections.dunning import DunningReading, Looked
from tests.acting import FIRST_DAY
from tests.dunning.books import BILLER, DUE, POLICY, Dunned, catch_up, late
from tests.projections.books import append, books, interleaved

SEED, ACCOUNTS, STEPS = 5, 60, 120


def everything(dunned: Dunned, policy: Policy, on: date) -> list[Looked]:
    found: list[Looked] = []
    with closing(DunningReading(dunned.database.service_url, policy, on)) as reading:
        while page := reading.after(found[-1].place if found else None):
            found += page
    return found


def policies(dice: random.Random, count: int) -> list[tuple[Policy, date]]:
    """Policies, and days to run them on."""
    found = []
    for _ in range(count):
        days = sorted(dice.sample(range(60), 3))
        fees = (None, Fee(flat_minor=70), Fee(percent=Percent(5_500_000)))
        policy = Policy(
            currency="USD",
            since=FIRST_DAY + timedelta(dice.choice((0, 20, 90))),
            steps=tuple(
                Step(after_days=n, reminder=dice.random() < 0.7, fee=dice.choice(fees))
                for n in days
            ),
            interest=dice.choice(
                (
                    None,
                    Interest(annual=Percent(80_000_000)),
                    Interest(annual=Percent(80_000_000), after_days=9),
                    Interest(annual=Percent(80_000_000), every="month"),
                )
            ),
            return_fee_minor=dice.choice((0, 55)),
        )
        found.append((policy, FIRST_DAY + timedelta(dice.randrange(400))))
    return found


def histories(dunned: Dunned) -> dict[str, list[Event]]:
    """The events of every account, by its number."""
    found: dict[str, list[Event]] = {}
    for number, recorded in dunned.recorded():
        found.setdefault(number, []).append(recorded.event)
    return found


def test_the_views_give_what_the_events_give(dunned: Dunned) -> None:
    """For made-up accounts, policies and days, also after what runs posted there: the same is asked for,
    whether it is read from the views or from the account's own events."""
    made = books(SEED, ACCOUNTS, STEPS)
    append(dunned.ledger, interleaved(SEED, made))
    catch_up(dunned.database)
    dice = random.Random(SEED)
    kinds: set[str] = set()
    last = max(request.today for account in made for request in account.requests)
    for policy, on in policies(dice, 8):
        looked = everything(dunned, policy, on)
        assert sorted(account.number for account in made) == sorted(
            one.account_number for one in looked
        )
        events = histories(dunned)
        for one in looked:
            assert one.facts is not None
            expected = assess(facts_of(events[one.account_number], on), policy, on, BILLER)
            assert expected == assess(one.facts, policy, on, BILLER)
            kinds |= {assessment.kind for assessment in expected.assessments}
        lines, totals = dunned.run(on, policy, today=max(on, last))
        assert 0 == totals.refused
        assert all(line.status == "posted" for line in lines)
        catch_up(dunned.database)
    assert {"late_fee", "interest", "reminder", "return_fee"} == kinds


def test_charges_for_late_payment_are_known_on_their_invoice(dunned: Dunned) -> None:
    """Billed together with others, they bear nothing: read from the views as from the events."""
    numbers = dunned.many(2)
    dunned.run(late(16))
    usage = c.PostCharge(charge_id="d", amount_minor=700, description="calls", category="usage")
    dunned.send([(numbers[1], usage)], late(16))
    dunned.send([(number, c.IssueInvoice(number="F")) for number in numbers], late(16))
    catch_up(dunned.database)
    on = late(60)
    events = histories(dunned)
    bases = []
    for one in everything(dunned, POLICY, on):
        assert one.facts is not None
        expected = assess(facts_of(events[one.account_number], on), POLICY, on, BILLER)
        assert expected == assess(one.facts, POLICY, on, BILLER)
        of_fees = [a for a in expected.assessments if a.invoice == "F" and a.kind != "reminder"]
        bases += [(one.account_number, a.kind, a.base_minor) for a in of_fees]
    one_of_each = [(numbers[1], kind, 700) for kind in ("late_fee", "interest")]
    assert one_of_each == bases


def test_pages_hold_every_account_once(dunned: Dunned, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order of lane and id, whatever the size of a page."""
    numbers = dunned.many(23)
    catch_up(dunned.database)
    for page in (1, 5, 100):
        monkeypatch.setattr(dunning, "PAGE", page)
        found = everything(dunned, POLICY, late(8))
        assert sorted(numbers) == sorted(one.account_number for one in found)
        assert [one.place for one in found] == sorted(one.place for one in found)


def test_what_is_settled_and_charged_for_is_not_read_again(dunned: Dunned) -> None:
    """A paid invoice whose late days were charged for is no debt any more, until it moves again."""
    [number] = dunned.many(1)
    dunned.pay(number, "p", 10_000, late(10))
    [interest] = [line for line in dunned.run(late(12))[0] if line.kind == "interest"]
    assert 7 == interest.days
    catch_up(dunned.database)
    [looked] = everything(dunned, POLICY, late(12))
    assert looked.facts is not None
    assert () == looked.facts.debts
    dunned.pay(number, "q", 500, DUE)
    catch_up(dunned.database)
    assert () == everything(dunned, POLICY, late(20))[0].facts.debts  # type: ignore[union-attr] # one


def test_a_swap_in_the_midst_of_a_page_is_noticed(
    dunned: Dunned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a rebuild puts other tables in place while a page is read, it is read again: the new tables
    have nothing that this moment could see."""
    numbers = dunned.many(3)
    catch_up(dunned.database)
    real = DunningReading._debts
    swaps = 0

    def swapping(reading: DunningReading, places):  # type: ignore[no-untyped-def] # as its base
        nonlocal swaps
        swaps += 1
        if swaps == 1:
            dunned.database.run(
                "ALTER SCHEMA receivables RENAME TO before; CREATE SCHEMA receivables;"
                "GRANT USAGE ON SCHEMA receivables TO billing_projector;"
            )
            for table in ("account", "charge", "daily", "invoice", "message", "movement",
                          "parked", "payment_step"):  # fmt: skip  # all that are read
                dunned.database.run(
                    f"CREATE TABLE receivables.{table} AS SELECT * FROM before.{table};"
                    f"GRANT SELECT ON receivables.{table} TO billing_projector"
                )
        return real(reading, places)

    monkeypatch.setattr(DunningReading, "_debts", swapping)
    found = everything(dunned, POLICY, late(8))
    assert 2 <= swaps
    assert sorted(numbers) == sorted(one.account_number for one in found)
    assert [1, 1, 1] == [len(one.facts.debts) for one in found if one.facts]
