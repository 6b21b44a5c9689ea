"""Read mail: one message (RFC 5322), or a mailbox of many; attachments are read as files of their own."""

import email
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import default
from html import unescape
from io import BytesIO
from pathlib import PurePosixPath
from typing import IO

from deleatur.formats.parsed import Parsed, Row, Unreadable

_LARGEST = 64 << 20  # bytes of one message
_COLUMNS = ("from", "to", "subject", "body", "attachments")
_TAG = re.compile(r"<[^>]{0,2000}>")
Inner = Callable[[IO[bytes], str, int], Iterator[Parsed]]  # reads an attachment: stream, suffix, size


def message(stream: IO[bytes], inner: Inner) -> Iterator[Parsed]:
    """Yield one mail, then what its attachments hold."""
    mail = _parse(stream.read(_LARGEST + 1))
    yield _parsed(iter([_row(mail)]))
    yield from _attachments(mail, inner)


def mailbox(stream: IO[bytes], inner: Inner) -> Iterator[Parsed]:
    """Yield the mails of an mbox file, then what the attachments hold (RFC 4155)."""
    yield _parsed(_row(_parse(raw)) for raw in _messages(stream))
    stream.seek(0)
    for raw in _messages(stream):
        yield from _attachments(_parse(raw), inner)


def _parsed(rows: Iterator[Row]) -> Parsed:
    return Parsed(kind="mail", columns=_COLUMNS, rows=rows, linked=False)


def _messages(stream: IO[bytes]) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    for line in stream:
        if line.startswith(b"From ") and lines:
            yield b"".join(lines)
            lines, size = [], 0
        elif not line.startswith(b"From "):
            size += len(line)
            if size > _LARGEST:
                raise Unreadable(f"a message of more than {_LARGEST >> 20} MiB")
            lines.append(line)
    if lines:
        yield b"".join(lines)


def _parse(raw: bytes) -> EmailMessage:
    if len(raw) > _LARGEST:
        raise Unreadable(f"a message of more than {_LARGEST >> 20} MiB")
    try:
        return email.message_from_bytes(raw, policy=default)
    except (ValueError, LookupError, RecursionError):
        raise Unreadable("it is no message") from None


def _row(mail: EmailMessage) -> Row:
    parts = [
        _text(part) for part in mail.walk() if part.get_content_maintype() == "text" and not _named(part)
    ]
    recipients = ", ".join(filter(None, (_header(mail, h) for h in ("To", "Cc", "Bcc"))))
    count = sum(1 for part in mail.walk() if _named(part))
    return _header(mail, "From"), recipients, _header(mail, "Subject"), "\n".join(parts), str(count or "")


def _header(mail: EmailMessage, name: str) -> str:
    try:
        return str(mail.get(name, ""))
    except (
        ValueError,
        LookupError,
        IndexError,
        AttributeError,
        TypeError,
    ):  # headers that its parser cannot read
        raise Unreadable(f"the header {name} of a message cannot be read") from None


def _named(part: EmailMessage) -> bool:
    return not part.is_multipart() and (
        part.get_content_disposition() == "attachment" or bool(part.get_filename())
    )


def _content(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: EmailMessage) -> str:
    charset = part.get_content_charset("utf-8")
    try:
        text = _content(part).decode(charset, "replace")
    except LookupError:
        text = _content(part).decode("utf-8", "replace")
    return unescape(_TAG.sub(" ", text)) if part.get_content_subtype() == "html" else text


def _attachments(mail: EmailMessage, inner: Inner) -> Iterator[Parsed]:
    for part in mail.walk():
        if _named(part):
            content = _content(part)
            suffix = PurePosixPath(part.get_filename() or "").suffix.lower()
            yield from inner(BytesIO(content), suffix, len(content))
