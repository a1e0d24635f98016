"""A region of accounts with random histories, asked over HTTP in this process."""

import asyncio
import json
import random
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from api.app import create_app
from api.embedded import EmbeddedServer
from api.security.logins import Registrar
from api.security.scope import SCOPES
from api.wiring import Database, Doors
from ledger.book import Book
from tests.api.books import TOKENS
from tests.api.conftest import REGIONS, fresh_database
from tests.api.in_process import InProcess, Sent, in_process
from tests.projections.books import MadeUp, append, books, interleaved

ACCOUNTS = 40
STEPS = 80
PAGES_MAX = 2_000

Json = dict[str, Any]


class Asked:
    """A region of made-up accounts, asked over HTTP by who may read its books."""

    def __init__(self, database: Database, accounts: list[MadeUp]) -> None:
        self.database = database
        self.accounts = {account.number: account for account in accounts}

    def positions(self, account: MadeUp) -> list[int]:
        """The positions of an account's events, in order."""
        with closing(self.database.log()) as log:
            return [event.position for event in log.account(account.id)]

    def all(self, *paths: str, expected: int = 200) -> list[Json]:
        """The answers to GET requests."""

        async def run() -> list[Json]:
            async with in_process(create_app(Doors((self.database,)))) as asking:
                return [await _get(asking, path, expected) for path in paths]

        return asyncio.run(run())

    def pages(self, path: str, limit: int, **query: str) -> list[Json]:
        """Every page of a list, from the first."""

        async def run() -> list[Json]:
            found: list[Json] = []
            async with in_process(create_app(Doors((self.database,)))) as asking:
                cursor: dict[str, str] = {}
                while True:
                    asked = urlencode({"limit": limit, **query, **cursor})
                    found.append(await _get(asking, f"{path}?{asked}", 200))
                    if found[-1]["next_cursor"] is None:
                        return found
                    assert len(found[-1]["data"]) == limit
                    assert len(found) < PAGES_MAX
                    cursor = {"cursor": found[-1]["next_cursor"]}

        return asyncio.run(run())


async def _get(asking: InProcess, path: str, expected: int) -> Json:
    route, _, query = path.partition("?")
    headers = [(b"authorization", f"Bearer {TOKENS['us']}".encode())]
    got = await asking.ask(Sent("GET", quote(route).encode(), query.encode(), headers))
    assert expected == got.status, (path, got)
    found: Json = json.loads(got.body)
    return found


def made_up_region(server: EmbeddedServer) -> Asked:
    """Accounts with random histories in three currencies, all of them followed."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    seed = random.randrange(2**32)
    print("seed", seed)
    accounts = [
        account if n % 3 else _in_currency(account, "JPY" if n % 2 else "KWD")
        for n, account in enumerate(books(seed, ACCOUNTS, STEPS))
    ]
    with closing(database.ledger()) as ledger:
        append(ledger, interleaved(seed, accounts))
    database.catch_up(30)
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(TOKENS["us"], "all", SCOPES)
    return Asked(database, accounts)


def _in_currency(account: MadeUp, currency: str) -> MadeUp:
    """The account as it would have been in another currency."""
    opening, *rest = account.requests
    command = msgspec.structs.replace(opening.command, currency=currency)
    made = MadeUp(
        account.number, [msgspec.structs.replace(opening, command=command), *rest], Book()
    )
    for request in made.requests:
        made.book.handle(request)
    return made
