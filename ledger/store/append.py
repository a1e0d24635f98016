"""What one append takes and gives: the columns of accounts, events, keys, items and texts."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from ledger.account import STATE_BYTES_MAX, Account
from ledger.items import (
    ITEM_OF,
    AllocationItem,
    InvoiceItem,
    Item,
    PaymentItem,
    SourceItem,
    UnbilledItem,
)
from ledger.store import arrays
from ledger.store.arrays import Bytea, Column, Date, Int4, Int8, Text, Uuid
from ledger.store.day_objects import unbilled_of_objects

R = TypeVar("R", bound=tuple[Any, ...])

encode = msgspec.json.Encoder().encode
decode_account = msgspec.json.Decoder(Account).decode
_DECODE_ITEM = {kind: msgspec.json.Decoder(item).decode for kind, item in ITEM_OF.items()}


class AccountRow(NamedTuple):
    """An account's row after the append; `expected` is the version it must have before.

    `expected` None: a stream of events without a row, for what knows events only.
    """

    lane: int
    account_id: UUID
    expected: int | None
    account_number: str
    version: int
    state: bytes
    hash: bytes


class EventRow(NamedTuple):
    """An event to append."""

    version: int
    topic: str
    state: bytes
    hash: bytes


class KeyRow(NamedTuple):
    """A command that was done: its key, its digest, the events it recorded and its reply."""

    key: str
    command_sha256: bytes
    first_version: int
    last_version: int
    reply: bytes


class ItemRow(NamedTuple):
    """An item as it has become, with the columns that ranges are read by."""

    kind: str
    id: str
    seq: int
    version: int
    state: bytes
    due_on: date | None
    open_minor: int | None
    undisputed_minor: int | None
    written_off_minor: int | None
    unapplied_minor: int | None
    allocated_minor: int | None
    amount_minor: int | None
    source: str | None
    invoice: str | None


class TextRow(NamedTuple):
    """The text of a message."""

    message_id: str
    body: str


_ACCOUNT = (Int4, Uuid, Int8, Text, Int8, Bytea, Bytea)
_EVENT = (Int8, Text, Bytea, Bytea)
_KEY = (Text, Bytea, Int8, Int8, Bytea)
_ITEM: tuple[type[Column], ...] = (
    Text,
    Text,
    Int8,
    Int8,
    Bytea,
    Date,
    *[Int8] * 6,
    Text,
    Text,
)
_TEXT = (Text, Text)


class Placed(NamedTuple):
    """Where an appended event came to stand."""

    position: int
    recorded_at: datetime
    leaf: bytes


class Rows(Generic[R]):
    """Rows of a batch's accounts, each beside the place of its account in the batch, from 1."""

    def __init__(self, *kinds: type[Column], nullable: bool = False) -> None:
        self.rows: list[R] = []
        self._places: list[int] = []
        self._kinds = kinds
        self._nullable = nullable

    def add(self, place: int, rows: Sequence[R]) -> None:
        """Takes rows of one account."""
        self.rows += rows
        self._places += [place] * len(rows)

    def columns(self) -> list[Column]:
        """The places, and the rows' columns."""
        places = arrays.packed(Int4, self._places)
        return [places, *arrays.columns(self._kinds, self.rows, nullable=self._nullable)]


class Batch:
    """Rows of one append, and after it where its events stand by (account id's bytes, version).

    An account without placed events was not at the version expected: nothing of it was stored.
    """

    def __init__(self) -> None:
        self.accounts: list[AccountRow] = []
        self.events = Rows[EventRow](*_EVENT)
        self.keys = Rows[KeyRow](*_KEY)
        self.items = Rows[ItemRow](*_ITEM, nullable=True)
        self.texts = Rows[TextRow](*_TEXT)
        self.placed: dict[tuple[bytes, int], Placed] = {}

    def columns(self) -> list[Column]:
        """The arrays of `ledger.append`, in its order."""
        accounts = [(row[0], row.account_id.bytes, *row[2:]) for row in self.accounts]
        return [
            *arrays.columns(_ACCOUNT, accounts, nullable=True),
            *self.events.columns(),
            *self.keys.columns(),
            *self.items.columns(),
            *self.texts.columns(),
        ]


def account_state(account: Account) -> bytes:
    """The bytes of an account's state; they stay small whatever its history."""
    state = encode(account)
    assert len(state) <= STATE_BYTES_MAX, (account.account_number, len(state))
    return state


def item_row(item: Item, version: int) -> ItemRow:
    """The row of an item that its account's event of `version` changed."""
    kind, id, state = item.KIND, item.id, encode(item)
    due_on = opened = undisputed = written_off = unapplied = allocated = amount = None
    source = invoice = None
    if isinstance(item, InvoiceItem):
        due_on, opened = item.due_on, item.open_minor
        undisputed, written_off = item.undisputed_minor, item.written_off_minor
    elif isinstance(item, SourceItem):
        unapplied = item.unapplied_minor
        if isinstance(item, PaymentItem):
            allocated = item.allocated_minor
    elif isinstance(item, AllocationItem):
        amount, source, invoice = item.amount_minor, item.source, item.invoice
    return ItemRow(
        kind, id, item.seq, version, state, due_on, opened, undisputed, written_off,
        unapplied, allocated, amount, source, invoice,
    )  # fmt: skip  # in the order of the fields


def decode_item(kind: str, state: bytes) -> Item:
    """The item of a row's kind and state, be it of an older release."""
    try:
        return _DECODE_ITEM[kind](state)
    except msgspec.ValidationError:
        if kind != UnbilledItem.KIND:
            raise
        return unbilled_of_objects(state)
