"""Vectors of the job."""

from making import Made, bad, swap

from deleatur.documents.codec import MAX_JOB
from deleatur.testing.vectors import vector_text

JOB = b"""\
schema = "deleatur/job/v1"
name = "customers-germany"
reason = "retention-expired"
authority = "retention schedule 4.2"
requested_by = "clerk-7"

[policy]
approvals = 2

[verification]
mode = "full"
needles = 500

[custody]
retain_until = "2036-12-31"

[[custody.custodian]]
name = "records-office"
recipient = "age1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

[[custody.custodian]]
name = "board"
recipient = "age1yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
shares = { needed = 2, of = 3 }

[[target]]
id = "shop"
url = "sqlite:///srv/shop.sqlite"

[[target.select]]
table = "Customer"
where = [{ column = "Country", operator = "=", value = "Germany" }]

[[target.archive]]
table = "Invoice"
columns = { InvoiceId = { rule = "keep" }, InvoiceDate = { rule = "generalise", to = "year" } }
"""
APART = JOB.replace(  # with last four digits, in a part of their own
    b"\n[[target]]\n",
    b"""
[[custody.custodian]]
name = "reconciliation"
recipient = "age1zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
shares = { needed = 2, of = 3 }
part = "last-four"

[[target]]
""",
    1,
).replace(b'to = "year" } }', b'to = "year" }, Card = { rule = "keep-last-4" } }')
FILES = b"""\
schema = "deleatur/job/v1"
name = "old-exports"
reason = "decommission"
authority = "retention schedule 4.2"
requested_by = "clerk-7"
policy = { approvals = 1 }

[[target]]
id = "exports"
url = "file:///srv/exports"
"""
KEPT = (
    JOB.replace(b"approvals = 2\n", b'approvals = 2\nroles = ["legal", "it", "business"]\n')
    .replace(  # with the 3-2-1 copies, and who signs receipts
        b'retain_until = "2036-12-31"\n',
        b"""retain_until = "2036-12-31"
laws = ["DE"]
""",
    )
    .replace(
        b'\n[[custody.custodian]]\nname = "board"\n',
        b'key = "records.pub"\n\n[[custody.custodian]]\nname = "board"\nkey = "board.pub"\n',
    )
    .replace(
        b"\n[[target]]\n",
        b"""
[[custody.copy]]
id = "vault"
url = "file:///mnt/vault/archives"
medium = "disk"
site = "head-office"
law = "DE"

[[custody.copy]]
id = "stick"
url = "file:///mnt/stick/archives"
medium = "flash"
site = "head-office"
law = "DE"

[[custody.copy]]
id = "mine"
url = "file:///mnt/mine/archives"
medium = "tape"
site = "salt-mine"
law = "AT"

[[custody.transfer]]
law = "DE"
to = "AT"
record = "transfer-2026-3.toml"

[[target]]
""",
    )
)
SPACE = b"""
[[free_space]]
id = "data-disk"
folder = "/srv"
margin = 0
"""
MAPPED = b"""
[datamap]
file = "datamap.toml"
packs = ["house.toml"]
laws = ["DE"]
leaves = ["tape-2019"]
"""
PAPERS = b"""
[[paper]]
id = "impact-2026"
kind = "assessment"
file = "impact.pdf"

[[paper]]
id = "consents"
kind = "consent"
file = "consents.csv"
"""
STAFF = b"""
[staff]
operator = "trained"
"""
RISK = b"""\
[target.archive.risk]
quasi = ["born", "zip"]
k = 5
sensitive = "debt"
l = 2
suppress = "0.02"
ladder = [{ column = "born", to = "decade" }, { column = "zip", to = "first-letter" }]

[target.archive.columns]
born = { rule = "generalise", to = "year" }
zip = { rule = "generalise", to = "first-3" }
debt = { rule = "keep" }
name = { rule = "drop" }
"""
MEASURED = JOB[: JOB.index(b"columns = ")] + RISK
CONDITION = b'{ column = "Country", operator = "=", value = "Germany" }'


DRIVE = b"""[[target]]
id = "disk"
url = "block:///dev/disk/by-id/ata-EXAMPLE_S3Z1NB0K123456"
technique = "overwrite-device"
lift_hidden = true

"""


