"""An account in receivables: every row that its events made, and every sum of them that is kept."""

from datetime import datetime
from typing import Any

from ledger import events as e
from ledger.movements import Movement
from projections.reconciliation import steps
from projections.reconciliation.account_fold import FIGURES, Sum
from projections.reconciliation.findings import Findings, differing
from projections.reconciliation.latest import Latest
from projections.reconciliation.streams import Row
from projections.reconciliation.things import COLUMNS, End, Thing, ended, made

_MOVEMENT = ("n", "version", "recorded_at", "effective_on", "figure", "item", "amount_minor")
_TOTAL = Thing._fields.index("total_minor")
TOTALS = ("open", "unapplied", "unbilled", "pending")
_OF_PAYMENTS = frozenset(("pending", "processed", "returned"))
"""Figures of things that are named without their kind, and are no invoices."""
_NOT_ENDED = End(None, None)
_LIFE = (
    *("opened_on", "first_position", "closed_on", "closed_position", "recorded_at", "messages"),
)
"""What an account's row tells beside its totals."""


class ReceivablesCheck:
    """The rows of one account, while its events go by; then `finish`."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._books = findings.books
        self._id = findings.account_id
        self._ends: dict[tuple[int, str, str], End] = {}
        """What rows tell to be reversed, cancelled or resolved: position, table and id, and how."""
        self._latest = Latest(findings)
        self._life: dict[str, Any] = {**dict.fromkeys(_LIFE), "messages": 0}

    def take(
        self,
        position: int,
        version: int,
        recorded_at: datetime,
        event: e.Event,
        moved: list[Movement],
    ) -> None:
        """The rows of one event are what it makes."""
        stream = self._books.movements
        self._books.strays("receivables.movement", stream.before(self._id, position))
        found = [row[2:] for row in stream.at(self._id, position)]
        expected: list[Row] = [
            (n, version, recorded_at, on, figure, item, amount_minor)
            for n, (figure, item, on, amount_minor) in enumerate(moved)
        ] or [(0, version, recorded_at, event.effective_on, "none", "", 0)]
        if expected != found:
            for one in differing(_MOVEMENT, expected, found):
                figure = (one[0] or one[1])[4]
                self._findings.row_differs("receivables.movement", figure, one, 6, position)
        if added := steps.steps(event, version, recorded_at):
            self._check_steps(position, added)
        if thing := made(event, (version, recorded_at)):
            self._check_thing(position, *thing)
        if thing_ended := ended(event):
            self._check_end(position, *thing_ended)
        self._latest.take(position, version, event, moved)
        self._life["recorded_at"] = recorded_at
        if version == 1:
            self._life |= {"opened_on": event.effective_on, "first_position": position}
        elif type(event) is e.AccountClosed:
            self._life |= {"closed_on": event.effective_on, "closed_position": position}
        elif type(event) is e.MessagePosted:
            self._life["messages"] += 1

    def finish(self) -> None:
        """What is kept of the account is what its events so far come to."""
        findings, where = self._findings, "receivables.account"
        row, fold = self._books.accounts.get(self._id), self._findings.fold
        if row is None and fold.version:
            findings.differs(where, "row", "there is no row", first_position=fold.position)
        elif row is not None and not fold.version:
            findings.differs(where, "row", "there is a row of an account that is not opened yet")
        elif row is not None:
            findings.check_facts(where, row[1:5])
            for figure, found_minor in zip(TOTALS, row[5:9], strict=True):
                findings.check_sum(where, figure, fold.figures[figure], found_minor)
            self._check_life(where, dict(zip(_LIFE, row[9:], strict=True)))
        self._check_days()
        self._check_items()
        self._latest.finish()
        for position, table, id in sorted(self._ends):
            says = "it is said to have been ended by an event that did not"
            first = {"first_position": position or None}
            findings.differs(f"receivables.{table} {id}", "ended", says, **first)

    def _check_life(self, where: str, found: dict[str, Any]) -> None:
        for name, should in self._life.items():
            if should != found[name]:
                says = f"{name} is {found[name]}, not {should}"
                first = self._findings.fold.position
                self._findings.differs(where, name, says, first_position=first)

    def _check_thing(self, position: int, table: str, thing: Thing) -> None:
        stream = self._books.things
        self._books.strays("", stream.before(self._id, position))
        found = []
        for _, _, of, *row in stream.at(self._id, position):
            *fields, ended_position, ended_on, ended_as, latest, latest_on, latest_as = row
            found.append((*fields, of))
            end = End(ended_on, ended_as)
            if ended_position is not None or end != _NOT_ENDED:
                self._ends[ended_position or 0, of, row[0]] = end
            self._latest.keep(of, row[0], (latest, latest_on, latest_as))
        expected: list[Row] = [(*thing, table)]
        if expected != found:
            columns = (*COLUMNS[table], "table")
            for one in differing(columns, expected, found):
                should, has, _ = one
                row = should or has
                figure = "row"
                if should and has:
                    pairs = zip(columns, should, has, strict=True)
                    figure = next(name for name, not_, is_ in pairs if not_ != is_)
                where = f"receivables.{row[-1]} {row[0]}"
                self._findings.row_differs(where, figure, one, _TOTAL, position)

    def _check_end(self, position: int, table: str, id: str, end: End) -> None:
        found = self._ends.pop((position, table, id), None)
        if found == end:
            return
        says = "the row does not say by which event it was reversed, cancelled or resolved"
        if found is not None:
            says = f"it ended on {end.on} ({end.told}), not on {found.on} ({found.told})"
        where = f"receivables.{table} {id}"
        self._findings.differs(where, "ended", says, first_position=position)

    def _check_steps(self, position: int, added: list[steps.Step]) -> None:
        stream = self._books.steps
        self._books.strays("", stream.before(self._id, position))
        rows = stream.at(self._id, position)
        found = [((row[2], row[3]), *row[4:]) for row in rows]
        if sorted(added) == found:
            return
        for one in differing(steps.COLUMNS, added, found):
            should, has, _ = one
            (table, _), item, *_ = should or has
            figure = "row"
            if should and has:
                pairs = zip(steps.COLUMNS, should, has, strict=True)
                figure = next(name for name, not_, is_ in pairs if not_ != is_)
            where = f"receivables.{table} {item}"
            self._findings.row_differs(where, figure, one, steps.AMOUNT, position)

    def _check_days(self) -> None:
        stream, where = self._books.days, "receivables.daily"
        self._books.strays(where, stream.before(self._id))
        found = {row[1:3]: list(row[3:]) for row in stream.at(self._id)}
        days = self._findings.fold.days
        for key in sorted(days.keys() | found.keys()):
            *expected, position = days.get(key, [0] * 7)
            has = found.get(key, [0] * 6)
            if expected == has:
                continue
            place = f"{where} of {key[0]}, recorded on {key[1]}"
            for figure, should_minor, has_minor in zip(FIGURES, expected, has, strict=False):
                self._findings.check_sum(place, figure, Sum(should_minor, position), has_minor)
            if expected[-1] != has[-1]:
                says = f"version is {has[-1]}, not {expected[-1]}"
                self._findings.differs(place, "version", says, first_position=position or None)

    def _check_items(self) -> None:
        stream = self._books.items
        self._books.strays("receivables, a figure of a thing", stream.before(self._id))
        found = {row[1:3]: row[3] for row in stream.at(self._id)}
        items = self._findings.fold.items
        for key in sorted(items.keys() | found.keys()):
            expected, found_minor = items.get(key) or Sum(), found.get(key, 0)
            if expected.amount_minor != found_minor:
                self._findings.check_sum(_where(*key), key[0], expected, found_minor)


def _where(figure: str, item: str) -> str:
    """The table that holds a figure of a thing, and the thing's id."""
    kind, colon, id = item.partition(":")
    if figure in _OF_PAYMENTS:
        return f"receivables.payment {item}"
    if not colon or kind not in ("payment", "credit", "carried"):
        return f"receivables.invoice {item}"
    return f"receivables.{'invoice' if kind == 'carried' else kind} {id}"
