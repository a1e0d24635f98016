"""Sending mail: a server named by a URL, and one message at a time."""

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from api.security.addresses import is_address

TIMEOUT_S = 10.0
"""For each step of talking to the server."""
PORTS = {"smtp": 587, "smtps": 465}
FORM = "is not of the form smtp://user:password@host:port?from=billing@example.com, or smtps://"


class NotTaken(Exception):
    """The server has not taken the message, or not said so; `for_good`: it never will."""

    def __init__(self, says: str, *, for_good: bool = False) -> None:
        super().__init__(says)
        self.for_good = for_good


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server (RFC 6409), and whom mail is from.

    `is_tls`: encrypted from the first byte. Else it is encrypted if the server offers it, and a
    password is never sent to another machine without.
    """

    host: str
    port: int
    sender: str
    is_tls: bool = False
    user: str = ""
    password: str = ""

    def send(self, message: EmailMessage) -> None:
        """The server has taken the message; raises NotTaken."""
        try:
            session = self._opened()
        except (OSError, smtplib.SMTPException) as fault:
            raise NotTaken(_short(fault)) from fault
        try:
            session.send_message(message)
        except smtplib.SMTPRecipientsRefused as fault:
            codes = [code for code, _ in fault.recipients.values()]
            raise NotTaken(f"recipient refused: {codes[0]}", for_good=min(codes) >= 500) from fault
        except smtplib.SMTPDataError as fault:
            raise NotTaken(_short(fault), for_good=fault.smtp_code >= 500) from fault
        except (OSError, smtplib.SMTPException) as fault:
            raise NotTaken(_short(fault)) from fault
        finally:
            # What was taken stays taken, however the goodbye goes.
            with suppress(OSError, smtplib.SMTPException):
                session.quit()
            session.close()

    def _opened(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.is_tls:
            session: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=TIMEOUT_S, context=context
            )
        else:
            session = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        try:
            session.ehlo()
            if not self.is_tls and session.has_extn("starttls"):
                session.starttls(context=context)
                session.ehlo()
            elif not self.is_tls and self.user and not _is_this_machine(self.host):
                raise smtplib.SMTPNotSupportedError("no encryption for the password")
            if self.user:
                session.login(self.user, self.password)
        except BaseException:
            session.close()
            raise
        return session


def mail_server(url: str) -> MailServer:
    """The server of a URL; raises ValueError, whose message repeats nothing of it."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
        [sender] = parse_qs(parts.query, strict_parsing=True)["from"]
    except (ValueError, KeyError):
        raise ValueError(FORM) from None
    if not parts.hostname or parts.path.strip("/") or not is_address(sender):
        raise ValueError(FORM)
    return MailServer(
        host=parts.hostname,
        port=port,
        sender=sender,
        is_tls=parts.scheme == "smtps",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _short(fault: Exception) -> str:
    """What went wrong, without what the server wrote, which may repeat the address."""
    kind = type(fault).__name__
    if isinstance(fault, smtplib.SMTPResponseException):
        return f"{kind}: {fault.smtp_code}"
    reason = fault.strerror if isinstance(fault, OSError) else None
    return f"{kind}: {reason}" if reason else kind
