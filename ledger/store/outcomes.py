"""What became of a command: accepted, with all its reply needs, or refused."""

from datetime import date, datetime
from uuid import UUID

import msgspec

from ledger.account import Figures
from ledger.errors import Refusal
from ledger.store.mapper import Recorded


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What is stored of a reply beside its events: figures and the region's date then."""

    figures: Figures
    today: date


class Accepted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The command's events and the figures after them; a replay is equal but for `replayed`.

    A dry run has neither positions, hashes, instant nor leaf. `hashes` are the account's after each
    event; `leaf` is that of the last event.
    """

    account_id: UUID
    lane: int
    version: int
    events: tuple[Recorded, ...]
    figures: Figures
    today: date
    positions: tuple[int, ...] = ()
    recorded_at: datetime | None = None
    hashes: tuple[bytes, ...] = ()
    leaf: bytes | None = None
    replayed: bool = False

    @property
    def position(self) -> int | None:
        """The position of the last event in the lane."""
        return self.positions[-1] if self.positions else None


class Refused(msgspec.Struct, frozen=True):
    """The command did nothing; its key is free."""

    refusal: Refusal


Outcome = Accepted | Refused
