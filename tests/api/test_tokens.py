"""/v1/tokens: issued once for each key, shown once, revoked for the very next request."""

import uuid

import psycopg
import pytest

from api.security.scope import SCOPES
from api.wiring import Database
from tests.api.books import PASSWORD
from tests.api.serving import Answer, Service

PATH = "/v1/tokens"
NONE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def admin(service: Service) -> str:
    return service.token("admin", PASSWORD)


def issue(service: Service, admin: str, body: object, key: str | None = None) -> Answer:
    return service.send("POST", PATH, admin, body, key=key or uuid.uuid4().hex)


def test_a_token_is_shown_once_and_works(service: Service, admin: str, us: Database) -> None:
    """201 with where it is; it reads at once, and neither lists, tables nor logs hold it."""
    answer = issue(service, admin, {"name": "rating", "scopes": ["commands", "accounts:read"]})
    assert (201, "no-store") == (answer.status, answer.headers["cache-control"])
    issued = answer.json
    token = issued.pop("token")
    assert {
        "id": issued["id"],
        "name": "rating",
        "scopes": ["accounts:read", "commands"],
        "status": "active",
        "created_at": issued["created_at"],
        "revoked_at": None,
    } == issued
    assert f"{PATH}/{issued['id']}" == answer.headers["location"]
    assert issued == service.send("GET", answer.headers["location"], admin).json
    assert issued in service.send("GET", PATH, admin).json["data"]
    assert 200 == service.summary("A-1", token).status
    assert us.owner_url is not None
    with psycopg.connect(us.owner_url) as owner:
        stored = str(owner.execute(b"SELECT t::text FROM access.token AS t").fetchall())
        stored += str(owner.execute(b"SELECT t::text FROM access.kept_key AS t").fetchall())
    for text in (stored, service.errors.read_text()):
        assert token.partition(".")[2] not in text


def test_a_request_sent_again_issues_nothing(service: Service, admin: str) -> None:
    """The same token's row, said to be replayed, without the token; another body is refused."""
    key = uuid.uuid4().hex
    body = {"name": "again", "scopes": ["commands", "audit"]}
    first = issue(service, admin, body, key)
    again = issue(service, admin, {**body, "scopes": ["audit", "commands", "audit"]}, key)
    assert (201, 201) == (first.status, again.status)
    assert ("true", None) == (again.headers["idempotency-replayed"], again.json["token"])
    assert {**first.json, "token": None} == again.json
    assert first.headers["location"] == again.headers["location"]
    for other in ({**body, "name": "other"}, {**body, "scopes": ["audit"]}):
        refused = issue(service, admin, other, key)
        assert (422, "idempotency_key_reused") == (refused.status, refused.code)
    assert 400 == service.send("POST", PATH, admin, body).status
    named = [t for t in service.send("GET", PATH, admin).json["data"] if t["name"] == "again"]
    assert 1 == len(named)


def test_a_revoked_token_fails_on_the_next_request(service: Service, admin: str) -> None:
    """Revoking is done once and may be asked twice."""
    issued = issue(service, admin, {"name": "brief", "scopes": ["accounts:read"]}).json
    path = f"{PATH}/{issued['id']}"
    assert 200 == service.summary("A-1", issued["token"]).status
    assert 204 == service.send("DELETE", path, admin).status
    assert 401 == service.summary("A-1", issued["token"]).status
    found = service.send("GET", path, admin).json
    assert "revoked" == found["status"]
    assert 204 == service.send("DELETE", path, admin).status
    assert found == service.send("GET", path, admin).json


def test_tokens_are_listed_newest_first_by_pages(service: Service, admin: str) -> None:
    """Each once, narrowed by status."""
    made = [
        issue(service, admin, {"name": f"page-{n}", "scopes": list(SCOPES)}).json["id"]
        for n in range(3)
    ]
    service.send("DELETE", f"{PATH}/{made[1]}", admin)
    seen, query = [], f"{PATH}?limit=2"
    while query:
        page = service.send("GET", query, admin).json
        seen += [one["id"] for one in page["data"]]
        query = f"{PATH}?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert made[::-1] == seen[:3]
    assert len(seen) == len(set(seen))
    for status, found in (("active", [made[2], made[0]]), ("revoked", [made[1]])):
        listed = service.send("GET", f"{PATH}?status={status}", admin).json["data"]
        assert found == [one["id"] for one in listed if one["id"] in made]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["everything"]}, "/scopes/0"),
        ({"name": "", "scopes": ["audit"]}, "/name"),
        ({"name": "a\nb", "scopes": ["audit"]}, "/name"),
        ({"name": " ", "scopes": ["audit"]}, "/name"),
        ({"name": "x" * 65, "scopes": ["audit"]}, "/name"),
        ({"name": "x"}, ""),
    ],
)
def test_what_no_token_can_be_is_named(
    service: Service, admin: str, body: object, pointer: str
) -> None:
    """422 with a pointer to what is wrong."""
    answer = issue(service, admin, body)
    assert (422, "invalid_request") == (answer.status, answer.code)
    assert [pointer] == [error["pointer"] for error in answer.json["errors"]]


@pytest.mark.parametrize("id", [NONE, "x"])
def test_an_unknown_token_is_404(service: Service, admin: str, id: str) -> None:
    """Of the form of an id or not."""
    for method in ("GET", "DELETE"):
        answer = service.send(method, f"{PATH}/{id}", admin)
        assert (404, "not_found") == (answer.status, answer.code)
