"""Account reads beside a rebuild: an answer of several statements is of one state of the views."""

import asyncio
import threading
from argparse import Namespace
from typing import Any

import psycopg
import pytest
from starlette.requests import Request

import projections.rebuild
from api.account_reads import AccountRead, Reading
from api.cli import explain as command
from api.database import Transaction
from api.embedded import EmbeddedServer
from api.routes import statement
from api.security.scope import READ_ACCOUNT
from api.wiring import Database, Doors
from ledger.store.lanes import account_id, lane_of
from projections.rebuild import CannotSwap, rebuild
from projections.receivables import RECEIVABLES
from tests.api.books import TOKENS
from tests.api.conftest import filled_database
from tests.api.serving import eventually

DAYS = "from=2020-01-01&to=2020-03-31"
WAITING = (
    "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database"
    " WHERE NOT l.granted AND d.datname = current_database()"
)


@pytest.fixture(scope="module")
def books(server: EmbeddedServer) -> Database:
    """A region that nothing follows but what a test asks to."""
    return filled_database(server)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebuilds do not wait long for readers that a test keeps waiting."""
    monkeypatch.setattr(projections.rebuild, "OLD_READERS_S_MAX", 0.05)
    monkeypatch.setattr(projections.rebuild, "SWAP_ATTEMPTS_MAX", 2)


def make_anew(database: Database) -> None:
    assert database.owner_url is not None
    rebuild(database.owner_url, database.service_url, RECEIVABLES)


def ask(database: Database, query: str) -> tuple[int, bytes]:
    """The statement of account A-1, which takes several statements of the database."""

    async def run() -> tuple[int, bytes]:
        doors = Doors((database,))
        read = AccountRead(doors.regions, READ_ACCOUNT, statement.PARAMETERS, statement.statement)
        scope = {
            "type": "http",
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {TOKENS['us']}".encode())],
            "path_params": {"account_number": "A-1"},
        }
        try:
            response = await read(Request(scope))
        finally:
            await doors.close()
        return response.status_code, bytes(response.body)

    return asyncio.run(run())


class Swapping:
    """Tries to rebuild the views between the first statement of a read and the next, once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.statements = 0
        self.tried = 0

    def come_between(self, patch: pytest.MonkeyPatch, asks: type[Reading | Transaction]) -> None:
        """What asks statements does so from now on."""
        for name in ("rows", "named"):
            patch.setattr(asks, name, self._with(getattr(asks, name)))

    def _with(self, ask: Any) -> Any:
        async def slowly(*asked: Any, **given: Any) -> Any:
            self.statements += 1
            if self.statements == 2:
                with pytest.raises(CannotSwap):
                    make_anew(self._database)
                self.tried += 1
            return await ask(*asked, **given)

        return slowly


@pytest.mark.parametrize("moment", ["", "&effective_on=2020-03-31"])
def test_no_swap_comes_between_two_statements_of_a_read(
    books: Database, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Live or as of a day: a rebuild that wants to swap while an account is read has to wait, so all
    that is read is of the same tables."""
    before, swapping = ask(books, DAYS + moment), Swapping(books)
    assert before[0] == 200
    swapping.come_between(monkeypatch, Reading)
    assert before == ask(books, DAYS + moment)
    assert 1 == swapping.tried


def test_views_swapped_before_a_read_looks_at_them_are_read_again(books: Database) -> None:
    """A read that began to see before the new tables were filled, and looks for them when they are in
    place, would find them empty and know no account: it is read again from its start."""
    assert books.owner_url is not None
    before, after = ask(books, DAYS), list[tuple[int, bytes]]()
    reader = threading.Thread(target=lambda: after.append(ask(books, DAYS)))
    with psycopg.connect(books.owner_url) as owner:
        owner.execute(b"LOCK TABLE access.token IN ACCESS EXCLUSIVE MODE")
        reader.start()  # waits in its first statement
        eventually(lambda: owner.execute(WAITING.encode()).fetchall() == [(1,)])
        make_anew(books)
    reader.join()
    assert [before] == after


def test_the_command_that_explains_sees_one_state_of_the_views(
    books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`explain` reads statement by statement, and no swap comes between them."""
    assert books.owner_url is not None
    id = account_id("us", "A-1")
    with psycopg.connect(books.owner_url) as connection:
        query = "SELECT position FROM receivables.tracking WHERE lane = %s"
        [stands_at] = connection.execute(query, [lane_of(id)]).fetchone() or (0,)
    given = Namespace(account="A-1", figure="balance")

    def explained() -> Any:
        return asyncio.run(command._explained(books, id, books.today(), stands_at, given))

    before, swapping = explained(), Swapping(books)
    swapping.come_between(monkeypatch, Transaction)
    assert before == explained()
    assert 1 == swapping.tried
