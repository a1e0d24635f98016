"""Metrics: told on loopback, counted in every process, and about nobody."""

import http.client
import json
import logging
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import psycopg
import pytest

from api import metrics
from api.serving.exposition import exposed
from api.settings import load
from api.wiring import Database
from tests.api.books import PASSWORD, TOKENS
from tests.api.conftest import Deployment
from tests.api.serving import (
    WAIT_LIMIT_S,
    Answer,
    Service,
    eventually,
    free_port,
    run,
    serving,
)

US = TOKENS["us"]
_SAMPLE = re.compile(r"billing_ledger_(\w+)\{(.*)\} (\S+)")


@dataclass(frozen=True)
class Observed:
    """A service whose metrics are served; `temporary` is where it keeps its files."""

    service: Service
    port: int
    temporary: Path

    def scrape(self, path: str = "/metrics") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_LIMIT_S)
        with closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name with these labels."""
        _, text = self.scrape()
        found = (_SAMPLE.fullmatch(line) for line in text.splitlines())
        return sum(
            float(sample[3])
            for sample in found
            if sample
            and sample[1] == name
            and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', sample[2])).items()
        )


@pytest.fixture(scope="module")
def observed(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observed]:
    """`serve` with two workers and metrics, and nothing of it left afterwards."""
    directory = tmp_path_factory.mktemp("observed")
    temporary = directory / "tmp"
    temporary.mkdir()
    port = free_port()
    environment = {
        **deployment.environment,
        "BILLING_LEDGER_METRICS_PORT": str(port),
        "TMPDIR": str(temporary),
    }
    with serving(environment, directory, "--workers", "2") as service:
        yield Observed(service, port, temporary)
    assert [] == list(temporary.iterdir())


def sent(service: Service, path: str, body: object, **headers: str) -> Answer:
    given = {
        "Content-Type": "application/json",
        "Idempotency-Key": uuid.uuid4().hex,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return service.ask(path, US, method="POST", headers=given, body=json.dumps(body).encode())


def opening(number: str) -> dict[str, object]:
    return {
        "account_number": number,
        "company": "Example Traders",
        "country": "USA",
        "terms": {"kind": "net", "days": 30},
        "opened_on": "2020-01-01",
    }


def charge(id: str, amount: str = "1.00") -> dict[str, object]:
    return {"charge_id": id, "amount": amount, "description": "Calls", "category": "voice"}


def test_metrics_are_told_on_loopback_alone(observed: Observed) -> None:
    """Prometheus' text format at /metrics, nothing elsewhere, and no other address listens."""
    assert observed.service.ask("/healthz").status == 200
    eventually(lambda: observed.value("http_requests_total", route="/healthz") > 0)
    status, text = observed.scrape()
    assert status == 200
    assert "# TYPE billing_ledger_http_requests_total counter" in text
    assert "# HELP billing_ledger_http_requests_total " in text
    assert observed.scrape("/")[0] == 404
    assert observed.service.ask("/metrics").code == "not_found"
    listening = psutil.Process(observed.service.process.pid).net_connections("inet")
    assert {"127.0.0.1"} == {
        connection.laddr.ip for connection in listening if connection.laddr.port == observed.port
    }


def test_requests_are_counted_by_route_and_status(observed: Observed) -> None:
    """Every process's requests add up, by template of the path; accounts are no labels."""
    route = "/v1/accounts/{account_number}/summary"
    labels = {"method": "GET", "route": route}
    before = {
        status: observed.value("http_requests_total", **labels, status=status)
        for status in ("2xx", "4xx")
    }
    timed = observed.value("http_request_duration_seconds_count", **labels)
    for _ in range(20):
        assert observed.service.summary("A-1", US).status == 200
    for number in ("NOBODY-7", "NOBODY-8"):
        assert observed.service.summary(number, US).status == 404
    assert observed.service.ask("/v1/no-such-thing-9", method="DELETE").status == 404
    assert observed.service.raw(b"\x00\r\n\r\n").startswith(b"HTTP/1.1 400")

    def counted(status: str, **labels: str) -> float:
        return observed.value("http_requests_total", **labels, status=status)

    eventually(lambda: counted("2xx", **labels) == before["2xx"] + 20)
    eventually(lambda: counted("4xx", **labels) == before["4xx"] + 2)
    eventually(
        lambda: observed.value("http_request_duration_seconds_count", **labels) == timed + 22
    )
    eventually(lambda: counted("4xx", route="none", method="DELETE") == 1)
    eventually(lambda: counted("4xx", route="none", method="other") == 1)
    _, text = observed.scrape()
    assert not re.search(r"NOBODY|A-1|no-such-thing", text)


