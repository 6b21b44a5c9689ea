"""Vectors of the policy."""

from making import Made, bad, swap

from deleatur.documents.policy_rules import MAX_POLICY
from deleatur.testing.vectors import vector_text

POLICY = """\
schema = "deleatur/policy/v1"
id = "acme"
version = "2026.1"
title = "Acme's own rules"
jurisdiction = "DE"
date = "2026-11-22"
notice = { days = 45, sources = ["board"] }
certificate = { years = 10, sources = ["board"] }

[[source]]
id = "board"
kind = "house"
text = "The board decided so."
where = "minutes 2026-14"
date = "2026-11-20"
checked = "verified"

[[source]]
id = "code"
kind = "law"
text = "Vouchers are kept for eight years."
where = "§ 257 HGB"
date = "2026-11-20"
checked = "read"

[[record_class]]
id = "warranty-claim"
meaning = "a claim under warranty"

[[rule]]
id = "voucher"
classes = ["voucher", "warranty-claim"]
disposition = "archive"
why = "commercial law keeps it"
sources = ["code", "board"]
in_force = "2025-01-01"
retention = { start = "issued", years = 8, begins = "end-of-calendar-year", suspended_by = ["lawsuit"] }

[[rule]]
id = "chat"
classes = ["chat"]
disposition = "erase-now"
why = "nobody needs it"
sources = ["board"]
after = ["account-closed"]

[[rule]]
id = "lawsuit"
classes = ["any"]
disposition = "hold"
why = "a court may ask for it"
sources = ["board"]
matters = ["lawsuit"]

[[protection]]
level = "sensitive"
technique = "clear"
archive = ["drop", "mask", "keyed-hash", "generalise"]
sources = ["board"]

[[protection]]
level = "core"
technique = "clear"
archive = ["drop", "mask"]
sources = ["board"]

[[residency]]
jurisdiction = "DE"
within = ["EU"]
sources = ["board"]

[[apart]]
classes = ["marketing-profile"]
other = ["voucher"]
sources = ["board"]

[[records]]
place = "shop"
table = "receipts"
record_class = "voucher"
purpose = "tax"

[[matter]]
id = "not-accepted"
matter = "open-order"
department = "after-sales"
place = "sqlite:///srv/shop/crm.sqlite"
table = "orders"
where = [{ column = "accepted_on", operator = "is-null" }]
spares = ["session"]

[[matter.holds]]
table = "customer"
column = "id"
by = "customer_id"

[[matter.holds]]
table = "orders"
""".encode()
SMALL = b"""\
schema = "deleatur/policy/v1"
id = "none"
version = "1"
title = "No rules"
jurisdiction = "any"
date = "2026-11-22"
"""