def job_good() -> Made:
    good = {"decoder": "job", "expect": "ok"}
    yield "job/good-files", vector_text(good | {"comment": "files, one approval"}, FILES)
    yield "job/good-rows", vector_text(good | {"comment": "rows, archive, custodians"}, JOB)
    live = swap(JOB, b'url = "sqlite:', b'others_write = true\nurl = "sqlite:')
    yield "job/good-others-write", vector_text(good | {"comment": "writers go on"}, live)
    left = swap(FILES, b'url = "file:', b'leave_shared = true\nurl = "file:')
    yield "job/good-leave-shared", vector_text(good | {"comment": "snapshots keep theirs"}, left)
    drive = swap(JOB, b"[[target]]", DRIVE + b"[[target]]")
    yield "job/good-lift-hidden", vector_text(good | {"comment": "hidden sectors too"}, drive)
    carved = swap(drive, b"[verification]", b'[verification]\ncarver = "foremost"')
    yield "job/good-carver", vector_text(good | {"comment": "a second opinion"}, carved)
    yield "job/good-last-four", vector_text(good | {"comment": "last four digits apart"}, APART)
    yield "job/good-kept", vector_text(good | {"comment": "three copies, receipts, a transfer"}, KEPT)
    yield "job/good-risk", vector_text(good | {"comment": "k and l, a share, a ladder"}, MEASURED)
    records = swap(FILES, b"[[target]]", b'records = ["processors"]\n[[target]]')
    yield "job/good-records", vector_text(good | {"comment": "others destroyed theirs before"}, records)
    yield "job/good-staff", vector_text(good | {"comment": "who runs it is trained"}, FILES + STAFF)
    yield "job/good-free-space", vector_text(good | {"comment": "and the free blocks"}, JOB + SPACE)
    yield "job/good-papers", vector_text(good | {"comment": "an assessment and consents"}, FILES + PAPERS)
    yield "job/good-mapped", vector_text(good | {"comment": "it rests on a data map"}, FILES + MAPPED)
    for name, condition, comment in (
        (
            "in-file",
            b'{ column = "Email", operator = "in", values_from = "names.txt" }',
            "names come from a file",
        ),
        (
            "date",
            b'{ column = "Born", operator = "<", value = "1920-01-01T00:00:00Z" }',
            "a date has many digits",
        ),
        ("null", b'{ column = "Fax", operator = "is-null" }', "no operand"),
        (
            "within",
            b'{ column = "Id", operator = "within", within = { table = "Order", column = "Customer" } }',
            "values of another table",
        ),
        ("largest-integer", b'{ column = "Id", operator = "=", value = 9007199254740991 }', "2^53 - 1"),
    ):
        yield f"job/good-{name}", vector_text(good | {"comment": comment}, swap(JOB, CONDITION, condition))


def job_bad() -> Made:
    where = "$.target[0].select[0].where[0]"
    yield bad("job/too-large", "too-large", "$", "one byte over the limit", FILES.ljust(MAX_JOB + 1, b"\n"))
    yield bad("job/bom", "encoding", "byte 0", "a byte order mark", b"\xef\xbb\xbf" + FILES)
    yield bad("job/not-utf-8", "encoding", "byte 35", "Latin-1", swap(FILES, b"old-exports", b"\xfcber"))
    yield bad("job/utf-16", "encoding", "byte 0", "UTF-16", FILES.decode().encode("utf-16"))
    yield bad("job/empty", "missing-key", "$", "nothing at all", b"")
    yield bad("job/syntax", "syntax", "line 2, column 8", "no equals sign", swap(FILES, b"name =", b"name  "))
    control = swap(FILES, b"old-exports", b"old\x07exports")
    yield bad("job/control-character", "syntax", "line 2, column 12", "TOML forbids it", control)
    twice = swap(FILES, b'name = "old-exports"\n', b'name = "old-exports"\nname = "new"\n')
    yield bad("job/key-twice", "duplicate-key", "line 3, column 13", "which of them counts?", twice)
    yield bad(
        "job/table-twice",
        "duplicate-key",
        "line 38, column 8",
        "two policies",
        JOB + b"\n[policy]\napprovals = 1\n",
    )
    deep = b"x = " + b"[" * 5000 + b"]" * 5000 + b"\n"
    yield bad("job/arrays-too-deep", "too-deep", "$", "5000 arrays", deep + FILES, compressed=True)
    dotted = b".".join([b"x"] * 50_000) + b" = 1\n"
    yield bad(
        "job/dotted-key-too-deep", "too-deep", "$", "tables in a dotted key", dotted + FILES, compressed=True
    )
    for name, number in (("nan", b"nan"), ("infinity", b"inf"), ("integer-too-large", b"9007199254740992")):
        text = swap(JOB, b'"Germany"', number)
        yield bad(f"job/{name}", "number", f"{where}.value", "JSON has no such number", text)
    thousands = swap(JOB, b'"Germany"', b"9" * 5000)
    yield bad("job/integer-of-5000-digits", "number", "$", "slow to read", thousands, compressed=True)
    yield from _job_form(where)
    yield from _job_rules(where)


