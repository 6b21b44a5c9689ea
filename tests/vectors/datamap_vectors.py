"""Vectors of the data map and of the declaration that goes into it."""

from making import Made, bad, swap

from deleatur.testing.vectors import vector_text

DATAMAP = b"""\
schema = "deleatur/datamap/v1"
made_at = "2026-11-22T10:00:00Z"
as_of = "2026-11-22"
limits = ["deleted records in free pages are not looked at"]

[people]
rule = "records that share an e-mail address are one person"
found = 13800
mentioned = 12
complete = true

[[owner]]
name = "it"
spki = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

[[place]]
id = "crm"
url = "sqlite:///srv/crm.sqlite"
host = "db1"
kind = "database"
identity = [["engine", "sqlite"], ["inode", "17"]]
owner = "it"
encrypted = "yes"
encryption = "dm-crypt"
access = ["user 0: read, write"]
people = 10000

[[place.jurisdiction]]
code = "US-CA"
reason = "column customers.state"
records = 10000

[[place.table]]
name = "customers"
kind = "table"
records = 10000
sampled = 2000

[place.table.totals]
rule = "customers.last_seen within 365 days of 2026-11-22"
all = 10000
active = 3000
dormant = 6990
undated = 10

[[place.table.field]]
name = "email"
level = "sensitive"
type = "e-mail"
stored_as = "TEXT"

[[place.table.field.finding]]
type = "e-mail"
level = "sensitive"
count = 1990
of = 2000
confidence = "0.950"

[[place.unread]]
unit = "inode-18"
reason = "of a format that is not read here"

[[declared]]
id = "mailbox"
what = "private mailbox of the sales team"
owner = "it"
evidence = "statement.pdf"
evidence_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
level = "sensitive"

[[copy]]
source = "crm"
to = "mailbox"
kind = "export"
basis = "declared"

[[difference]]
id = "people-people"
what = "people in all places, each counted once"
owner = "it"
declared = 10000
found = 13800
explanation = "a laptop nobody had listed"
"""

DECLARED = b"""\
schema = "deleatur/declared/v1"
people = { count = 10000, owner = "it" }

[[owner]]
name = "it"
key = "keys/it.pub"

[[place]]
url = "sqlite:crm.sqlite"
id = "crm"
owner = "it"
jurisdiction = [{ code = "DE", reason = "seat of the company" }]

[[declared]]
id = "mailbox"
what = "private mailbox of the sales team"
owner = "it"
evidence = "statement.pdf"
level = "sensitive"

[[copy]]
source = "crm"
to = "mailbox"
kind = "export"
"""


