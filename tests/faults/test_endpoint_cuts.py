"""The database connection cut around the commit of every endpoint that writes: done once, told the same."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import pytest

from api.embedded import EmbeddedServer
from api.security.logins import NewLogin, Registrar
from api.security.scope import SCOPES
from api.wiring import Database
from tests.api.books import PASSWORD, TOKENS
from tests.api.conftest import fresh_database, regions_file
from tests.api.make_examples import REGION
from tests.api.serving import Answer, Service, environment_of, eventually, serving
from tests.api.steps import ACCOUNT, STEPS
from tests.api.test_replays import same
from tests.faults import results
from tests.faults.judge import Judge
from tests.store.cutting import APPEND, Cut, CuttingProxy

TOKEN = TOKENS["us"]
CUTS: tuple[Cut, ...] = get_args(Cut)
ROUNDS = 3
BULK_ROUNDS = 14
LINES = 10
CUTS_MIN = 300
WITHOUT_COMMANDS = {
    # Who is not answered signs in, or asks, again: there is no key that it was done under.
    *("/v1/sign-in", "/v1/sign-out", "/v1/password-resets", "/v1/password-resets/{token}"),
    *("/v1/me/password", "/v1/me/second-factor"),
}


@dataclass
class Place:
    """A service whose way to its database can be cut, and that database reached directly."""

    service: Service
    database: Database
    proxy: CuttingProxy
    admin: str
    written: set[tuple[str, str]]

    def cut(self, cut: Cut, mark: bytes = APPEND) -> None:
        """The next statement with the mark is cut so."""
        self.proxy.mark, self.proxy.cut = mark, cut


@pytest.fixture(scope="module")
def at(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    database = fresh_database(server, REGION)
    database.migrate()
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(TOKEN, "all", SCOPES)
        registrar.create(
            NewLogin(role="admin", password=PASSWORD, client_id="admin", must_change_password=False)
        )
    directory: Path = tmp_path_factory.mktemp("cuts")
    with closing(CuttingProxy(database.service_url)) as proxy:
        file = regions_file(directory, replace(database, service_url=proxy.url))
        with serving(environment_of(file), directory) as running:
            admin = running.token("admin", PASSWORD)
            yield Place(running, database, proxy, admin, set())


def test_every_endpoint_that_writes(at: Place, tmp_path: Path) -> None:
    """At least 300 cuts before, during and after the commit of every one of them: each is done once,
    and sent again it is answered the same."""
    started = time.monotonic()
    accounts = [_commands(at, cut) for _ in range(ROUNDS) for cut in CUTS]
    accounts += [_bulk(at, cut) for cut in CUTS]
    for cut in CUTS:
        _kept(at, cut)
        _month_end(at, cut)
        accounts.append(_dunning(at, cut))
    judge = Judge(at.database.service_url, accounts)
    verdict = judge.verdict
    judge.views()
    counts = {"cuts": at.proxy.cuts, "events": verdict.events, "wrong": verdict.wrong.total()}
    seconds = round(time.monotonic() - started, 1)
    results.tell("cuts", 0, {**counts, "endpoints": len(at.written), "seconds": seconds}, tmp_path)
    assert not verdict.wrong, verdict.says
    assert at.proxy.cuts >= CUTS_MIN
    assert {path for _, path in _writing(at) - at.written} == WITHOUT_COMMANDS


def _writing(at: Place) -> set[tuple[str, str]]:
    """Method and path of every operation that writes, as the API's own document says."""
    paths = at.service.ask("/openapi.json").json["paths"]
    return {
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if method in ("post", "put", "patch", "delete")
    }


def _fresh(cut: Cut) -> str:
    return f"{cut}-{uuid.uuid4().hex[:8]}"


def _commands(at: Place, cut: Cut) -> str:
    """Every command of an account, whose number is given, each with its append cut."""
    account = _fresh(cut)
    for n, step in enumerate(STEPS):
        cuts = at.proxy.cuts
        at.cut(cut)
        first = step.send(at.service, TOKEN, account, f"k{n}")
        assert cuts + 1 == at.proxy.cuts, step
        again = step.send(at.service, TOKEN, account, f"k{n}")
        assert step.status == first.status, (step, first)
        assert same(first, again), (step, first, again)
        at.written.add((step.method, _template(step.path)))
    return account


def _template(path: str) -> str:
    """The path as documented: what is named by its place in it."""
    parts = path.removeprefix(ACCOUNT).split("/")
    if len(parts) > 2 and path.startswith(ACCOUNT):
        parts[2] = (
            "{number}" if parts[1] == "invoices" else f"{{{parts[1][:-1].replace('-', '_')}_id}}"
        )
    return (
        ACCOUNT.replace("{account}", "{account_number}") if path.startswith(ACCOUNT) else ""
    ) + ("/".join(parts))