def _job_form(where: str) -> Made:
    for name, old, new, kind, place, comment in (
        (
            "unknown-key",
            b"approvals = 1",
            b"aprovals = 1",
            "unknown-key",
            "$.policy",
            "misspelt: the default must not apply",
        ),
        ("missing-key", b'requested_by = "clerk-7"\n', b"", "missing-key", "$", "who asks?"),
        ("schema-unknown", b"job/v1", b"job/v2", "bad-value", "$.schema", "a later version"),
        ("reason-unknown", b'"decommission"', b'"because"', "bad-value", "$.reason", "not on the list"),
        (
            "bool-for-integer",
            b"approvals = 1",
            b"approvals = true",
            "wrong-type",
            "$.policy.approvals",
            "true is not 1",
        ),
        (
            "float-for-integer",
            b"approvals = 1",
            b"approvals = 1.0",
            "wrong-type",
            "$.policy.approvals",
            "1.0 is not 1",
        ),
        (
            "text-for-integer",
            b"approvals = 1",
            b'approvals = "1"',
            "wrong-type",
            "$.policy.approvals",
            "text is not 1",
        ),
        (
            "no-approvals",
            b"approvals = 1",
            b"approvals = 0",
            "bad-value",
            "$.policy.approvals",
            "at least one",
        ),
        (
            "name-with-newline",
            b'"old-exports"',
            b'"old-exports\\n"',
            "bad-value",
            "$.name",
            "a newline at the end",
        ),
        ("name-with-slash", b'"old-exports"', b'"../exports"', "bad-value", "$.name", "a path"),
        ("date-for-text", b'"decommission"', b"2026-01-01", "wrong-type", "$.reason", "TOML has dates"),
        (
            "writing-direction",
            b"schedule",
            b"\\u202eschedule",
            "bad-value",
            "$.authority",
            "reads as something else",
        ),
    ):
        yield bad(f"job/{name}", kind, place, comment, swap(FILES, old, new))
    for name, old, new, kind, place, comment in (
        ("map-without-file", b'file = "datamap.toml"\n', b"", "missing-key", "$.datamap", "which map?"),
        ("law-unknown-form", b'"DE"', b'"Germany"', "bad-value", "$.datamap.laws[0]", "a code of ISO 3166"),
    ):
        yield bad(f"job/{name}", kind, place, comment, swap(FILES + MAPPED, old, new))
    none = FILES[: FILES.index(b"[[target]]")]
    yield bad("job/no-target", "missing-key", "$", "nothing to erase", none)
    yield bad("job/empty-targets", "bad-value", "$.target", "nothing to erase", none + b"target = []\n")
    text = swap(JOB, b'operator = "="', b'operator = "like"')
    yield bad("job/operator-unknown", "bad-value", f"{where}.operator", "not on the list", text)
    text = swap(FILES + PAPERS, b'kind = "consent"', b'kind = "rumour"')
    yield bad("job/paper-unknown", "bad-value", "$.paper[1].kind", "no such paper", text)
    text = swap(FILES + PAPERS, b'id = "consents"', b'id = "impact-2026"')
    yield bad("job/paper-twice", "repeated", "$.paper[1].id", "which one?", text)
    text = swap(FILES + STAFF, b'operator = "trained"', b'operator = "anybody"')
    yield bad("job/operator-anybody", "bad-value", "$.staff.operator", "leave [staff] out instead", text)
    text = swap(FILES + STAFF, b'operator = "trained"', b"")
    yield bad("job/staff-says-nothing", "missing-key", "$.staff", "who may run it?", text)
    text = swap(JOB, b'"records-office"\nrecipient = "age1', b'"records-office"\nrecipient = "ssh-')
    place = "$.custody.custodian[0].recipient"
    yield bad("job/recipient-not-age", "bad-value", place, "not an age recipient", text)


