"""One's own session: who am I, where am I signed in, sign out, another password."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.asking import Asker, Doors, come_in, note, nothing, private
from api.body import read_json
from api.cursors import list_of, seal, unseal
from api.entering import unauthenticated
from api.operations import Operation
from api.routes.faults import as_problems
from api.security.own_login import NewSession, OwnLogin
from api.security.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, PasswordPool
from api.security.scope import OWN_SESSION, OWN_SIGN_IN, WHO_AM_I, Scope
from ledger.store.sql import load

_SQL = load("api.routes", "me.sql")
_SIGN_OUT = load("api.security", "own_login.sql")["sign_out"]
_PAGE = parameters.named(parameters.LIMIT, parameters.CURSOR)

Password = Annotated[str, msgspec.Meta(min_length=1, max_length=PASSWORD_CHARS_MAX)]
NewPassword = Annotated[
    str, msgspec.Meta(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_MAX)
]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The session that asks. `last_used_at` is noted every five minutes."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """A login: what it can sign in as (in lower case), and a customer's own accounts."""

    role: str
    id: UUID
    region: str
    client_id: str | None
    identifiers: list[str]
    accounts: list[str]
    must_change_password: bool
    session: Session


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service, by its token."""

    role: str
    id: UUID
    region: str
    name: str
    scopes: list[Scope]
    created_at: datetime


class SessionShown(Session, frozen=True, kw_only=True):
    """A session; `id` opens nothing. `current` is the one that asks."""

    current: bool


class SessionsShown(msgspec.Struct, frozen=True):
    """Sessions that are good now, newest first."""

    data: list[SessionShown]
    next_cursor: str | None


class PasswordBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password there is, and the one there shall be."""

    current_password: Password
    new_password: NewPassword


_password = msgspec.json.Decoder(PasswordBody)


class _Endpoints:
    def __init__(self, doors: Doors, passwords: PasswordPool) -> None:
        self._doors = doors
        self._passwords = passwords

    async def me(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, WHO_AM_I)
        rows = await asker.door.reading.rows(_SQL["me"], {"token_sha256": asker.token_sha256})
        if not rows:
            raise unauthenticated()  # it ended in this very moment
        (id, role, client_id, identifiers, accounts, must_change), session, (name, scopes) = (
            rows[0][:6],
            rows[0][6:10],
            rows[0][10:],
        )
        if role == "service":
            return private(
                Service(
                    role=role,
                    id=id,
                    region=asker.region,
                    name=name,
                    scopes=scopes,
                    created_at=session[1],
                )
            )
        return private(
            Me(
                role=role,
                id=id,
                region=asker.region,
                client_id=client_id,
                identifiers=identifiers,
                accounts=accounts,
                must_change_password=must_change,
                session=Session(
                    id=session[0],
                    created_at=session[1],
                    last_used_at=session[2],
                    expires_at=session[3],
                ),
            )
        )

    async def sessions(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, OWN_SESSION, _PAGE)
        limit = asker.found.get("limit", parameters.LIMIT_DEFAULT)
        key = await asker.door.cursor_key()
        kind = list_of("list_sessions", str(asker.principal.id), {})
        after: tuple[datetime | None, UUID | None] = (None, None)
        if "cursor" in asker.found:
            after = unseal(key, kind, asker.found["cursor"], tuple[datetime, UUID])
        rows = await asker.door.reading.rows(
            _SQL["sessions"],
            {
                "token_sha256": asker.token_sha256,
                "after_created_at": after[0],
                "after_id": after[1],
                "rows_max": limit + 1,
            },
        )
        data = [
            SessionShown(
                id=id,
                created_at=created_at,
                last_used_at=last_used_at,
                expires_at=expires_at,
                current=is_current,
            )
            for id, created_at, last_used_at, expires_at, is_current in rows[:limit]
        ]
        more = len(rows) > limit
        cursor = seal(key, kind, (data[-1].created_at, data[-1].id)) if more else None
        return private(SessionsShown(data, cursor))

    async def sign_out(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, OWN_SIGN_IN)
        await asker.door.signing.rows(_SIGN_OUT, {"token_sha256": asker.token_sha256})
        note("signed_out", request, asker)
        return nothing()

    async def password(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, OWN_SIGN_IN)
        body = await read_json(request, _password)
        with as_problems():
            changed = await own_login(asker, self._passwords).change_password(
                body.current_password, body.new_password
            )
        note("password_changed", request, asker)
        return private(changed)


def own_login(asker: Asker, passwords: PasswordPool) -> OwnLogin:
    """The login of whoever asks."""
    return OwnLogin(
        asker.door.signing, passwords, asker.region, asker.principal.id, asker.token_sha256
    )


def me_operations(doors: Doors, passwords: PasswordPool) -> Sequence[Operation]:
    """What whoever is signed in may do about it."""
    endpoints = _Endpoints(doors, passwords)
    return [
        Operation(
            method="POST",
            path="/v1/sign-out",
            name="sign_out",
            says="End this session; its token is good for nothing from the next request on",
            tag="sessions",
            permission=OWN_SIGN_IN,
            handle=endpoints.sign_out,
            replies={204: None},
            codes=("invalid_request",),
        ),
        Operation(
            method="GET",
            path="/v1/me",
            name="get_me",
            says="Who asks: a login with its session, or a service with its scopes",
            tag="sessions",
            permission=WHO_AM_I,
            handle=endpoints.me,
            replies={200: Me | Service},
            codes=("invalid_request",),
        ),
        Operation(
            method="GET",
            path="/v1/me/sessions",
            name="list_sessions",
            says="Where this login is signed in, newest first",
            tag="sessions",
            permission=OWN_SESSION,
            handle=endpoints.sessions,
            parameters=_PAGE,
            replies={200: SessionsShown},
        ),
        Operation(
            method="POST",
            path="/v1/me/password",
            name="change_password",
            says="Change one's own password; the reply's session is the only one left",
            tag="sessions",
            permission=OWN_SIGN_IN,
            handle=endpoints.password,
            body=PasswordBody,
            replies={200: NewSession},
            codes=("wrong_password", "too_many_requests"),
            details="A wrong `current_password` is `wrong_password`.",
        ),
    ]
