"""Dry runs of a month end: over HTTP and from the command line, whole, cut off and in nobody's way."""

import asyncio
import json
import multiprocessing
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import psycopg
import pytest

from api import streamed
from api.app import create_app
from api.doors import RegionDoor
from api.embedded import EmbeddedServer
from api.security.logins import Registrar
from api.security.scope import SCOPES
from api.wiring import Database, Doors
from ledger import commands as c
from ledger.processes import WorkerFailed
from ledger.store.outcomes import Accepted
from tests.api.books import TOKENS
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.in_process import in_process
from tests.api.serving import Ran, environment_of, run
from tests.closing.books import charge, credit, opening

JULY_10 = date(2020, 7, 10)
LIMIT_S = 30.0
ACCOUNTS = 30
Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Database:
    """Accounts with charges in July 2020, one of which is refused, and a service's token."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(TOKENS["us"], "all", SCOPES)
    asked: list[tuple[str, c.AnyCommand]] = []
    for n in range(ACCOUNTS):
        asked += [(f"A-{n}", opening()), (f"A-{n}", charge("c", JULY_10, 100 + n))]
    asked += [("A-0", credit("k", JULY_10, 30)), ("empty", opening())]
    requests = [
        c.Request(
            account_number=number, key=f"k-{n}", command=command, actor="t",
            today=database.today(),
        )
        for n, (number, command) in enumerate(asked)
    ]  # fmt: skip  # arguments by what they are for
    requests.append(
        c.Request(
            account_number="used", key="month-end:2020-07", command=opening(), actor="t",
            today=database.today(),
        )
    )  # fmt: skip  # arguments by what they are for
    with closing(database.ledger()) as ledger:
        for outcome in ledger.handle_now(requests):
            assert isinstance(outcome, Accepted), outcome
    return database


@pytest.fixture(scope="module")
def do(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command on that database."""
    directory = tmp_path_factory.mktemp("preview")
    return partial(run, environment_of(regions_file(directory, database)))


