"""Days, instants and positions as callers write them: strict ASCII forms, and nothing else."""

import re
from datetime import UTC, date, datetime

from ledger.errors import KnownAtInFuture
from ledger.store.lanes import LANES

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(
    r"([1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,6})?(?:Z|\+00:00)",
    re.ASCII,
)
_POSITION = re.compile(r"(0|[1-9][0-9]?)-(0|[1-9][0-9]{0,17})", re.ASCII)
_SHOWN_CHARS_MAX = 40
FIRST_DAY = date(1900, 1, 1)
LAST_DAY = date(2199, 12, 31)
"""The days that anything may be dated: far from where calendars end."""
DAY_SCHEMA = {
    "type": "string",
    "format": "date",
    "pattern": "^(19|2[01])[0-9]{2}-[0-9]{2}-[0-9]{2}$",
}
INSTANT_SCHEMA = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?(Z|\+00:00)$",
}


def day(text: str) -> date:
    """The day of `YYYY-MM-DD`; raises ValueError, whose message says what it should be."""
    if _DAY.fullmatch(text):
        try:
            found = date.fromisoformat(text)
        except ValueError:
            pass  # the thirtieth of February
        else:
            if FIRST_DAY <= found <= LAST_DAY:
                return found
    years = f"from {FIRST_DAY.year} to {LAST_DAY.year}"
    raise ValueError(f"{_shown(text)} is not a date YYYY-MM-DD {years}")


def instant(text: str) -> datetime:
    """The instant of RFC 3339 in UTC, to the microsecond; raises ValueError."""
    if found := _INSTANT.fullmatch(text):
        fraction = (found[2] or ".").ljust(7, "0")
        try:
            return datetime.fromisoformat(f"{found[1]}{fraction}+00:00")
        except ValueError:
            pass
    raise ValueError(f"{_shown(text)} is not an instant in UTC such as 2020-08-05T09:00:00Z")


def written(at: datetime) -> str:
    """The instant as `instant` takes it and answers tell it: RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def not_yet(known_at: datetime) -> KnownAtInFuture:
    """The refusal of an instant that the ledger's clock has not reached."""
    return KnownAtInFuture(known_at=written(known_at), now=written(datetime.now(UTC)))


def position(text: str) -> tuple[int, int]:
    """Lane and position of `<lane>-<position>`; raises ValueError."""
    found = _POSITION.fullmatch(text)
    if found is None or int(found[1]) >= LANES:
        raise ValueError(f"{_shown(text)} is not a position <lane>-<position>")
    return int(found[1]), int(found[2])


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_CHARS_MAX])
