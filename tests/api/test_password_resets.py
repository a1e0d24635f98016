"""Passwords forgotten: one answer to everybody, a link that works once, sessions ended."""

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from api.security.logins import NewLogin, Registrar
from api.security.throttle import TRIES_OF_ACCOUNT_AND_SOURCE
from api.wiring import Database
from tests.api.books import PASSWORD
from tests.api.conftest import Deployment
from tests.api.mailbox import Mailbox, mailbox
from tests.api.serving import Answer, Service, eventually, serving

PATH = "/v1/password-resets"
NEW = "a new long password"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def box() -> Iterator[Mailbox]:
    with mailbox() as running:
        yield running


@pytest.fixture(scope="module")
def mailing(
    deployment: Deployment, box: Mailbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """`serve` with a mail server."""
    environment = {**deployment.environment, "BILLING_LEDGER_SMTP_URL": box.url}
    with serving(environment, tmp_path_factory.mktemp("mailing")) as running:
        yield running


@pytest.fixture
def somebody(us: Database) -> str:
    """A fresh login with a mail address."""
    name = f"forgetful-{next(_numbers)}"
    login = NewLogin(
        role="support", password=PASSWORD, client_id=name, email=f"{name}@mail.example"
    )
    with Registrar("us", us.service_url) as registrar:
        registrar.create(login)
    return name


def ask(service: Service, identifier: str, source: str = "127.0.0.1", region: str = "us") -> Answer:
    return service.post(PATH, {"region": region, "identifier": identifier}, source)


def use(service: Service, token: str, new: str = NEW) -> Answer:
    return service.post(f"{PATH}/{token}", {"new_password": new})


def mailed(mailing: Service, box: Mailbox, identifier: str) -> str:
    """The token of the link that was mailed for a login; others may be mailed meanwhile."""
    before = len(box.mails_to(identifier))
    assert 202 == ask(mailing, identifier).status
    eventually(lambda: len(box.mails_to(identifier)) > before)
    return box.mails_to(identifier)[-1].link[1]


def test_a_mailed_link_sets_a_password_once(
    mailing: Service, box: Mailbox, somebody: str, us: Database
) -> None:
    """The mail goes to the login's own address; its link works once and ends every session."""
    token = mailing.token(somebody, PASSWORD)
    link = mailed(mailing, box, somebody.upper())
    [mail] = box.mails_to(somebody)
    assert [f"{somebody}@mail.example"] == mail.receivers
    assert "auto-generated" == mail.message["Auto-Submitted"]
    assert (f"http://localhost:{mailing.port}", link) == mail.link
    assert 204 == use(mailing, link).status
    assert 401 == mailing.send("GET", "/v1/me", token).status
    assert 401 == mailing.sign_in(somebody, PASSWORD).status
    assert mailing.sign_in(somebody, NEW).json["must_change_password"] is False
    again = use(mailing, link, "yet another password")
    assert (404, "reset_unknown") == (again.status, again.code)
    assert 200 == mailing.sign_in(somebody, NEW).status


def test_a_bad_new_password_leaves_the_link_good(
    mailing: Service, box: Mailbox, somebody: str
) -> None:
    """Too short, or what one signs in as: told, and the link can be used yet."""
    link = mailed(mailing, box, somebody)
    for new, code in (("short", "invalid"), (somebody.title(), "password_is_identifier")):
        answer = use(mailing, link, new)
        assert (422, [("/new_password", code)]) == (
            answer.status,
            [(error["pointer"], error["code"]) for error in answer.json["errors"]],
        )
    assert 204 == use(mailing, link).status


def test_a_link_is_overtaken_by_time_another_password_and_a_lock(
    mailing: Service, box: Mailbox, somebody: str, us: Database
) -> None:
    """Past its hour, after the password became another, or of a locked login it is good for nothing."""
    assert us.owner_url is not None
    with (
        closing(psycopg.connect(us.owner_url, autocommit=True)) as owner,
        Registrar("us", us.service_url) as registrar,
    ):
        link = mailed(mailing, box, somebody)
        owner.execute(
            b"UPDATE access.password_reset SET expires_at = expires_at - interval '1 h'"
            b" WHERE token_sha256 = sha256(%s)",
            (link.encode(),),
        )
        assert "reset_unknown" == use(mailing, link).code

        link = mailed(mailing, box, somebody)
        registrar.reset(somebody, PASSWORD)
        assert "reset_unknown" == use(mailing, link).code

        link = mailed(mailing, box, somebody)
        registrar.lock(somebody)
        assert "reset_unknown" == use(mailing, link).code
        assert 401 == mailing.sign_in(somebody, NEW).status


@pytest.mark.parametrize("token", ["us." + "x" * 43, "mars." + "x" * 43, "x", "us.x"])
def test_what_is_no_link_is_refused(service: Service, token: str) -> None:
    """Tokens of the right form or none are all unknown."""
    answer = use(service, token)
    assert (404, "reset_unknown") == (answer.status, answer.code)


def test_known_and_unknown_are_answered_alike(service: Service, somebody: str) -> None:
    """With and without an address, locked, unknown, of no region, no identifier at all: one body."""
    answers = [
        ask(service, identifier, region=region)
        for identifier, region in (
            (somebody, "us"),
            ("finance", "us"),
            ("nobody", "us"),
            (somebody, "mars"),
            ("\x00", "us"),
        )
    ]
    told = [(a.status, a.body, sorted(set(a.headers))) for a in answers]
    assert 202 == answers[0].status
    assert told == [told[0]] * len(told)


def test_known_and_unknown_take_the_same_time(service: Service, somebody: str) -> None:
    """Asked in turn, neither is told by how long it takes: medians within a half of each other."""
    taken: dict[str, list[float]] = {somebody: [], "nobody": []}
    for n in range(80):
        for identifier in taken:
            source = f"198.51.100.{n}"
            began = time.perf_counter()
            assert 202 == ask(service, identifier, source).status
            taken[identifier].append(time.perf_counter() - began)
    known, unknown = (statistics.median(times) for times in taken.values())
    assert 0.67 < known / unknown < 1.5, (known, unknown)


def test_resets_are_bounded(service: Service, somebody: str) -> None:
    """Known or not, an identifier is asked for so often from a source, and then not."""
    for identifier in (somebody, "nobody-at-all"):
        for _ in range(TRIES_OF_ACCOUNT_AND_SOURCE):
            assert 202 == ask(service, identifier, "198.51.100.200").status
        answer = ask(service, identifier, "198.51.100.200")
        assert (429, "too_many_requests") == (answer.status, answer.code)
        assert int(answer.headers["retry-after"]) > 0
    assert 202 == ask(service, somebody, "198.51.100.201").status


def test_no_link_is_stored_or_logged(
    mailing: Service, box: Mailbox, somebody: str, us: Database
) -> None:
    """A link's token is in the mail alone: neither outbox, nor resets, nor the log of requests."""
    link = mailed(mailing, box, somebody)
    assert 422 == use(mailing, link, "short").status
    assert us.owner_url is not None
    with closing(psycopg.connect(us.owner_url)) as owner:
        stored = "".join(
            str(owner.execute(f"SELECT t::text FROM access.{table} AS t".encode()).fetchall())
            for table in ("outbox", "password_reset")
        )
    eventually(lambda: f"{PATH}/{{token}}" in mailing.errors.read_text())
    logged = mailing.errors.read_text()
    assert "mail_sent" in logged
    for text in (stored, logged):
        assert link.partition(".")[2] not in text
        assert f"{somebody}@mail.example" not in text
