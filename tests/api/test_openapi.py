"""The OpenAPI document: complete, sound, and served to anybody."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api import wire_values
from api.openapi import document
from api.problems import CODES, MEDIA_TYPE
from tests.api.asking import operations_of
from tests.api.conftest import Deployment
from tests.api.serving import Service


@pytest.fixture(scope="module")
def described(deployment: Deployment) -> dict[str, Any]:
    return document(operations_of(deployment.databases))


def each(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of every operation."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def within(value: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the document with its place."""
    if isinstance(value, dict):
        yield where, value
        for name, inner in value.items():
            yield from within(inner, f"{where}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from within(inner, f"{where}/{n}")


def test_anybody_is_told_what_there_is(service: Service, described: dict[str, Any]) -> None:
    """The document is served without a token, as it is made."""
    answer = service.ask("/openapi.json")
    assert (200, "application/json") == (answer.status, answer.headers["content-type"])
    assert described == answer.json
    assert described["openapi"].startswith("3.1.")


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    """No $ref of the document is dead, and no component is there for nothing."""
    places = {where for where, _ in within(described)}
    referred = {
        object["$ref"].removeprefix("#") for _, object in within(described) if "$ref" in object
    }
    assert len(referred) > 20
    assert referred <= places
    components = {
        f"/components/{kind}/{name}"
        for kind in ("schemas", "headers", "parameters")
        for name in described["components"][kind]
    }
    assert set() == components - referred


def test_every_schema_says_something(described: dict[str, Any]) -> None:
    """No field of a request or reply may be just anything."""
    empty = [
        where
        for where, object in within(described)
        if object == {} and re.search(r"/(schema|properties/[^/]+|items|\d+)$", where)
    ]
    assert [] == empty


def test_every_operation_says_who_may_what_and_how_it_fails(described: dict[str, Any]) -> None:
    """A name of its own, a summary, a permission, and what each status means."""
    names = [operation["operationId"] for _, _, operation in each(described)]
    assert len(set(names)) == len(names) > 25
    for path, _, operation in each(described):
        assert operation["summary"]
        assert operation["tags"]
        assert {"name", "roles", "scope"} == operation["x-permission"].keys()
        assert bool(operation["security"]) == (operation["x-permission"]["name"] != "public")
        in_path = {one["name"] for one in operation["parameters"] if one.get("in") == "path"}
        assert set(re.findall(r"\{(\w+)\}", path)) == in_path
        assert any(status < "400" for status in operation["responses"])
        assert {"500", "503"} <= operation["responses"].keys()
        if operation["security"]:
            assert {"401", "403"} <= operation["responses"].keys()
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert {"400", "413", "415", "422"} <= operation["responses"].keys()


def test_every_problem_is_listed_with_its_status(described: dict[str, Any]) -> None:
    """Each failing status names codes, every one of that status in the table of problems."""
    shared = described["components"]["responses"]
    named = set()
    for _, _, operation in each(described):
        for status, response in operation["responses"].items():
            if "$ref" in response:
                response = shared[response["$ref"].rpartition("/")[2]]
            content = response.get("content", {})
            if int(status) < 400 or MEDIA_TYPE not in content:
                continue
            _, own = content[MEDIA_TYPE]["schema"]["allOf"]
            assert own["properties"]["status"]["const"] == int(status)
            codes = own["properties"]["code"]["enum"]
            assert {int(status)} == {CODES[code][0] for code in codes}
            named |= set(codes)
    # Of what no route answers at all, one is an operation's too; no method is wrong for one.
    assert {"method_not_allowed"} == CODES.keys() - named


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("lines", [False, True])
def test_the_pattern_of_text_allows_what_is_read(required: bool, lines: bool) -> None:
    """Of the characters up to ideographs, those that a text is refused for, and no others."""
    reader = wire_values.text(10, required=required, lines=lines)
    pattern = re.compile(reader.schema["pattern"].removesuffix("$") + r"\Z")  # as in ECMA 262
    for char in map(chr, range(0x3100)):
        reading = wire_values.Reading("USD")
        reader(reading, "", char)
        is_allowed = pattern.search(char) is not None
        assert is_allowed == (not reading.errors), ascii(char)
