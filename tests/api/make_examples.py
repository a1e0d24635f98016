"""Writes api/examples.json: `python -m tests.api.make_examples`, after an operation has changed."""

import http.client
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from api.embedded import start
from api.exports.writing import PARQUET
from api.operations import JSON, NDJSON, Operation
from api.reconciliations import Reconciliations
from api.routes.documents import PDF
from api.security.logins import NewLogin, Registrar
from api.wiring import Database
from ledger.dunning_policy import FeeTerms, InterestTerms, PolicyTerms, StepTerms
from projections.reconciliation.reconciling import reconcile
from tests.api import scenario, scenario_access
from tests.api.asking import Ask, Told, operations_of
from tests.api.books import PASSWORD, STAFF
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.mailbox import Mailbox, mailbox
from tests.api.scenario import ACCOUNT, CUSTOMER
from tests.api.serving import WAIT_LIMIT_S, Service, environment_of, eventually, serving
from tests.conftest import server_directory

REGION = msgspec.structs.replace(
    REGIONS[0],
    dunning=PolicyTerms(
        since=date(2020, 1, 1),
        steps=(
            StepTerms(after_days=5, reminder=True),
            StepTerms(after_days=14, fee=FeeTerms(percent="2.5", minimum="5.00")),
        ),
        interest=InterestTerms(annual_percent="9"),
        return_fee="25.00",
    ),
)
ASKS = (*scenario.ASKS, *scenario_access.ASKS)
FILE = Path(__file__).parents[2] / "api" / "examples.json"
SHOWN_HEADERS = ("Ledger-Position", "Location", "ETag")
STREAM = "text/event-stream"

_VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "(an instant)"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "(an id)"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "(a hash)"),
    (re.compile(r"^us\.[A-Za-z0-9_-]{43}$"), "(a token)"),
)
_VOLATILE_FIELDS = {
    *("next_cursor", "asked_on", "says", "correlation_id"),
    *("token", "secret", "otpauth_uri", "code", "recovery_codes"),
}


