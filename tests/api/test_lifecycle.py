"""A service's life: it refuses what is not safe, mends its children, and lets requests finish."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from api.embedded import EmbeddedServer
from api.regions import Region
from api.wiring import Database
from tests.api.books import PASSWORD, TOKENS, fill
from tests.api.conftest import Deployment, fresh_database, regions_file
from tests.api.serving import (
    COMMAND,
    WAIT_LIMIT_S,
    Service,
    environment_of,
    eventually,
    free_port,
    run,
    serving,
)
from tests.conftest import server_directory

US = TOKENS["us"]


def test_it_drains_on_sigterm(deployment: Deployment, tmp_path: Path) -> None:
    """A request under way is answered, no process is left, and the exit code is 0."""
    with serving(deployment.environment, tmp_path, "--workers", "2") as service:
        parent = psutil.Process(service.process.pid)
        family = [parent, *parent.children(recursive=True)]
        body = b'{"region":"us","identifier":"A-1","password":"%s"}' % PASSWORD.encode()
        head = (
            b"POST /v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        )
        with socket.create_connection(("127.0.0.1", service.port)) as under_way:
            under_way.sendall(head + body[:10])
            assert service.ask("/healthz").status == 200
            time.sleep(0.2)  # whatever worker took the half request has read it by now
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            under_way.sendall(body[10:])
            assert under_way.recv(65_536).startswith(b"HTTP/1.1 200")
        assert service.process.wait(WAIT_LIMIT_S) == 0
    eventually(lambda: all(map(is_over, family)))


def test_a_child_that_dies_is_started_again(deployment: Deployment, tmp_path: Path) -> None:
    """Worker or follower, killed with -9: another does its work soon; none outlives the parent."""
    with serving(deployment.environment, tmp_path) as service:
        parent = psutil.Process(service.process.pid)

        def workers() -> list[psutil.Process]:
            return [child for child in parent.children() if does_work(child)]

        first = workers()
        assert len(first) == 2
        for child in first:
            child.kill()
        eventually(lambda: len(set(workers()) - set(first)) == 2)
        assert service.summary("A-1", US).status == 200
        assert service.errors.read_text().count('"child_died"') == 2
        orphans = workers()
        parent.kill()
        eventually(lambda: all(map(is_over, orphans)))


def test_it_refuses_to_run_as_owner_or_superuser(
    deployment: Deployment, server: EmbeddedServer, us: Database, tmp_path: Path
) -> None:
    """A login that could change history does not serve; the message says which right is too much."""
    name = us.service_url.rpartition("/")[2]
    for url, why in (
        (us.owner_url, "owns the log"),
        (server.admin_url(name), "is a superuser"),
    ):
        assert url is not None
        mighty = Database(us.region, url, None, is_embedded=False)
        environment = environment_of(regions_file(tmp_path, mighty), PORT=str(free_port()))
        done = run(environment, "serve")
        assert done.code == 1
        assert why in done.err
        assert "Traceback" not in done.err


def test_it_refuses_another_regions_database(us: Database, tmp_path: Path) -> None:
    """A region's settings that do not match the region row keep the service from starting."""
    emea = Region(code="emea", name="Europe", currency="EUR", zone="Europe/Berlin")
    swapped = Database(emea, us.service_url, us.owner_url, is_embedded=False)
    environment = environment_of(regions_file(tmp_path, swapped), PORT=str(free_port()))
    for command in ("serve", "migrate"):
        done = run(environment, command)
        assert done.code == 1
        assert "emea" in done.err
        assert "Traceback" not in done.err


