"""Dunning as finance meets it: over HTTP and from the command line, with a policy and without one."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.app import create_app
from api.embedded import EmbeddedServer
from api.routes import dunning
from api.wiring import Database, Doors
from projections.follower import ViewBehind
from tests.api.books import TOKENS, fill
from tests.api.conftest import fresh_database, regions_file
from tests.api.in_process import Got, InProcess, Sent, in_process
from tests.api.make_examples import REGION
from tests.api.serving import Answer, Ran, Service, environment_of, run, serving

TOKEN = TOKENS["us"]
DRY = "?dry_run=true"
ON = "2020-04-10"
"""i-1, of 100.00, was due on 1 March and 30.00 of it paid that day; i-2, of 50.05, on 30 March, and
20.00 of it are disputed; A-1 is the only account with invoices."""
LINES = [
    ("late_fee", "i-1", "5.00"),
    ("reminder", "i-1", None),
    ("interest", "i-1", "0.69"),
    ("reminder", "i-2", None),
    ("interest", "i-2", "0.08"),
]
"""2.5 % of 70.00 are less than the least fee; 40 days of 9 % a year on 70.00, 11 on 30.05."""
Run = Callable[..., Ran]


@pytest.fixture
def database(server: EmbeddedServer) -> Database:
    """A region with a policy, and a small book."""
    database = fresh_database(server, REGION)
    database.migrate()
    fill(database)
    return database


@pytest.fixture
def environment(database: Database, tmp_path: Path) -> dict[str, str]:
    return environment_of(regions_file(tmp_path, database))


@pytest.fixture
def do(environment: dict[str, str]) -> Run:
    """Runs a command on that database."""
    return partial(run, environment)


def dun(service: Service, query: str = "", body: object = None) -> Answer:
    return service.send("POST", f"/v1/dunning{query}", TOKEN, body)


def lines(answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of a run, and its totals."""
    assert answer.status == 200, answer
    assert "application/x-ndjson" == answer.headers["content-type"]
    *found, totals = (json.loads(line) for line in answer.body.splitlines())
    return found, totals


def short(found: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [(one["kind"], one["invoice"], one.get("amount", {}).get("amount")) for one in found]


def test_over_http(environment: dict[str, str], tmp_path: Path) -> None:
    """The preview tells what the run then posts; posted, it is in the account's lists, reversible,
    and asked for again nothing is left."""
    with serving(environment, tmp_path) as service:
        preview, expected = lines(dun(service, DRY, {"on": ON}))
        assert LINES == short(preview)
        assert {"proposed"} == {one["status"] for one in preview}
        assert (True, 2, 0) == (expected["dry_run"], expected["accounts"], expected["refused"])
        done, totals = lines(dun(service, "", {"on": ON}))
        by_id = {one["id"]: one for one in preview}
        for one in done:
            assert one.pop("position")
            assert by_id[one["id"]] == {**one, "status": "proposed"}
        assert len(by_id) == len(done)
        assert {**expected, "dry_run": False} == totals
        assert [] == lines(dun(service, "", {"on": ON}))[0]
        assert [] == lines(dun(service, DRY, {"on": ON}))[0]
        assert_shown(service, preview)


def assert_shown(service: Service, preview: list[dict[str, Any]]) -> None:
    """What was proposed is posted, and a fee can be taken back for good."""
    account = "/v1/accounts/A-1"
    shown = service.ask(f"{account}/charges?limit=500", TOKEN).json["data"]
    charges = {one["charge_id"]: one for one in shown}
    for one in preview:
        if one["kind"] != "reminder":
            charge = charges[one["id"]]
            assert (one["kind"], one["amount"], one["text"], ON) == (
                charge["category"], charge["amount"], charge["description"], charge["effective_on"],
            )  # fmt: skip  # as they are named
        else:
            message = service.ask(f"{account}/messages/{one['id']}", TOKEN).json
            assert one["text"] == message["text"]
    fee = f"{account}/charges/{preview[0]['id']}/reversal"
    assert 200 == service.send("POST", fee, TOKEN, {"reason": "goodwill"}, key="r").status
    assert [] == lines(dun(service, "", {"on": ON}))[0]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"on": "2020-02-30"}, 422, "invalid_request"),
        ({"on": "2020-4-1"}, 422, "invalid_request"),
        ({"on": "1899-12-31"}, 422, "invalid_request"),
        ({"on": "2199-12-31"}, 422, "effective_in_future"),
        ({"on": 20200401}, 422, "invalid_request"),
        ({"day": ON}, 422, "invalid_request"),
        ([ON], 422, "invalid_request"),
        ("\ud800", 400, "malformed_json"),
    ],
)
def test_what_cannot_be_a_day_is_refused(
    body: object, status: int, code: str, own: Service
) -> None:
    """Each is told, and nothing is posted."""
    answer = dun(own, "", body)
    assert (status, code) == (answer.status, answer.code)


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ({"on": "2020-02-30"}, "/on", "Invalid RFC3339 encoded date"),
        ({"on": "1899-12-31"}, "/on", "1899-12-31 is not from 1900 to 2199"),
        ({"day": ON}, "", "Object contains unknown field `day`"),
    ],
)
def test_a_body_that_is_wrong_is_told_where(
    body: object, pointer: str, says: str, own: Service
) -> None:
    """The pointer leads to the field that is wrong, and to the body for one that is unknown."""
    [error] = dun(own, "", body).json["errors"]
    assert (pointer, says) == (error["pointer"], error["message"])


