"""Alternating pairs: ours and a baseline in turn, so that what else the machine does weighs on both."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Measured = Callable[[int], float]
"""One side of a pair, by the pair's number from 0; its rate, or its time."""


class Pairs(NamedTuple):
    """What both sides gave, pair by pair."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> dict[str, Any]:
        """Ours to theirs as a figure's value, spread and number of pairs."""
        return spread([a / b for a, b in zip(self.ours, self.theirs, strict=True)])


def alternate(pairs: int, ours: Measured, theirs: Measured) -> Pairs:
    """Measures ours, theirs, ours, theirs, ..."""
    found = Pairs([], [])
    for n in range(pairs):
        found.ours.append(_quietly(ours, n))
        found.theirs.append(_quietly(theirs, n))
    return found


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The median as a figure's value, with the range it is the median of."""
    return {
        "value": statistics.median(values),
        "lowest": min(values),
        "highest": max(values),
        "pairs": len(values),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all are not above (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def rate(count: int, work: Callable[[], object]) -> float:
    """How many a second, when the work does that many."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def _quietly(side: Measured, n: int) -> float:
    gc.collect()
    gc.freeze()  # what was prepared for the measurement is no work of its collector
    try:
        return side(n)
    finally:
        gc.unfreeze()
