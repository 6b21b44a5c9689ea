"""Read what came back of letters: reports of delivery (RFC 3464), answers by people, and logs as CSV.

Rules kept: what a robot wrote is no answer of a person; what cannot be read is an error, never
passed over; errors name the number of a line or mail, never what stands there.
"""

import csv
import email
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr
from typing import Literal

from deleatur.formats.parsed import Unreadable

Answer = Literal["delivered", "undelivered", "replied", "settled", "automatic"]
LARGEST = 64 << 20  # bytes of one log or mail
_STATUSES: dict[str, Answer] = {
    "delivered": "delivered",
    "failed": "undelivered",
    "undelivered": "undelivered",
    "replied": "replied",
    "settled": "settled",
}
_ACTIONS: dict[str, Answer] = {  # RFC 3464 §2.3.3; delayed, relayed and expanded are no end
    "failed": "undelivered",
    "delivered": "delivered",
    "delayed": "automatic",
    "relayed": "automatic",
    "expanded": "automatic",
}
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


@dataclass(frozen=True)
class CameBack:
    """One thing that came back: about which letter, and what it says."""

    answer: Answer
    number: int  # of the line or mail in its file, from 1
    references: tuple[str, ...] = ()  # of letters, as the mail or the line names them
    address: str = ""  # of the person, where no reference is known
    status: str = ""  # RFC 3463
    channel: str = ""  # "": whichever was used last


def read_log(content: bytes) -> Iterator[CameBack]:
    """Yield what a file says: a mail, a mailbox of mails (mbox), or a CSV log.

    A CSV log has a header with `status` (delivered, failed, replied, settled) and `reference` or `recipient`;
    `channel` (email, phone, postal, app) and `code` (RFC 3463) may stand beside.

    Raises:
        Unreadable: it is none of these, or a line of it says nothing that is known.
    """
    if content.startswith(b"From "):
        yield from _mailbox(content)
    elif _is_mail(content):
        yield from _mail(content, 1)
    else:
        yield from _table(content)


def _is_mail(content: bytes) -> bool:
    """Say whether a file begins with a header field of a mail (RFC 5322 §2.2)."""
    return re.match(rb"[!-9;-~]+:[ \t]", content) is not None


def _mailbox(content: bytes) -> Iterator[CameBack]:
    for number, part in enumerate(re.split(rb"(?m)^From [^\n]*\n", content)[1:], 1):
        yield from _mail(part, number)


def _mail(content: bytes, number: int) -> Iterator[CameBack]:
    try:
        mail = email.message_from_bytes(content, policy=default)
        yield from _of_mail(mail, number)
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        raise Unreadable(f"mail {number} cannot be read; look at it, and enter what it says by CSV") from None


def _of_mail(mail: EmailMessage, number: int) -> Iterator[CameBack]:
    report = str(mail.get_param("report-type", "")).lower()
    if mail.get_content_type() == "multipart/report" and report == "delivery-status":
        yield from _report(mail, number)
    elif _automatic(mail):
        yield CameBack("automatic", number)
    else:
        named = " ".join(str(mail.get(name, "")) for name in ("In-Reply-To", "References"))
        sender = parseaddr(str(mail.get("From", "")))[1]
        yield CameBack("replied", number, _references(named), sender)


def _automatic(mail: EmailMessage) -> bool:
    """Say whether a robot wrote it (RFC 3834 §5, and what came before)."""
    told = str(mail.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()  # parameters may follow
    precedence = str(mail.get("Precedence", "")).strip().lower()
    return told != "no" or precedence in ("bulk", "junk", "auto_reply") or "X-Autoreply" in mail


def _references(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"<([0-9a-f]{40})@", text))


def _report(mail: EmailMessage, number: int) -> Iterator[CameBack]:
    """Yield each recipient of a delivery report; the letter is named by its envelope or by its headers."""
    named = ""
    fields: list[EmailMessage] = []
    for part in mail.walk():
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            fields += [f for f in part.get_payload() if isinstance(f, EmailMessage)]
        elif kind == "text/rfc822-headers":
            returned = email.message_from_string(str(part.get_content()), policy=default)
            named += f" {returned.get('Message-ID', '')}"
        elif kind == "message/rfc822":
            named += f" {part.get_content().get('Message-ID', '')}"
    envelope = " ".join(f"<{f.get('Original-Envelope-Id', '')}@" for f in fields)
    references = _references(f"{named} {envelope}")
    about = [(field, str(field.get("Action", "")).strip().lower()) for field in fields]
    if not any(action for _, action in about):
        raise Unreadable(f"mail {number} is a report that names nobody; enter what it says by CSV")
    for field, action in about:
        if not action:
            continue  # the fields about the whole message
        if action not in _ACTIONS:
            raise Unreadable(f"mail {number} reports an action that is not known; enter what it says by CSV")
        found = _STATUS.search(str(field.get("Status", "")))
        whose = field.get("Original-Recipient") or field.get("Final-Recipient") or ""
        address = str(whose).partition(";")[2].strip()
        yield CameBack(_ACTIONS[action], number, references, address, found[0] if found else "", "email")


def _table(content: bytes) -> Iterator[CameBack]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"the log is neither mail nor UTF-8 text (byte {error.start})") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
    except csv.Error:
        raise Unreadable("line 1 of the log is no row") from None
    reader.fieldnames = names
    if "status" not in names or not {"reference", "recipient"} & set(names):
        raise Unreadable("a CSV log needs the columns status, and reference or recipient")
    try:
        for number, row in enumerate(reader, 1):
            cells = {name: (row.get(name) or "").strip() for name in names}
            said = _STATUSES.get(cells["status"].lower())
            if said is None:
                raise Unreadable(f"row {number} of the log: status is delivered, failed, replied or settled")
            code = cells.get("code", "")
            yield CameBack(
                said,
                number,
                (cells["reference"],) if cells.get("reference") else (),
                cells.get("recipient", ""),
                code if _STATUS.fullmatch(code) else "",
                cells.get("channel", ""),
            )
    except csv.Error:
        raise Unreadable(f"line {reader.line_num} of the log is no row") from None
