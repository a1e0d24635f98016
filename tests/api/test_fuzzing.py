"""Schemathesis asks a running service what its document allows, and what it does not, as everybody."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.embedded import EmbeddedServer
from api.problems import MEDIA_TYPE
from tests.api.asking import operations_of
from tests.api.books import STAFF
from tests.api.conftest import Deployment, fresh_database, regions_file
from tests.api.fuzzing import Call, Fuzzed, fill, fuzz
from tests.api.make_examples import REGION
from tests.api.serving import Service, environment_of, serving

ASKERS = {"anonymous", "customer", *STAFF, "service"}
ENDLESS = "stream_events"
"""Has tests of its own: what it answers has no end."""
SOURCE = "get_openapi"
"""Where schemathesis gets the document from: it asks nothing else of it."""
REACHED_MIN = 0.75
SEED = 1


@pytest.fixture
def fuzzed_service(server: EmbeddedServer, tmp_path: Path) -> Iterator[Service]:
    """`serve` over a region that may be harmed, and charges for late payment."""
    database = fresh_database(server, REGION)
    database.migrate()
    fill(database)
    with serving(environment_of(regions_file(tmp_path, database)), tmp_path) as running:
        yield running


def judge(fuzzed: Fuzzed, service: Service, names: set[str], cases_min: int) -> None:
    """All checks held, everybody asked so often, and their cases came through to what is behind."""
    assert fuzzed.has_passed, fuzzed.output
    assert [] == [(call.operation, call.fault) for call in fuzzed.calls if call.fault]
    asked = Counter(call.asker for call in fuzzed.calls)
    assert ASKERS == asked.keys()
    assert min(asked.values()) >= cases_min, asked
    assert names == {call.operation for call in fuzzed.calls}
    reached = {call.operation for call in fuzzed.calls if call.status < 400}
    assert len(reached) >= REACHED_MIN * len(names), names - reached
    assert "internal_error" not in service.errors.read_text()


def test_everybody_is_answered_as_the_document_says(
    fuzzed_service: Service, deployment: Deployment, tmp_path: Path
) -> None:
    """500 cases an asker and more, right and wrong on purpose: all of schemathesis' checks hold, no
    answer is a 5xx, and every error is a problem with a code of its status."""
    names = {one.name for one in operations_of(deployment.databases)} - {ENDLESS, SOURCE}
    fuzzed = fuzz(
        fuzzed_service,
        tmp_path,
        phases="examples,coverage,fuzzing",
        examples=10,
        seed=SEED,
        without=[ENDLESS],
    )
    judge(fuzzed, fuzzed_service, names, 500)


@pytest.mark.soak
def test_everybody_is_answered_as_the_document_says_at_length(
    fuzzed_service: Service, deployment: Deployment, tmp_path: Path
) -> None:
    """The same with 2,000 cases an asker, other ones each time."""
    names = {one.name for one in operations_of(deployment.databases)} - {ENDLESS, SOURCE}
    seed = random.randrange(2**32)
    print("seed", seed)
    fuzzed = fuzz(
        fuzzed_service,
        tmp_path,
        phases="examples,coverage,fuzzing",
        examples=3_600 * len(ASKERS) // len(names),  # not everybody may ask for everything
        seed=seed,
        without=[ENDLESS],
    )
    judge(fuzzed, fuzzed_service, names, 2_000)


@pytest.mark.parametrize(
    ("status", "media_type", "body", "fault"),
    [
        (200, "application/json", "", None),
        (404, MEDIA_TYPE, '{"code":"account_unknown"}', None),
        (409, MEDIA_TYPE, '{"code":"account_unknown"}', "account_unknown as 409"),
        (404, "text/plain", "Not Found", "404 as 'text/plain'"),
        (503, MEDIA_TYPE, '{"code":"overloaded"}', "503"),
    ],
)
def test_a_faulty_answer_is_seen(
    status: int, media_type: str, body: str, fault: str | None
) -> None:
    """What is counted as a fault: a 5xx, an error that is no problem, a code of another status."""
    assert fault == Call("customer", "get_account", "/", status, media_type, body).fault
