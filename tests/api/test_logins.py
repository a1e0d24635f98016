"""/v1/logins: made once for each key, and listed by pages."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from api.security.logins import NewLogin, Registrar
from api.wiring import Database
from tests.api.books import PASSWORD
from tests.api.kept import PATH, Admin, faults, name, signed_in
from tests.api.serving import Service

NONE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def admin(two_workers: Service) -> Admin:
    return signed_in(two_workers)


def test_a_login_is_made_with_a_password_shown_once(two_workers: Service, admin: Admin) -> None:
    """201 with where it is; the password signs in, must be changed, and is nowhere else."""
    client_id = name()
    answer = admin.make(role="support", client_id=client_id, email="s@mail.example")
    assert (201, "no-store") == (answer.status, answer.headers["cache-control"])
    made = answer.json
    password = made.pop("password")
    assert {
        "id": made["id"],
        "role": "support",
        "client_id": client_id,
        "accounts": [],
        "email": "s@mail.example",
        "status": "active",
        "must_change_password": True,
        "second_factor": False,
        "created_at": made["created_at"],
        "disabled_at": None,
    } == made
    assert f"{PATH}/{made['id']}" == answer.headers["location"]
    assert made == admin.get(answer.headers["location"]).json
    assert two_workers.sign_in(client_id.lower(), password).json["must_change_password"] is True
    assert password not in two_workers.errors.read_text()


def test_a_password_that_was_given_is_not_repeated(admin: Admin, two_workers: Service) -> None:
    """It signs in; the reply does not hold it."""
    client_id = name()
    answer = admin.make(role="auditor", client_id=client_id, password=PASSWORD)
    assert (201, None) == (answer.status, answer.json["password"])
    assert 200 == two_workers.sign_in(client_id, PASSWORD).status


def test_a_request_sent_again_is_answered_with_the_same_login(admin: Admin) -> None:
    """201 and the same resource, said to be replayed, without the password; nothing new is made."""
    key, client_id = uuid.uuid4().hex, name()
    first = admin.make(key, role="support", client_id=client_id)
    again = admin.make(key, role="support", client_id=client_id)
    assert (201, 201) == (first.status, again.status)
    assert "idempotency-replayed" not in first.headers
    assert "true" == again.headers["idempotency-replayed"]
    assert first.headers["location"] == again.headers["location"]
    assert {**first.json, "password": None} == again.json
    assert first.json["password"] is not None


def test_a_key_is_for_one_request(two_workers: Service, admin: Admin) -> None:
    """Another field, another password, one made up in place of one given, another path: 422."""
    key, client_id = uuid.uuid4().hex, name()
    asked = {"role": "support", "client_id": client_id, "password": PASSWORD}
    assert 201 == admin.make(key, **asked).status
    assert 201 == admin.make(key, **asked).status
    for other in (
        {**asked, "role": "finance"},
        {**asked, "client_id": name()},
        {**asked, "email": "a@b.example"},
        {**asked, "password": "another password"},
        {"role": "support", "client_id": client_id},
    ):
        answer = admin.make(key, **other)
        assert (422, "idempotency_key_reused") == (answer.status, answer.code)
    body = {"name": "x", "scopes": ["commands"]}
    answer = two_workers.send("POST", "/v1/tokens", admin.token, body, key=key)
    assert (422, "idempotency_key_reused") == (answer.status, answer.code)


def test_a_given_password_is_kept_nowhere_but_with_the_login(
    two_workers: Service, admin: Admin, us: Database
) -> None:
    """A request sent again is told from one with another password while the login has the one that
    was given; then it is not looked at, and no hash is left of it."""
    client_id, key = name(), uuid.uuid4().hex
    body = {"role": "support", "client_id": client_id, "password": PASSWORD}
    other = {**body, "password": "another password"}
    made = admin.make(key, **body)
    assert 201 == made.status
    assert [201, 422] == [admin.make(key, **one).status for one in (body, other)]
    assert not _hashes_beside(us)
    token = two_workers.token(client_id, PASSWORD)
    changed = {"current_password": PASSWORD, "new_password": "a password of my own"}
    assert 200 == two_workers.send("POST", "/v1/me/password", token, changed).status
    again = [admin.make(key, **one) for one in (body, other)]
    assert [(201, made.headers["location"])] * 2 == [
        (one.status, one.headers["location"]) for one in again
    ]
    assert 422 == admin.make(key, **{**body, "role": "auditor"}).status
    assert f"{PATH}/{made.json['id']}" == made.headers["location"]


def _hashes_beside(us: Database) -> bool:
    """Whether anything of the keys that were used is the hash of a password."""
    with closing(psycopg.connect(us.owner_url or "")) as owner:
        rows = owner.execute(b"SELECT k::text FROM access.kept_key AS k").fetchall()
    assert rows
    return any("argon2" in row for (row,) in rows)


def test_a_key_is_needed(two_workers: Service, admin: Admin) -> None:
    """Without one nothing is made."""
    answer = two_workers.send("POST", PATH, admin.token, {"role": "support", "client_id": name()})
    assert (400, "idempotency_key_missing") == (answer.status, answer.code)


def test_the_same_request_at_once_makes_one_login(admin: Admin) -> None:
    """Of several at once one makes it; the others are told that it was."""
    key, client_id = uuid.uuid4().hex, name()
    with ThreadPoolExecutor(6) as threads:
        answers = list(
            threads.map(lambda _: admin.make(key, role="support", client_id=client_id), range(6))
        )
    assert {201} == {answer.status for answer in answers}
    assert 1 == len({answer.json["id"] for answer in answers})
    assert 1 == sum(answer.json["password"] is not None for answer in answers)


def test_a_refusal_leaves_its_key_free(admin: Admin) -> None:
    """What was refused can be sent right under the same key."""
    key, client_id = uuid.uuid4().hex, name()
    assert faults(admin.make(key, role="customer", client_id=client_id, accounts=["none"])) == [
        ("/accounts", "account_unknown")
    ]
    taken = admin.make(key, role="support", client_id="FINANCE")
    assert (409, "identifier_taken") == (taken.status, taken.code)
    assert 201 == admin.make(key, role="support", client_id=client_id).status


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"role": "king", "client_id": "x"}, "/role"),
        ({"role": "service", "client_id": "x"}, "/role"),
        ({"role": "support"}, "/client_id"),
        ({"role": "support", "client_id": "a b"}, "/client_id"),
        ({"role": "support", "client_id": "ab\n"}, "/client_id"),
        ({"role": "support", "client_id": "x", "accounts": ["A-1"]}, "/accounts"),
        ({"role": "customer", "client_id": "x"}, "/accounts"),
        ({"role": "customer", "accounts": ["A-1", "é"]}, "/accounts/1"),
        ({"role": "support", "client_id": "x", "email": "x"}, "/email"),
        ({"role": "support", "client_id": "x", "email": "a@b\n"}, "/email"),
        ({"role": "support", "client_id": "x", "email": "a@b\r\nBcc: c@d"}, "/email"),
        ({"role": "support", "client_id": "x", "password": "short"}, "/password"),
        ({"role": "support", "client_id": "long-enough", "password": "Long-Enough"}, "/password"),
        ({"role": "support", "client_id": "x", "colour": "red"}, ""),
    ],
)
def test_what_no_login_can_be_is_named(
    admin: Admin, fields: dict[str, object], pointer: str
) -> None:
    """422 with a pointer to what is wrong."""
    answer = admin.make(**fields)
    assert [pointer] == [found for found, _ in faults(answer)]


def test_logins_are_listed_newest_first_by_pages(two_workers: Service, admin: Admin) -> None:
    """Each once, narrowed by role and status; a cursor is good for its own filters only."""
    ids = [admin.make(role="auditor", client_id=name()).json["id"] for _ in range(3)]
    assert 200 == admin.change(ids[1], disabled=True).status
    whole = admin.get(f"{PATH}?limit=500").json
    created = [one["created_at"] for one in whole["data"]]
    assert created == sorted(created, reverse=True)
    assert whole["next_cursor"] is None
    seen, query = [], f"{PATH}?limit=2&role=auditor"
    while query:
        page = admin.get(query).json
        seen += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
        query = f"{PATH}?limit=2&role=auditor&cursor={cursor}" if cursor else ""
    assert ids[::-1] == seen[:3]
    assert [one["id"] for one in whole["data"] if one["role"] == "auditor"] == seen
    for status, found in (("active", [ids[2], ids[0]]), ("disabled", [ids[1]])):
        listed = admin.get(f"{PATH}?role=auditor&status={status}").json
        assert found == [one["id"] for one in listed["data"] if one["id"] in ids]
        assert {status} == {one["status"] for one in listed["data"]}

    first = admin.get(f"{PATH}?limit=1").json["next_cursor"]
    for odd in (
        f"{PATH}?limit=1&role=auditor&cursor={first}",
        f"/v1/tokens?cursor={first}",
        f"{PATH}?cursor={first[:-8]}AAAAAAAA",
        f"{PATH}?cursor=x",
    ):
        assert [("/query/cursor", "invalid")] == faults(admin.get(odd))
    for odd in ("role=king", "status=gone", "limit=0", "colour=red"):
        assert 422 == admin.get(f"{PATH}?{odd}").status


@pytest.mark.parametrize("id", [NONE, "x", "' OR 1=1"])
def test_an_unknown_login_is_404(two_workers: Service, admin: Admin, id: str) -> None:
    """Of the form of an id or not."""
    path = f"{PATH}/{id.replace(' ', '%20')}"
    for method, body in (("GET", None), ("PATCH", {"disabled": True})):
        answer = two_workers.send(method, path, admin.token, body)
        assert (404, "not_found") == (answer.status, answer.code)


def test_an_admin_sees_their_own_region_only(two_workers: Service, admin: Admin) -> None:
    """A login of one region is nothing in the other."""
    id = admin.make(role="support", client_id=name()).json["id"]
    elsewhere = signed_in(two_workers, region="emea")
    assert 404 == elsewhere.get(f"{PATH}/{id}").status
    assert 404 == elsewhere.change(id, disabled=True).status


def test_a_login_made_elsewhere_is_kept_here(
    two_workers: Service, admin: Admin, us: Database
) -> None:
    """What the command line made is listed as it was written, and can be changed."""
    client_id = name()
    with Registrar("us", us.service_url) as registrar:
        registrar.create(NewLogin(role="support", password=PASSWORD, client_id=client_id))
    newest = admin.get(f"{PATH}?limit=1").json["data"][0]
    assert (client_id, "support") == (newest["client_id"], newest["role"])
    assert 200 == admin.change(newest["id"], disabled=True).status
