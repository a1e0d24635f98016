"""A dunning run: every account looked at, what the policy asks for posted, each once, or only told.

Each account is read as of one moment, and each command names the version it was decided on: when
something else happened since, nothing is posted, and the account is looked at again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import msgspec

from api.amounts import Money, money
from api.regions import Region
from ledger.commands import Request
from ledger.dunning import KINDS, Assessed, Assessment, Kind, assess
from ledger.dunning_policy import Policy
from ledger.errors import (
    AccountChanged,
    AmountOverflow,
    EffectiveInFuture,
    IdempotencyKeyReused,
    NoDunningPolicy,
)
from ledger.store.outcomes import Outcome, Refused
from projections.dunning import DunningReading, Looked, Place

CHANGES_MAX = 20
"""Times an account is looked at again because something else happened to it meanwhile."""

Send = Callable[[Sequence[Request]], list[Outcome]]
"""Hands commands to the region's ledger."""
Status = Literal["proposed", "posted", "posted_before", "refused"]


class Reason(msgspec.Struct, frozen=True):
    """Why something is refused, as a stable code and a sentence."""

    code: str
    message: str


TOO_FAST = Reason(AccountChanged.code, "the account changes too fast: run again")
STOPPED = Reason(
    "view_behind", "the account's views stopped at an event: billing-ledger doctor says"
)


class PeriodShown(msgspec.Struct, frozen=True, rename={"first_on": "from", "last_on": "to"}):
    """Days, first and last included, and the amount that bore interest on each of them."""

    first_on: date
    last_on: date
    amount: Money


class AssessmentLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A charge or message that the policy asks for, and what became of it.

    `id` is the charge's or the message's, `step` the days of the policy's step, `days` those past
    due (of interest: charged), `base` what it is reckoned on. Without `kind`, the account as a whole
    was refused.
    """

    account_number: str
    status: Status
    kind: Kind | None = None
    id: str | None = None
    invoice: str | None = None
    payment_id: str | None = None
    step: int | None = None
    due_on: date | None = None
    days: int | None = None
    base: Money | None = None
    percent: str | None = None
    periods: tuple[PeriodShown, ...] = ()
    amount: Money | None = None
    text: str | None = None
    position: str | None = None
    problem: Reason | None = None


class KindTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a kind were posted (or proposed), and their sum in one currency."""

    kind: Kind
    currency: str
    count: int
    amount: Money