def _job_rules(where: str) -> Made:
    second = FILES[FILES.index(b"[[target]]") :]
    other = swap(second, b"/srv/exports", b"/srv/other")
    yield bad("job/target-id-twice", "repeated", "$.target[1].id", "which one?", FILES + other)
    other = swap(second, b'"exports"', b'"again"')
    yield bad("job/target-url-twice", "repeated", "$.target[1].url", "one target, two ids", FILES + other)
    twice = b'records = ["yard", "yard"]\n[[target]]'
    yield bad(
        "job/record-twice", "repeated", "$.records[1]", "one is enough", swap(FILES, b"[[target]]", twice)
    )
    two = swap(KEPT, b', "business"]', b"]")
    yield bad("job/transfer-by-two", "approvals", "$.policy.roles", "three approve what goes abroad", two)
    one = swap(JOB, b"approvals = 2", b"approvals = 1")
    twice = swap(JOB, b"approvals = 2", b'approvals = 2\nroles = ["legal", "legal"]')
    yield bad("job/role-twice", "repeated", "$.policy.roles[1].role", "one role, two approvals?", twice)
    roles = swap(JOB, b"approvals = 2", b'approvals = 2\nroles = ["finance", "legal"]')
    yield "job/good-roles", vector_text({"decoder": "job", "expect": "ok", "comment": "by role"}, roles)
    yield bad(
        "job/one-approval-for-free-space",
        "approvals",
        "$.policy.approvals",
        "it writes to a whole disk",
        FILES + SPACE,
    )
    yield bad("job/free-space-twice", "repeated", "$.free_space[1].id", "which margin?", JOB + SPACE + SPACE)
    yield bad(
        "job/free-space-without-margin",
        "missing-key",
        "$.free_space[0]",
        "a full disk stops other programs: nobody decides that in silence",
        swap(JOB + SPACE, b"margin = 0\n", b""),
    )
    yield bad("job/one-approval-for-rows", "approvals", "$.policy.approvals", "files only", one)
    for name, condition, place in (
        ("value-missing", b'{ column = "A", operator = "=" }', ""),
        ("value-and-values", b'{ column = "A", operator = "=", value = 1, values = [2] }', ""),
        ("values-for-equals", b'{ column = "A", operator = "=", values = [1] }', ""),
        ("values-and-file", b'{ column = "A", operator = "in", values = [1], values_from = "x" }', ""),
        ("values-empty", b'{ column = "A", operator = "in", values = [] }', ".values"),
        ("value-for-is-null", b'{ column = "A", operator = "is-null", value = 1 }', ""),
        ("within-missing", b'{ column = "A", operator = "within" }', ""),
    ):
        text = swap(JOB, CONDITION, condition)
        yield bad(f"job/{name}", "operand", where + place, "the operand does not fit the operator", text)
    for name, condition, place in (
        ("mail-address", b'{ column = "A", operator = "=", value = "a@b" }', ".value"),
        ("telephone-number", b'{ column = "A", operator = "=", value = "+00 00 00000" }', ".value"),
        ("arabic-digits", '{ column = "A", operator = "=", value = "٠٠٠٠٠٠٠" }'.encode(), ".value"),
        ("mail-address-in-list", b'{ column = "A", operator = "in", values = ["a", "a@b"] }', ".values[1]"),
        (
            "mail-address-within",
            b'{ column = "A", operator = "within", within = { table = "T", column = "C", '
            b'where = [{ column = "A", operator = "=", value = "a@b" }] } }',
            ".within.where[0].value",
        ),
    ):
        text = swap(JOB, CONDITION, condition)
        yield bad(f"job/{name}", "personal", where + place, "it looks like it names a person", text)
    for name, old, new, kind, place, comment in (
        (
            "mail-address-in-authority",
            b"schedule 4.2",
            b"a@b",
            "personal",
            "$.authority",
            "ends in the certificate",
        ),
        (
            "no-such-date",
            b"2036-12-31",
            b"2036-02-30",
            "bad-value",
            "$.custody.retain_until",
            "30 February",
        ),
        (
            "generalise-to-nothing",
            b', to = "year"',
            b"",
            "missing-key",
            "$.target[0].archive[0].columns.InvoiceDate",
            "to what?",
        ),
        (
            "keep-to-year",
            b'"keep"',
            b'"keep", to = "year"',
            "contradiction",
            "$.target[0].archive[0].columns.InvoiceId.to",
            "keep, or generalise?",
        ),
        (
            "rows-of-a-file",
            b"sqlite:",
            b"file:",
            "contradiction",
            "$.target[0]",
            "would erase the whole file",
        ),
        (
            "others-write-and-no-row-stays",
            b'[[target.select]]\ntable = "Customer"\nwhere = [' + CONDITION + b"]\n",
            b"others_write = true\n",
            "contradiction",
            "$.target[0].others_write",
            "to what would they write?",
        ),
        (
            "leave-shared-of-rows",
            b'url = "sqlite:',
            b'leave_shared = true\nurl = "sqlite:',
            "contradiction",
            "$.target[0].leave_shared",
            "a database has no reflinks of its own",
        ),
        (
            "lift-hidden-of-rows",
            b'url = "sqlite:',
            b'lift_hidden = true\nurl = "sqlite:',
            "contradiction",
            "$.target[0].lift_hidden",
            "a database is no drive",
        ),
        (
            "lift-hidden-and-search",
            b"[verification]",
            DRIVE + b"[verification]\ndevice = true",
            "contradiction",
            "$.verification.device",
            "what is hidden cannot be searched before",
        ),
        ("url-without-scheme", b"sqlite:///srv", b"/srv", "bad-value", "$.target[0].url", "which backend?"),
        (
            "password-in-url",
            b"sqlite:///",
            b"sqlite://u:p@h/",
            "secret",
            "$.target[0].url",
            "documents are shown",
        ),
        (
            "confidence-zero",
            b'mode = "full"',
            b'confidence = "0.0"',
            "bad-value",
            "$.verification.confidence",
            "none",
        ),
    ):
        yield bad(f"job/{name}", kind, place, comment, swap(JOB, old, new))
    yield from _custody()
    yield from _risk()
    start, end = JOB.index(b"[custody]"), JOB.index(b"[[target]]")
    yield bad(
        "job/no-custodian",
        "no-custodian",
        "$.custody",
        "who can open the archive?",
        JOB[:start] + JOB[end:],
    )


