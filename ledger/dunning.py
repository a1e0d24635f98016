"""Late fees, interest, reminders and return fees: what a policy asks for on a day, from what is owed.

Nothing here is charged: what is assessed becomes ordinary charges and messages (decision 0011).
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Literal

import msgspec

from ledger.commands import PostCharge, PostMessage
from ledger.dunning_policy import Interest, Percent, Policy, Step
from ledger.money import Money, within_64_bits
from ledger.past_due import Debt, Spell, spells

KEY_PREFIX = "dunning:"
"""How keys of assessments begin: no door takes one from a caller, who could keep a fee uncharged."""
CATEGORIES = ("late_fee", "interest", "return_fee")
"""Of the charges: lines of these bear neither fees nor interest."""
MARK_CHARS = 24

Kind = Literal["late_fee", "interest", "reminder", "return_fee"]
KINDS: tuple[Kind, ...] = ("late_fee", "interest", "reminder", "return_fee")

_DAY = timedelta(days=1)


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """A payment's return that no reinstatement undid; `version` is that of its event."""

    version: int
    payment_id: str
    amount_minor: int
    on: date


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an account, at `version`, that assessments follow from.

    `debts` are the invoices that were late on days to be looked at, `unapplied` by how much the
    account's unapplied credit changed from each day on. `done` holds the ids of charges and
    messages that were posted before, `charged_through` the day through which interest was charged,
    by the invoice's mark.
    """

    account_number: str
    currency: str
    version: int
    is_closed: bool = False
    debts: tuple[Debt, ...] = ()
    unapplied: tuple[tuple[date, int], ...] = ()
    returns: tuple[Return, ...] = ()
    done: frozenset[str] = frozenset()
    charged_through: dict[str, date] = {}


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """One charge or message that a policy asks for; `id` is the charge's or the message's.

    `base_minor` is what it is reckoned on: what is past due (less charges for late payment, but
    for a reminder), or what was returned. `step` are the days of the policy's step. `days` are the
    days past due; of interest, those that are charged, whose amounts `spells` has.
    """

    kind: Kind
    id: str
    invoice: str | None = None
    payment_id: str | None = None
    step: int | None = None
    due_on: date | None = None
    days: int = 0
    base_minor: int
    rate: Percent | None = None
    amount_minor: int = 0
    spells: tuple[Spell, ...] = ()
    says: str

    @property
    def key(self) -> str:
        """Used once for ever, so that nothing is charged or told twice."""
        return KEY_PREFIX + self.id

    def command(self, on: date) -> PostCharge | PostMessage:
        """What posts it, effective on the day it was assessed for."""
        if self.kind == "reminder":
            return PostMessage(message_id=self.id, text=self.says, effective_on=on)
        return PostCharge(
            charge_id=self.id,
            amount_minor=self.amount_minor,
            description=self.says,
            category=self.kind,
            effective_on=on,
        )


class Assessed(msgspec.Struct, frozen=True):
    """What a policy asks for of an account, and how much it would if it spoke of its currency."""

    assessments: tuple[Assessment, ...]
    left_out: int = 0


@lru_cache(maxsize=65_536)
def mark(number: str) -> str:
    """What stands for an invoice in ids of charges, which are shorter than its number may be."""
    return sha256(number.encode()).hexdigest()[:MARK_CHARS]


def fee_id(number: str, step: int) -> str:
    """The id of the late fee of an invoice and step."""
    return f"late-fee:{mark(number)}:{step}"


def reminder_id(number: str, step: int) -> str:
    """The id of the reminder of an invoice and step."""
    return f"reminder:{mark(number)}:{step}"


def interest_id(number: str, through: date) -> str:
    """The id of the interest of an invoice through a day; sorted, the last day is last."""
    return f"interest:{mark(number)}:{through:%Y%m%d}"


def return_fee_id(version: int) -> str:
    """The id of the fee for the return that an event of this version was."""
    return f"return-fee:{version}"


def assess(facts: Facts, policy: Policy, on: date, biller: str) -> Assessed:
    """What the policy asks for on a day, of what it has not asked for before.

    Depends on nothing else: the same facts give the same assessments. Raises AmountOverflow for an
    amount beyond 64 bits.
    """
    due = _Due(facts, policy, on, biller)
    found = [one for one in due.all() if one.id not in facts.done]
    for one in found:
        within_64_bits(one.amount_minor)
    return Assessed(tuple(found), due.left_out)


class _Due:
    """One account's assessments in the making."""

    def __init__(self, facts: Facts, policy: Policy, on: date, biller: str) -> None:
        self.left_out = 0
        self._facts = facts
        self._policy = policy
        self._on = on
        self._biller = biller
        self._foreign = facts.currency != policy.currency

    def all(self) -> Iterator[Assessment]:
        found = spells(self._facts.debts, self._facts.unapplied, self._on)
        standing = [debt for debt in self._facts.debts if not debt.is_cancelled]
        for debt in sorted(standing, key=lambda debt: (debt.due_on, debt.seq)):
            late = found[debt.number]
            if late and late[-1].last_on == self._on:
                yield from self._steps(debt, late[-1].amount_minor)
            interest = self._policy.interest
            if interest and not self._facts.is_closed:
                yield from self._interest(interest, debt, late)
        if not self._facts.is_closed:
            yield from self._returns()

    def _steps(self, debt: Debt, left_minor: int) -> Iterator[Assessment]:
        """Of the steps reached: every fee, and the last reminder alone."""
        days = (self._on - debt.due_on).days
        reached = [step for step in self._policy.steps if self._is_reached(step, debt, days)]
        base_minor = _bearing(debt, left_minor)
        for step in reached:
            if step.fee and base_minor and not self._facts.is_closed:
                yield from self._fee(step, debt, days, base_minor)
        reminders = [step for step in reached if step.reminder]
        for step in reminders[-1:]:
            yield self._reminder(step, debt, days, left_minor)

    def _is_reached(self, step: Step, debt: Debt, days: int) -> bool:
        reached_on = debt.due_on + timedelta(days=step.after_days) + _DAY
        return days > step.after_days and reached_on >= self._policy.since

    def _fee(self, step: Step, debt: Debt, days: int, base_minor: int) -> Iterator[Assessment]:
        assert step.fee is not None
        id = fee_id(debt.number, step.after_days)
        if self._is_foreign(id, states_amount=step.fee.states_amount):
            return
        amount_minor = step.fee.on(base_minor)
        rate = step.fee.percent
        if not amount_minor:
            return
        share = f", {rate}% of {self._money(base_minor)}" if rate else ""
        yield Assessment(
            kind="late_fee",
            id=id,
            invoice=debt.number,
            step=step.after_days,
            due_on=debt.due_on,
            days=days,
            base_minor=base_minor,
            rate=rate,
            amount_minor=amount_minor,
            says=f"Late fee on invoice {debt.number}, due {debt.due_on}, {_days(days)} past due{share}",
        )

    def _reminder(self, step: Step, debt: Debt, days: int, left_minor: int) -> Assessment:
        return Assessment(
            kind="reminder",
            id=reminder_id(debt.number, step.after_days),
            invoice=debt.number,
            step=step.after_days,
            due_on=debt.due_on,
            days=days,
            base_minor=left_minor,
            says=f"Payment reminder from {self._biller.removesuffix('.')}.\n"
            f"Invoice {debt.number} was due on {debt.due_on}. On {self._on}, {_days(days)} later, "
            f"{self._money(left_minor)} of it had not been paid. If you have paid since, thank you.",
        )

    def _interest(
        self, interest: Interest, debt: Debt, late: Sequence[Spell]
    ) -> Iterator[Assessment]:
        """Interest for the days after those charged: what all days give, less what those give.

        Each is rounded once, so that however the days are split, the lines sum to the whole. By the
        month, all days are those of months that are over.
        """
        through = interest.through(self._on)
        first_on = max(debt.due_on + timedelta(days=interest.after_days) + _DAY, self._policy.since)
        charged_through = self._facts.charged_through.get(mark(debt.number), date.min)
        bearing = _within(_bearing_spells(debt, late), first_on, through)
        whole_minor = interest.annual.for_days(_amount_days(bearing))
        before = _within(bearing, first_on, charged_through)
        amount_minor = whole_minor - interest.annual.for_days(_amount_days(before))
        if amount_minor <= 0 or whole_minor < interest.minimum_minor:
            return
        id = interest_id(debt.number, through)
        if self._is_foreign(id, states_amount=interest.minimum_minor > 0):
            return
        fresh = _within(bearing, max(first_on, charged_through + _DAY), through)
        days = sum(spell.days for spell in fresh)
        yield Assessment(
            kind="interest",
            id=id,
            invoice=debt.number,
            due_on=debt.due_on,
            days=days,
            base_minor=fresh[-1].amount_minor,
            rate=interest.annual,
            amount_minor=amount_minor,
            spells=tuple(fresh),
            says=f"Interest at {interest.annual}% a year on invoice {debt.number}, due "
            f"{debt.due_on}: {_days(days)} from {fresh[0].first_on} to {fresh[-1].last_on} on "
            f"{self._amounts(fresh)}",
        )

    def _returns(self) -> Iterator[Assessment]:
        fee_minor = self._policy.return_fee_minor
        for returned in self._facts.returns:
            if not fee_minor or not self._policy.since <= returned.on <= self._on:
                continue
            id = return_fee_id(returned.version)
            if self._is_foreign(id, states_amount=True):
                continue
            yield Assessment(
                kind="return_fee",
                id=id,
                payment_id=returned.payment_id,
                base_minor=returned.amount_minor,
                amount_minor=fee_minor,
                says=f"Fee for payment {returned.payment_id}, of which "
                f"{self._money(returned.amount_minor)} was returned on {returned.on}",
            )

    def _is_foreign(self, id: str, *, states_amount: bool) -> bool:
        """Whether what the policy states an amount for is owed in another currency; counted."""
        if not (self._foreign and states_amount):
            return False
        self.left_out += id not in self._facts.done
        return True

    def _money(self, minor: int) -> str:
        return str(Money(minor, self._facts.currency))

    def _amounts(self, fresh: Sequence[Spell]) -> str:
        least = min(spell.amount_minor for spell in fresh)
        most = max(spell.amount_minor for spell in fresh)
        if least == most:
            return self._money(most)
        return f"{self._money(least)} to {self._money(most)}"


def _bearing(debt: Debt, left_minor: int) -> int:
    """What of an amount past due bears fees and interest: charges for late payment bear none.

    What was paid or credited has gone to those first.
    """
    return min(left_minor, max(debt.total_minor - debt.fees_minor, 0))


def _bearing_spells(debt: Debt, late: Sequence[Spell]) -> list[Spell]:
    return [
        Spell(spell.first_on, spell.last_on, amount_minor)
        for spell in late
        if (amount_minor := _bearing(debt, spell.amount_minor))
    ]


def _within(late: Sequence[Spell], first_on: date, last_on: date) -> list[Spell]:
    """The parts of spells that are in a range of days."""
    cut = (
        Spell(max(spell.first_on, first_on), min(spell.last_on, last_on), spell.amount_minor)
        for spell in late
    )
    return [spell for spell in cut if spell.first_on <= spell.last_on]


def _amount_days(late: Sequence[Spell]) -> int:
    return sum(spell.amount_minor * spell.days for spell in late)


def _days(days: int) -> str:
    return f"{days} day" if days == 1 else f"{days} days"