def datamap() -> Made:
    good = {"decoder": "datamap", "expect": "ok"}
    yield "datamap/good", vector_text(good | {"comment": "a place, a declared place, a difference"}, DATAMAP)
    lost = swap(DATAMAP, b'identity = [["engine", "sqlite"], ["inode", "17"]]\n', b'state = "lost"\n')
    yield "datamap/good-lost", vector_text(good | {"comment": "a place that is not there any more"}, lost)
    for name, kind, where, comment, old, new in (
        ("schema-unknown", "bad-value", "$.schema", "a later version", b"datamap/v1", b"datamap/v2"),
        (
            "unknown-key",
            "unknown-key",
            "$.place[0]",
            "a key that no page has",
            b'host = "db1"',
            b'host = "db1"\nsample = "x"',
        ),
        ("missing-key", "missing-key", "$", "no day", b'as_of = "2026-11-22"\n', b""),
        ("syntax", "syntax", "line 1, column 8", "no TOML", b'schema = "deleatur/datamap/v1"', b'schema "x"'),
        (
            "key-twice",
            "duplicate-key",
            "line 3, column 21",
            "a key stands twice",
            b'made_at = "2026-11-22T10:00:00Z"\n',
            b'as_of = "2026-11-22"\n',
        ),
        (
            "count-negative",
            "bad-value",
            "$.place[0].people",
            "fewer than none",
            b"\npeople = 10000",
            b"\npeople = -1",
        ),
        (
            "count-as-text",
            "wrong-type",
            "$.place[0].people",
            "nothing is converted",
            b"\npeople = 10000",
            b'\npeople = "10000"',
        ),
        (
            "level-unknown",
            "bad-value",
            "$.declared[0].level",
            "one of four levels",
            b'b855"\nlevel = "sensitive"',
            b'b855"\nlevel = "secret"',
        ),
        (
            "confidence-above-one",
            "bad-value",
            "$.place[0].table[0].field[0].finding[0].confidence",
            "from 0 to 1",
            b'"0.950"',
            b'"1.5"',
        ),
        (
            "jurisdiction-in-words",
            "bad-value",
            "$.place[0].jurisdiction[0].code",
            "ISO 3166, not a name",
            b'"US-CA"',
            b'"California"',
        ),
        (
            "writing-direction",
            "bad-value",
            "$.declared[0].what",
            "a mark that turns the writing",
            b"private mailbox",
            "private \u202ebox".encode(),
        ),
        (
            "copy-to-nowhere",
            "contradiction",
            "$.copy[0]",
            "an end that is no place",
            b'to = "mailbox"',
            b'to = "laptop"',
        ),
        (
            "totals-do-not-add-up",
            "contradiction",
            "$.place[0].table[0].totals",
            "3000 and 6990 and 11",
            b"undated = 10",
            b"undated = 11",
        ),
        (
            "more-sampled",
            "contradiction",
            "$.place[0].table[0].sampled",
            "more looked at than there are",
            b"sampled = 2000",
            b"sampled = 10001",
        ),
        (
            "more-found",
            "contradiction",
            "$.place[0].table[0].field[0].finding[0]",
            "more found than looked at",
            b"count = 1990",
            b"count = 2001",
        ),
        (
            "more-minors",
            "contradiction",
            "$.place[0].table[0].field[0].minors",
            "more values than records looked at",
            b"[[place.table.field.finding]]",
            b"minors = 2001\n\n[[place.table.field.finding]]",
        ),
        (
            "id-twice",
            "repeated",
            "$.declared",
            "two places of one name",
            b'id = "mailbox"\nwhat',
            b'id = "crm"\nwhat',
        ),
        (
            "owner-unknown",
            "no-owner",
            "$.place[0].owner",
            "an owner without a key",
            b'"17"]]\nowner = "it"',
            b'"17"]]\nowner = "hr"',
        ),
        (
            "mail-address-in-explanation",
            "personal",
            "$.difference[0].explanation",
            "an explanation names no person",
            b"a laptop nobody",
            b"the laptop of x@example.org nobody",
        ),
    ):
        changed = swap(DATAMAP, old, new)
        if name == "copy-to-nowhere":
            changed = changed.replace(b'id = "laptop"', b'id = "mailbox"')
        yield bad(f"datamap/{name}", kind, where, comment, changed)
    yield bad("datamap/bom", "encoding", "byte 0", "a byte order mark", b"\xef\xbb\xbf" + DATAMAP)


def declared() -> Made:
    good = {"decoder": "declared", "expect": "ok"}
    yield "declared/good", vector_text(good | {"comment": "owners, a place, a mailbox, a copy"}, DECLARED)
    for name, kind, where, comment, old, new in (
        ("schema-unknown", "bad-value", "$.schema", "a later version", b"declared/v1", b"declared/v0"),
        (
            "no-evidence",
            "missing-key",
            "$.declared[0]",
            "nothing is declared without evidence",
            b'evidence = "statement.pdf"\n',
            b"",
        ),
        (
            "unknown-key",
            "unknown-key",
            "$.copy[0]",
            "misspelt",
            b'kind = "export"',
            b'kind = "export"\nbecause = "x"',
        ),
        (
            "count-as-text",
            "wrong-type",
            "$.people.count",
            "nothing is converted",
            b"count = 10000",
            b'count = "10000"',
        ),
        (
            "same-people-declared",
            "bad-value",
            "$.copy[0].kind",
            "that is found, not declared",
            b'"export"',
            b'"same-people"',
        ),
        (
            "owner-unknown",
            "no-owner",
            "$.place[0].owner",
            "nobody of this name",
            b'id = "crm"\nowner = "it"',
            b'id = "crm"\nowner = "hr"',
        ),
        (
            "place-twice",
            "repeated",
            "$.declared[1].id",
            "one name twice",
            b"[[copy]]\nsource",
            b'[[declared]]\nid = "mailbox"\nwhat = "x"\nowner = "it"\n'
            b'evidence = "y"\nlevel = "core"\n\n[[copy]]\nsource',
        ),
        (
            "table-twice",
            "repeated",
            "$.place[0].table[1].name",
            "one table twice",
            b'jurisdiction = [{ code = "DE", reason = "seat of the company" }]\n',
            b'table = [{ name = "chats", source = "support" }, { name = "chats", source = "orders" }]\n',
        ),
        (
            "copy-to-nowhere",
            "contradiction",
            "$.copy[0]",
            "an end that is no place",
            b'to = "mailbox"',
            b'to = "laptop"',
        ),
        (
            "mail-address",
            "personal",
            "$.declared[0].what",
            "a place is named, not a person",
            b"private mailbox of the sales team",
            b"mailbox x@example.org",
        ),
    ):
        yield bad(f"declared/{name}", kind, where, comment, swap(DECLARED, old, new))
