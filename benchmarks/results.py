"""What a row found: figures with their aims, notes, and what makes all of it void."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

DIFFERENCES_SHOWN_MAX = 3


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured figure. `lowest` and `highest` are of the pairs whose median `value` is."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    lowest: float | None = None
    highest: float | None = None
    pairs: int | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the aim was reached; None for a figure without one."""
        if self.at_least is not None:
            return self.value >= self.at_least
        if self.at_most is not None:
            return self.value <= self.at_most
        return None

    @property
    def aim(self) -> str:
        """The aim as text."""
        if self.at_least is not None:
            return f">= {shown(self.at_least)}"
        return "" if self.at_most is None else f"<= {shown(self.at_most)}"

    @property
    def spread(self) -> str:
        """The pairs' range as text."""
        if self.lowest is None or self.highest is None:
            return ""
        return f"{shown(self.lowest)} to {shown(self.highest)} in {self.pairs}"


class Found:
    """What one row found so far; `void` says why its figures count for nothing."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []
        self.notes: list[str] = []
        self.void: str | None = None

    def figure(self, name: str, value: float, unit: str, **more: Any) -> None:
        """Takes a figure in."""
        self.figures.append(Figure(name=name, value=value, unit=unit, **more))

    def note(self, text: str) -> None:
        """Takes in what a reader must know of the figures."""
        self.notes.append(text)

    def agree(self, what: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> None:
        """The row is void unless what was found of every account is what the model expects."""
        wrong = sorted(
            account
            for account in expected.keys() | actual.keys()
            if expected.get(account) != actual.get(account)
        )
        if wrong and self.void is None:
            first = "; ".join(
                f"{account}: {actual.get(account)}, not {expected.get(account)}"
                for account in wrong[:DIFFERENCES_SHOWN_MAX]
            )
            self.void = f"{what}: {len(wrong)} of {len(expected)} accounts differ: {first}"

    def answered(self, statuses: Sequence[int], status: int) -> None:
        """The row is void unless every request was answered with this status."""
        others = Counter(statuses)
        del others[status]
        of = f"of {len(statuses):,} answers"
        says = ", ".join(f"{count:,} {of} were {other}" for other, count in others.items())
        self.require(not others, f"{says}, not {status}")

    def require(self, holds: bool, otherwise: str) -> None:
        """The row is void unless this holds."""
        if not holds and self.void is None:
            self.void = otherwise


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the report."""

    row: str
    says: str
    void: str | None
    reached: bool | None
    took_s: float
    load_before: float | None
    """The machine's load average of a minute, when the row began: what else it was doing."""
    figures: list[Figure]
    notes: list[str]


def result(
    row: str, says: str, found: Found, took_s: float, load_before: float | None = None
) -> Result:
    """The row of the report; nothing is reached by a void one."""
    judged = [figure.reached for figure in found.figures if figure.reached is not None]
    return Result(
        row=row,
        says=says,
        void=found.void,
        reached=None if not judged else found.void is None and all(judged),
        took_s=took_s,
        load_before=load_before,
        figures=found.figures,
        notes=found.notes,
    )


def shown(value: float) -> str:
    """A number with the digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
