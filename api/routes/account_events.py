"""GET /v1/accounts/{account_number}/events: what has happened to an account, the latest first."""

from collections.abc import Mapping
from typing import Any

import msgspec

from api.account_reads import AS_OF, Reading, read_operation
from api.cursors import list_of, seal, unseal
from api.doors import RegionDoor
from api.lists import Page
from api.operations import Operation
from api.parameters import CURSOR, FROM, LIMIT, LIMIT_DEFAULT, TO, Parameter, named, one_of
from api.replies import EventShown, event_shown
from ledger.store.mapper import TOPICS, EventMapper
from ledger.store.sql import load

SCANNED_MAX = 10_000
"""Events that one request looks at: with filters that fit few, a page may have fewer than `limit`."""
TYPE = Parameter(
    "type", one_of(*TOPICS), {"type": "string", "enum": list(TOPICS)}, "Only events of this type."
)
_PARAMETERS = named(*AS_OF, FROM, TO, TYPE, LIMIT, CURSOR)
_SQL = load("api", "feed.sql")


def account_event_operation(doors: Mapping[str, RegionDoor]) -> Operation:
    """The operation of the list."""
    mapper = EventMapper()

    async def work(reading: Reading, key: bytes) -> msgspec.Struct:
        return await _page(reading, key, mapper)

    return read_operation(
        doors,
        "/events",
        "list_account_events",
        "Events of an account in the order of recording, latest first",
        _PARAMETERS,
        work,
        Page[EventShown],
    )


async def _page(reading: Reading, key: bytes, mapper: EventMapper) -> Page[EventShown]:
    """Events up to the moment read, which a version stands for: versions are in order of recording.

    There is more while there is a cursor, even where a page is short or empty.
    """
    given = reading.given
    limit = given.get("limit", LIMIT_DEFAULT)
    filters = {name: value for name, value in given.items() if name not in ("limit", "cursor")}
    kind = list_of("events", f"{reading.region}/{reading.at.number}", filters)
    before = reading.version + 1
    if "cursor" in given:
        (before,) = unseal(key, kind, given["cursor"], tuple[int])
    down_to = max(before - SCANNED_MAX, 1)
    last_on = min((day for day in (given.get("to"), reading.day) if day is not None), default=None)
    rows = await reading.rows(
        _SQL["account_events"],
        before=before,
        down_to=down_to,
        type=given.get("type"),
        **{"from": given.get("from"), "to": last_on},
        limit=limit,
    )
    is_full = len(rows) == limit
    end = rows[-1][1] if is_full else down_to
    return Page(
        data=[_shown(reading.at.lane, row, mapper) for row in rows],
        next_cursor=seal(key, kind, (end,)) if end > 1 else None,
        effective_on=reading.effective_on,
        known_at=reading.known_at,
        position=reading.read_at,
    )


def _shown(lane: int, row: tuple[Any, ...], mapper: EventMapper) -> EventShown:
    position, version, recorded_at, topic, state, hash = row
    body = mapper.read(topic, state)
    return event_shown(
        body.data,
        EventShown,
        version=version,
        actor=body.actor,
        key=body.key,
        position=f"{lane}-{position}",
        recorded_at=recorded_at,
        hash=hash,
    )
