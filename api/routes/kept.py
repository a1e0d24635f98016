"""What the lists of logins and of tokens share: pages, ids in paths, requests sent again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from starlette.requests import Request

from api import parameters
from api.asking import Asker
from api.cursors import list_of, seal, unseal
from api.problems import Problem, invalid_field
from api.security.keeping import Keeper, Made, Place

ID: Mapping[str, Mapping[str, str]] = {"id": {"type": "string", "format": "uuid"}}
"""The place in a path."""
REPLAYED: Mapping[str, str] = {"Idempotency-Replayed": "true"}


class Row(Protocol):
    """A row of a list that is in order of when its rows were made."""

    @property
    def id(self) -> UUID: ...
    @property
    def created_at(self) -> datetime: ...


R = TypeVar("R", bound=Row)


class PageAsked:
    """A page of such a list: where it begins, how long it is, and how the next one is asked for."""

    def __init__(self, operation: str, request: Request, asker: Asker, key: bytes) -> None:
        filters = {n: v for n, v in asker.found.items() if n not in ("limit", "cursor")}
        self._key = key
        self._kind = list_of(operation, request.url.path, filters)
        self.limit: int = asker.found.get("limit", parameters.LIMIT_DEFAULT)
        text: str | None = asker.found.get("cursor")
        self.after: Place | None = (
            None if text is None else unseal(key, self._kind, text, tuple[datetime, UUID])
        )

    def cut(self, rows: Sequence[R]) -> tuple[list[R], str | None]:
        """The page of one row more than its limit, and the next page's cursor if there is one."""
        page = list(rows[: self.limit])
        if len(rows) <= self.limit:
            return page, None
        return page, seal(self._key, self._kind, (page[-1].created_at, page[-1].id))


def keeper_of(asker: Asker) -> Keeper:
    """The keeper of the asker's region."""
    return Keeper(asker.door.keeping, asker.region)


def id_of(request: Request) -> UUID:
    """The id in the path; raises Problem (404) for what is none."""
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise nothing_there() from None


def nothing_there() -> Problem:
    """There is nothing of that id."""
    return Problem("not_found", "there is nothing of that id here")


def refuse_reused(made: Made, request_sha256: bytes) -> None:
    """Raises Problem (422) when the key was used for another request."""
    if made.request_sha256 != request_sha256:
        raise reused()


def reused() -> Problem:
    """The key was used for another request."""
    return Problem(
        "idempotency_key_reused", "the key was used for another request: make up another"
    )


def refuse_odd_id(pointer: str, text: str) -> None:
    """Raises Problem (422) for what is no client ID or account number."""
    try:
        parameters.identifier(text)
    except ValueError as fault:
        raise invalid_field(pointer, str(fault), "invalid_id") from None


def without(body: Any, *names: str) -> dict[str, object]:
    """A body's fields but those."""
    fields: Sequence[str] = body.__struct_fields__
    return {name: getattr(body, name) for name in fields if name not in names}