def test_commands_are_counted_by_type_and_outcome(observed: Observed) -> None:
    """Done, replayed, tried out and refused, one at a time or in bulk."""
    account = f"COUNT-{uuid.uuid4().hex[:8]}"
    assert sent(observed.service, "/v1/accounts", opening(account)).status == 201
    outcomes = ("ok", "replayed", "dry_run", "id_taken")

    def counted() -> list[float]:
        return [
            observed.value("commands_total", type="post_charge", outcome=outcome)
            for outcome in outcomes
        ]

    before = counted()
    path = f"/v1/accounts/{account}/charges"
    for _ in range(2):
        assert sent(observed.service, path, charge("c"), Idempotency_Key=account).status == 201
    assert sent(observed.service, f"{path}?dry_run=true", charge("d")).status == 200
    assert sent(observed.service, path, charge("c")).code == "id_taken"
    lines = b"".join(
        json.dumps(
            {"key": f"{account}-{n}", "account": account, "type": "post_charge", "data": d}
        ).encode()
        + b"\n"
        for n, d in enumerate((charge("e"), charge("c")))
    )
    bulk = {"Content-Type": "application/x-ndjson"}
    answer = observed.service.ask("/v1/commands", US, method="POST", headers=bulk, body=lines)
    assert answer.status == 200
    expected = [given + more for given, more in zip(before, (2, 1, 1, 2), strict=True)]
    eventually(lambda: counted() == expected)
    assert observed.value("queued_commands", region="us") == 0


def test_sign_ins_are_counted_by_outcome(observed: Observed) -> None:
    """The right password, a wrong one, and what is no sign-in at all."""
    outcomes = ("ok", "sign_in_failed", "invalid_request")

    def counted() -> list[float]:
        return [observed.value("sign_ins_total", outcome=outcome) for outcome in outcomes]

    before = counted()
    assert observed.service.sign_in("A-1", PASSWORD, source="203.0.113.77").status == 200
    for password in ("wrong", "wrong again"):
        assert observed.service.sign_in("A-1", password, source="203.0.113.77").status == 401
    assert observed.service.post("/v1/sign-in", {}).status == 422
    expected = [given + more for given, more in zip(before, (1, 2, 1), strict=True)]
    eventually(lambda: counted() == expected)


def test_lag_and_parked_accounts_are_told(observed: Observed, us: Database) -> None:
    """While the views cannot be moved, events and seconds of lag grow; a parked account is counted."""
    labels = {"region": "us", "read_model": "receivables"}

    def lag() -> tuple[float, float]:
        return (
            observed.value("follower_lag_events", **labels),
            observed.value("follower_lag_seconds", **labels),
        )

    account = f"LAG-{uuid.uuid4().hex[:8]}"
    assert us.owner_url is not None
    with closing(psycopg.connect(us.owner_url)) as owner:
        owner.execute(b"SELECT FROM receivables.tracking FOR UPDATE")
        owner.execute(
            b"INSERT INTO receivables.parked"
            b" SELECT 63, gen_random_uuid(), 1, 1, 'x', 'x', clock_timestamp()"
        )
        assert sent(observed.service, "/v1/accounts", opening(account)).status == 201
        eventually(lambda: lag()[0] == 1 and lag()[1] > 1)
        assert observed.value("parked_accounts", **labels) == 0
        seen = observed.value("follower_seen_timestamp_seconds", **labels)
        eventually(lambda: observed.value("follower_seen_timestamp_seconds", **labels) >= seen + 1)
        owner.commit()
        eventually(lambda: observed.value("parked_accounts", **labels) == 1)
        owner.execute(b"DELETE FROM receivables.parked WHERE lane = 63 AND topic = 'x'")
        owner.commit()
    eventually(lambda: lag() == (0, 0) and observed.value("parked_accounts", **labels) == 0)


def test_a_process_that_is_started_again_counts_on(observed: Observed) -> None:
    """Counters never go back, and a process that dies leaves no files but its own."""
    for _ in range(10):
        assert observed.service.ask("/healthz").status == 200
    before = observed.value("http_requests_total", route="/healthz")
    [directory] = observed.temporary.iterdir()
    parent = psutil.Process(observed.service.process.pid)
    children = [child for child in parent.children() if "spawn_main" in " ".join(child.cmdline())]
    assert len(children) == 3
    for child in children:
        child.kill()
    died = '"child_died"'
    eventually(lambda: observed.service.errors.read_text().count(died) == 3)
    eventually(lambda: observed.value("follower_seen_timestamp_seconds", region="us") > 0)
    assert observed.service.ask("/healthz").status == 200
    eventually(lambda: observed.value("http_requests_total", route="/healthz") >= before + 1)
    owners = {file.stem.split("_")[-1] for file in directory.glob("*.db")}
    assert owners == {"worker-1", "worker-2", "follower"}


def test_a_port_that_was_set_is_had_or_nothing(deployment: Deployment) -> None:
    """An operator who names a port relies on it: taken, the service does not start."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        environment = {**deployment.environment, "PORT": str(free_port())}
        done = run({**environment, "BILLING_LEDGER_METRICS_PORT": str(port)}, "serve")
        assert done.code == 1
        assert f"port {port} is in use" in done.err
        assert "Traceback" not in done.err


def test_the_default_port_may_be_anothers(caplog: pytest.LogCaptureFixture) -> None:
    """A second service on one machine serves on without metrics, and says so; 0 is off in silence."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        settings = replace(load({}), metrics_port=taken.getsockname()[1])
        with caplog.at_level(logging.WARNING), exposed(settings) as counts:
            assert counts is None
    assert ["no_metrics"] == [record.getMessage() for record in caplog.records]
    caplog.clear()
    with exposed(load({"BILLING_LEDGER_METRICS_PORT": "0"})) as counts:
        assert counts is None
    assert [] == caplog.records
    assert not metrics.is_on()
