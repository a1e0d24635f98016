"""The events of all lanes of a region in a row, page by page, for whoever may read them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg.rows import TupleRow

from api.database import LinePool, Transaction
from api.entering import refuse
from api.replies import EventShown, event_shown
from api.security.scope import READ_FEED
from api.vectors import Vector, unknown
from ledger.store.faults import Corrupt
from ledger.store.lanes import LANES
from ledger.store.mapper import EventMapper
from ledger.store.sql import load
from projections.follower import shares

_SQL = load("api", "feed.sql")


class FeedEvent(EventShown, frozen=True, kw_only=True):
    """An event, and the account it happened to."""

    account_number: str


class Wanted(msgspec.Struct, frozen=True):
    """The page after a place, of so many events at most."""

    after: Vector
    limit: int


@dataclass(frozen=True)
class Page:
    """Events in order, the lane and position of each, and the places before and after them."""

    events: list[FeedEvent]
    places: list[tuple[int, int]]
    start: Vector
    end: Vector
    is_last: bool
    """Nothing more was there when it was read."""


class Feed:
    """Reads the events of one region."""

    def __init__(self, region: str, lines: LinePool) -> None:
        self.region = region
        self._lines = lines
        self._mapper = EventMapper()

    async def page(self, token: bytes, wanted: Callable[[], Wanted]) -> Page:
        """A page for whoever holds the token, which is looked at anew each time.

        `wanted` is asked once they are known to be let in. Raises Problem (401, 403; 422 for a
        place that the log has not reached), and as LinePool.transact does.
        """

        async def read(transaction: Transaction) -> tuple[list[TupleRow], Vector, Vector, bool]:
            [(verdict, role, _, heads)] = await transaction.rows(_SQL["enter"], _asker(token))
            refuse(verdict)
            want = wanted()
            lags = _lags(want.after, heads)
            taken = fair_shares(lags, want.limit, turn=sum(want.after.positions))
            end = want.after.copy()
            for lane, count in taken.items():
                end.move(lane, want.after.positions[lane] + count)
            rows = await self._rows(transaction, want.after, end, taken)
            # A customer would see no more than what happened to their own accounts.
            if role != "customer" and len(rows) != sum(taken.values()):
                raise Corrupt(f"region {self.region} has not every event of {taken} past {lags}")
            return rows, want.after, end, taken == lags

        rows, start, end, is_last = await self._lines.transact(read)
        return Page(
            events=[self._shown(row) for row in rows],
            places=[(row[0], row[1]) for row in rows],
            start=start,
            end=end,
            is_last=is_last,
        )

    async def heads(self) -> list[int]:
        """The last position of each lane; raises as LinePool.rows does."""
        [(heads,)] = await self._lines.rows(_SQL["heads"], ())
        found: list[int] = heads
        return found

    async def close(self) -> None:
        """No connection is left."""
        await self._lines.close()

    async def _rows(
        self, transaction: Transaction, after: Vector, end: Vector, taken: Mapping[int, int]
    ) -> list[TupleRow]:
        if not taken:
            return []
        lanes = list(taken)
        given = {
            "lanes": lanes,
            "after": [after.positions[lane] for lane in lanes],
            "upto": [end.positions[lane] for lane in lanes],
        }
        return await transaction.rows(_SQL["events"], given)

    def _shown(self, row: TupleRow) -> FeedEvent:
        lane, position, version, recorded_at, topic, state, hash, account_number = row
        body = self._mapper.read(topic, state)
        return event_shown(
            body.data,
            FeedEvent,
            version=version,
            actor=body.actor,
            key=body.key,
            position=f"{lane}-{position}",
            recorded_at=recorded_at,
            hash=hash,
            account_number=account_number,
        )


def fair_shares(lags: Mapping[int, int], limit: int, *, turn: int) -> dict[int, int]:
    """How many events to take of each lane that has some: `limit` together, or all there are.

    Every lane gets its fair share. Of more lanes than `limit`, that many get one each, from lane
    `turn` on in a circle: with the number of events read before as the turn, all of them have been
    served after one round.
    """
    if len(lags) <= limit:
        return shares(lags, limit)
    in_turn = sorted(lags, key=lambda lane: (lane - turn) % LANES)
    return dict.fromkeys(in_turn[:limit], 1)


def _lags(after: Vector, heads: list[int]) -> dict[int, int]:
    """How many events there are past a place, by lane; raises Problem for a place not reached."""
    pairs = list(zip(after.positions, heads, strict=True))
    if any(position > head for position, head in pairs):
        raise unknown(after.region)
    return {lane: head - at for lane, (at, head) in enumerate(pairs) if head > at}


def _asker(token: bytes) -> dict[str, Any]:
    return {
        "roles": list(READ_FEED.roles),
        "scope": READ_FEED.scope,
        "token_sha256": token,
    }