def _bulk(at: Place, cut: Cut) -> str:
    """Lines of an account, whose number is given, some at a time, each time with their append cut."""
    account = _fresh(cut)
    opening = {**STEPS[0].body}
    lines = [{"key": "open", "account": account, "type": "open_account", "data": opening}]
    for n in range(BULK_ROUNDS):
        for m in range(LINES):
            data = {"charge_id": f"{n}-{m}", "amount": "1.00", "description": "d", "category": "c"}
            lines.append(
                {"key": f"{n}-{m}", "account": account, "type": "post_charge", "data": data}
            )
        cuts = at.proxy.cuts
        at.cut(cut)
        first = _told(at, lines)
        assert cuts + 1 == at.proxy.cuts
        assert ["ok"] * len(lines) == [line["status"] for line in first], first
        again = _told(at, lines)
        assert [{**line, "status": "replayed"} for line in first] == again
        lines = []
    at.written.add(("POST", "/v1/commands"))
    return account


def _told(at: Place, lines: list[dict[str, object]]) -> list[dict[str, object]]:
    headers = {"Content-Type": "application/x-ndjson"}
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    answer = at.service.ask("/v1/commands", TOKEN, method="POST", headers=headers, body=body)
    return [json.loads(line) for line in answer.body.splitlines()]


def _kept(at: Place, cut: Cut) -> None:
    """Logins and tokens made and changed, each with its statement cut."""
    name = _fresh(cut)
    login = {"role": "support", "client_id": name, "password": PASSWORD}
    made = _cut(at, cut, b"make_login_once", "POST", "/v1/logins", login, key=name)
    id = made.json["id"]
    _cut(at, cut, b"change_login", "PATCH", f"/v1/logins/{id}", {"disabled": True})
    token = {"name": name, "scopes": ["accounts:read"]}
    issued = _cut(at, cut, b"issue_token_once", "POST", "/v1/tokens", token, key=f"t-{name}")
    assert issued.json["token"], "it can be shown only now"
    assert "disabled" == at.service.send("GET", f"/v1/logins/{id}", at.admin).json["status"]
    token_id = issued.json["id"]
    _cut(at, cut, b"revoke_token", "DELETE", f"/v1/tokens/{token_id}", None)
    for kind, of in (("logins", "client_id"), ("tokens", "name")):
        listed = at.service.send("GET", f"/v1/{kind}?limit=500", at.admin).json["data"]
        assert 1 == sum(one[of] == name for one in listed), listed


def _month_end(at: Place, cut: Cut) -> None:
    """A month end asked for, and worked on to its end."""
    period = f"2021-0{1 + CUTS.index(cut)}"
    inserts = b"ON CONFLICT (lane, period) DO NOTHING"
    _cut(at, cut, inserts, "POST", "/v1/month-ends", {"period": period}, token=TOKEN)
    path = f"/v1/month-ends/{period}"
    eventually(lambda: at.service.ask(path, TOKEN).json["state"] == "finished")
    _cut(at, cut, b"INSERT INTO ledger.period_close", "POST", f"{path}/closing", None, token=TOKEN)
    at.written.add(("POST", "/v1/month-ends/{period}/closing"))
    eventually(lambda: at.service.ask(f"{path}/closing", TOKEN).json["state"] == "closed")


def _dunning(at: Place, cut: Cut) -> str:
    """A late fee, a reminder and interest of an account, whose number is given, each once."""
    account = _fresh(cut)
    lines = [
        ("open_account", {**STEPS[0].body, "opened_on": "2020-01-01"}),
        ("post_charge", {"charge_id": "c", "amount": "90.00", "description": "d", "category": "c",
                         "effective_on": "2020-03-02"}),
        ("issue_invoice", {"number": "I", "period_end": "2020-03-31", "issued_on": "2020-03-31"}),
    ]  # fmt: skip  # one line a command
    told = _told(
        at,
        [
            {"key": f"{n}", "account": account, "type": type, "data": data}
            for n, (type, data) in enumerate(lines)
        ],
    )
    assert ["ok"] * len(lines) == [line["status"] for line in told], told
    cuts = at.proxy.cuts
    at.cut(cut)
    assert ["interest", "late_fee", "reminder"] == _assessed(at, account)
    assert cuts + 1 == at.proxy.cuts
    assert [] == _assessed(at, account)
    at.written.add(("POST", "/v1/dunning"))
    return account


def _assessed(at: Place, account: str) -> list[str]:
    """What a run posted on an account."""
    answer = at.service.send("POST", "/v1/dunning", TOKEN, {"on": "2020-07-31"})
    lines = [json.loads(line) for line in answer.body.splitlines()]
    return sorted(line["kind"] for line in lines if line.get("account_number") == account)


def _cut(
    at: Place,
    cut: Cut,
    mark: bytes,
    method: str,
    path: str,
    body: object,
    *,
    key: str | None = None,
    token: str | None = None,
) -> Answer:
    """The answer to a request that is cut, sent until it is answered; again it is the same."""
    cuts = at.proxy.cuts
    at.cut(cut, mark)
    answer = at.service.send(method, path, token or at.admin, body, key=key)
    while answer.status == 503:
        answer = at.service.send(method, path, token or at.admin, body, key=key)
    assert answer.status in (200, 201, 202, 204), answer
    assert cuts + 1 == at.proxy.cuts, (method, path)
    again = at.service.send(method, path, token or at.admin, body, key=key)
    assert answer.status == again.status, (answer, again)
    at.written.add((method, path if path.count("/") < 3 else path.rpartition("/")[0] + "/{id}"))
    return answer