def test_a_port_in_use_is_said_at_once(deployment: Deployment) -> None:
    """Two services do not share a port by accident."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run({**deployment.environment, "PORT": str(port)}, "serve")
    assert done.code == 1
    assert f"port {port} is in use" in done.err


@pytest.fixture(scope="module")
def own(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Service]]:
    """A database that a test may harm, and a service over it."""
    region = Region(code="us", name="United States", currency="USD", zone="America/New_York")
    database = fresh_database(server, region)
    database.migrate()
    fill(database)
    directory = tmp_path_factory.mktemp("own")
    with serving(environment_of(regions_file(directory, database)), directory) as service:
        yield database, service


def test_readiness_tells_what_is_wrong(own: tuple[Database, Service]) -> None:
    """/healthz lives on while /readyz names the region and the finding; mended, it is ready again."""
    database, service = own
    found = service.ask("/readyz").json
    assert found["ready"] is True
    names = {"database", "role", "region", "schema", "views", "follower", "parked", "month_end"}
    names |= {"journal", "books"}
    assert names == {one["name"] for one in found["regions"]["us"]}
    assert database.owner_url is not None
    with closing(psycopg.connect(database.owner_url, autocommit=True)) as owner:
        owner.execute(b"UPDATE ledger.region SET currency = 'EUR'")
        eventually(lambda: service.ask("/readyz").status == 503)
        wrong = [f["name"] for f in service.ask("/readyz").json["regions"]["us"] if not f["ok"]]
        assert ["region"] == wrong
        assert service.ask("/healthz").status == 200
        owner.execute(b"UPDATE ledger.region SET currency = 'USD'")
        eventually(lambda: service.ask("/readyz").status == 200)


def test_an_unreachable_database_is_503_and_comes_back(
    server: EmbeddedServer, own: tuple[Database, Service]
) -> None:
    """Connections cut by the database are mended unseen; while there is none, 503 Retry-After."""
    database, service = own
    name = database.service_url.rpartition("/")[2]
    with closing(psycopg.connect(server.admin_url(), autocommit=True)) as admin:
        cut = b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        for _ in range(5):
            assert service.summary("A-1", US).status == 200
            admin.execute(cut, (name,))
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        admin.execute(cut, (name,))
        answers = [service.summary("A-1", US), service.sign_in("A-1", PASSWORD)]
        assert [(503, "database_unavailable")] * 2 == [(a.status, a.code) for a in answers]
        assert all(answer.headers["retry-after"] for answer in answers)
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        assert service.summary("A-1", US).status == 200


def test_reads_never_stop_while_views_are_swapped(own: tuple[Database, Service]) -> None:
    """Readers at both clocks see equal figures, and nothing else, through two swaps."""
    _, service = own
    over = threading.Event()
    queries = ("", "?effective_on=2020-02-15")
    expected = {query: service.summary("A-1", US, query).body for query in queries}
    odd: list[object] = []
    counted = dict.fromkeys(queries, 0)

    def read(query: str) -> None:
        while not over.is_set():
            answer = service.summary("A-1", US, query)
            counted[query] += 1
            if (answer.status, answer.body) != (200, expected[query]):
                odd.append(answer)

    readers = [threading.Thread(target=read, args=(query,)) for query in queries]
    for reader in readers:
        reader.start()
    environment = environment_of(service.errors.with_name("regions.toml"))
    swaps = [run(environment, "rebuild", "--json").code for _ in range(2)]
    over.set()
    for reader in readers:
        reader.join()
    assert ([0, 0], []) == (swaps, odd)
    assert all(count > 50 for count in counted.values())


@pytest.fixture
def demo_directory() -> Iterator[Path]:
    """A data directory of its own, that the server's user can reach."""
    directory = server_directory(f"demo-{uuid.uuid4().hex[:12]}")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def test_a_second_demo_adds_nothing(demo_directory: Path, tmp_path: Path) -> None:
    """The same people can sign in, the same tokens read, and the log has not grown."""
    environment = {
        **environment_of(demo_directory),
        "BILLING_LEDGER_DATA": str(demo_directory),
        "BILLING_LEDGER_REGION": "us",
    }
    del environment["BILLING_LEDGER_REGIONS"]
    seen = []
    for _ in range(2):
        port = free_port()
        errors = tmp_path / f"demo-{port}.log"
        with errors.open("w") as log:
            demo = subprocess.Popen(
                [*COMMAND, "demo"],
                env={**environment, "PORT": str(port)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert demo.stdout is not None
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if line.startswith("{"):
                break
        assert lines, errors.read_text()
        ready = json.loads(lines[-1])
        assert ready["url"] == f"http://localhost:{port}"
        assert all(login["identifier"] in "".join(lines[:-1]) for login in ready["logins"])
        seen.append(looked_at(port, ready))
        demo.send_signal(signal.SIGTERM)
        rest, _ = demo.communicate(timeout=WAIT_LIMIT_S)
        assert (0, "") == (demo.returncode, rest)
    assert seen[0] == seen[1]


def does_work(child: psutil.Process) -> bool:
    """Whether a child is a worker or follower that lives."""
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def is_over(process: psutil.Process) -> bool:
    """Whether a process runs no more; one that nobody has reaped counts."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def looked_at(port: int, ready: dict[str, object]) -> object:
    """What a demo shows: its logins and tokens, which all work, and the model account's summary."""
    service = Service(port, None, Path())  # type: ignore[arg-type] # asked only
    logins, tokens = ready["logins"], ready["service_tokens"]
    assert isinstance(logins, list)
    assert isinstance(tokens, dict)
    roles = set()
    for login in logins:
        answer = service.sign_in(login["identifier"], login["password"], region=login["region"])
        assert answer.status == 200, login
        assert answer.json["role"] == login["role"]
        roles.add(login["role"])
    assert {"customer", "support", "finance", "auditor", "admin"} == roles
    model = logins[0]
    signed_in = service.sign_in(model["identifier"], model["password"]).json
    [account] = signed_in["accounts"]
    found = service.summary(account, signed_in["token"]).json
    assert found == service.summary(account, tokens["us"]).json
    assert found["company"] == "Example Conferencing Inc."
    assert found["total_amount_due"] == {"amount": "61.11", "currency": "USD"}
    assert (found["due_on"], found["current_activity"]["amount"]) == ("2020-07-30", "0.00")
    assert (found["country"], found["billing_cycle"]) == ("USA", "month_end")
    return logins, tokens, found
