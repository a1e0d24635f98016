"""/v1/logins/{id}: a change counts from the login's very next request on, in every process."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from api.security.second_factor import STEP_S, code_at
from api.wiring import Database
from tests.api.books import PASSWORD, TOKENS
from tests.api.kept import PATH, Admin, faults, name, signed_in
from tests.api.serving import Service


@pytest.fixture(scope="module")
def admin(two_workers: Service) -> Admin:
    return signed_in(two_workers)


def test_a_disabled_login_is_out_on_the_next_request(two_workers: Service, admin: Admin) -> None:
    """On every process; enabled again it must sign in anew."""
    client_id = name()
    id = admin.settle(client_id, role="finance", client_id=client_id)
    token = two_workers.token(client_id, PASSWORD)
    assert 200 == two_workers.summary("A-1", token).status
    changed = admin.change(id, disabled=True)
    assert (200, "disabled") == (changed.status, changed.json["status"])
    for _ in range(8):
        assert 401 == two_workers.summary("A-1", token).status
        assert 401 == two_workers.send("GET", "/v1/me", token).status
    assert 401 == two_workers.sign_in(client_id, PASSWORD).status
    assert "active" == admin.change(id, disabled=False).json["status"]
    assert 401 == two_workers.summary("A-1", token).status
    assert 200 == two_workers.sign_in(client_id, PASSWORD).status


def test_a_changed_role_counts_on_the_next_request(two_workers: Service, admin: Admin) -> None:
    """The session goes on with the new role's rights, on every process."""
    client_id = name()
    id = admin.settle(client_id, role="admin", client_id=client_id)
    token = two_workers.token(client_id, PASSWORD)
    for _ in range(4):
        assert 200 == two_workers.send("GET", PATH, token).status
        assert 403 == two_workers.summary("A-1", token).status
    assert "support" == admin.change(id, role="support").json["role"]
    for _ in range(4):
        assert 403 == two_workers.send("GET", PATH, token).status
        assert 200 == two_workers.summary("A-1", token).status
    assert "support" == two_workers.send("GET", "/v1/me", token).json["role"]


@pytest.fixture(scope="module")
def accounts(two_workers: Service) -> tuple[str, str]:
    """Two accounts that no login has yet, and the views have."""
    numbers = (f"W-{uuid.uuid4().hex[:8]}", f"W-{uuid.uuid4().hex[:8]}")
    for number in numbers:
        body = {
            "account_number": number,
            "company": "Withdrawn Ltd.",
            "country": "USA",
            "terms": {"kind": "net", "days": 30},
        }
        opened = two_workers.send("POST", "/v1/accounts", TOKENS["us"], body, key=number)
        assert 201 == opened.status, opened
        position = opened.headers["ledger-position"]
        seen = two_workers.summary(number, TOKENS["us"], Ledger_Position=position)
        assert 200 == seen.status, seen
    return numbers


def test_a_withdrawn_account_is_gone_on_the_next_request(
    two_workers: Service, admin: Admin, accounts: tuple[str, str]
) -> None:
    """The account is as good as none, and its number signs nobody in; what stays goes on."""
    kept, withdrawn = accounts
    id = admin.settle(kept, role="customer", accounts=accounts)
    assert sorted(accounts) == admin.get(f"{PATH}/{id}").json["accounts"]
    token = two_workers.token(withdrawn, PASSWORD)
    assert 200 == two_workers.summary(withdrawn, token).status
    changed = admin.change(id, accounts=[kept])
    assert [kept] == changed.json["accounts"]
    for _ in range(6):
        gone = two_workers.summary(withdrawn, token)
        assert (404, "account_unknown") == (gone.status, gone.code)
        assert 200 == two_workers.summary(kept, token).status
    assert 401 == two_workers.sign_in(withdrawn, PASSWORD).status
    assert [kept] == two_workers.sign_in(kept, PASSWORD).json["accounts"]
    assert 201 == admin.make(role="customer", accounts=[withdrawn]).status


def test_accounts_that_cannot_be_given_are_named(
    two_workers: Service, admin: Admin, us: Database
) -> None:
    """One that is not there, another login's, or none at all; the login stays as it is."""
    listed = admin.get(f"{PATH}?role=customer&limit=500").json["data"]
    [login] = [one for one in listed if one["accounts"] == ["A-1"]]
    for accounts, code in ((["A-1", "none"], "account_unknown"), ([], "invalid")):
        answer = admin.change(login["id"], accounts=accounts)
        assert [("/accounts", code)] == faults(answer)
    taken = admin.change(login["id"], accounts=["A-1", "B-1"])
    assert (409, "identifier_taken") == (taken.status, taken.code)
    assert login == admin.get(f"{PATH}/{login['id']}").json


