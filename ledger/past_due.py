"""What was past due of each invoice, day by day: the figure `past_due` of ledger/standing.py through time.

Days on which nothing changed are told together, as spells of one amount.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import msgspec

_DAY = timedelta(days=1)


class Moved(msgspec.Struct, frozen=True, gc=False):
    """By how much what is open and what is flagged by disputes of an invoice changed from a day on."""

    on: date
    open_minor: int
    flagged_minor: int


class Debt(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or debit item that was late on some day; `moved` holds each day once.

    `seq` is its order of issue, `fees_minor` what of its total are charges for late payment. One that
    `is_cancelled` by now was past due until then, as far as credit covered what came after it.
    """

    number: str
    due_on: date
    seq: int
    total_minor: int
    fees_minor: int
    moved: tuple[Moved, ...]
    is_cancelled: bool = False


class Spell(msgspec.Struct, frozen=True, gc=False):
    """Days, first and last included, on which one amount of an invoice was past due."""

    first_on: date
    last_on: date
    amount_minor: int

    @property
    def days(self) -> int:
        return (self.last_on - self.first_on).days + 1


class _Course:
    """One debt as its days go by."""

    def __init__(self, debt: Debt) -> None:
        self.debt = debt
        self.open = self.flagged = 0
        self.left = 0
        self.since = date.min
        self.spells: list[Spell] = []

    def left_of(self, day: date, cover_minor: int) -> int:
        """What is past due on a day, when unapplied credit covers so much of it."""
        if day <= self.debt.due_on:
            return 0
        disputed = max(min(self.open, self.flagged), 0)
        return max(self.open - disputed - cover_minor, 0)

    def goes_on(self, day: date, left: int) -> None:
        """From the day on, so much is past due."""
        if left == self.left:
            return
        if self.left:
            self.spells.append(Spell(self.since, day - _DAY, self.left))
        self.left, self.since = left, day


def spells(
    debts: Iterable[Debt], unapplied: Iterable[tuple[date, int]], through: date
) -> dict[str, list[Spell]]:
    """The spells of each debt up to a day, by number, in order.

    `unapplied` holds by how much the account's unapplied credit changed from a day on. It covers
    what is open in due order, then order of issue, whether disputed or not; within one invoice
    what is undisputed first. Debts that were late on no day need not be among those given: they
    are covered after all that were.
    """
    courses = [_Course(debt) for debt in sorted(debts, key=lambda debt: (debt.due_on, debt.seq))]
    moves, touched = _by_day(courses)
    credit: dict[date, int] = defaultdict(int)
    for on, amount_minor in unapplied:
        credit[on] += amount_minor
    cover = 0
    for day in sorted(day for day in touched.keys() | credit.keys() if day <= through):
        before, cover = cover, cover + credit.get(day, 0)
        for course, moved in moves.get(day, ()):
            course.open += moved.open_minor
            course.flagged += moved.flagged_minor
        if before > 0 or cover > 0:
            _cover(courses, day, cover)
        else:
            for course in touched.get(day, ()):
                course.goes_on(day, course.left_of(day, 0))
    for course in courses:
        course.goes_on(through + _DAY, 0)
    return {course.debt.number: course.spells for course in courses}


def _by_day(
    courses: Sequence[_Course],
) -> tuple[dict[date, list[tuple[_Course, Moved]]], dict[date, list[_Course]]]:
    """What moves on each day, and which courses may look different from it on."""
    moves: dict[date, list[tuple[_Course, Moved]]] = defaultdict(list)
    touched: dict[date, list[_Course]] = defaultdict(list)
    for course in courses:
        touched[course.debt.due_on + _DAY].append(course)
        for moved in course.debt.moved:
            moves[moved.on].append((course, moved))
            touched[moved.on].append(course)
    return moves, touched


def _cover(courses: Iterable[_Course], day: date, cover_minor: int) -> None:
    left = max(cover_minor, 0)
    for course in courses:
        course.goes_on(day, course.left_of(day, left))
        left = max(left - course.open, 0)
