"""A mail server on loopback that keeps what it is sent, and fails in the ways it is told to."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from api.mail import MailServer
from tests.api.serving import free_port

OK = "250 taken"
GONE = "gone"
"""Instead of an answer: the connection is cut, after the mail was taken."""
LINK = re.compile(r"(\S+)/password-reset\?token=(\S+)")


@dataclass(frozen=True)
class Mail:
    """A mail as it came, and whom it was for."""

    message: EmailMessage
    receivers: list[str]

    @property
    def text(self) -> str:
        found: str = self.message.get_content()
        return found

    @property
    def link(self) -> tuple[str, str]:
        """Where its link leads, and the link's token."""
        found = LINK.search(self.text)
        assert found is not None
        return found[1], found[2]


@dataclass
class Mailbox:
    """What a server has been sent; `answers` to the next mails, OK after those."""

    port: int
    mails: list[Mail] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    to_receiver: str = "250 fine"
    before_answering: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?from=billing@example.com"

    @property
    def server(self) -> MailServer:
        return MailServer(host="127.0.0.1", port=self.port, sender="billing@example.com")

    def mails_to(self, name: str) -> list[Mail]:
        """The mails to addresses of that name, in any case."""
        return [m for m in self.mails if m.receivers[0].partition("@")[0] == name.lower()]

    async def handle_RCPT(  # noqa: N802 # named by the library
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.to_receiver.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_receiver

    async def handle_DATA(  # noqa: N802 # named by the library
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        answer = self.answers.pop(0) if self.answers else OK
        if answer in (OK, GONE):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.mails.append(Mail(message, list(envelope.rcpt_tos)))
        self.before_answering()
        if answer == GONE:
            assert server.transport is not None
            server.transport.abort()
        return answer


@contextmanager
def mailbox(*, login: tuple[str, str] | None = None) -> Iterator[Mailbox]:
    """A running server; `login`: it takes nothing without that user and password."""
    box = Mailbox(free_port())

    def authenticated(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        given = data if isinstance(data, LoginPassword) else LoginPassword(b"", b"")
        right = (given.login.decode(), given.password.decode()) == login
        return AuthResult(success=right, handled=False)

    asks = {
        "authenticator": authenticated,
        "auth_required": True,
        "auth_require_tls": False,
    }
    controller = Controller(
        box, hostname="127.0.0.1", port=box.port, **(asks if login is not None else {})
    )
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
