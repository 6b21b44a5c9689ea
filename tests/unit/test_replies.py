"""What came back of letters is read, or refused by its number, whatever somebody sends."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.formats.parsed import Unreadable
from deleatur.formats.replies import CameBack, read_log

REFERENCE = "ab" * 20
ANSWER = (
    f"From: Zoe <zoe@example.org>\nTo: us@shop.example\nIn-Reply-To: <{REFERENCE}@shop.example>\n\nkeep it\n"
)
REPORT = (
    "From: MAILER-DAEMON@mx.example.net\nMIME-Version: 1.0\n"
    'Content-Type: multipart/report; report-type="delivery-status"; boundary="b"\n\n'
    "--b\nContent-Type: text/plain\n\nSorry.\n"
    "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n"
    f"Original-Envelope-Id: {REFERENCE}\n\n"
    "Final-Recipient: rfc822; zoe@example.org\nAction: failed\nStatus: 5.1.1 (no such user)\n\n"
    "--b\nContent-Type: message/rfc822\n\nFrom: us@shop.example\nSubject: x\n\nbody\n--b--\n"
)


def test_a_report_names_its_letter_by_the_envelope_or_by_the_letter_it_returns() -> None:
    expected = [CameBack("undelivered", 1, (REFERENCE,), "zoe@example.org", "5.1.1", "email")]
    assert [*read_log(REPORT.encode())] == expected
    returned = REPORT.replace(f"Original-Envelope-Id: {REFERENCE}\n", "").replace(
        "Subject: x\n", f"Subject: x\nMessage-ID: <{REFERENCE}@shop.example>\n"
    )
    assert [*read_log(returned.encode())] == expected


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("Auto-Submitted: no\n", "replied"),
        ("Auto-Submitted: no; owner-email=x\n", "replied"),
        ("Auto-Submitted: auto-replied\n", "automatic"),
        ("Auto-Submitted: auto-generated; owner-email=x\n", "automatic"),
        ("Precedence: bulk\n", "automatic"),
        ("X-Autoreply: yes\n", "automatic"),
    ],
)
def test_robots_are_no_people(header: str, answer: str) -> None:
    (item,) = read_log((header + ANSWER).encode())
    assert item.answer == answer


def test_a_mailbox_and_a_log() -> None:
    box = f"From x Sun Nov 22\n{ANSWER}\nFrom y Sun Nov 22\n{REPORT}"
    assert [(item.answer, item.number) for item in read_log(box.encode())] == [
        ("replied", 1),
        ("undelivered", 2),
    ]
    log = "\ufeffRecipient,Status,code,channel\r\n+49 160 1,FAILED,5.4.4,phone\r\n"
    assert [*read_log(log.encode())] == [CameBack("undelivered", 1, (), "+49 160 1", "5.4.4", "phone")]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(Unreadable):
        assert all(isinstance(item, CameBack) for item in read_log(content))


@given(st.sampled_from([ANSWER, REPORT]), st.integers(0, 400), st.binary(min_size=1, max_size=6))
def test_a_mail_that_was_damaged_is_read_or_refused_without_quoting_it(
    mail: str, at: int, put: bytes
) -> None:
    raw = mail.encode()
    at = min(at, len(raw) - 1)
    said = ""
    items: list[CameBack] = []
    try:
        items = [*read_log(raw[:at] + put + raw[at + len(put) :])]
    except Unreadable as error:
        said = str(error)
    assert bool(items) != bool(said)  # never passed over
    assert "zoe" not in said


def test_a_report_that_names_nobody_is_not_passed_over() -> None:
    empty = REPORT.replace("Final-Recipient: rfc822; zoe@example.org\nAction: failed\n", "X-Lost: yes\n")
    with pytest.raises(Unreadable, match="mail 1 is a report that names nobody"):
        [*read_log(empty.encode())]


def test_a_first_line_that_is_no_row_is_refused() -> None:
    with pytest.raises(Unreadable, match="line 1 of the log is no row"):
        list(read_log(b'"status" x,reference\n'))
