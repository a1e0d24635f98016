"""The document's examples: made by asking a service, complete, and as their schemas say."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.embedded import EmbeddedServer
from api.openapi import document
from tests.api.asking import operations_of
from tests.api.conftest import Deployment, fresh_database
from tests.api.make_examples import ASKS, FILE, REGION, made, masked

COMMITTED: dict[str, Any] = json.loads(FILE.read_text())


def test_the_examples_are_what_a_service_answers(server: EmbeddedServer, tmp_path: Path) -> None:
    """Every example is asked again, in a region of its own, and answered the same."""
    database = fresh_database(server, REGION)
    database.migrate()
    found = made(database, tmp_path)
    assert masked(COMMITTED) == masked(found), "run .venv/bin/python -m tests.api.make_examples"
    assert list(COMMITTED) == list(found)


def test_every_operation_has_its_example(deployment: Deployment) -> None:
    """A new operation needs a request in the scenario; each is shown once."""
    names = [one.name for one in operations_of(deployment.databases)]
    assert set(names) == COMMITTED.keys()
    assert sorted(names) == sorted(ask.operation for ask in ASKS if ask.shown)


def shown(described: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Place, schema and example of everything in the document that has one."""
    for methods in described["paths"].values():
        for operation in methods.values():
            name = operation["operationId"]
            for one in operation["parameters"]:
                if "example" in one:
                    yield f"{name} {one['name']}", one["schema"], one["example"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{name} asks", content["schema"], content.get("example")
            for status, response in operation["responses"].items():
                for content in response.get("content", {}).values():
                    if "example" in content:
                        yield f"{name} {status}", content["schema"], content["example"]


def unfit(described: dict[str, Any]) -> list[str]:
    """The examples that their schemas do not allow."""
    components = {"components": described["components"]}
    found = []
    for place, schema, example in shown(described):
        validator = jsonschema_rs.Draft202012Validator(
            {**components, **schema}, validate_formats=True
        )
        found += [f"{place}: {error.message}" for error in validator.iter_errors(example)]
    return found


@pytest.fixture(scope="module")
def described(deployment: Deployment) -> dict[str, Any]:
    return document(operations_of(deployment.databases))


def test_examples_fit_their_schemas(described: dict[str, Any]) -> None:
    """Each parameter, body and reply shown is one that the document allows."""
    places = [place for place, _, _ in shown(described)]
    assert len(places) > 100
    assert [] == unfit(described)
    replies = {place.split()[0] for place in places if place.split()[1].isdigit()}
    assert COMMITTED.keys() - replies == {
        name for name, one in COMMITTED.items() if one["reply"]["body"] is None
    }


def test_an_example_that_does_not_fit_is_found(described: dict[str, Any]) -> None:
    """The check above can fail."""
    planted = copy.deepcopy(described)
    reply = planted["paths"]["/v1/accounts/{account_number}/summary"]["get"]["responses"]["200"]
    reply["content"]["application/json"]["example"]["balance"]["amount"] = "1,00"
    [fault] = unfit(planted)
    assert fault.startswith("get_summary 200: ")
