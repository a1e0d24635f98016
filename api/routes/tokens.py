"""/v1/tokens: what other systems use the API with, kept by admins."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.asking import Asker, Doors, come_in, note, nothing, private
from api.body import read_json
from api.operations import Operation
from api.problems import invalid_field
from api.routes.commands import KEY, idempotency_key
from api.routes.kept import (
    ID,
    REPLAYED,
    PageAsked,
    id_of,
    keeper_of,
    nothing_there,
    refuse_reused,
    without,
)
from api.security.keeping import Made, TokenShown, request_digest
from api.security.scope import KEEP_LOGINS, SCOPES, Scope
from api.security.tokens import new_token

PATH = "/v1/tokens"
NAME_CHARS_MAX = 64
STATUSES = ("active", "revoked")
_FILTERS = parameters.named(
    parameters.Parameter(
        "status",
        parameters.one_of(*STATUSES),
        {"type": "string", "enum": list(STATUSES)},
        "Only tokens that stand so.",
    ),
    parameters.LIMIT,
    parameters.CURSOR,
)


class TokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name of the system that uses it, and what it may do."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1, max_length=len(SCOPES))]


class TokenIssued(TokenShown, frozen=True, kw_only=True):
    """A token that was issued. `token` is shown this once; null when the request was sent again."""

    token: str | None


class TokensPage(msgspec.Struct, frozen=True):
    """Tokens, newest first."""

    data: list[TokenShown]
    next_cursor: str | None


_body = msgspec.json.Decoder(TokenBody)


class _Endpoints:
    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def page(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, KEEP_LOGINS, _FILTERS)
        asked = PageAsked("list_tokens", request, asker, await asker.door.cursor_key())
        rows = await keeper_of(asker).tokens(
            status=asker.found.get("status"), after=asked.after, rows_max=asked.limit + 1
        )
        return private(TokensPage(*asked.cut(rows)))

    async def one(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, KEEP_LOGINS)
        return private(await _found(asker, id_of(request)))

    async def issue(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, KEEP_LOGINS)
        key = idempotency_key(request)
        body = await read_json(request, _body)
        if not (body.name.isprintable() and body.name.strip()):
            raise invalid_field("/name", "is not printable text")
        scopes = [scope for scope in SCOPES if scope in body.scopes]
        request_sha256 = request_digest(PATH, without(body, "scopes") | {"scopes": scopes})
        keeper = keeper_of(asker)
        if made := await keeper.made_under(key):
            return await _again(asker, made, request_sha256)
        token = new_token(asker.region)
        id = await keeper.issue_token(key, request_sha256, token, body.name, scopes)
        if id is None:  # the same was sent twice at once
            found = await keeper.made_under(key)
            assert found is not None
            return await _again(asker, found, request_sha256)
        note("token_issued", request, asker, token=str(id), scopes=scopes)
        return _created(await _found(asker, id), token)

    async def revoke(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, KEEP_LOGINS)
        id = id_of(request)
        if not await keeper_of(asker).revoke_token(id):
            raise nothing_there()
        note("token_revoked", request, asker, token=str(id))
        return nothing()


def token_operations(doors: Doors) -> Sequence[Operation]:
    """Tokens of services: list, issue, look at, revoke."""
    endpoints = _Endpoints(doors)
    common: dict[str, Any] = {"tag": "admin", "permission": KEEP_LOGINS}
    return [
        Operation(
            method="GET",
            path=PATH,
            name="list_tokens",
            says="Tokens of services, newest first",
            handle=endpoints.page,
            parameters=_FILTERS,
            replies={200: TokensPage},
            **common,
        ),
        Operation(
            method="POST",
            path=PATH,
            name="issue_token",
            says="Issue a token; it is shown in this reply and never again",
            handle=endpoints.issue,
            headers=(KEY,),
            body=TokenBody,
            replies={201: TokenIssued},
            details="Sent again with its key it is answered without the token.",
            **common,
        ),
        Operation(
            method="GET",
            path=PATH + "/{id}",
            places=ID,
            name="get_token",
            says="One token of a service",
            handle=endpoints.one,
            replies={200: TokenShown},
            codes=("not_found", "invalid_request"),
            **common,
        ),
        Operation(
            method="DELETE",
            path=PATH + "/{id}",
            places=ID,
            name="revoke_token",
            says="Revoke a token; it is good for nothing from its very next request on",
            handle=endpoints.revoke,
            replies={204: None},
            codes=("not_found", "invalid_request"),
            **common,
        ),
    ]


async def _found(asker: Asker, id: UUID) -> TokenShown:
    token = await keeper_of(asker).token(id)
    if token is None:
        raise nothing_there()
    return token


async def _again(asker: Asker, made: Made, request_sha256: bytes) -> Response:
    """The reply to a request that was sent again."""
    refuse_reused(made, request_sha256)
    return _created(await _found(asker, made.id), None, replayed=True)


def _created(found: TokenShown, token: str | None, *, replayed: bool = False) -> Response:
    headers = {"Location": f"{PATH}/{found.id}", **(REPLAYED if replayed else {})}
    return private(TokenIssued(**msgspec.structs.asdict(found), token=token), 201, headers)