class RunTotals(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of a run. `left_out` were not asked for, as the policy states them in amounts of
    another currency than the account's; `posted_before` by another run at the same time."""

    on: date
    dry_run: bool
    accounts: int
    totals: tuple[KindTotal, ...]
    posted_before: int
    refused: int
    left_out: int


def policy_for(region: Region, on: date, today: date) -> Policy:
    """The region's policy; raises NoDunningPolicy, and EffectiveInFuture for a day after today."""
    if region.policy is None:
        raise NoDunningPolicy(region=region.code)
    if on > today:
        raise EffectiveInFuture(effective_on=on, today=today)
    return region.policy


@dataclass
class _Account:
    """An account that something is to be posted to, at the version it was decided on."""

    place: Place
    number: str
    currency: str
    version: int
    left: list[Assessment]


@dataclass
class Run:
    """One run over a region; `send` None: nothing is posted. Used by one thread at a time."""

    reading: DunningReading
    policy: Policy
    on: date
    today: date
    biller: str
    actor: str
    send: Send | None
    catch_up: Callable[[], None]
    """Returns when the views hold what the log holds by now."""
    accounts: int = 0
    left_out: int = 0
    _counts: Counter[Status] = field(default_factory=Counter)
    _sums: dict[tuple[Kind, str], tuple[int, int]] = field(default_factory=dict)

    def parts(self) -> Iterator[list[AssessmentLine]]:
        """What is asked for, page by page of accounts, once it is posted."""
        self.catch_up()
        place = None
        while page := self.reading.after(place):
            place = page[-1].place
            self.accounts += len(page)
            yield list(self._page(page))

    def totals(self) -> RunTotals:
        """What the parts given so far come to."""
        ordered = sorted(self._sums, key=lambda of: (KINDS.index(of[0]), of[1]))
        return RunTotals(
            on=self.on,
            dry_run=self.send is None,
            accounts=self.accounts,
            totals=tuple(
                KindTotal(
                    kind=kind,
                    currency=currency,
                    count=self._sums[kind, currency][0],
                    amount=money(self._sums[kind, currency][1], currency),
                )
                for kind, currency in ordered
            ),
            posted_before=self._counts["posted_before"],
            refused=self._counts["refused"],
            left_out=self.left_out,
        )

    def _page(self, page: Sequence[Looked]) -> Iterator[AssessmentLine]:
        asked: list[_Account] = []
        for looked in page:
            yield from self._ask(looked, asked, is_first=True)
        if self.send is None:
            for account in asked:
                for one in account.left:
                    yield self._line(account, one, "proposed")
            return
        answered: set[tuple[Place, str]] = set()
        for _ in range(CHANGES_MAX):
            changed: list[_Account] = []
            for account, one, line in self._post(self.send, asked, changed):
                answered.add((account.place, one.id))
                yield line
            if not changed:
                return
            asked = []
            self.catch_up()
            for looked in self.reading.again([account.place for account in changed]):
                yield from self._ask(looked, asked, is_first=False)
            for account in asked:
                account.left = [o for o in account.left if (account.place, o.id) not in answered]
        for account in asked:
            for one in account.left:
                yield self._line(account, one, "refused", problem=TOO_FAST)

    def _ask(
        self, looked: Looked, asked: list[_Account], *, is_first: bool
    ) -> Iterator[AssessmentLine]:
        """Adds the account when something is asked for of it; gives a line when it is refused."""
        if looked.facts is None:
            yield self._refused(looked.account_number, STOPPED)
            return
        try:
            assessed: Assessed = assess(looked.facts, self.policy, self.on, self.biller)
        except AmountOverflow as refusal:
            yield self._refused(looked.account_number, Reason(refusal.code, str(refusal)))
            return
        self.left_out += assessed.left_out if is_first else 0
        if assessed.assessments:
            facts, left = looked.facts, list(assessed.assessments)
            asked.append(
                _Account(looked.place, looked.account_number, facts.currency, facts.version, left)
            )

    def _post(
        self, send: Send, accounts: Iterable[_Account], changed: list[_Account]
    ) -> Iterator[tuple[_Account, Assessment, AssessmentLine]]:
        """Posts what is asked for, the next of every account together, and tells what became of each.

        The next is decided on the version that the last one made. Accounts that something else
        happened to are added to the changed ones, with what is left.
        """
        waiting = [account for account in accounts if account.left]
        while waiting:
            outcomes = send([self._request(account, account.left[0]) for account in waiting])
            for account, outcome in zip(waiting, outcomes, strict=True):
                if isinstance(outcome, Refused) and isinstance(outcome.refusal, AccountChanged):
                    changed.append(account)
                    continue
                one = account.left.pop(0)
                yield account, one, self._answer(account, one, outcome)
            gone = {account.place for account in changed}
            waiting = [a for a in waiting if a.left and a.place not in gone]

    def _request(self, account: _Account, one: Assessment) -> Request:
        return Request(
            account_number=account.number,
            key=one.key,
            command=one.command(self.on),
            actor=self.actor,
            today=self.today,
            if_version=account.version,
        )

    def _answer(self, account: _Account, one: Assessment, outcome: Outcome) -> AssessmentLine:
        if isinstance(outcome, Refused):
            if isinstance(outcome.refusal, IdempotencyKeyReused):  # another day's run was before
                return self._line(account, one, "posted_before")
            reason = Reason(outcome.refusal.code, str(outcome.refusal))
            return self._line(account, one, "refused", problem=reason)
        if outcome.replayed:
            return self._line(account, one, "posted_before")
        account.version = outcome.version
        position = f"{outcome.lane}-{outcome.position}"
        return self._line(account, one, "posted", position=position)

    def _line(
        self,
        account: _Account,
        one: Assessment,
        status: Status,
        *,
        position: str | None = None,
        problem: Reason | None = None,
    ) -> AssessmentLine:
        currency = account.currency
        self._counts[status] += 1
        if status in ("proposed", "posted"):
            count, sum_minor = self._sums.get((one.kind, currency), (0, 0))
            self._sums[one.kind, currency] = count + 1, sum_minor + one.amount_minor
        return AssessmentLine(
            account_number=account.number,
            status=status,
            kind=one.kind,
            id=one.id,
            invoice=one.invoice,
            payment_id=one.payment_id,
            step=one.step,
            due_on=one.due_on,
            days=one.days if one.invoice else None,
            base=money(one.base_minor, currency),
            percent=str(one.rate) if one.rate else None,
            periods=tuple(
                PeriodShown(s.first_on, s.last_on, money(s.amount_minor, currency))
                for s in one.spells
            ),
            amount=None if one.kind == "reminder" else money(one.amount_minor, currency),
            text=one.says,
            position=position,
            problem=problem,
        )

    def _refused(self, account_number: str, problem: Reason) -> AssessmentLine:
        self._counts["refused"] += 1
        return AssessmentLine(account_number=account_number, status="refused", problem=problem)
