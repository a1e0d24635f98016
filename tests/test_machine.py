"""State machines: made-up requests to a book and to the model, every invariant after every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import note, seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests import counting
from tests.acting import KINDS, Actor, Dice
from tests.checking import Checked

SEED = st.binary(min_size=4, max_size=4)
STEPS_PER_RUN = 50
RUNS = 160
"""Runs of each theme; 8 themes x 160 runs x 50 steps are what continuous integration asks for."""

THEMES = {
    "everything": KINDS,
    "billing": "post_charge reverse_charge issue_credit reverse_credit issue_invoice "
    "cancel_invoice submit_payment change_settings",
    "payments": "submit_payment process_payment fail_payment unprocess_payment return_payment "
    "reinstate_payment reallocate_payment",
    "returns": "submit_payment return_payment reinstate_payment issue_refund reverse_refund",
    "refunds": "submit_payment issue_refund reverse_refund issue_credit reverse_credit "
    "cancel_invoice",
    "bad debts": "write_off_invoice reverse_write_off submit_payment reallocate_payment "
    "return_payment reinstate_payment issue_refund reverse_refund",
    "disputes": "open_dispute resolve_dispute issue_credit reverse_credit submit_payment "
    "return_payment write_off_invoice",
    "ending": "submit_payment fail_payment close_account cancel_invoice issue_refund "
    "change_settings post_message",
}
"""Kinds of commands that a machine prefers; it makes bills in any case, and all others seldom."""


class Beside(RuleBasedStateMachine):
    """A book beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.checked = Checked()
        self.actor = Actor(self.checked.model)
        self.seen = Counter[bytes]()

    def act(self, kind: str, dice_seed: bytes) -> None:
        self.seen[dice_seed] += 1  # the search likes to repeat itself: no throw comes out twice
        dice = Dice(dice_seed + bytes([self.seen[dice_seed]]))
        if dice.one_in(5):
            self.actor.today += timedelta(days=dice.below(45))
        days_back, versions_back = dice.below(90), dice.below(40)
        if kind == "bill":
            kind = self.actor.bill(dice)
        elif kind == "any":
            kind = dice.of(KINDS)
        request = self.actor.request(kind, dice)
        note(f"{request.today} {request.command}")
        self.checked.handle(request)
        self.checked.check(request.today, days_back, versions_back)
        counting.COUNTED[counting.STEPS] += 1

    @initialize(dice_seed=SEED)
    def begin(self, dice_seed: bytes) -> None:
        self.act("open_account", dice_seed)

    @rule(dice_seed=SEED)
    def bill(self, dice_seed: bytes) -> None:
        self.act("bill", dice_seed)

    @rule(dice_seed=SEED)
    def bill_again(self, dice_seed: bytes) -> None:
        self.act("bill", dice_seed)

    @rule(dice_seed=SEED)
    def anything(self, dice_seed: bytes) -> None:
        self.act("any", dice_seed)


def machine(theme: str) -> type[RuleBasedStateMachine]:
    """A machine with one more rule for each kind of command of its theme."""
    kinds = THEMES[theme]
    named = kinds.split() if isinstance(kinds, str) else kinds
    return type("Machine", (Beside,), {kind: _rule(kind) for kind in named})


def _rule(kind: str) -> Callable[..., Any]:
    def act(self: Beside, dice_seed: bytes) -> None:
        self.act(kind, dice_seed)

    act.__name__ = kind
    return precondition(lambda self: self.actor.makes_sense(kind))(rule(dice_seed=SEED)(act))


@pytest.mark.parametrize("theme", THEMES)
def test_every_invariant_holds_after_every_step(theme: str) -> None:
    """Whatever is asked, the book answers like the model, and every figure is the model's."""
    run_state_machine_as_test(
        seed(counting.seed())(machine(theme)),
        settings=counting.thorough(RUNS, stateful_step_count=STEPS_PER_RUN),
    )
