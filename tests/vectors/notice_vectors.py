"""Vectors of a job that tells people, or says why it tells nobody."""

from job_vectors import FILES, JOB
from making import Made, bad, swap

from deleatur.testing.vectors import vector_text

NOTICE = b"""
[[target.hold]]
id = "wrote-back"
reason = "a matter is open"
table = "Customer"
where = [{ column = "CustomerId", operator = "in", values_from = "notice/held.txt" }]

[notice]
folder = "notice"
cut_off = "2026-12-23"
mail_from = "privacy@shop.example"
undelivered = "except"

[[notice.letter]]
language = "de"
sender = "Laden GmbH"
reason = "unser Laden schlie\xc3\x9ft"
erased = "Ihr Kundenkonto"
method = "die Eintr\xc3\xa4ge werden \xc3\xbcberschrieben"
export = "eine Nachricht gen\xc3\xbcgt"
contact = "privacy@shop.example"

[[notice.recipients]]
target = "shop"
table = "Customer"
subject = "CustomerId"
email = "Email"
"""
TELLING = JOB + NOTICE
REASON = b'requested_by = "clerk-7"\n'
UNTOLD = b'without_notice = "found and destroyed at once"\n'


def job_notice() -> Made:
    good = {"decoder": "job", "expect": "ok"}
    yield "job/good-notice", vector_text(good | {"comment": "people are told"}, TELLING)
    untold = swap(JOB, REASON, REASON + UNTOLD)
    yield "job/good-without-notice", vector_text(good | {"comment": "nobody is told, and why"}, untold)
    letter, recipients = "$.notice.letter", "$.notice.recipients"
    for name, old, new, kind, place, comment in (
        ("letter-in-klingon", b'"de"', b'"tlh"', "bad-value", f"{letter}[0].language", "zh, en and de"),
        ("cut-off-on-no-day", b"2026-12-23", b"2026-02-30", "bad-value", "$.notice.cut_off", "no such day"),
        (
            "letter-twice",
            b"[[notice.recipients]]",
            NOTICE[NOTICE.index(b"[[notice.letter]]") : NOTICE.index(b"[[notice.recipients]]")]
            + b"[[notice.recipients]]",
            "repeated",
            f"{letter}[1].language",
            "which of them is sent?",
        ),
        (
            "recipients-without-address",
            b'email = "Email"\n',
            b"",
            "missing-key",
            f"{recipients}[0]",
            "where to?",
        ),
        (
            "letters-from-nobody",
            b'mail_from = "privacy@shop.example"\n',
            b"",
            "missing-key",
            "$.notice.mail_from",
            "who sends?",
        ),
        (
            "recipients-of-no-target",
            b'target = "shop"\n',
            b'target = "shed"\n',
            "contradiction",
            f"{recipients}[0].target",
            "people of what?",
        ),
        (
            "recipients-of-what",
            b'target = "shop"\ntable = "Customer"',
            b'target = "shop"\ntable = "Employee"',
            "missing-key",
            f"{recipients}[0]",
            "nothing is selected from this table, so who is told?",
        ),
        (
            "recipients-selected-and-where",
            b'email = "Email"\n',
            b'email = "Email"\nwhere = [{ column = "Country", operator = "=", value = "Chile" }]\n',
            "contradiction",
            f"{recipients}[0].where",
            "others are told than those whose rows go",
        ),
        (
            "nobody-who-writes-is-held",
            b"notice/held.txt",
            b"others/held.txt",
            "no-hold",
            f"{recipients}[0]",
            "who writes back would be erased",
        ),
    ):
        yield bad(f"job/{name}", kind, place, comment, swap(TELLING, old, new))
    yield bad(
        "job/notice-and-none",
        "contradiction",
        "$.without_notice",
        "are they told or not?",
        swap(TELLING, REASON, REASON + UNTOLD),
    )
    yield bad(
        "job/one-approval-for-telling-nobody",
        "approvals",
        "$.policy.approvals",
        "two people decide that",
        swap(FILES, REASON, REASON + UNTOLD),
    )
