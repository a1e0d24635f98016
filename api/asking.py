"""A request in a region at large: who asks and whether they may, then its parameters; and the reply."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import logs, parameters
from api.doors import RegionDoor
from api.entering import Principal, bearer, enter
from api.parameters import Parameter
from api.security.scope import Permission

Doors = Mapping[str, RegionDoor]
NO_STORE = {"Cache-Control": "no-store"}

_NONE: Mapping[str, Parameter] = {}
_encode = msgspec.json.Encoder().encode


class Asker(NamedTuple):
    """Somebody who may do what they ask: where, with what token, and the parameters given."""

    door: RegionDoor
    token_sha256: bytes
    principal: Principal
    found: dict[str, Any]

    @property
    def region(self) -> str:
        return self.door.region.code


async def come_in(
    request: Request,
    doors: Doors,
    permission: Permission,
    known: Mapping[str, Parameter] = _NONE,
) -> Asker:
    """Who asks; raises Problem (401, 403), then 422 for a parameter that is not known or not right."""
    region, token = bearer(request.headers.get("authorization", ""), doors.__contains__)
    door = doors[region]
    entered = await enter(door.reading, permission, token)
    found = parameters.parsed(request.scope["query_string"], known)
    return Asker(door, token, entered.principal, found)


def source_of(request: Request) -> str:
    """Where a request comes from, as tries are counted by."""
    return request.client.host if request.client else ""


def private(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A reply that nobody between may keep; msgspec encodes the body."""
    return Response(
        _encode(body),
        status_code=status,
        headers={**NO_STORE, **(headers or {})},
        media_type="application/json",
    )


def nothing() -> Response:
    """204."""
    return Response(status_code=204, headers=NO_STORE)


def note(event: str, request: Request, asker: Asker, **fields: Any) -> None:
    """Logs who did it, where, and by which request."""
    logs.event(
        event,
        region=asker.region,
        by=asker.principal.actor,
        correlation_id=request.scope["correlation_id"],
        **fields,
    )
