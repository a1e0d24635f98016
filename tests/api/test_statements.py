"""A statement that follows another opens where that one closed, and tells what was learned since."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from api.embedded import EmbeddedServer
from ledger.history import as_of
from ledger.money import decimal_text
from ledger.store.lanes import lane_of
from tests.api.made_up import Asked, made_up_region
from tests.projections.told_lines import Known
from tests.projections.told_statement import statement

PAIRS = 40


@pytest.fixture(scope="module")
def asked(server: EmbeddedServer) -> Asked:
    """Random accounts, to be asked for."""
    return made_up_region(server)


def test_a_statement_follows_the_one_before(asked: Asked) -> None:
    """At random clocks: it opens at the closing balance as that was stated, holds the lines of its
    days and those of days before that became known since, with their own dates, marked late; and
    closes at what is owed."""
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    met = Counter[str]()
    for _ in range(PAIRS):
        account = asked.accounts[dice.choice(sorted(asked.accounts))]
        held, placed = account.book.events, asked.positions(account)
        lane = lane_of(account.id)
        first, second = sorted(dice.randint(1, len(held)) for _ in range(2))
        days = sorted(event.effective_on for event in held)
        closed, last = sorted(dice.choice(days) + timedelta(days=dice.randint(0, 9)) for _ in "ab")
        begun = closed + timedelta(days=1)
        if begun > last:
            last = begun
        path = f"/v1/accounts/{account.number}/statement"
        [before] = asked.all(
            f"{path}?from={days[0]}&to={max(closed, days[0])}"
            f"&effective_on={max(closed, days[0])}&at={lane}-{placed[first - 1]}"
        )
        moment = f"effective_on={last}&at={lane}-{placed[second - 1]}"
        [told] = asked.all(f"{path}?from={begun}&to={last}&after={before['position']}&{moment}")
        assert before["closing_balance"] == told["opening_balance"]
        assert before["position"] == told["after"]
        assert account.book.account is not None
        currency = account.book.account.currency
        standing = as_of(held[:second], last).standing
        assert decimal_text(standing.balance_minor, currency) == told["closing_balance"]["amount"]
        known = [
            Known(version, datetime.now(UTC), event)
            for version, event in enumerate(held[:second], start=1)
        ]
        wanted = [
            line
            for line in statement(known, days[0] - timedelta(days=400), last)
            if line["effective_on"] >= begun or line["version"] > first
        ]
        assert [key(line, currency) for line in wanted] == [
            (one["effective_on"], one["version"], one["kind"], one["amount"]["amount"])
            for one in told["lines"]
        ]
        balance = Decimal(told["opening_balance"]["amount"])
        for line in told["lines"]:
            balance += Decimal(line["amount"]["amount"])
            assert balance == Decimal(line["balance"]["amount"])
            assert line["late"] == (line["effective_on"] < str(begun))
            met["late" if line["late"] else "in time"] += 1
    assert met["late"] > 5, met
    assert met["in time"] > 5, met


def key(line: dict[str, Any], currency: str) -> tuple[str, int, str, str]:
    amount = decimal_text(line["change_minor"], currency)
    return str(line["effective_on"]), line["version"], line["kind"], amount


def test_what_no_statement_can_follow_is_refused(asked: Asked) -> None:
    """A position of another lane, of nothing, or later than what is read."""
    account = max(asked.accounts.values(), key=lambda account: len(account.book.events))
    lane, [first, *_, last] = lane_of(account.id), asked.positions(account)
    path = f"/v1/accounts/{account.number}/statement"
    [alone] = asked.all(path)
    assert alone["after"] is None
    for query, code in (
        (f"after={(lane + 1) % 64}-1", "position_unknown"),
        ("after=yesterday", "position_unknown"),
        (f"after={lane}-{last}&at={lane}-{first}", "invalid_request"),
    ):
        [problem] = asked.all(f"{path}?{query}", expected=422)
        assert code == problem["code"]
