"""/v1/password-resets: a password forgotten, and the link that was mailed."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import logs
from api.asking import nothing, private, source_of
from api.body import read_json
from api.operations import Operation
from api.problems import Problem
from api.routes.faults import as_problems
from api.routes.me import NewPassword
from api.security.resets import LinkSpent, Resets
from api.security.scope import PUBLIC
from api.security.tokens import TOKEN_SCHEMA

PATH = "/v1/password-resets"


class ResetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose password was forgotten; `identifier` is a client ID or an account number."""

    region: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    identifier: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class NewPasswordBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password there shall be."""

    new_password: NewPassword


class ResetAsked(msgspec.Struct, frozen=True):
    """The same whether there is such a login or not."""

    says: str = "If there is such a login with a mail address, a link is on its way to it."


_ask = msgspec.json.Decoder(ResetBody)
_use = msgspec.json.Decoder(NewPasswordBody)


class _Endpoints:
    def __init__(self, resets: Resets) -> None:
        self._resets = resets

    async def ask(self, request: Request) -> Response:
        body = await read_json(request, _ask)
        with as_problems():
            await self._resets.ask(body.region, body.identifier, source_of(request))
        # What was typed is not logged: people type passwords into the wrong field.
        served = body.region if self._resets.serves(body.region) else None
        _log("password_reset_asked", request, served)
        return private(ResetAsked(), 202)

    async def use(self, request: Request) -> Response:
        body = await read_json(request, _use)
        token = request.path_params["token"]
        try:
            with as_problems():
                region = await self._resets.use(token, body.new_password, source_of(request))
        except LinkSpent:
            says = "the link was used, or is more than an hour old: ask for another"
            raise Problem("reset_unknown", says) from None
        _log("password_reset", request, region)
        return nothing()


def password_reset_operations(resets: Resets) -> list[Operation]:
    """A password forgotten: ask for a link, use it."""
    endpoints = _Endpoints(resets)
    return [
        Operation(
            method="POST",
            path=PATH,
            name="ask_password_reset",
            says="Mail a link for a new password to a login's own address",
            tag="public",
            permission=PUBLIC,
            handle=endpoints.ask,
            body=ResetBody,
            replies={202: ResetAsked},
            codes=("too_many_requests",),
            details="One answer, in the same time, whether there is such a login or not.",
        ),
        Operation(
            method="POST",
            path=PATH + "/{token}",
            places={"token": TOKEN_SCHEMA},
            name="use_password_reset",
            says="Set a new password with the token of a mailed link; ends every session",
            tag="public",
            permission=PUBLIC,
            handle=endpoints.use,
            body=NewPasswordBody,
            replies={204: None},
            codes=("reset_unknown", "too_many_requests"),
            details="A link works once, within an hour, while the password is still the same.",
        ),
    ]


def _log(name: str, request: Request, region: str | None) -> None:
    logs.event(
        name,
        region=region,
        source=source_of(request),
        correlation_id=request.scope["correlation_id"],
    )