class Caller:
    """Asks for a preview, takes it as long as it is let, and hangs up when told to."""

    def __init__(self, query: str = "dry_run=true", token: str = TOKENS["us"], **body: Any) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.is_complete = False
        self.gone = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self._asked = [json.dumps({"period": "2020-07", **body}).encode()]
        self._scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/month-ends",
            "raw_path": b"/v1/month-ends",
            "query_string": query.encode(),
            "http_version": "1.1",
            "headers": [
                (b"host", b"x"),
                (b"authorization", f"Bearer {token}".encode()),
                (b"content-type", b"application/json"),
            ],
        }

    async def ask(self, app: Any) -> "Caller":
        await asyncio.wait_for(app(self._scope, self._receive, self._send), LIMIT_S)
        return self

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])

    async def _receive(self) -> dict[str, Any]:
        if self._asked:
            return {"type": "http.request", "body": self._asked.pop(), "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]
            self.is_complete = not message.get("more_body", False)
            await self.takes.wait()


def usd(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


def rows_of(database: Database) -> list[Any]:
    """How much the ledger holds."""
    assert database.owner_url is not None
    with closing(psycopg.connect(database.owner_url, autocommit=True)) as owner:
        return owner.execute(
            b"SELECT (SELECT count(*) FROM ledger.event), (SELECT count(*) FROM ledger.command_key),"
            b" (SELECT count(*) FROM ledger.month_end)"
        ).fetchall()


def test_a_dry_run_over_http(database: Database, do: Run) -> None:
    """A line for every invoice and refusal and a last one of totals, as the command prints them; nothing
    is recorded by either."""
    before = rows_of(database)

    async def work() -> Caller:
        app = create_app(Doors((database,)))
        async with in_process(app):
            return await Caller().ask(app)

    caller = asyncio.run(work())
    assert (200, True) == (caller.status, caller.is_complete)
    assert b"application/x-ndjson" == caller.headers[b"content-type"]
    *lines, end = caller.lines
    invoices = {one["account_number"]: one for one in lines if one["kind"] == "invoice"}
    assert {f"A-{n}" for n in range(ACCOUNTS)} == set(invoices)
    assert invoices["A-0"] == {
        "kind": "invoice", "account_number": "A-0", "number": "A-0-2020-07-1",
        "period_start": "2020-07-01", "period_end": "2020-07-31", "issued_on": "2020-07-31",
        "due_on": "2020-08-30", "lines_count": 2,
        "categories": [{"category": "usage", "amount": usd("1.00")}], "new_charges": usd("1.00"),
        "credits": usd("0.30"), "taxes": [], "tax": usd("0.00"), "carried_to_credit": usd("0.00"),
        "total": usd("0.70"), "applied": usd("0.00"), "open_amount": usd("0.70"),
    }  # fmt: skip  # field by field
    [refusal] = [one for one in lines if one["kind"] == "refusal"]
    assert ("used", "idempotency_key_reused") == (refusal["account_number"], refusal["code"])
    charged = sum(100 + n for n in range(ACCOUNTS))
    assert ("end", ACCOUNTS + 2, ACCOUNTS, 0, 1, 0, 1) == tuple(
        end[name]
        for name in (
            *("kind", "accounts", "issued", "replayed", "nothing_to_bill", "not_due", "refused"),
        )
    )
    [currency] = end["currencies"]
    assert (ACCOUNTS, ACCOUNTS + 1, f"{charged / 100:.2f}", f"{(charged - 30) / 100:.2f}") == (
        currency["invoices"],
        currency["lines_count"],
        currency["new_charges"]["amount"],
        currency["open_amount"]["amount"],
    )
    done = do("close-month", "2020-07", "--dry-run", "--json")
    assert 1 == done.code, done
    assert caller.lines == done.lines
    assert before == rows_of(database)


def test_a_dry_run_for_people(do: Run) -> None:
    """A table with a head, what is refused and why, and the totals by category; exit code 1 since one
    is refused."""
    done = do("close-month", "2020-07", "--dry-run", "--issued-on", "2020-08-03")
    assert 1 == done.code
    head, *rows = done.out.splitlines()
    assert ["account", "through", "issued", "due", "lines", "charges"] == head.split()[:6]
    assert ["credits", "tax", "carried", "total", "open", "currency"] == head.split()[6:]
    [first] = [row for row in rows if row.startswith("A-0 ")]
    days, summed = ["2020-07-31", "2020-08-03", "2020-09-02"], ["1.00", "0.30", "0.00", "0.00"]
    assert ["A-0", *days, "2", *summed, "0.70", "0.70", "USD"] == first.split()
    assert "  charges: usage" in done.out
    assert f"{ACCOUNTS} would be invoiced, 0 invoiced before, 1 with nothing to bill" in rows[-1]
    assert "account used: idempotency_key_reused" in done.err


def test_what_cannot_be_previewed(database: Database, do: Run) -> None:
    """Over HTTP a problem before any line, from the command line what it exits with."""

    async def work() -> list[Caller]:
        app = create_app(Doors((database,)))
        async with in_process(app):
            callers = [
                Caller(period="2199-01"),
                Caller(period="2020-13"),
                Caller(issued_on="2020-06-30"),
                Caller(query="dry_run=maybe"),
                Caller(query="dryrun=true"),
                Caller(token="us." + "x" * 43),
            ]
            return [await one.ask(app) for one in callers]

    told = asyncio.run(work())
    assert [
        (422, "period_not_begun"), (422, "invalid_request"), (409, "effective_before_cause"),
        (422, "invalid_request"), (422, "invalid_request"), (401, "unauthenticated"),
    ] == [(one.status, one.code) for one in told]  # fmt: skip  # one by one
    [error] = json.loads(told[1].body)["errors"]
    says = "'2020-13' is not a month: give its year, 1900 to 2199, and number, like 2020-07"
    assert ("/period", "invalid_period", says) == (
        error["pointer"], error["code"], error["message"],
    )  # fmt: skip  # field by field
    assert 1 == do("close-month", "2199-01", "--dry-run").code
    assert 2 == do("close-month", "2020-13", "--dry-run").code


async def until_begun(caller: Caller) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not caller.body:
            await asyncio.sleep(0.01)


def test_who_hangs_up_or_stalls_gives_up_the_place(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One preview of a region at a time: the next is told to come again, until whoever asked has hung
    up or takes nothing more; what they got has no end that could pass for one."""
    monkeypatch.setattr(streamed, "STALLED_S_MAX", 0.5)

    async def work() -> None:
        app = create_app(Doors((database,)))
        async with in_process(app):
            stalled = Caller()
            stalled.takes.clear()
            asking = asyncio.ensure_future(stalled.ask(app))
            await until_begun(stalled)
            second = await Caller().ask(app)
            assert (503, "overloaded") == (second.status, second.code)
            assert b"5" == second.headers[b"retry-after"]
            await asking
            assert not stalled.is_complete
            monkeypatch.setattr(streamed, "STALLED_S_MAX", LIMIT_S)
            gone = Caller()
            gone.takes.clear()
            asking = asyncio.ensure_future(gone.ask(app))
            await until_begun(gone)
            gone.gone.set()
            gone.takes.set()
            await asking
            assert (200, False) == (gone.status, gone.is_complete)
            assert (await Caller().ask(app)).is_complete

    asyncio.run(work())


def test_a_database_that_fails_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its process cannot reach is a 503 before any line, and the next preview is made as ever."""
    nowhere = replace(database, service_url="postgresql://nobody@127.0.0.1:1/nowhere")

    async def work() -> tuple[int, str]:
        app = create_app(Doors((database,)))
        async with in_process(app):
            with monkeypatch.context() as planted:
                planted.setattr(RegionDoor, "database", nowhere)
                told = await Caller().ask(app)
            assert (await Caller().ask(app)).is_complete
            return told.status, told.code

    assert (503, "database_unavailable") == asyncio.run(work())


def test_a_preview_whose_process_is_killed_is_cut_off(database: Database) -> None:
    """Killed with -9, it ends without an end that could pass for one; the next is made as ever, and no
    process is left of either."""

    async def work() -> None:
        app = create_app(Doors((database,)))
        async with in_process(app):
            caller = Caller()
            caller.takes.clear()
            asking = asyncio.ensure_future(caller.ask(app))
            await until_begun(caller)
            [making] = multiprocessing.active_children()
            making.kill()
            caller.takes.set()
            with pytest.raises(WorkerFailed):  # the server cuts the connection then
                await asking
            assert not caller.is_complete
            assert (await Caller().ask(app)).is_complete

    asyncio.run(work())
    assert [] == multiprocessing.active_children()


def test_a_token_taken_away_ends_it(database: Database) -> None:
    """Whoever may no longer close the month is shown no further batch."""
    token = "us." + "r" * 43
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(token, "for a while", SCOPES)

    async def work() -> Caller:
        app = create_app(Doors((database,)))
        async with in_process(app):
            caller = Caller(token=token)
            caller.takes.clear()
            asking = asyncio.ensure_future(caller.ask(app))
            await until_begun(caller)
            with Registrar("us", database.service_url) as registrar:
                registrar.revoke_tokens("for a while")
            caller.takes.set()
            with pytest.raises(RuntimeError):  # the server cuts the connection then
                await asking
            assert (await Caller().ask(app)).is_complete
            return caller

    caller = asyncio.run(work())
    assert not caller.is_complete
    assert 0 < len(caller.lines) < ACCOUNTS
