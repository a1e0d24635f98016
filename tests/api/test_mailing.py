"""The outbox: mails go out once, are tried again, and are given up when they never can."""

import contextlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import EmailMessage

import psycopg
import pytest

from api.embedded import EmbeddedServer
from api.mail import MailServer, NotTaken, mail_server
from api.mailing import PAUSE_S, PAUSE_S_MAX, SENT_IN_AN_HOUR_MAX, Mailing, pause_s
from api.regions import Contact, Region
from api.security.logins import NewLogin, Registrar
from api.security.roles import SIGN_IN
from api.wiring import Database
from ledger.store.roles import acting_as
from tests.api.books import PASSWORD
from tests.api.conftest import fresh_database
from tests.api.mailbox import GONE, OK, Mailbox, mailbox
from tests.api.serving import free_port

REGION = Region(
    code="us",
    name="United States",
    currency="USD",
    zone="America/New_York",
    contact=Contact(company="Example Conferencing"),
    portal_url="https://portal.example/",
)
Connection = psycopg.Connection[tuple[object, ...]]


@dataclass
class Office:
    """A region with one login, its outbox, and a mail server to send by."""

    database: Database
    owner: Connection
    box: Mailbox
    name: str
    mailing: Mailing

    def ask(self) -> None:
        """A mail for the login waits."""
        with closing(
            psycopg.connect(acting_as(self.database.service_url, SIGN_IN), autocommit=True)
        ) as session:
            session.execute(
                b"SELECT access.ask_password_reset('{}', '{}', 900, %s, %s)",
                (self.name, uuid.uuid4()),
            )

    def send(self) -> bool:
        return self.mailing.send_next(threading.Event())

    def due(self) -> None:
        """Whatever waits is due now."""
        self.owner.execute(b"UPDATE access.outbox SET due_at = clock_timestamp()")

    def row(self) -> tuple[object, ...]:
        """Attempts, fault, whether sent, whether given up, of the one mail."""
        [row] = self.owner.execute(
            b"SELECT o.attempts, o.last_fault, o.sent_at IS NOT NULL, o.given_up_at IS NOT NULL"
            b" FROM access.outbox AS o JOIN access.identifier AS i ON i.login_id = o.login_id"
            b" WHERE i.identifier = %s",
            (self.name,),
        ).fetchall()
        return row


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Database:
    made = fresh_database(server, REGION)
    made.migrate()
    return made


@pytest.fixture
def office(database: Database) -> Iterator[Office]:
    name = f"login-{uuid.uuid4().hex[:8]}"
    with Registrar("us", database.service_url) as registrar:
        registrar.create(
            NewLogin(role="support", password=PASSWORD, client_id=name, email="x@mail.example")
        )
    assert database.owner_url is not None
    with (
        closing(psycopg.connect(database.owner_url, autocommit=True)) as owner,
        mailbox() as box,
    ):
        owner.execute(b"DELETE FROM access.outbox")
        mailing = Mailing(REGION, database.service_url, box.server, "http://localhost:1")
        yield Office(database, owner, box, name, mailing)
        with contextlib.suppress(psycopg.Error):
            mailing.run(_set())


def _set() -> threading.Event:
    stopping = threading.Event()
    stopping.set()
    return stopping


def test_a_mail_is_sent_once(office: Office) -> None:
    """With the region's name and portal in it; nothing is due after that."""
    assert not office.send()
    office.ask()
    assert office.send()
    office.due()
    assert not office.send()
    [mail] = office.box.mails
    assert "Example Conferencing (United States)" in mail.text
    assert "https://portal.example" == mail.link[0]
    assert (1, None, True, False) == office.row()


def test_what_the_server_refuses_for_now_is_tried_again(office: Office) -> None:
    """A 4xx, then no server at all, then it is taken; each time after a longer pause."""
    office.ask()
    office.box.answers[:] = ["451 later"]
    assert office.send()
    assert (1, "SMTPDataError: 451", False, False) == office.row()
    assert not office.send()
    office.due()
    deaf = MailServer(host="127.0.0.1", port=free_port(), sender="billing@example.com")
    other = Mailing(REGION, office.database.service_url, deaf, "")
    assert other.send_next(threading.Event())
    other.run(_set())
    assert (2, "ConnectionRefusedError: Connection refused", False, False) == office.row()
    office.due()
    assert office.send()
    assert (3, None, True, False) == office.row()
    assert 1 == len(office.box.mails)


def test_pauses_double_up_to_a_bound() -> None:
    """A server that is down is not hammered, and one that is back is soon found."""
    pauses = [pause_s(n) for n in range(1, 30)]
    assert [PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S] == pauses[:3]
    assert PAUSE_S_MAX == max(pauses) == pauses[-1]


@pytest.mark.parametrize("refusal", ["to the address", "of the mail"])
def test_what_the_server_refuses_for_good_is_given_up(office: Office, refusal: str) -> None:
    """A 5xx to the address or the mail ends it; the server's words are not kept."""
    office.ask()
    if refusal == "to the address":
        office.box.to_receiver = "550 no x@mail.example here"
    else:
        office.box.answers[:] = ["554 not from you"]
    assert office.send()
    attempts, fault, sent, given_up = office.row()
    assert (1, False, True) == (attempts, sent, given_up)
    assert "@" not in str(fault)
    office.due()
    assert not office.send()


