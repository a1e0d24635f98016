"""POST /v1/sign-in: region, identifier and password for a token."""

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import logs
from api.body import read_json
from api.operations import JSON, Operation
from api.problems import Problem
from api.security.passwords import PASSWORD_CHARS_MAX, PoolFull
from api.security.scope import PUBLIC
from api.security.sign_in import Credentials, SignedIn, SignIn, Throttled, WrongCredentials

BUSY_RETRY_S = 2
_FAILED = "no login of that region has that identifier and password"


class SignInBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent to sign in; `identifier` is a client ID or an account number."""

    region: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    identifier: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=PASSWORD_CHARS_MAX)]
    code: Annotated[str, msgspec.Meta(max_length=64)] | None = None


_decoder = msgspec.json.Decoder(SignInBody)
_encoder = msgspec.json.Encoder()


def sign_in_operations(sign_in: SignIn) -> list[Operation]:
    """The operations of sign-in."""

    async def handle(request: Request) -> Response:
        body = await read_json(request, _decoder)
        source = request.client.host if request.client else ""
        given = Credentials(
            region=body.region, identifier=body.identifier, password=body.password, source=source
        )
        signed_in = await _attempt(sign_in, given, request.scope["correlation_id"])
        return Response(
            _encoder.encode(signed_in),
            media_type=JSON,
            headers={"Cache-Control": "no-store"},
        )

    return [
        Operation(
            method="POST",
            path="/v1/sign-in",
            name="sign_in",
            says="A session's token, for `Authorization: Bearer`",
            tag="public",
            permission=PUBLIC,
            handle=handle,
            body=SignInBody,
            replies={200: SignedIn},
            problems=(400, 401, 413, 415, 422, 429),
        )
    ]


async def _attempt(sign_in: SignIn, given: Credentials, correlation_id: str) -> SignedIn:
    # What was typed is not logged: people type passwords into the wrong field.
    known: dict[str, Any] = {
        "region": given.region,
        "source": given.source,
        "correlation_id": correlation_id,
    }
    try:
        signed_in = await sign_in(given)
    except WrongCredentials:
        logs.event("sign_in_failed", **known)
        raise Problem("sign_in_failed", _FAILED) from None
    except Throttled as throttled:
        logs.event("sign_in_throttled", **known)
        wait = {"Retry-After": str(throttled.wait_s)}
        raise Problem("too_many_requests", str(throttled), headers=wait) from None
    except PoolFull:
        wait = {"Retry-After": str(BUSY_RETRY_S)}
        raise Problem("overloaded", "too many sign-ins at once", headers=wait) from None
    logs.event("signed_in", role=signed_in.role, **known)
    return signed_in