def test_a_reset_shows_a_new_password_once(two_workers: Service, admin: Admin) -> None:
    """The old one and every session are over; the new one must be changed."""
    client_id = name()
    id = admin.make(role="support", client_id=client_id, password=PASSWORD).json["id"]
    token = two_workers.token(client_id, PASSWORD)
    reset = admin.change(id, password_reset=True)
    password = reset.json["password"]
    assert 401 == two_workers.summary("A-1", token).status
    assert 401 == two_workers.sign_in(client_id, PASSWORD).status
    assert two_workers.sign_in(client_id, password).json["must_change_password"] is True
    assert "password" not in admin.get(f"{PATH}/{id}").json
    assert admin.change(id, password_reset=False).json["password"] is None


def test_a_mail_address_is_set_and_erased(two_workers: Service, admin: Admin, us: Database) -> None:
    """What is not said stays; null leaves nothing of the address in the database."""
    address = f"{uuid.uuid4().hex}@mail.example"
    id = admin.make(role="support", client_id=name()).json["id"]
    assert address == admin.change(id, email=address).json["email"]
    assert address == admin.change(id, role="finance").json["email"]
    assert admin.change(id, email=None).json["email"] is None
    assert us.owner_url is not None
    with closing(psycopg.connect(us.owner_url)) as owner:
        for table in ("login", "outbox", "kept_key"):
            rows = owner.execute(f"SELECT t::text FROM access.{table} AS t".encode()).fetchall()
            assert address not in str(rows)


def test_a_lost_second_factor_is_removed(two_workers: Service, admin: Admin) -> None:
    """An admin removes it, and cannot start one; the login's sessions are over."""
    client_id = name()
    id = admin.settle(client_id, role="support", client_id=client_id)
    token = two_workers.token(client_id, PASSWORD)
    me = "/v1/me/second-factor"
    secret = two_workers.send("POST", me, token, {"password": PASSWORD}).json["secret"]
    code = code_at(secret, int(time.time()) // STEP_S)
    assert 200 == two_workers.send("PUT", me, token, {"code": code}).status
    assert "second_factor_required" == two_workers.sign_in(client_id, PASSWORD).code
    assert admin.get(f"{PATH}/{id}").json["second_factor"] is True
    assert [("/second_factor", "invalid")] == faults(admin.change(id, second_factor=True))
    assert admin.change(id, second_factor=False).json["second_factor"] is False
    assert 401 == two_workers.send("GET", "/v1/me", token).status
    assert 200 == two_workers.sign_in(client_id, PASSWORD).status


def test_nobody_locks_themself_out(two_workers: Service, admin: Admin, us: Database) -> None:
    """One's own login is not disabled, demoted, reset or stripped of its factor; its address is set."""
    own = admin.get("/v1/me").json["id"]
    for fields in (
        {"disabled": True},
        {"role": "support"},
        {"password_reset": True},
        {"second_factor": False},
    ):
        answer = admin.change(own, **fields)
        assert (409, "own_login") == (answer.status, answer.code)
    assert 200 == admin.change(own, disabled=False, role="admin").status
    assert 200 == admin.change(own, email="me@mail.example").status
    assert 200 == admin.get(PATH).status


def test_two_admins_cannot_disable_each_other(two_workers: Service, admin: Admin) -> None:
    """Whichever comes first, the other's request finds them an admin no more."""
    for _ in range(3):
        names = (name(), name())
        ids = [admin.settle(one, role="admin", client_id=one) for one in names]
        admins = [signed_in(two_workers, one) for one in names]
        with ThreadPoolExecutor(2) as threads:
            answers = list(
                threads.map(lambda one, id: one.change(id, disabled=True), admins, ids[::-1])
            )
        assert sorted(answer.status for answer in answers) in ([200, 401], [200, 403]), answers


def test_customers_stay_customers_and_staff_staff(two_workers: Service, admin: Admin) -> None:
    """A role on the other side, and accounts for staff, are refused."""
    staff = admin.make(role="support", client_id=name()).json["id"]
    listed = admin.get(f"{PATH}?role=customer").json["data"]
    assert [("/role", "invalid")] == faults(admin.change(staff, role="customer"))
    assert [("/role", "invalid")] == faults(admin.change(listed[0]["id"], role="finance"))
    assert [("/accounts", "invalid")] == faults(admin.change(staff, accounts=["A-1"]))
