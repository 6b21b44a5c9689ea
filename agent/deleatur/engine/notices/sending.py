"""Send letters by SMTP, one at a time: TLS always, at a rate, and nobody is written to twice.

Rules kept: that a letter is about to leave is on disk before its first byte leaves; what a server
did not take may be tried again, what it may have taken is not; its words are never written down.
"""

import re
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from deleatur.engine.chronicle import Clock
from deleatur.engine.notices.letters import Written
from deleatur.engine.reading import read_plain
from deleatur.errors import Failed, Refused, Transient
from deleatur.network import tls_context

TIMEOUT = 60.0  # seconds; RFC 5321 §4.5.3.2 asks for minutes, and a letter that waits can be tried again
REFERENCE = 40  # hex digits of a subject's keyed digest that a letter carries: 160 bits
_PORTS = {"smtp": 587, "smtps": 465}  # RFC 6409 §3.1, RFC 8314 §3.3
_STATUS = re.compile(rb"\b([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")  # RFC 3463
_MAX_SECRET = 4096  # bytes of a file with a password


@dataclass(frozen=True)
class Outcome:
    """What became of one letter; `unknown` when the server may have it and did not say so."""

    kind: Literal["told", "undelivered", "deferred", "unknown"]
    status: str = ""


@dataclass(frozen=True)
class Server:
    """A mail server: smtps://user@host:465, or smtp://user@host:587 with STARTTLS. Never in clear."""

    url: str
    password_file: Path | None = None
    ca: Path | None = None  # beside the certificates that the system trusts

    @contextmanager
    def connected(self) -> Iterator[smtplib.SMTP]:
        """Connect, encrypt, log in.

        Raises:
            Refused: a URL that is none, no TLS, a certificate that does not verify, a wrong password.
            Transient: the server cannot be reached now.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.password is not None:
            raise Refused(
                "name the mail server as smtps://user@host or smtp://user@host, without the password"
            )
        try:
            connection = self._connect(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])
        except ssl.SSLError as error:
            raise Refused(f"TLS with {parts.hostname} fails: {error.reason or 'no common version'}") from None
        except smtplib.SMTPNotSupportedError:
            raise Refused(f"{parts.hostname} offers no STARTTLS, and letters do not leave in clear") from None
        except (smtplib.SMTPException, OSError) as error:
            raise Transient(f"{parts.hostname} cannot be reached now: {type(error).__name__}") from None
        try:
            self._log_in(connection, unquote(parts.username or ""))
            connection.ehlo_or_helo_if_needed()
            yield connection
        finally:
            connection.close()

    def _connect(self, scheme: str, host: str, port: int) -> smtplib.SMTP:
        context = tls_context(self.ca)
        if scheme == "smtps":
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
        connection = smtplib.SMTP(host, port, timeout=TIMEOUT)
        with ExitStack() as unless_encrypted:
            unless_encrypted.callback(connection.close)
            connection.starttls(context=context)
            unless_encrypted.pop_all()
        return connection

    def _log_in(self, connection: smtplib.SMTP, user: str) -> None:
        if not user:
            return
        if self.password_file is None:
            raise Refused(f"{self.url} names a user: give the file with the password")
        try:
            connection.login(user, read_plain(self.password_file, _MAX_SECRET).decode().rstrip("\r\n"))
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError, UnicodeError):
            raise Refused("the mail server does not accept this user and password") from None
        except (smtplib.SMTPException, OSError) as error:
            raise Transient(f"logging in to the mail server fails now: {type(error).__name__}") from None


def message_of(
    letter: Written, *, sender: str, address: str, reference: str, clock: Clock
) -> EmailMessage | None:
    """Return the letter as a mail; None when the address is none (RFC 5322)."""
    message = EmailMessage(policy=SMTP if address.isascii() else SMTPUTF8)
    try:
        message["To"] = Address(addr_spec=address)
    except (ValueError, IndexError):
        return None
    message["From"] = sender
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(clock())
    message["Message-ID"] = f"<{reference}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no robot need answer
    message.set_content(letter.text)
    return message


def hand_over(
    server: smtplib.SMTP, message: EmailMessage | None, sender: str, address: str, reference: str
) -> Outcome:
    """Give one mail to the server and say what it did; None: the address is none, so nothing leaves.

    Raises:
        Refused: the server does not take letters from this sender at all.
    """
    if message is None:
        return Outcome("undelivered", "5.1.3")  # RFC 3463 §3.2: bad destination mailbox address syntax
    stage = "envelope"
    try:
        options = _options(server, address, reference)
        if options is None:
            return Outcome("undelivered", "5.6.7")  # RFC 6531 §3.5: the server takes no such address
        code, reply = server.mail(sender, options[0])
        if code >= 500:
            _reset(server)
            raise Refused(
                "the mail server does not accept this sender; check mail_from, the user and the server"
            )
        if code < 400:
            code, reply = server.rcpt(address, options[1])
        if code < 400:
            stage = "content"
            code, reply = server.data(message.as_bytes())
    except smtplib.SMTPDataError as error:  # DATA itself was refused: nothing left
        code, reply = error.smtp_code, _bytes(error.smtp_error)
    except (smtplib.SMTPServerDisconnected, OSError):
        return Outcome("unknown" if stage == "content" else "deferred")
    if code < 400:
        return Outcome("told")
    _reset(server)
    return Outcome("undelivered", _status(reply)) if code >= 500 else Outcome("deferred")


def _options(server: smtplib.SMTP, address: str, reference: str) -> tuple[list[str], list[str]] | None:
    """Return the parameters of MAIL and RCPT: report what fails, and of which letter (RFC 3461)."""
    mail: list[str] = []
    if not address.isascii():
        if not server.has_extn("smtputf8"):
            return None
        mail.append("SMTPUTF8")
        server.command_encoding = "utf-8"
    if not server.has_extn("dsn"):
        return mail, []
    return [*mail, "RET=HDRS", f"ENVID={reference}"], ["NOTIFY=FAILURE"]


def _reset(server: smtplib.SMTP) -> None:
    try:
        server.rset()
    except (smtplib.SMTPException, OSError):
        server.close()  # the next letter finds a closed connection, and a new one is made


def _status(reply: bytes) -> str:
    found = _STATUS.search(reply)
    return found[1].decode() if found else ""


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")


class Pace:
    """Lets at most `rate` letters a second through."""

    def __init__(self, rate: float, sleep: Callable[[float], None] = time.sleep) -> None:
        if rate <= 0:
            raise Failed("the rate must be above 0")
        self._gap, self._sleep, self._next = 1 / rate, sleep, 0.0

    def wait(self) -> None:
        """Wait until the next letter may leave."""
        now = time.monotonic()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._gap
