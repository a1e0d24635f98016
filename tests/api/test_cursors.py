"""Cursors: taken back whole, where they were given out, and by nobody else's key."""

import asyncio
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from api.cursors import CursorKey, list_of, seal, unseal
from api.database import LinePool
from api.parameters import TEXT_CHARS_MAX
from api.problems import Problem
from api.security.roles import REGISTRAR
from api.wiring import Database
from ledger.store.roles import READER
from tests.api.conftest import Deployment

KEY = bytes(range(32))
PATH = "/v1/accounts/A-1/charges"
KIND = list_of("charges", PATH, {"status": "billed", "from": date(2020, 1, 31)})
VALUES = (date(2020, 7, 30), 12)
CURSOR = seal(KEY, KIND, VALUES)


def test_a_cursor_gives_back_what_was_sealed() -> None:
    """Days, instants, numbers, ids and text come back as they were, within what a query may hold."""
    assert VALUES == unseal(KEY, KIND, CURSOR, tuple[date, int])
    long = (datetime(2020, 7, 30, 1, 2, 3, 4, UTC), "x" * 64)
    sealed = seal(KEY, KIND, long)
    assert len(sealed) <= TEXT_CHARS_MAX
    assert long == unseal(KEY, KIND, sealed, tuple[datetime, str])
    id = uuid4()
    assert (id,) == unseal(KEY, KIND, seal(KEY, KIND, (id,)), tuple[UUID])


def test_the_order_of_filters_does_not_matter() -> None:
    """A caller may write the query in another order for the next page."""
    turned = list_of("charges", PATH, {"from": date(2020, 1, 31), "status": "billed"})
    assert VALUES == unseal(KEY, turned, CURSOR, tuple[date, int])


@pytest.mark.parametrize(
    "kind",
    [
        list_of("credits", PATH, {"status": "billed", "from": date(2020, 1, 31)}),
        list_of("charges", PATH.replace("A-1", "B-1"), {"status": "billed"}),
        list_of("charges", PATH, {"status": "billed"}),
        list_of("charges", PATH, {"status": "unbilled", "from": date(2020, 1, 31)}),
        list_of("charges", PATH, {"status": "billed", "from": date(2020, 2, 1)}),
    ],
)
def test_a_cursor_of_another_list_is_refused(kind: bytes) -> None:
    """Another operation, path or filter makes a cursor worth nothing."""
    refused(kind, CURSOR)


def refused(kind: bytes, text: str, key: bytes = KEY) -> None:
    with pytest.raises(Problem) as raised:
        unseal(key, kind, text, tuple[date, int])
    assert (422, "invalid_request") == (raised.value.status, raised.value.code)
    assert ["/query/cursor"] == [error.pointer for error in raised.value.errors]


def test_a_cursor_that_was_tampered_with_is_refused() -> None:
    """Each character of a cursor counts, and text that is none is refused the same way."""
    for n, char in enumerate(CURSOR[:-1]):  # the last one's two lowest bits are padding
        refused(KIND, CURSOR[:n] + ("A" if char != "A" else "B") + CURSOR[n + 1 :])
    for odd in ("", ".", "x", CURSOR[:-5], CURSOR + "A", CURSOR.partition(".")[0], "é.ü", "\x00"):
        refused(KIND, odd)


def test_another_regions_key_refuses_a_cursor() -> None:
    """What one region gave out another does not take."""
    refused(KIND, CURSOR, key=bytes(32))


def test_every_process_of_a_region_has_the_same_key(deployment: Deployment) -> None:
    """Readers and registrars get 32 bytes, made once, and each region its own."""

    async def asked(database: Database, role: str) -> bytes:
        pool = LinePool(database.service_url, role, 1)
        try:
            key = CursorKey(pool)
            assert await key() is await key()
            return await key()
        finally:
            await pool.close()

    found = [
        asyncio.run(asked(database, role))
        for database in deployment.databases.values()
        for role in (READER, REGISTRAR)
    ]
    assert found[0] == found[1] != found[2] == found[3]
    assert {32} == set(map(len, found))