@pytest.fixture(scope="module")
def own(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over a region with a policy, where nothing is posted."""
    database = fresh_database(server, REGION)
    database.migrate()
    fill(database)
    directory = tmp_path_factory.mktemp("dunning")
    with serving(environment_of(regions_file(directory, database)), directory) as running:
        yield running


def test_today_if_no_day_is_said(own: Service) -> None:
    """Without a body, with an empty one, with null: the region's today."""
    for body in (None, {}, {"on": None}):
        assert REGION.zone == "America/New_York"
        found, totals = lines(dun(own, DRY, body))
        assert 5 <= len(found)
        assert totals["on"] > "2026-01-01"


def test_a_region_without_a_policy_charges_nothing(service: Service) -> None:
    """It is told so, also in a preview."""
    for query in ("", DRY):
        answer = dun(service, query)
        assert (409, "no_dunning_policy") == (answer.status, answer.code)


def test_no_caller_uses_up_the_key_of_a_fee(own: Service) -> None:
    """Else a customer could keep a fee away, by a payment under the key it is charged under."""
    [fee, *_], _ = lines(dun(own, DRY, {"on": ON}))
    body = {"payment_id": "x", "pay": "amount", "amount": "1.00", "method": "card"}
    key = f"dunning:{fee['id']}"
    answer = own.send("POST", "/v1/accounts/A-1/payments", TOKEN, body, key=key)
    assert (400, "malformed_request") == (answer.status, answer.code)


def test_from_the_command_line(do: Run, database: Database) -> None:
    """A preview for people and for machines, a run, a second one without anything left to do."""
    told = do("dunning", "--on", ON, "--dry-run")
    assert told.code == 0, told
    assert 5 == sum(line.startswith("A-1: ") for line in told.out.splitlines())
    assert "A-1: 5.00 USD: Late fee on invoice i-1, due 2020-03-01, 40 days past due" in told.out
    assert "interest: 2 would be posted, 0.77 USD" in told.out
    previewed = do("dunning", "--on", ON, "--dry-run", "--json")
    *preview, totals = previewed.lines
    assert LINES == short(preview)
    done = do("dunning", "--on", ON, "--json")
    assert done.code == 0, done
    *posted, after = done.lines
    assert {one["id"] for one in preview} == {one["id"] for one in posted}
    assert (True, totals["totals"]) == (after["ok"], after["totals"])
    again = do("dunning", "--on", ON)
    looked_at = f"{ON}: 2 accounts: 0 refused, 0 left out for their currency"
    assert (0, ["nothing posted", f"{looked_at}, 0 posted by another run meanwhile"]) == (
        again.code,
        again.out.splitlines(),
    )


def test_the_command_line_refuses(do: Run, database: Database, deployment: Any) -> None:
    """A day ahead and a region without a policy with 1, what is no day with 2."""
    ahead = (database.today() + timedelta(2)).isoformat()
    told = do("dunning", "--on", ahead)
    assert 1 == told.code
    assert f"{ahead} is after" in told.err
    assert 2 == do("dunning", "--on", "2020-02-30").code
    without = run(deployment.environment, "dunning", "--region", "us")
    assert 1 == without.code
    assert "region us has no dunning policy" in without.err


class Gone(Exception):
    """The caller's connection ended."""


def left(app: ASGIApp) -> ASGIApp:
    """The application, left by its callers at the first bytes of an answer."""

    async def leaving(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_some(message: Message) -> None:
            if message["type"] == "http.response.body":
                raise Gone
            await send(message)

        await app(scope, receive, send_some)

    return leaving


def asked(query: bytes = b"", body: bytes = b"") -> Sent:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    return Sent("POST", b"/v1/dunning", query, headers, body)


def test_few_runs_at_once_and_their_places_are_free_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More are told to come again; a run that could not begin, or whose caller went, keeps no place."""

    async def ask() -> list[Got]:
        doors = Doors((database,))
        try:
            async with in_process(create_app(doors)) as app:
                return await told(app, monkeypatch)
        finally:
            await doors.close()

    statuses = [
        (got.status, json.loads(got.body or b"{}").get("code")) for got in asyncio.run(ask())
    ]
    behind = [(503, "view_behind")] * (dunning.RUNS_MAX + 1)
    assert [(503, "overloaded"), *behind, (200, None)] == statuses


async def told(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> list[Got]:
    found = []
    with monkeypatch.context() as patched:
        patched.setattr(dunning, "RUNS_MAX", 0)
        found.append(await app.ask(asked(b"dry_run=true")))
    with monkeypatch.context() as patched:

        def behind(self: Database, timeout_s: float) -> None:
            raise ViewBehind("behind")

        patched.setattr(Database, "catch_up", behind)
        for _ in range(dunning.RUNS_MAX + 1):
            found.append(await app.ask(asked(b"dry_run=true")))
    for _ in range(dunning.RUNS_MAX + 1):
        with pytest.raises(Gone):
            await InProcess(left(app._app)).ask(asked(b"dry_run=true"))
    last = await app.ask(asked(b"dry_run=true"))
    last.body = b""
    return [*found, last]