class Scene:
    """A region that nothing has happened in, and a service over it, where requests are made."""

    def __init__(self, database: Database, service: Service, box: Mailbox) -> None:
        self.examples: dict[str, Any] = {}
        self._box = box
        self._told = Told({}, self._mailed)
        self._database = database
        self._service = service
        self._operations = {one.name: one for one in operations_of({"us": database})}
        self._tokens: dict[str, str] = {}
        self._position: str | None = None
        with Registrar("us", database.service_url) as registrar:
            for role in STAFF:
                registrar.create(
                    NewLogin(
                        role=role, password=PASSWORD, client_id=role, must_change_password=False
                    )
                )

    def play(self, asks: Sequence[Ask]) -> None:
        """Every request is made, in order, and answered as hoped for."""
        for ask in asks:
            self._do(ask)

    def _reconcile(self) -> None:
        """What has happened so far is reconciled."""
        with closing(Reconciliations(self._database.service_url)) as kept:
            for proof in reconcile(self._database.service_url):
                kept.keep(proof)

    def _do(self, asked: Ask) -> None:
        ask = replace(asked, places=self._now(asked.places), body=self._now(asked.body))
        operation = self._operations[ask.operation]
        if operation.method == "GET":
            self._database.catch_up(WAIT_LIMIT_S)  # positions are shown
        if operation.name == "get_reconciliation":
            self._reconcile()
        headers = dict(ask.headers)
        if self._position and any(one.name == "Ledger-Position" for one in operation.headers):
            headers["Ledger-Position"] = self._position
        status, found, body = self._sent(operation, ask, headers)
        if ask.until is not None:
            field, value = ask.until
            eventually(lambda: self._sent(operation, ask, headers)[2][field] == value)
            status, found, body = self._sent(operation, ask, headers)
        if ask.places.get("account_number") == ACCOUNT and operation.method != "GET":
            self._position = found["Ledger-Position"]
        self._told.answers[ask.operation] = body
        if ask.shown:
            assert ask.operation not in self.examples, ask.operation
            self.examples[ask.operation] = {
                "request": {
                    "path": dict(ask.places),
                    "query": dict(ask.query),
                    "headers": headers,
                    **({} if ask.body is None else {"body": ask.body}),
                },
                "reply": {
                    "status": status,
                    "headers": {name: found[name] for name in SHOWN_HEADERS if name in found},
                    "body": {name: body[name] for name in ask.cut} if ask.cut else body,
                },
            }

    def _now(self, value: Any) -> Any:
        """The same, with what depends on what was told before worked out."""
        if isinstance(value, Mapping):
            return {name: self._now(inner) for name, inner in value.items()}
        return value(self._told) if callable(value) else value

    def _mailed(self, name: str) -> str:
        eventually(lambda: bool(self._box.mails_to(name)))
        return self._box.mails_to(name)[-1].link[1]

    def _sent(
        self, operation: Operation, ask: Ask, headers: Mapping[str, str]
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        path = re.sub(r"\{(\w+)\}", lambda m: quote(ask.places[m[1]], safe=""), operation.path)
        body, given = None, dict(headers)
        if ask.asker is not None:
            given["Authorization"] = f"Bearer {self._token(ask.asker)}"
        if ask.body is not None:
            given["Content-Type"] = operation.body_type
            lines = ask.body if operation.body_type == NDJSON else [ask.body]
            body = "\n".join(map(json.dumps, lines)).encode()
        line = http.client.HTTPConnection("127.0.0.1", self._service.port, timeout=WAIT_LIMIT_S)
        with closing(line):
            query = f"?{urlencode(ask.query)}" if ask.query else ""
            line.request(operation.method, path + query, body=body, headers=given)
            response = line.getresponse()
            assert response.status in operation.replies, (ask, response.status, response.read())
            return response.status, response.headers, _read(response)

    def _token(self, asker: str) -> str:
        if asker not in self._tokens:
            if asker == CUSTOMER:
                with Registrar("us", self._database.service_url) as registrar:
                    registrar.create(
                        NewLogin(
                            role="customer",
                            password=PASSWORD,
                            account_numbers=(ACCOUNT,),
                            must_change_password=False,
                        )
                    )
            name = ACCOUNT if asker == CUSTOMER else asker
            self._tokens[asker] = self._service.token(name, PASSWORD)
        return self._tokens[asker]


def _read(response: http.client.HTTPResponse) -> Any:
    """The body; of lines, all of them; of a stream without end, its first event; none of a PDF or Parquet."""
    media_type = response.headers.get("Content-Type", "")
    if media_type.startswith(STREAM):
        while not (line := response.readline()).startswith(b"data: "):
            pass
        return json.loads(line.removeprefix(b"data: "))
    body = response.read()
    if media_type in (PDF, PARQUET):
        return None
    if media_type.startswith("text/"):
        return body.decode()
    if media_type == NDJSON:
        return [json.loads(line) for line in body.splitlines()]
    assert media_type == JSON or not body
    return json.loads(body) if body else None


def masked(value: Any, name: str = "") -> Any:
    """The same, with what differs from run to run masked: instants, random ids, hashes, secrets."""
    if name in _VOLATILE_FIELDS and value is not None:
        return "(volatile)"
    if isinstance(value, dict):
        return {field: masked(inner, field) for field, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    if isinstance(value, str):
        for pattern, mask in _VOLATILE:
            value = pattern.sub(mask, value)
    return value


def made(database: Database, directory: Path) -> dict[str, Any]:
    """The examples of the scenario, played in an empty region."""
    with mailbox() as box:
        regions = regions_file(directory, database)
        environment = environment_of(regions, BILLING_LEDGER_SMTP_URL=box.url)
        with serving(environment, directory) as service:
            scene = Scene(database, service, box)
            scene.play(ASKS)
    return scene.examples


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        closing(start(server_directory("examples"))) as server,
    ):
        database = fresh_database(server, REGION)
        database.migrate()
        found = made(database, Path(directory))
    FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