FAULTS = (
    (
        "matter-of-no-place",
        b'place = "sqlite:///srv/shop/crm.sqlite"',
        b'place = "crm"',
        "bad-value",
        "$.matter[0].place",
        "a name that no job uses",
    ),
    (
        "matter-of-many-cases",
        b'where = [{ column = "accepted_on", operator = "is-null" }]',
        b"where = [%s]" % b", ".join([b'{ column = "a", operator = "=", value = 1 }'] * 5),
        "bad-value",
        "$.matter[0].where",
        "thirty-two cases",
    ),
    (
        "matter-out-of-reach",
        b'column = "id"\nby = "customer_id"\n',
        b"",
        "missing-key",
        "$.matter[0].holds[0]",
        "how does an order hold a customer?",
    ),
    (
        "matter-by-nothing",
        b'by = "customer_id"\n',
        b"",
        "missing-key",
        "$.matter[0].holds[0]",
        "a key of one table only",
    ),
    (
        "matter-held-and-spared",
        b'spares = ["session"]',
        b'spares = ["customer"]',
        "repeated",
        "$.matter[0][2].table",
        "held and spared",
    ),
    (
        "matter-by-values-file",
        b'operator = "is-null"',
        b'operator = "in", values_from = "people.txt"',
        "contradiction",
        "$.matter[0].where[0].values_from",
        "whose file, for which job?",
    ),  # name, what stands in the sound policy, what stands there now, kind, place, comment
    (
        "unknown-key",
        b'kind = "law"',
        b'kind = "law"\nurl = "x"',
        "unknown-key",
        "$.source[1]",
        "a key of no page",
    ),
    (
        "no-source",
        b'checked = "read"\n',
        b"",
        "missing-key",
        "$.source[1]",
        "the state of checking is missing",
    ),
    (
        "uncited",
        b'sources = ["code", "board"]',
        b"sources = []",
        "bad-value",
        "$.rule[0].sources",
        "a rule cites nothing",
    ),
    (
        "checked-by-hearsay",
        b'"read"',
        b'"heard"',
        "bad-value",
        "$.source[1].checked",
        "no such state of checking",
    ),
    (
        "years-as-text",
        b"years = 8",
        b'years = "8"',
        "bad-value",
        "$.rule[0].retention.years",
        "a number in quotes",
    ),
    (
        "certificate-too-short",
        b"years = 10",
        b"years = 4",
        "bad-value",
        "$.certificate.years",
        "under five years",
    ),
    (
        "no-such-day",
        b'date = "2026-11-22"',
        b'date = "2026-02-30"',
        "bad-value",
        "$.date",
        "no such day",
    ),
    (
        "in-force-no-day",
        b'"2025-01-01"',
        b'"2025-13-01"',
        "bad-value",
        "$.rule[0].in_force",
        "no such month",
    ),
    (
        "law-of-nowhere",
        b'jurisdiction = "DE"\ndate',
        b'jurisdiction = "Germany"\ndate',
        "bad-value",
        "$.jurisdiction",
        "a name, no code",
    ),
    (
        "schema-unknown",
        b"policy/v1",
        b"policy/v2",
        "bad-value",
        "$.schema",
        "a later version",
    ),
    (
        "source-unknown",
        b'["code", "board"]',
        b'["kode", "board"]',
        "unknown-source",
        "$.rule[0].sources",
        "a misspelt source",
    ),
    (
        "class-unknown",
        b'["voucher", "w',
        b'["vouchers", "w',
        "unknown-class",
        "$.rule[0].classes",
        "a misspelt class would never be kept",
    ),
    (
        "any-beside-others",
        b'classes = ["any"]',
        b'classes = ["any", "chat"]',
        "unknown-class",
        "$.rule[2].classes",
        "`any` stands alone",
    ),
    (
        "records-of-no-class",
        b'record_class = "voucher"',
        b'record_class = "receipt"',
        "unknown-class",
        "$.records[0].record_class",
        "a class that nobody declared",
    ),
    (
        "class-known-already",
        b'id = "warranty-claim"',
        b'id = "invoice"',
        "repeated",
        "$.record_class[0].id",
        "a class of the vocabulary",
    ),
    (
        "rule-twice",
        b'id = "chat"',
        b'id = "voucher"',
        "repeated",
        "$.rule[1].id",
        "two rules of one id",
    ),
    (
        "level-twice",
        b'level = "core"',
        b'level = "sensitive"',
        "repeated",
        "$.protection[1].level",
        "two protections of one level",
    ),
    (
        "archive-without-end",
        b"\nretention = {",
        b"\n# {",
        "missing-key",
        "$.rule[0]",
        "archive for how long?",
    ),
    (
        "hold-for-nothing",
        b'matters = ["lawsuit"]',
        b"",
        "missing-key",
        "$.rule[2]",
        "hold while what is open?",
    ),
    (
        "erase-and-keep",
        b'after = ["account-closed"]',
        b'retention = { start = "issued", years = 1 }',
        "contradiction",
        "$.rule[1].retention",
        "a rule that erases and keeps",
    ),
    (
        "for-ever-suspended",
        b"years = 8",
        b'years = "permanent"',
        "contradiction",
        "$.rule[0].retention",
        "no end to suspend",
    ),
    (
        "core-weaker",
        b'level = "sensitive"\ntechnique = "clear"',
        b'level = "sensitive"\ntechnique = "purge"',
        "contradiction",
        "$.protection",
        "core is protected less than sensitive",
    ),
    (
        "core-more-open",
        b'archive = ["drop", "mask"]',
        b'archive = ["drop", "null"]',
        "contradiction",
        "$.protection",
        "core allows what sensitive does not",
    ),
    (
        "apart-from-itself",
        b'other = ["voucher"]',
        b'other = ["marketing-profile"]',
        "contradiction",
        "$.apart[0]",
        "a class apart from itself",
    ),
    (
        "core-kept-raw",
        b'archive = ["drop", "mask"]',
        b'archive = ["keep"]',
        "core-raw",
        "$.protection[1].archive",
        "core as it is",
    ),
    (
        "erases-everything",
        b'classes = ["chat"]',
        b'classes = ["any"]',
        "too-wide",
        "$.rule[1].classes",
        "a rule that erases every class",
    ),
)
BROKEN = (
    ("syntax", "syntax", "line 1, column 10", "not TOML", swap(SMALL, b'schema = "', b'schema = x"')),
    (
        "key-twice",
        "duplicate-key",
        "line 3, column 13",
        "a key twice",
        swap(SMALL, b'version = "1"', b'id = "none2"'),
    ),
    ("bom", "encoding", "byte 0", "a byte order mark", b"\xef\xbb\xbf" + SMALL),
    (
        "too-deep",
        "too-deep",
        "$",
        "nested too deep",
        swap(SMALL, b'title = "No rules"', b"title = " + b"[" * 41 + b"]" * 41),
    ),
    (
        "number",
        "number",
        "$.notice.days",
        "an integer too large",
        SMALL + b"notice = { days = 9007199254740992 }\n",
    ),
    ("date-for-text", "wrong-type", "$.date", "a TOML date", swap(SMALL, b'"2026-11-22"', b"2026-11-22")),
    ("too-large", "too-large", "$", "over 1 MiB", SMALL + b"#" * MAX_POLICY),
)


def policy_good() -> Made:
    good = {"decoder": "policy", "expect": "ok"}
    yield "policy/good-whole", vector_text(good | {"comment": "every key"}, POLICY)
    yield "policy/good-empty", vector_text(good | {"comment": "no rule at all"}, SMALL)
    ever = swap(POLICY, b"years = 8, ", b'years = "permanent", ')
    ever = swap(ever, b', suspended_by = ["lawsuit"] }', b" }")
    yield "policy/good-for-ever", vector_text(good | {"comment": "a retention without end"}, ever)


def policy_bad() -> Made:
    for name, old, new, kind, where, comment in FAULTS:
        yield bad(f"policy/{name}", kind, where, comment, swap(POLICY, old, new))
    for name, kind, where, comment, document in BROKEN:
        yield bad(f"policy/{name}", kind, where, comment, document)
