"""More commands at once than may be: some are turned away at once, the others are done, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg

from api.doors import COMMANDS_MAX
from api.embedded import EmbeddedServer
from api.wiring import Database
from tests.api.books import TOKENS, fill
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.serving import Answer, environment_of, eventually, serving

MORE = 24


@contextmanager
def nothing_is_appended(server: EmbeddedServer, database: Database) -> Iterator[None]:
    """Every lane's head is locked meanwhile."""
    name = database.service_url.rsplit("/", 1)[1].partition("?")[0]
    with psycopg.connect(server.owner_url(name)) as owner:
        owner.execute("SELECT FROM ledger.lane_head FOR UPDATE")
        yield


def test_too_many_commands_are_turned_away(server: EmbeddedServer, tmp_path: Path) -> None:
    """Past the limit the answer is 503 overloaded with a Retry-After, at once; nothing is done then,
    and sent again it is. What was taken is answered as soon as it can be."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    fill(database)
    with serving(environment_of(regions_file(tmp_path, database)), tmp_path) as service:

        def charge(n: int) -> Answer:
            body = {"charge_id": f"o-{n}", "amount": "1.00", "description": "A", "category": "b"}
            path = "/v1/accounts/A-1/charges"
            return service.send("POST", path, TOKENS["us"], body, key=f"o-{n}")

        with (
            ThreadPoolExecutor(COMMANDS_MAX + MORE) as threads,
            nothing_is_appended(server, database),
        ):
            answers = [threads.submit(charge, n) for n in range(COMMANDS_MAX + MORE)]
            eventually(lambda: sum(answer.done() for answer in answers) >= MORE)
            early = [answer.result() for answer in answers if answer.done()]
            late = [answer for answer in answers if not answer.done()]
        assert {(503, "overloaded")} == {(answer.status, answer.code) for answer in early}
        assert {"1"} == {answer.headers["retry-after"] for answer in early}
        assert {201} == {answer.result().status for answer in late}
        assert len(late) == COMMANDS_MAX
        again = [charge(n) for n, answer in enumerate(answers) if answer.result().status == 503]
        assert {201} == {answer.status for answer in again}
        assert {None} == {answer.headers.get("idempotency-replayed") for answer in again}
