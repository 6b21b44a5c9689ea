"""A mail server on loopback with TLS, honest or not, and a small shop whose customers are written to."""

import datetime
import email
import email.policy
import ipaddress
import os
import signal
import sqlite3
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from deleatur.engine.notices.sending import Server


def certificate(folder: Path, address: str = "127.0.0.1") -> Path:
    """Write a key and a certificate for an address into one file, which is also its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "post office of a test")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "post.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return path


class Clerk:
    """Takes letters; what a rogue does differently is asked at RCPT and at the end of DATA."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.to: Counter[str] = Counter()
        self.at_recipient: Callable[[str], str | None] = lambda _address: None
        self.at_content: Callable[[str, SMTP], str | None] = lambda _address, _server: None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.at_recipient(address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        (address,) = envelope.rcpt_tos
        content = envelope.content
        assert isinstance(content, bytes)
        answer = self.at_content(address, server)
        if answer is None or answer.startswith("250"):
            self.to[address] += 1
            message = email.message_from_bytes(content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.letters.append(message)
        return answer or "250 2.0.0 taken over"


class Post:
    """A running server: `implicit` TLS from the first byte, else STARTTLS; `user` must log in."""

    def __init__(
        self, folder: Path, *, implicit: bool = True, user: str = "", offers_tls: bool = True
    ) -> None:
        self.clerk = Clerk()
        pem = certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        options: dict[str, object] = {"hostname": "127.0.0.1", "port": 0}
        if user:
            options |= {"authenticator": _authenticator(user), "auth_required": True}
            options |= {"auth_require_tls": not implicit}
        if implicit:
            options |= {"ssl_context": context}
        elif offers_tls:
            options |= {"tls_context": context, "require_starttls": True}
        self._controller = _Controller(self.clerk, **options)
        self._controller.start()
        port = self._controller.server.sockets[0].getsockname()[1]
        at = f"{user}@" if user else ""
        password = folder / "password"
        password.write_text("secret\n")
        self.server = Server(
            f"{'smtps' if implicit else 'smtp'}://{at}127.0.0.1:{port}", password if user else None, pem
        )

    def close(self) -> None:
        self._controller.stop(no_assert=True)


class _Controller(Controller):
    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # that the kernel chose
        super()._trigger_server()


def _authenticator(user: str) -> Callable[..., AuthResult]:
    def check(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), b"secret")
        return AuthResult(success=good, handled=False)  # so the server says 535 itself

    return check


def hang_up(server: SMTP) -> None:
    """Close the connection without an answer."""
    server.transport.abort()


def killer(pid: Path, after: int, *, taken: bool) -> Callable[[str, SMTP], str | None]:
    """Kill the sender when letter number `after` has come, before the server answers."""
    seen = 0

    def at_content(_address: str, server: SMTP) -> str | None:
        nonlocal seen
        seen += 1
        if seen == after:
            os.kill(int(pid.read_text()), signal.SIGKILL)
            return None if taken else "451 4.3.0 not now"
        return None

    return at_content


def shop(path: Path, rows: int = 6) -> Path:
    """Write customers with a canary in every column; 3 has no mail address, 4 has none at all."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, mail TEXT, mobile TEXT, street TEXT,"
            " country TEXT, dormant INTEGER)"
        )
        for n in range(1, rows + 1):
            mail = None if n in (3, 4) else f"canary{n}@mail.example.org"
            mobile = None if n == 4 else f"+49 160 55501{n:02}"
            country = ("DE", "CN", "US")[n % 3]
            row = (n, f"Canary Walburga {n}", mail, mobile, None, country, 1)
            database.execute("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        database.execute("INSERT INTO customers VALUES (999, 'Stays', 'stays@example.org', '', '', 'DE', 0)")
        database.commit()
    return path


JOB = """
schema = "deleatur/job/v1"
name = "dormant"
reason = "retention-expired"
authority = "a test"
requested_by = "tester"
[notice]
folder = "../notice"
cut_off = "2026-12-22"
mail_from = "privacy@shop.example"
[[notice.letter]]
language = "en"
sender = "Shop Ltd"
reason = "our shop closes at the end of the year"
erased = "your account and your orders"
method = "the records are overwritten where they are stored, and the result is read back"
export = "ask for it by e-mail"
contact = "privacy@shop.example"
[[notice.letter]]
language = "de"
sender = "Laden GmbH"
reason = "unser Laden schließt zum Jahresende"
erased = "Ihr Kundenkonto und Ihre Bestellungen"
method = "die Einträge werden dort überschrieben, wo sie gespeichert sind, und das Ergebnis wird nachgelesen"
export = "eine Nachricht per E-Mail genügt"
contact = "privacy@shop.example"
[[notice.letter]]
language = "zh"
sender = "小店有限公司"
reason = "本店将于年底停止营业"
erased = "您的账户和订单"
method = "在存储位置覆写记录,并回读确认"
export = "请来信索取"
contact = "privacy@shop.example"
[[notice.recipients]]
target = "crm"
table = "customers"
subject = "id"
name = "name"
language = "country"
email = "mail"
phone = "mobile"
[[target]]
id = "crm"
url = "sqlite:../crm.sqlite"
[[target.select]]
table = "customers"
where = [{ column = "dormant", operator = "=", value = 1 }]
[[target.hold]]
id = "wrote-back"
reason = "a matter is open, or no letter arrived"
table = "customers"
where = [{ column = "id", operator = "in", values_from = "../notice/held.txt" }]
"""
