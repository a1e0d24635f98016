"""POST /v1/sign-in: region, identifier and password, and a code where one is needed, for a token."""

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import logs
from api.asking import private, source_of
from api.body import read_json
from api.operations import Operation
from api.problems import Problem
from api.routes.faults import busy, throttled
from api.security.passwords import PASSWORD_CHARS_MAX, PoolFull
from api.security.scope import PUBLIC
from api.security.sign_in import (
    Credentials,
    SecondFactorFailed,
    SecondFactorRequired,
    SignedIn,
    SignIn,
    Throttled,
    WrongCredentials,
)

_FAILED = "no login of that region has that identifier and password"
_CODE_NEEDED = "send the same again with `code`: of the second factor, or a recovery code"


class SignInBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent to sign in; `identifier` is a client ID or an account number."""

    region: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    identifier: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=PASSWORD_CHARS_MAX)]
    code: Annotated[str, msgspec.Meta(max_length=64)] | None = None


_decoder = msgspec.json.Decoder(SignInBody)


def sign_in_operations(sign_in: SignIn) -> list[Operation]:
    """The operations of sign-in."""

    async def handle(request: Request) -> Response:
        body = await read_json(request, _decoder)
        given = Credentials(
            region=body.region,
            identifier=body.identifier,
            password=body.password,
            source=source_of(request),
            code=body.code,
        )
        return private(await _attempt(sign_in, given, request.scope["correlation_id"]))

    return [
        Operation(
            method="POST",
            path="/v1/sign-in",
            name="sign_in",
            says="Open a session; its token is for `Authorization: Bearer`",
            tag="public",
            permission=PUBLIC,
            handle=handle,
            body=SignInBody,
            replies={200: SignedIn},
            codes=(
                *("sign_in_failed", "second_factor_required", "second_factor_failed"),
                "too_many_requests",
            ),
            details=(
                "A login with a second factor that sent the right password and no `code` gets "
                "`second_factor_required`. Sessions end after twelve hours, and two without use."
            ),
        )
    ]


async def _attempt(sign_in: SignIn, given: Credentials, correlation_id: str) -> SignedIn:
    # What was typed is not logged: people type passwords into the wrong field.
    known: dict[str, Any] = {
        "region": given.region if sign_in.serves(given.region) else None,
        "source": given.source,
        "correlation_id": correlation_id,
    }
    try:
        signed_in = await sign_in(given)
    except WrongCredentials:
        logs.event("sign_in_failed", **known)
        raise Problem("sign_in_failed", _FAILED) from None
    except SecondFactorRequired:
        logs.event("second_factor_asked", **known)
        raise Problem("second_factor_required", _CODE_NEEDED) from None
    except SecondFactorFailed:
        logs.event("second_factor_failed", **known)
        raise Problem("second_factor_failed", "the code is wrong, or was used before") from None
    except Throttled as fault:
        logs.event("sign_in_throttled", **known)
        raise throttled(fault) from None
    except PoolFull:
        raise busy() from None
    logs.event("signed_in", role=signed_in.role, **known)
    return signed_in