def test_a_lost_answer_is_tried_again_under_the_same_id(office: Office) -> None:
    """When the line ends before the answer, nobody knows: a second copy says that it is one, and
    the links of both work, until one is used."""
    office.ask()
    office.box.answers[:] = [GONE, OK]
    office.send()
    office.due()
    office.send()
    first, second = office.box.mails
    assert first.message["Message-ID"] == second.message["Message-ID"]
    tokens = [mail.link[1] for mail in office.box.mails]
    assert tokens[0] != tokens[1]
    with closing(
        psycopg.connect(acting_as(office.database.service_url, SIGN_IN), autocommit=True)
    ) as session:
        used = [
            session.execute(
                b"SELECT access.use_password_reset(sha256(%s), %s)", (token.encode(), f"hash {n}")
            ).fetchone()
            for n, token in enumerate(tokens)
        ]
    assert [(True,), (False,)] == used


def test_a_database_lost_after_the_server_took_it_sends_no_second(
    office: Office, server: EmbeddedServer
) -> None:
    """The sender's own connection is cut between taking and noting: it notes on a fresh one."""

    def cut() -> None:
        name = office.database.service_url.rpartition("/")[2]
        with closing(psycopg.connect(server.admin_url(), autocommit=True)) as admin:
            admin.execute(
                b"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                b" WHERE datname = %s AND query LIKE '%%take_mail%%'",
                (name,),
            )

    office.ask()
    office.box.before_answering = cut
    assert office.send()
    office.due()
    assert not office.send()
    assert 1 == len(office.box.mails)
    assert (1, None, True, False) == office.row()


def test_one_of_two_senders_takes_a_mail(office: Office) -> None:
    """While one has a mail in hand it is not due for the other."""
    other = Mailing(REGION, office.database.service_url, office.box.server, "")
    found: list[bool] = []
    office.box.before_answering = lambda: found.append(other.send_next(threading.Event()))
    office.ask()
    assert office.send()
    other.run(_set())
    assert ([False], 1) == (found, len(office.box.mails))


def test_what_cannot_or_should_not_be_sent_is_given_up(office: Office) -> None:
    """An erased address, a locked login, and what has waited for a day."""
    for change, why in (
        (b"UPDATE access.login SET email = NULL", "no address"),
        (b"UPDATE access.login SET email = 'x@y', disabled_at = now()", "login disabled"),
        (b"UPDATE access.outbox SET created_at = created_at - interval '25 h'", "too old"),
    ):
        office.owner.execute(b"DELETE FROM access.outbox")
        office.owner.execute(b"UPDATE access.login SET disabled_at = NULL, email = 'x@y'")
        office.ask()
        office.owner.execute(change)
        assert not office.send()
        assert (0, why, False, True) == office.row()
    assert [] == office.box.mails


def test_a_login_gets_only_so_many_an_hour(office: Office) -> None:
    """Strangers who ask in somebody's name do not fill their mailbox."""
    for _ in range(SENT_IN_AN_HOUR_MAX + 3):
        office.ask()
    while office.send():
        pass
    assert SENT_IN_AN_HOUR_MAX == len(office.box.mails)


def test_known_and_unknown_write_the_same_rows(office: Office) -> None:
    """Each puts one mail into the outbox, so that no commit is told from another."""
    real = office.name
    for n, name in enumerate((real, "nobody", real), start=1):
        office.name = name
        office.ask()
        assert [(n,)] == office.owner.execute(b"SELECT count(*) FROM access.outbox").fetchall()
    office.name = real


def test_nobodys_mail_is_swept(office: Office) -> None:
    """What was asked for an unknown identifier leaves no row behind, with a mail server or without."""

    def rows() -> object:
        return office.owner.execute(b"SELECT count(*) FROM access.outbox").fetchone()

    real, office.name = office.name, "nobody"
    for _ in range(3):
        office.ask()
    office.owner.execute(b"UPDATE access.outbox SET created_at = created_at - interval '2 min'")
    assert (3,) == rows()
    office.ask()
    assert (1,) == rows()
    office.name = real
    assert not office.send()
    assert (0,) == rows()


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_user_and_password_are_shown_to_the_server(office: Office) -> None:
    """A server that asks for them takes mail with the right ones, and not with others."""
    with mailbox(login=("me@here", "s:cret")) as box:
        for password, is_taken in (("wrong", False), ("s%3Acret", True)):
            url = f"smtp://me%40here:{password}@127.0.0.1:{box.port}?from=billing@example.com"
            mailing = Mailing(REGION, office.database.service_url, mail_server(url), "")
            office.owner.execute(b"DELETE FROM access.outbox")
            office.ask()
            mailing.send_next(threading.Event())
            mailing.run(_set())
            assert is_taken == (len(box.mails) == 1)
    assert (1, None, True, False) == office.row()


def test_a_password_is_not_sent_in_the_clear_to_another_machine(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that offers no encryption gets no password, unless it is this machine."""
    monkeypatch.setattr("api.mail._is_this_machine", lambda host: False)
    url = f"smtp://me:secret@127.0.0.1:{office.box.port}?from=billing@example.com"
    with pytest.raises(NotTaken, match="SMTPNotSupportedError"):
        mail_server(url).send(EmailMessage())
