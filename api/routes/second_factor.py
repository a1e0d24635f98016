"""/v1/me/second-factor: a time-based code beside the password."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.asking import Doors, come_in, note, nothing, private
from api.body import read_json
from api.entering import unauthenticated
from api.operations import Operation
from api.routes.faults import as_problems
from api.routes.me import Password, own_login
from api.security.passwords import PasswordPool
from api.security.scope import OWN_SESSION
from api.security.second_factor import new_secret, otpauth_uri
from ledger.store.sql import load

PATH = "/v1/me/second-factor"
_SQL = load("api.routes", "me.sql")

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class SecondFactorState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether sign-in asks for a code. `started`: a secret waits to be confirmed."""

    enabled: bool
    confirmed_at: datetime | None
    started: bool
    recovery_codes_left: int


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The secret, shown this once, bare and as what a QR code holds."""

    secret: str
    otpauth_uri: str


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """Codes for whoever loses the device, shown this once; each works once."""

    recovery_codes: list[str]


class StartBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The login's password."""

    password: Password


class ConfirmBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code of the secret that waits."""

    code: Code


class RemoveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The login's password, and a code of the second factor or a recovery code."""

    password: Password
    code: Code


_start = msgspec.json.Decoder(StartBody)
_confirm = msgspec.json.Decoder(ConfirmBody)
_remove = msgspec.json.Decoder(RemoveBody)


class _Endpoints:
    def __init__(self, doors: Doors, passwords: PasswordPool) -> None:
        self._doors = doors
        self._passwords = passwords

    async def state(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, OWN_SESSION)
        given = {"token_sha256": asker.token_sha256}
        rows = await asker.door.reading.rows(_SQL["second_factor"], given)
        if not rows:
            raise unauthenticated()  # it ended in this very moment
        [(confirmed_at, is_started, left)] = rows
        return private(
            SecondFactorState(
                enabled=confirmed_at is not None,
                confirmed_at=confirmed_at,
                started=is_started,
                recovery_codes_left=left,
            )
        )

    async def start(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, OWN_SESSION)
        body = await read_json(request, _start)
        secret = new_secret()
        with as_problems():
            login = own_login(asker, self._passwords)
            name = await login.start_second_factor(body.password, secret)
        note("second_factor_started", request, asker)
        region = asker.door.region
        company = region.contact_on(asker.door.today()).company
        issuer = f"{company} {region.name}".replace(":", " ")
        return private(
            Started(secret=secret, otpauth_uri=otpauth_uri(secret, account=name, issuer=issuer))
        )

    async def confirm(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, OWN_SESSION)
        body = await read_json(request, _confirm)
        with as_problems():
            codes = await own_login(asker, self._passwords).confirm_second_factor(body.code)
        note("second_factor_confirmed", request, asker)
        return private(Confirmed(recovery_codes=codes))

    async def remove(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, OWN_SESSION)
        body = await read_json(request, _remove)
        with as_problems():
            login = own_login(asker, self._passwords)
            await login.remove_second_factor(body.password, body.code)
        note("second_factor_removed", request, asker)
        return nothing()


def second_factor_operations(doors: Doors, passwords: PasswordPool) -> Sequence[Operation]:
    """A code beside the password: how it stands, start, confirm, remove."""
    endpoints = _Endpoints(doors, passwords)
    return [
        Operation(
            method="GET",
            path=PATH,
            name="get_second_factor",
            says="Whether sign-in asks this login for a code",
            tag="sessions",
            permission=OWN_SESSION,
            handle=endpoints.state,
            replies={200: SecondFactorState},
            codes=("invalid_request",),
        ),
        Operation(
            method="POST",
            path=PATH,
            name="start_second_factor",
            says="A fresh secret, which counts once a code of it is given",
            tag="sessions",
            permission=OWN_SESSION,
            handle=endpoints.start,
            body=StartBody,
            replies={200: Started},
            codes=("wrong_password", "second_factor_exists", "too_many_requests"),
            details="Codes are those of RFC 6238 with SHA-1, six digits and 30 seconds.",
        ),
        Operation(
            method="PUT",
            path=PATH,
            name="confirm_second_factor",
            says="Sign-in asks for a code from now on; other sessions of the login are over",
            tag="sessions",
            permission=OWN_SESSION,
            handle=endpoints.confirm,
            body=ConfirmBody,
            replies={200: Confirmed},
            codes=(
                *("wrong_code", "second_factor_exists", "second_factor_missing"),
                "too_many_requests",
            ),
        ),
        Operation(
            method="DELETE",
            path=PATH,
            name="remove_second_factor",
            says="Sign-in asks for no code any more",
            tag="sessions",
            permission=OWN_SESSION,
            handle=endpoints.remove,
            body=RemoveBody,
            replies={204: None},
            codes=(
                *("wrong_password", "wrong_code", "second_factor_missing"),
                "too_many_requests",
            ),
        ),
    ]
