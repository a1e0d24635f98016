"""The outbox of a region: what waits to be mailed is written, sent, and tried again."""

import threading
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from api import logs
from api.mail import MailServer, NotTaken
from api.regions import Region
from api.security.roles import REGISTRAR
from api.security.tokens import digest, new_token
from ledger.store.roles import acting_as
from ledger.store.sql import load

LINK_S = 60 * 60
LEASE_S = 5 * 60
"""Longer than a server can keep a sender waiting, step by step."""
WAIT_S_MAX = 24 * 60 * 60
"""Whoever asked a day ago has found another way."""
SENT_IN_AN_HOUR_MAX = 5
POLL_S = 1.0
PAUSE_S = 5
PAUSE_S_MAX = 10 * 60
CONNECT_TIMEOUT_S = 5
_SQL = load("api", "mailing.sql")

_SUBJECT = "Choose a new password"
_TEXT = """Somebody, probably you, has asked for a new password for your login at
{company} ({region}).

Choose one here, once, within an hour:

{link}

If it was not you, do nothing: your password stays as it is.
"""


class Mail(NamedTuple):
    """A mail to be sent, in the statement's order of columns; `attempts` counts this one."""

    id: UUID
    kind: str
    email: str
    attempts: int


class Mailing:
    """Sends what is in one region's outbox. `url` is where its portal is, when the region has none.

    A mail that the server took is not sent again by this process, whatever happens to the database
    meanwhile. SMTP leaves one gap: when the process, or the line to the server, ends between the
    server's taking a mail and our noting it, it is sent again, under the same Message-ID.
    """

    def __init__(self, region: Region, service_url: str, server: MailServer, url: str) -> None:
        self._region = region
        self._conninfo = acting_as(service_url, REGISTRAR)
        self._server = server
        self._url = (region.portal_url or url).rstrip("/")
        self._connection: psycopg.Connection[TupleRow] | None = None

    def run(self, stopping: threading.Event) -> None:
        """Sends until told to stop; a database that does not answer is waited for."""
        while not stopping.is_set():
            try:
                if not self.send_next(stopping):
                    stopping.wait(POLL_S)
            except psycopg.OperationalError as fault:
                logs.event("mailing_waits", region=self._region.code, fault=type(fault).__name__)
                self._drop()
                stopping.wait(PAUSE_S)
        self._drop()

    def send_next(self, stopping: threading.Event) -> bool:
        """Whether a mail was due; it was sent, or will be tried again, or never."""
        token = new_token(self._region.code)
        rows = self._ask(
            "take",
            token_sha256=digest(token),
            lifetime_s=LINK_S,
            lease_s=LEASE_S,
            wait_s_max=WAIT_S_MAX,
            sent_max=SENT_IN_AN_HOUR_MAX,
        )
        if not rows:
            return False
        mail = Mail(*rows[0])
        told: dict[str, Any] = {
            "region": self._region.code,
            "mail": str(mail.id),
            "attempts": mail.attempts,
        }
        try:
            self._server.send(self._message(mail, token))
        except NotTaken as fault:
            again_in_s = None if fault.for_good else pause_s(mail.attempts)
            logs.event("mail_not_taken", fault=str(fault), again_in_s=again_in_s, **told)
            self._ask("failed", mail=mail.id, fault=str(fault), again_in_s=again_in_s)
            return True
        logs.event("mail_sent", **told)
        self._note_sent(mail, stopping)
        return True

    def _note_sent(self, mail: Mail, stopping: threading.Event) -> None:
        """The outbox knows that the mail was taken; tried until it does, so that it goes out once."""
        while True:
            try:
                self._ask("sent", mail=mail.id)
            except psycopg.OperationalError:
                self._drop()
                if stopping.wait(POLL_S):
                    raise
            else:
                return

    def _message(self, mail: Mail, token: str) -> EmailMessage:
        assert mail.kind == "password_reset", mail.kind
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = mail.email
        message["Subject"] = _SUBJECT
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = f"<{mail.id}@{self._server.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday note answers it
        message.set_content(
            _TEXT.format(
                company=self._region.contact_on(self._region.today()).company,
                region=self._region.name,
                link=f"{self._url}/password-reset?token={token}",
            )
        )
        return message

    def _ask(self, query: str, **given: object) -> list[TupleRow]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
            )
        return self._connection.execute(_SQL[query], given).fetchall()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def pause_s(attempts: int) -> int:
    """Seconds to wait after so many attempts: twice as long each time, up to ten minutes."""
    return int(min(PAUSE_S * 2 ** min(attempts - 1, 10), PAUSE_S_MAX))