def _risk() -> Made:
    """One fault each in how far rows may be told apart."""
    for name, old, new, kind, place, comment in (
        ("quasi-twice", b'"born", "zip"', b'"born", "born"', "repeated", ".quasi[1].column", "counted twice"),
        ("quasi-dropped", b'"born", "zip"', b'"born", "name"', "contradiction", ".quasi[1]", "is not there"),
        ("quasi-unknown", b'"born", "zip"', b'"born", "city"', "contradiction", ".quasi[1]", "has no rule"),
        ("quasi-none", b'"born", "zip"', b"", "bad-value", ".quasi", "all rows are one group"),
        (
            "sensitive-dropped",
            b'sensitive = "debt"',
            b'sensitive = "name"',
            "contradiction",
            ".sensitive",
            "",
        ),
        ("sensitive-quasi", b'sensitive = "debt"', b'sensitive = "zip"', "contradiction", ".sensitive", ""),
        ("l-of-nothing", b'sensitive = "debt"\n', b"", "missing-key", "", "values of which column?"),
        ("k-one", b"k = 5", b"k = 1", "bad-value", ".k", "asks nothing"),
        ("suppress-all", b'"0.02"', b'"1"', "bad-value", ".suppress", "nothing would be left"),
        ("ladder-finer", b'to = "decade"', b'to = "year"', "contradiction", ".ladder[0]", "no coarser"),
        ("ladder-kept", b'{ column = "zip"', b'{ column = "debt"', "contradiction", ".ladder[1]", ""),
        (
            "ladder-again",
            b'"zip", to = "first-letter"',
            b'"born", to = "decade"',
            "contradiction",
            ".ladder[1]",
            "",
        ),
    ):
        where = f"$.target[0].archive[0].risk{place}"
        yield bad(f"job/risk-{name}", kind, where, comment, swap(MEASURED, old, new))


