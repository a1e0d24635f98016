"""What one append takes and gives: the columns of accounts, events, keys, items and texts."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from ledger.account import STATE_BYTES_MAX, Account
from ledger.items import ITEM_OF, AllocationItem, InvoiceItem, Item, PaymentItem, SourceItem
from ledger.store import arrays
from ledger.store.arrays import Bytea, Column, Date, Int4, Int8, Text, Uuid

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
    """An event to append; `account` is the place of its account in the batch, from 1."""

    account: int
    version: int
    topic: str
    state: bytes
    hash: bytes


class KeyRow(NamedTuple):
    """A command that was done: its key, its digest, the events it recorded and its reply."""

    account: int
    key: str
    command_sha256: bytes
    first_version: int
    last_version: int
    reply: bytes


class ItemRow(NamedTuple):
    """An item as it has become, with the columns that ranges are read by."""

    account: int
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

    account: int
    message_id: str
    body: str


_ACCOUNT = (Int4, Uuid, Int8, Text, Int8, Bytea, Bytea)
_EVENT = (Int4, Int8, Text, Bytea, Bytea)
_KEY = (Int4, Text, Bytea, Int8, Int8, Bytea)
_ITEM: tuple[type[Column], ...] = (
    Int4,
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
_TEXT = (Int4, Text, Text)


class Placed(NamedTuple):
    """Where an appended event came to stand."""

    position: int
    recorded_at: datetime
    leaf: bytes


class Batch:
    """Rows of one append, and after it where its events stand by (account id, version).

    An account without placed events was not at the version expected: nothing of it was stored.
    """

    def __init__(self) -> None:
        self.accounts: list[AccountRow] = []
        self.events: list[EventRow] = []
        self.keys: list[KeyRow] = []
        self.items: list[ItemRow] = []
        self.texts: list[TextRow] = []
        self.placed: dict[tuple[UUID, int], Placed] = {}

    def columns(self) -> list[Column]:
        """The arrays of `ledger.append`, in its order."""
        return [
            *arrays.columns(
                _ACCOUNT,
                [(row[0], row.account_id.bytes, *row[2:]) for row in self.accounts],
                nullable=True,
            ),
            *arrays.columns(_EVENT, self.events),
            *arrays.columns(_KEY, self.keys),
            *arrays.columns(_ITEM, self.items, nullable=True),
            *arrays.columns(_TEXT, self.texts),
        ]


def account_state(account: Account) -> bytes:
    """The bytes of an account's state; they stay small whatever its history."""
    state = encode(account)
    assert len(state) <= STATE_BYTES_MAX, (account.account_number, len(state))
    return state


def item_row(account: int, item: Item, version: int) -> ItemRow:
    """The row of an item of the batch's account that its event of `version` changed."""
    kind, id = item.ref
    state = encode(item)
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
        account, kind, id, item.seq, version, state, due_on, opened, undisputed, written_off,
        unapplied, allocated, amount, source, invoice,
    )  # fmt: skip  # in the order of the fields


def decode_item(kind: str, state: bytes) -> Item:
    """The item of a row's kind and state."""
    return _DECODE_ITEM[kind](state)
