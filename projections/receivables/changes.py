"""The rows one batch makes and changes, each found again by its key while the batch is folded."""

from collections.abc import Callable
from datetime import date
from typing import Any

from projections.model import At
from projections.receivables import item_rows as i

Key = tuple[bytes, str]


class Changes:
    """The rows that a batch makes (`made`) and changes (`changed`), by type."""

    def __init__(self) -> None:
        self.made: dict[type, list[Any]] = {}
        self.changed: dict[type, list[Any]] = {}
        self.accounts: dict[bytes, Any] = {}
        self._held: dict[type, dict[Key, Any]] = {}

    def make(self, row: Any, key: Key | None = None) -> None:
        """A row that does not exist yet; kept for changes when it has a key."""
        kind = type(row)
        made = self.made.get(kind)
        if made is None:
            made = self.made[kind] = []
        made.append(row)
        if key is not None:
            held = self._held.setdefault(kind, {})
            assert key not in held, f"{kind.__name__} {key[1]!r} is made twice"
            held[key] = row

    def find(self, at: At, made: type, change: Callable[[], Any], id: str) -> Any:
        """The row made in this batch, or else the change of one that was there before."""
        key = (at.account_id, id)
        row = self._held.get(made, {}).get(key)
        if row is None:
            held = self._held.setdefault(made, {})
            row = held[key] = change()
            self.changed.setdefault(type(row), []).append(row)
        row.version = at.version
        return row

    def invoice(self, at: At, number: str) -> Any:
        def change() -> i.InvoiceChange:
            lane, _, account_id, version, _ = at
            return i.InvoiceChange(lane, account_id, number, version, version, date.min, 0)

        return self.find(at, i.InvoiceRow, change, number)

    def payment(self, at: At, id: str) -> Any:
        return self.find(at, i.PaymentRow, lambda: i.PaymentChange(*changed(at, id)), id)

    def credit(self, at: At, id: str) -> Any:
        return self.find(at, i.CreditRow, lambda: i.CreditChange(*changed(at, id)), id)

    def source(self, at: At, source: str) -> tuple[Any, str]:
        """What holds the unapplied rest of a source, and the name of its field."""
        kind, _, id = source.partition(":")
        match kind:
            case "payment":
                return self.payment(at, id), "unapplied_minor"
            case "credit":
                return self.credit(at, id), "unapplied_minor"
            case "carried":
                return self.invoice(at, id), "carried_left_minor"
            case _:
                raise AssertionError(f"source {source!r} is of no known kind")


def key(at: At, id: str) -> Key:
    """The key of a thing of the event's account."""
    return at.account_id, id


def changed(at: At, id: str) -> tuple[int, bytes, str, int, int]:
    """The first fields of every change: whose, what, and the event's version as first and last."""
    return at.lane, at.account_id, id, at.version, at.version


def made(at: At, id: str) -> tuple[int, bytes, str, int, int, Any, int]:
    """The first fields of most rows made: whose, what, and where the event stands."""
    lane, position, account_id, version, recorded_at = at
    return lane, account_id, id, version, position, recorded_at, version