def _custody() -> Made:
    """One fault each in who keeps the archive, and in which copies."""
    where = "$.custody"
    second = JOB.index(b"[[custody.custodian]]", JOB.index(b'"records-office"'))
    one = JOB[:second] + JOB[JOB.index(b"[[target]]") :]
    yield bad("job/one-custodian", "one-custodian", f"{where}.custodian", "one key that can be lost", one)
    third = KEPT[KEPT.index(b'[[custody.copy]]\nid = "mine"') : KEPT.index(b"[[custody.transfer]]")]
    for name, text, old, new, kind, place, comment in (
        ("custodian-twice", JOB, b'"board"', b'"records-office"', "repeated", ".custodian[1].name", "who?"),
        (
            "recipient-twice",
            JOB,
            b"age1" + b"y" * 58,
            b"age1" + b"x" * 58,
            "repeated",
            ".custodian[1].recipient",
            "one",
        ),
        (
            "shares-of-few",
            JOB,
            b"needed = 2, of = 3",
            b"needed = 3, of = 2",
            "contradiction",
            ".custodian[1].shares",
            "3 of 2",
        ),
        (
            "share-alone",
            JOB,
            b"needed = 2, of = 3",
            b"needed = 1, of = 3",
            "bad-value",
            ".custodian[1].shares.needed",
            "one opens",
        ),
        (
            "laws-without-copies",
            JOB,
            b'[[custody.custodian]]\nname = "rec',
            b'laws = ["DE"]\n[[custody.custodian]]\nname = "rec',
            "contradiction",
            "",
            "of which copies?",
        ),
        ("two-copies", KEPT, third, b"", "copies", ".copy", "two copies are not three"),
        ("one-medium", KEPT, b'"flash"', b'"disk"', "copies", ".copy", ""),
        ("one-site", KEPT, b'"salt-mine"', b'"head-office"', "copies", ".copy", "none is elsewhere"),
        ("copy-twice", KEPT, b'"stick"', b'"vault"', "repeated", ".copy[1].id", "one copy, counted twice"),
        (
            "copy-place-twice",
            KEPT,
            b"/mnt/stick",
            b"/mnt/vault",
            "repeated",
            ".copy[1].url",
            "one place, counted twice",
        ),
        (
            "copy-in-no-folder",
            KEPT,
            b"file:///mnt/stick",
            b"ftp://stick",
            "bad-value",
            ".copy[1].url",
            "not a folder",
        ),
        (
            "receipt-without-key",
            KEPT,
            b'key = "board.pub"\n',
            b"",
            "missing-key",
            ".custodian[1]",
            "who signs?",
        ),
        (
            "one-key-two-receipts",
            KEPT,
            b'"board.pub"',
            b'"records.pub"',
            "repeated",
            ".custodian[1].key",
            "one signs twice",
        ),
        (
            "last-four-for-all",
            APART,
            b'part = "last-four"',
            b'part = "main"',
            "no-custodian",
            ".custodian",
            "last four digits, and nobody apart to open them",
        ),
        (
            "last-four-for-nobody",
            APART,
            b'"keep-last-4"',
            b'"mask"',
            "contradiction",
            ".custodian",
            "a part that is not there",
        ),
        (
            "last-four-one-key",
            APART,
            b'shares = { needed = 2, of = 3 }\npart = "last-four"',
            b'part = "last-four"',
            "one-custodian",
            ".custodian",
            "one key that can be lost",
        ),
        (
            "last-four-same-key",
            APART,
            b"age1" + b"z" * 58,
            b"age1" + b"x" * 58,
            "repeated",
            ".custodian[2].recipient",
            "a key of their own",
        ),
        ("laws-missing", KEPT, b'laws = ["DE"]\n', b"", "missing-key", ".laws", "may it lie there?"),
    ):
        changed = swap(text, old, new)
        if name == "one-medium":
            changed = swap(changed, b'"tape"', b'"disk"')
        yield bad(f"job/{name}", kind, where + place, comment or "one kind of medium", changed)
