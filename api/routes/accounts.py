"""What can be read of an account: itself, its settings, its lists and its statement."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.account_reads import AS_OF, Reading, read_operation
from api.cursors import list_of, seal, unseal
from api.doors import RegionDoor
from api.entering import bearer, enter
from api.lists import LAST_OF_DAYS
from api.operations import Operation
from api.parameters import CURSOR, LIMIT, LIMIT_DEFAULT
from api.routes import statement
from api.routes.commands import ACCOUNTS
from api.security.scope import READ_ACCOUNT
from api.summary import BILLING_CYCLE
from api.wire_values import or_null, terms
from ledger.store.sql import load

WORDS = parameters.Parameter(
    "q",
    parameters.words,
    parameters.WORDS_SCHEMA,
    "Accounts whose number or client ID begins so, or whose company's name holds it.",
)
_SEARCH = parameters.named(WORDS, LIMIT, CURSOR)
_AS_OF = parameters.named(*AS_OF)
_SQL = load("api", "lists.sql")
_encode = msgspec.json.Encoder().encode

Cycle = Annotated[Any, msgspec.Meta(extra_json_schema=BILLING_CYCLE)]
TermsShown = Annotated[Any, msgspec.Meta(extra_json_schema=or_null(terms.schema))]


class AccountShown(msgspec.Struct, frozen=True, kw_only=True):
    """Whose an account is."""

    account_number: str
    client_id: str | None
    company: str
    region: str
    country: str
    currency: str
    opened_on: date
    closed_on: date | None


class AccountAt(AccountShown, frozen=True, kw_only=True):
    """An account, and the moment it was read at."""

    version: int
    effective_on: date
    known_at: datetime | None
    position: str


class AccountsPage(msgspec.Struct, frozen=True):
    """Accounts by number."""

    data: list[AccountShown]
    next_cursor: str | None


class SettingsAhead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings that change on a day that has not come."""

    effective_on: date
    invoice_delivery: str | None = None
    delivery_channel: str | None = None
    payment_method: str | None = None
    language: str | None = None
    billing_cycle: Cycle = None
    terms: TermsShown = None


class SettingsAt(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in force on a day, and the changes known that are to come.

    All null before the account was opened. `version` is that of their last change.
    """

    invoice_delivery: str | None
    delivery_channel: str | None
    payment_method: str | None
    language: str | None
    billing_cycle: Cycle
    terms: TermsShown
    changes_ahead: list[SettingsAhead]
    version: int
    effective_on: date
    known_at: datetime | None
    position: str


def account_operations(doors: Mapping[str, RegionDoor]) -> list[Operation]:
    """An operation for an account, its settings and statement, and for finding accounts."""
    return [
        _search(doors),
        read_operation(doors, "", "get_account", "An account", _AS_OF, _identity, AccountAt),
        read_operation(
            doors,
            "/settings",
            "get_settings",
            "Account settings, and changes to come",
            _AS_OF,
            _settings,
            SettingsAt,
            of_settings=True,
        ),
        read_operation(
            doors,
            "/statement",
            "get_statement",
            "Statement of account",
            statement.PARAMETERS,
            statement.statement,
            statement.Statement,
        ),
    ]


async def _identity(reading: Reading, key: bytes) -> AccountAt:
    [row] = await reading.named(_SQL["identity"], day=reading.day or LAST_OF_DAYS)
    return AccountAt(
        **row,
        region=reading.region,
        version=reading.version,
        effective_on=reading.effective_on,
        known_at=reading.known_at,
        position=reading.read_at,
    )


async def _settings(reading: Reading, key: bytes) -> SettingsAt:
    [row] = await reading.named(_SQL["settings"], day=reading.effective_on)
    ahead = await reading.named(_SQL["settings_ahead"], day=reading.effective_on)
    return SettingsAt(
        **{**row, "version": reading.settings_version},
        changes_ahead=[
            SettingsAhead(**{n: v for n, v in change.items() if n != "version"}) for change in ahead
        ],
        effective_on=reading.effective_on,
        known_at=reading.known_at,
        position=reading.read_at,
    )


def _search(doors: Mapping[str, RegionDoor]) -> Operation:
    return Operation(
        method="GET",
        path=ACCOUNTS,
        name="list_accounts",
        says="Accounts one may see, by number; staff search in the region",
        tag="accounts",
        permission=READ_ACCOUNT,
        handle=AccountSearch(doors),
        replies={200: AccountsPage},
        parameters=_SEARCH,
        problems=(401, 403, 422, 503),
    )


class AccountSearch:
    """Answers with the accounts that whoever asks may see."""

    def __init__(self, doors: Mapping[str, RegionDoor]) -> None:
        self._doors = doors

    async def __call__(self, request: Request) -> Response:
        region, token = bearer(request.headers.get("authorization", ""), self._doors.__contains__)
        door = self._doors[region]
        key = await door.cursor_key()

        async def read(transaction: Any) -> AccountsPage:
            await enter(transaction, READ_ACCOUNT, token)
            given = parameters.parsed(request.scope["query_string"], _SEARCH)
            kind = list_of("accounts", region, {"q": given.get("q")})
            after = ""
            if "cursor" in given:
                [after] = unseal(key, kind, given["cursor"], tuple[str])
            limit = given.get("limit", LIMIT_DEFAULT)
            rows = await transaction.named(
                _SQL["accounts"], {"after": after, "words": given.get("q"), "limit": limit + 1}
            )
            found = [AccountShown(**row, region=region) for row in rows[:limit]]
            more = len(rows) > limit
            return AccountsPage(
                found, seal(key, kind, (found[-1].account_number,)) if more else None
            )

        page = await door.reading.transact(read)
        headers = {"Cache-Control": "private, no-cache"}
        return Response(_encode(page), headers=headers, media_type="application/json")
