"""/v1/logins: who may sign in, kept by admins."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.asking import Asker, Doors, come_in, note, private
from api.body import read_json
from api.operations import Operation
from api.problems import Problem, invalid_field
from api.routes.commands import KEY, idempotency_key
from api.routes.faults import as_problems
from api.routes.kept import (
    ID,
    REPLAYED,
    PageAsked,
    id_of,
    keeper_of,
    nothing_there,
    refuse_odd_id,
    refuse_reused,
    reused,
    without,
)
from api.routes.me import NewPassword
from api.security.addresses import ADDRESS, ADDRESS_CHARS_MAX, is_address
from api.security.keeping import (
    LoginChange,
    LoginShown,
    LoginWanted,
    Made,
    NotKept,
    request_digest,
)
from api.security.own_login import UnfitPassword
from api.security.passwords import PasswordPool, generate_password, names_somebody
from api.security.scope import KEEP_LOGINS, ROLES, Role
from ledger.commands import Id

PATH = "/v1/logins"
ACCOUNTS_MAX = 500
STATUSES = ("active", "disabled")
_FILTERS = parameters.named(
    parameters.Parameter(
        "role",
        parameters.one_of(*ROLES),
        {"type": "string", "enum": list(ROLES)},
        "Only logins of this role.",
    ),
    parameters.Parameter(
        "status",
        parameters.one_of(*STATUSES),
        {"type": "string", "enum": list(STATUSES)},
        "Only logins that stand so.",
    ),
    parameters.LIMIT,
    parameters.CURSOR,
)

Ids = Annotated[list[Id], msgspec.Meta(max_length=ACCOUNTS_MAX)]
Email = Annotated[str, msgspec.Meta(pattern=ADDRESS, max_length=ADDRESS_CHARS_MAX)]


class LoginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's login with its accounts, or staff's with a client ID to sign in by.

    Without a password one is made up, and given back once.
    """

    role: Role
    client_id: Id | None = None
    accounts: Ids = []
    email: Email | None = None
    password: NewPassword | None = None


class LoginPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall be otherwise: `email` null erases the address, `password_reset` makes a new password
    up, and `second_factor` false removes it.
    """

    disabled: bool | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    accounts: Ids | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    password_reset: bool | UnsetType = UNSET
    second_factor: bool | UnsetType = UNSET


class LoginKept(LoginShown, frozen=True, kw_only=True):
    """A login that was made or changed. `password`, if one was made up, is shown this once."""

    password: str | None


class LoginsPage(msgspec.Struct, frozen=True):
    """Logins, newest first."""

    data: list[LoginShown]
    next_cursor: str | None


_body = msgspec.json.Decoder(LoginBody)
_patch = msgspec.json.Decoder(LoginPatch)


class _Endpoints:
    def __init__(self, doors: Doors, passwords: PasswordPool) -> None:
        self._doors = doors
        self._passwords = passwords

    async def page(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, KEEP_LOGINS, _FILTERS)
        asked = PageAsked("list_logins", request, asker, await asker.door.cursor_key())
        rows = await keeper_of(asker).logins(
            role=asker.found.get("role"),
            status=asker.found.get("status"),
            after=asked.after,
            rows_max=asked.limit + 1,
        )
        return private(LoginsPage(*asked.cut(rows)))

    async def one(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, KEEP_LOGINS)
        return private(await _found(asker, id_of(request)))

    async def make(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, KEEP_LOGINS)
        key = idempotency_key(request)
        body = await read_json(request, _body)
        _refuse_odd(body)
        keeper = keeper_of(asker)
        asked = without(body, "password") | {"has_password": body.password is not None}
        request_sha256 = request_digest(PATH, asked)
        if made := await keeper.made_under(key):
            return await self._again(asker, made, request_sha256, body)
        password = body.password or generate_password()
        with as_problems("/password"):
            if names_somebody(password, _names(body)):
                raise UnfitPassword("password_is_identifier", "is what the login signs in as")
            password_hash = await self._passwords.hash(password)
        wanted = LoginWanted(
            role=body.role,
            password_hash=password_hash,
            given_hash=password_hash if body.password else None,
            client_id=body.client_id,
            accounts=list(dict.fromkeys(body.accounts)),
            email=body.email,
        )
        try:
            id = await keeper.make_login(key, request_sha256, wanted)
        except NotKept as fault:
            raise _problem_of(fault) from None
        if id is None:  # the same was sent twice at once
            found = await keeper.made_under(key)
            assert found is not None
            return await self._again(asker, found, request_sha256, body)
        note("login_made", request, asker, login=str(id), role=body.role)
        return _created(await _found(asker, id), None if body.password else password)

    async def change(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, KEEP_LOGINS)
        id = id_of(request)
        body = await read_json(request, _patch)
        _refuse_odd_patch(body)
        password = generate_password() if body.password_reset is True else None
        password_hash = None
        if password is not None:
            with as_problems():
                password_hash = await self._passwords.hash(password)
        accounts = _given(body.accounts)
        change = LoginChange(
            disabled=_given(body.disabled),
            role=_given(body.role),
            accounts=None if accounts is None else list(dict.fromkeys(accounts)),
            sets_email=body.email is not UNSET,
            email=_given(body.email),
            password_hash=password_hash,
            drops_second_factor=body.second_factor is not UNSET,  # only false is let by
        )
        try:
            await keeper_of(asker).change_login(asker.principal.id, id, change)
        except NotKept as fault:
            raise _problem_of(fault) from None
        changed = [n for n, value in without(body).items() if value is not UNSET]
        note("login_changed", request, asker, login=str(id), changed=changed)
        return private(_kept(await _found(asker, id), password))

    async def _again(
        self, asker: Asker, made: Made, request_sha256: bytes, body: LoginBody
    ) -> Response:
        """The reply to a request that was sent again: the same login, without its password.

        Once the login has another password than was given, the one in the request is not looked at.
        """
        refuse_reused(made, request_sha256)
        if body.password is not None and made.password_hash is not None:
            with as_problems("/password"):
                if not await self._passwords.is_right(made.password_hash, body.password):
                    raise reused()
        return _created(await _found(asker, made.id), None, replayed=True)


def login_operations(doors: Doors, passwords: PasswordPool) -> Sequence[Operation]:
    """Who may sign in: list, make, look at, change."""
    endpoints = _Endpoints(doors, passwords)
    common: dict[str, Any] = {"tag": "admin", "permission": KEEP_LOGINS}
    return [
        Operation(
            method="GET",
            path=PATH,
            name="list_logins",
            says="Logins of the region, newest first",
            handle=endpoints.page,
            parameters=_FILTERS,
            replies={200: LoginsPage},
            **common,
        ),
        Operation(
            method="POST",
            path=PATH,
            name="make_login",
            says="Make a login; a password that is made up is shown in this reply and never again",
            handle=endpoints.make,
            headers=(KEY,),
            body=LoginBody,
            replies={201: LoginKept},
            codes=("identifier_taken",),
            details=(
                "Sent again with its key it is answered with the same login, without a password "
                "made up. The login must change its password, whoever chose it."
            ),
            **common,
        ),
        Operation(
            method="GET",
            path=PATH + "/{id}",
            places=ID,
            name="get_login",
            says="One login",
            handle=endpoints.one,
            replies={200: LoginShown},
            codes=("not_found", "invalid_request"),
            **common,
        ),
        Operation(
            method="PATCH",
            path=PATH + "/{id}",
            places=ID,
            name="change_login",
            says="Change a login; it counts from its very next request on",
            handle=endpoints.change,
            body=LoginPatch,
            replies={200: LoginKept},
            codes=("not_found", "identifier_taken", "own_login"),
            details=(
                "Disabled, with another password or without its second factor, a login is signed "
                "out everywhere. Nobody does that, or changes the role, to their own."
            ),
            **common,
        ),
    ]


async def _found(asker: Asker, id: UUID) -> LoginShown:
    login = await keeper_of(asker).login(id)
    if login is None:
        raise nothing_there()
    return login


def _kept(login: LoginShown, password: str | None) -> LoginKept:
    return LoginKept(**msgspec.structs.asdict(login), password=password)


def _created(login: LoginShown, password: str | None, *, replayed: bool = False) -> Response:
    headers = {"Location": f"{PATH}/{login.id}", **(REPLAYED if replayed else {})}
    return private(_kept(login, password), 201, headers)


def _given(value: Any) -> Any:
    return None if value is UNSET else value


def _names(body: LoginBody) -> list[str]:
    return [*body.accounts, *([body.client_id] if body.client_id else [])]


def _refuse_odd(body: LoginBody) -> None:
    """Raises Problem (422) for what no login can be."""
    if body.client_id is not None:
        refuse_odd_id("/client_id", body.client_id)
    elif body.role != "customer":
        raise invalid_field("/client_id", "staff sign in by a client ID", "missing_field")
    _refuse_odd_accounts(body.accounts)
    if body.role == "customer" and not body.accounts:
        raise invalid_field("/accounts", "a customer has accounts", "missing_field")
    if body.role != "customer" and body.accounts:
        raise invalid_field("/accounts", "only customers have accounts of their own")
    _refuse_odd_email(body.email)


def _refuse_odd_patch(body: LoginPatch) -> None:
    if body.accounts is not UNSET:
        _refuse_odd_accounts(body.accounts)
        if not body.accounts:
            raise invalid_field("/accounts", "a customer has accounts: disable the login instead")
    if body.email is not UNSET:
        _refuse_odd_email(body.email)
    if body.second_factor is True:
        raise invalid_field("/second_factor", "only its owner can start one: /v1/me/second-factor")


def _refuse_odd_accounts(accounts: Sequence[str]) -> None:
    for n, number in enumerate(accounts):
        refuse_odd_id(f"/accounts/{n}", number)


def _refuse_odd_email(email: str | None) -> None:
    if email is not None and not is_address(email):
        raise invalid_field("/email", "is not a mail address in ASCII such as a@b.example")


def _problem_of(fault: NotKept) -> Problem:
    """The problem of a login that cannot be made or changed so."""
    match fault.outcome:
        case "account_unknown":
            says = "the region has not all of these accounts"
            return invalid_field("/accounts", says, "account_unknown")
        case "accounts_fixed":
            return invalid_field("/accounts", "only customers have accounts of their own")
        case "role_fixed":
            return invalid_field("/role", "customers stay customers, and staff staff")
        case "identifier_taken" | "unchanged":
            says = "another login signs in by that client ID or one of the account numbers"
            return Problem("identifier_taken", says)
        case "own_login":
            return Problem("own_login", "let another admin do this to your login")
        case "unknown":
            return nothing_there()
        case "not_now":
            return Problem("forbidden", "you are no admin any more")
    raise AssertionError(fault.outcome)
