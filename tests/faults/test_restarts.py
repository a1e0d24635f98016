"""A service told to end while it writes: what it has taken is done and answered, then it is over."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg

from api.embedded import EmbeddedServer
from api.security.logins import Registrar
from api.security.scope import SCOPES
from tests.api.books import TOKENS
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.serving import WAIT_LIMIT_S, environment_of, free_port, serving
from tests.api.steps import OPENING, charge
from tests.api.test_metrics import Observed
from tests.faults import results
from tests.faults.fleet import until
from tests.faults.judge import Judge
from tests.faults.test_controls import waiting

TOKEN = TOKENS["us"]
COMMANDS = 40
NUMBER = "R-1"


def test_sigterm_while_many_commands_wait(server: EmbeddedServer, tmp_path: Path) -> None:
    """Commands that wait behind a held lane when SIGTERM comes are all answered as done, although
    the service takes no more connections by then, and its exit code is 0."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(TOKEN, "all", SCOPES)
    metrics = free_port()
    file = regions_file(tmp_path, database)
    environment = environment_of(file, BILLING_LEDGER_METRICS_PORT=str(metrics))
    assert database.owner_url is not None
    with (
        serving(environment, tmp_path) as service,
        ThreadPoolExecutor(COMMANDS) as threads,
        closing(psycopg.connect(database.owner_url)) as owner,
    ):
        observed = Observed(service, metrics, tmp_path)
        assert OPENING.send(service, TOKEN, NUMBER, "open").status == 201
        owner.execute(b"SELECT h.lane FROM ledger.lane_head AS h FOR UPDATE")
        asked = [threads.submit(charge("c0").send, service, TOKEN, NUMBER, "k0")]
        admin_url = server.admin_url(database.service_url.rpartition("/")[2])
        until(lambda: waiting(admin_url) == 1, "the first waits for its lane")
        asked += [
            threads.submit(charge(f"c{n}").send, service, TOKEN, NUMBER, f"k{n}")
            for n in range(1, COMMANDS)
        ]
        until(
            lambda: observed.value("queued_commands", region="us") == COMMANDS - 1,
            "the others wait behind it",
        )
        service.process.send_signal(signal.SIGTERM)
        until(lambda: not takes_connections(service.port), "it takes no connections")
        owner.rollback()
        answers = [one.result(WAIT_LIMIT_S) for one in asked]
        code = service.process.wait(WAIT_LIMIT_S)
    judge = Judge(database.service_url, [NUMBER])
    done = sum(answer.status == 201 for answer in answers)
    counts = {"asked": COMMANDS, "done": done, "code": code, "events": judge.verdict.events}
    results.tell("restart", 0, counts, tmp_path)
    assert {"asked": COMMANDS, "done": COMMANDS, "code": 0, "events": COMMANDS + 1} == counts
    assert not judge.verdict.wrong, judge.verdict.says


def takes_connections(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
