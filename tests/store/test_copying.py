"""Rows packed for COPY arrive as they are."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import psycopg
import pytest

from ledger.store import arrays, copying
from ledger.store.copying import packed
from tests.store.databases import Database

KINDS: dict[str, tuple[type[arrays.Column], str]] = {
    "small": (arrays.Int4, "int"),
    "big": (arrays.Int8, "bigint"),
    "flag": (arrays.Bool, "boolean"),
    "said": (arrays.Text, "text"),
    "id": (arrays.Uuid, "uuid"),
    "day": (arrays.Date, "date"),
    "at": (arrays.Instant, "timestamptz"),
    "raw": (arrays.Bytea, "bytea"),
    "json": (arrays.Json, "jsonb"),
}
SPACE = UUID(int=1)
START = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def row(n: int) -> tuple[Any, ...]:
    return (
        n - 5, (-1) ** n * n * 10**15, n % 2 == 0, f"wört {n}", uuid5(SPACE, str(n)),
        date(1999, 12, 30) + timedelta(days=n), START + timedelta(microseconds=n**3),
        bytes([n % 256, 0]), {"n": n},
    )  # fmt: skip # a value for each kind


def sent(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """As rows hold them: ids as bytes, JSON encoded."""
    *most, json = values
    id = most[4]
    most[4] = None if id is None else id.bytes
    return (*most, None if json is None else b'{"n": %d}' % json["n"])


@pytest.mark.parametrize(
    "rows",
    [
        [row(1)],
        [row(n) for n in range(200)],
        [row(n % 3) for n in range(200)],
        [row(7)] * 90,
        [tuple(None if (n + k) % 4 == 0 else v for k, v in enumerate(row(n))) for n in range(200)],
        [tuple(None if k % 2 else v for k, v in enumerate(row(n % 2))) for n in range(90)],
    ],
    ids=["one", "all differ", "repeat", "all the same", "some null", "columns of nulls"],
)
def test_rows_arrive_as_they_are(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    """Whatever repeats, is null or stands side by side: what is copied in is read back."""
    columns = ", ".join(f"{name} {of}" for name, (_, of) in KINDS.items())
    kinds = [(kind, True) for kind, _ in KINDS.values()]
    form = packed(kinds, list(zip(*map(sent, rows), strict=True)))
    with psycopg.connect(database.owner_url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE held ({columns}, n serial)".encode())
        with cursor.copy(
            f"COPY held ({', '.join(KINDS)}) FROM STDIN (FORMAT binary)".encode()
        ) as c:
            c.write(copying.HEAD + form + copying.END)
        found = cursor.execute(f"SELECT {', '.join(KINDS)} FROM held ORDER BY n".encode())
        assert list(rows) == found.fetchall()


@pytest.mark.parametrize(("kind", "value"), [(arrays.Int4, 2**31), (arrays.Int8, -(2**63) - 1)])
def test_what_does_not_fit_is_refused(kind: type[arrays.Column], value: int) -> None:
    """A number past its column raises OverflowError: nothing is wrapped."""
    with pytest.raises(OverflowError):
        packed([(kind, False)], [(1, value)])
    with pytest.raises(OverflowError):
        packed([(kind, True)], [(None, value, 1)])
