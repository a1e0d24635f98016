"""An account's own rows on the write side, which commands are decided by: what the rules make of its events."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from ledger import events as e
from ledger.account import Account
from ledger.allocation import first_open
from ledger.decider import evolve
from ledger.items import AllocationItem, ChargeItem, Item, Ref
from ledger.store.append import ItemRow, decode_account, decode_item, item_row
from ledger.store.faults import message_of
from projections.batches import FOLD_FAULTS
from projections.reconciliation.account_fold import Sum
from projections.reconciliation.findings import Findings
from projections.reconciliation.receivables_check import TOTALS
from projections.reconciliation.streams import Row

_MINOR = "_minor"
_FIGURES = frozenset(f"{figure}{_MINOR}" for figure in (*TOTALS, "disputed"))
"""Fields of an account that are held against the sums of movements."""
_MANY = (ChargeItem, AllocationItem)
"""Of which an account may have any number: one that is as it will stay is held no more."""
_COLUMNS = ItemRow._fields.index("due_on")
"""Of an item's row, the first column that repeats what its state says."""
_Facts = Sequence[tuple[str, Any]]
_DECODE_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, KeyError)


class WrittenCheck:
    """The account and items of one account, while its events go by; then `finish`.

    An item's row says the version that changed it last: it is held against what the rules have made
    of it once the events up to that one are taken.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._books = findings.books
        self._account: Account | None = None
        self._items: dict[Ref, Item] = {}
        self._expected: dict[Ref, int] = {}
        """The items whose rows are still to come, and the position of the event that changed each last."""
        self.is_followed = True
        """Whether the rules could follow all events so far."""

    def take(self, position: int, version: int, event: e.Event) -> None:
        """Follows one event, and holds the rows that say they are of its version against it."""
        rows = self._books.written_items.at(self._findings.account_id, version)
        if not self.is_followed:
            return
        try:
            self._recall(version, event)
            self._account, changed = evolve(self._account, self._items, event)
        except (*FOLD_FAULTS, *_DECODE_FAULTS) as fault:
            self.is_followed = False
            says = f"no rule makes this of what was before: {message_of(fault)}"
            says = f"{says}; the rows of the write side are not held against it"
            self._findings.event_differs(position, "rules", says)
            return
        self._items |= changed
        for ref in changed:
            self._expected[ref] = position
        for row in rows:
            self._check_item(row, position)

    def finish(self, last_hash: bytes) -> None:
        """Nothing is missing, and the account's row is as its events, whose last hash is given, make it."""
        if self.is_followed:
            for ref, position in self._expected.items():
                says = "there is no row, or one of an earlier version"
                self._findings.differs(_where(*ref), "row", says, first_position=position)
        self._check_account(last_hash)

    def _recall(self, version: int, event: e.Event) -> None:
        """Items that are held no more are held again, which this event changes whatever their rows say.

        A row that was put back to an earlier version, state and all, is as the rules had made it then.
        """
        for ref in _changes(event):
            if ref not in self._items:
                kind, id = ref
                account_id = UUID(bytes=self._findings.account_id)
                given = {"account_id": account_id, "kind": kind, "id": id, "version": version}
                for (state,) in self._books.rows("written_item", **given):
                    self._items[ref] = decode_item(kind, state)

    def _check_item(self, row: Row, position: int) -> None:
        _, version, kind, id, seq, state, *columns = row
        ref, where, first = (kind, id), _where(kind, id), {"first_position": position}
        item = self._items.get(ref)
        if item is None:
            self._findings.differs(where, "row", "it is of no event of the log", **first)
            return
        self._expected.pop(ref, None)
        expected, repeated = item_row(item, version), tuple(columns)
        found = item
        if state != expected.state:  # it may be written otherwise, by an earlier release
            try:
                found = decode_item(kind, state)
            except _DECODE_FAULTS as fault:
                says = f"cannot be read: {message_of(fault)}"
                self._findings.differs(where, "row", says, **first)
                return
        if item == found and seq == expected.seq and repeated == expected[_COLUMNS:]:
            if isinstance(item, _MANY):
                del self._items[ref]
            return
        names = ("row's seq", *ItemRow._fields[_COLUMNS:])
        should = (*_facts(item), *zip(names, (expected.seq, *expected[_COLUMNS:]), strict=True))
        is_ = (*_facts(found), *zip(names, (seq, *repeated), strict=True))
        self._fields_differ(where, should, is_, position)

    def _fields_differ(self, where: str, expected: _Facts, found: _Facts, first: int) -> None:
        """One difference, of the first field that differs; all of them are told."""
        pairs = zip(expected, found, strict=True)
        facts = [(name, not_, is_) for (name, not_), (_, is_) in pairs if not_ != is_]
        says = ", ".join(f"{name} is {is_}, not {not_}" for name, not_, is_ in facts)
        name, *amounts = facts[0]
        of_amounts = {}
        if name.endswith(_MINOR):
            of_amounts = dict(zip(("expected_minor", "found_minor"), amounts, strict=True))
        figure = name.removesuffix(_MINOR)
        self._findings.differs(where, figure, says, first_position=first, **of_amounts)

    def _check_account(self, last_hash: bytes) -> None:
        findings, fold, where = self._findings, self._findings.fold, "ledger.account"
        row = self._books.written.get(findings.account_id)
        if row is None:
            findings.differs(where, "row", "there is no row", first_position=fold.position)
            return
        _, number, version, state, hash = row
        try:
            found = decode_account(state)
        except _DECODE_FAULTS as fault:
            says = f"cannot be read: {message_of(fault)}"
            findings.differs(where, "row", says, first_position=fold.position)
            return
        findings.check_facts(where, (number, found.currency, version))
        findings.check_facts(where, (found.account_number, found.currency, found.version))
        if hash != last_hash:
            says = f"the hash is {hash.hex()}, and that of the last event {last_hash.hex()}"
            findings.differs(where, "hash", says, first_position=fold.position)
        for figure in TOTALS:
            found_minor = getattr(found, f"{figure}{_MINOR}")
            findings.check_sum(where, figure, fold.figures[figure], found_minor)
        disputed = Sum(fold.disputed_minor, fold.figures["flagged"].position)
        findings.check_sum(where, "disputed", disputed, found.disputed_minor)
        if self.is_followed:
            self._check_rest(where, found)

    def _check_rest(self, where: str, found: Account) -> None:
        """What else the account's row says is what the rules make of the events."""
        assert self._account is not None, "an account without events"
        due_on = first_open(self._items, self._account.unapplied_minor)
        expected = msgspec.structs.replace(self._account, due_on=due_on)
        if expected == found:
            return
        should, is_ = (
            [fact for fact in _facts(account) if fact[0] not in _FIGURES]
            for account in (expected, found)
        )
        if should != is_:
            self._fields_differ(where, should, is_, self._findings.fold.position)


def _changes(event: Any) -> Iterator[Ref]:
    """The items of `_MANY` that an event changes and has not made."""
    if type(event) is e.ChargeReversed:
        yield ChargeItem.KIND, event.charge_id
    for undoing in getattr(event, "undone", ()):
        yield AllocationItem.KIND, undoing.allocation


def _facts(of: msgspec.Struct) -> _Facts:
    return [(name, getattr(of, name)) for name in of.__struct_fields__]


def _where(kind: str, id: str) -> str:
    return f"ledger.item {id}" if kind == "invoice" else f"ledger.item {kind}:{id}"
