"""Vectors of the plan."""

from making import Made, bad, swap
from msgspec.structs import replace

from deleatur.documents.codec import encode_json
from deleatur.documents.gates import (
    Allowed,
    CustodyGate,
    FollowGate,
    HoldGate,
    KeptCopy,
    KnownHold,
    KnownPaper,
    KnownRecord,
    KnownRegister,
    LeftCopy,
    MapGate,
    Member,
    NoticeGate,
    NotVerified,
    PaperGate,
    ReadFile,
    RecordGate,
    StaffGate,
    WithoutNotice,
)
from deleatur.documents.job import Condition, FreeSpace, Policy, Recipients, Selection, Target, Verification
from deleatur.documents.ledger import LetterDigest
from deleatur.documents.place import Identity, Pattern, Sampling, Step, Surface, Unit
from deleatur.documents.plan import (
    Plan,
    PlannedFill,
    PlannedHost,
    PlannedTarget,
    PluginPin,
    PublicKey,
    RoleKeys,
    Software,
)
from deleatur.testing.vectors import vector_text

KEYS = (PublicKey(name="key-a", spki="AAAA"), PublicKey(name="key-b", spki="BBBB"))
TARGET = Target(
    id="shop",
    url="sqlite:///srv/shop.sqlite",
    select=(
        Selection(table="Customer", where=(Condition(column="Country", operator="=", value="Germany"),)),
    ),
)
PLAN = Plan(
    schema="deleatur/plan/v1",
    id="0" * 32,
    job="customers-germany",
    job_digest="1" * 64,
    reason="retention-expired",
    authority="retention schedule 4.2",
    requested_by="clerk-7",
    created_at="2026-01-02T03:04:05Z",
    planned_by=KEYS[0],
    approvers=KEYS,
    roles=(),
    policy=Policy(),
    verification=Verification(),
    custody=None,
    targets=(
        PlannedTarget(
            id="shop",
            target=TARGET,
            identity=Identity(kind="sqlite", fields=(("path", "/srv/shop.sqlite"),)),
            size=4,
            units=(Unit(name="table Customer", size=4, digest="2" * 64),),
            held=(),
            kept=(),
            technique="rewrite-and-shred",
            limits=(),
            surfaces=(Surface(name="database file", reach="scannable", paths=("/srv/shop.sqlite",)),),
            sampling=Sampling(mode="full", count=459, seed="3" * 64),
            plugin=PluginPin(
                distribution="deleatur",
                version="0.1.0",
                record_digest="4" * 64,
                entry_point="deleatur_plugins.sqlite:SqliteBackend",
            ),
        ),
    ),
    steps=(
        Step(
            id="s1",
            target="shop",
            technique="rewrite-and-shred",
            action="rewrite",
            compare="absence",
            pattern=Pattern(kind="aes-256-ctr", key="5" * 64),
        ),
    ),
    free_space=(),
    gates=(),
    host=PlannedHost(name="files-1", machine="3a" * 32),
    software=Software(agent="deleatur", version="0.1.0", python="3.11.7", record_digest="6" * 64),
)


FILL = PlannedFill(
    id="data-disk",
    asked=FreeSpace(id="data-disk", folder="/srv", margin=0),
    identity=Identity(
        kind="file-system", fields=(("type", "ext4"), ("uuid", "00-01"), ("mount-point", "/srv"))
    ),
    size=4096,
    limits=("flash",),
    targets=("shop",),
    pattern=Pattern(kind="aes-256-ctr", key="8" * 64),
)
GATE = MapGate(
    file="/srv/datamap.toml",
    digest="7" * 64,
    owners=1,
    people=4,
    laws=("DE",),
    packs=("eu-gdpr 2026.1",),
    unverified=(NotVerified(place="mailbox", state="attested"),),
    left=(LeftCopy(target="shop", place="tape", kind="backup"),),
    lowered=(),
)
HELD = HoldGate(
    register=KnownRegister(
        file="/etc/deleatur/holds.jsonl",
        head="5e" * 32,
        entries=7,
        holds=(KnownHold(id="case-7", matter="court-order", authority="a court", case="3 O 17/26"),),
    ),
    policies=(ReadFile(file="/etc/deleatur/matters.toml", digest="6f" * 32),),
    matters=2,
)
FOLLOWS = FollowGate(
    file="/srv/jobs/shop/certificate/certificate.dsse.json", digest="4d" * 32, job="shop", held=2
)
KEEPING = CustodyGate(
    copies=tuple(
        KeptCopy(id=name, folder=f"/mnt/{name}", medium=medium, site=site, law="DE")
        for name, medium, site in (
            ("vault", "disk", "hq"),
            ("stick", "flash", "hq"),
            ("mine", "tape", "mine"),
        )
    ),
    custodians=(PublicKey(name="records", spki="MCow"), PublicKey(name="board", spki="MCox")),
    last_four=(),
    laws=("DE",),
    packs=("eu-gdpr 2026.1",),
    transfers=(Allowed(id="transfer-7", law="CN", to="DE", until="2027-10-31", digest="8" * 64),),
)
ATTESTED = RecordGate(
    digest="7a" * 32,
    records=(
        KnownRecord(
            id="processors-2026",
            folder="processors",
            digest="7b" * 32,
            signers=("SHA256:Nf2pYkyjnH2TO5Y5bzbRCSzKTiDU4KNVmzPkhvKqYzE",),
            exceptions=1,
            days_late=2,
        ),
    ),
)
PAPERS = PaperGate(
    digest="7c" * 32,
    papers=(KnownPaper(id="consents", kind="consent", file="consents.csv", digest="7d" * 32),),
)
STAFF = StaffGate(
    operator="trained",
    people=(
        Member(name="lawyer-1", keys=("AAAA", "CCCC"), trained_until=None),
        Member(name="technician-4", keys=("BBBB",), trained_until="2026-12-31"),
    ),
)
RESTING = replace(PLAN, gates=(GATE,))
NOTICE = NoticeGate(
    folder="/srv/notice",
    digest="8" * 64,
    entries=9,
    sealed_by="MCow",
    days=30,
    packs=("default",),
    cut_off="2026-12-23",
    last_told="2026-11-22T03:04:02.000Z",
    opens="2026-12-24T12:00:00Z",
    letters=(LetterDigest(language="de", digest="9" * 64),),
    recipients=(Recipients(target="shop", table="Customer", subject="CustomerId", email="Email"),),
    undelivered="except",
    told=3,
    unreached=1,
    replied=0,
)
UNTOLD = WithoutNotice(reason="found and destroyed at once", digest="a" * 64, days=30)


def _gates() -> Made:
    text = encode_json(RESTING)
    for name, old, new, kind, place, comment in (
        (
            "gate-unknown",
            b'"kind":"datamap"',
            b'"kind":"moon"',
            "bad-value",
            "$.gates[0].kind",
            "no such gate",
        ),
        (
            "gate-other-target",
            b'"target":"shop","place"',
            b'"target":"shed","place"',
            "contradiction",
            "$.gates[0].left[0].target",
            "a copy of what?",
        ),
    ):
        yield bad(f"plan/{name}", kind, place, comment, swap(text, old, new))
    kept = {"decoder": "plan", "expect": "ok", "comment": "its archives are kept in copies"}
    yield "plan/good-kept", vector_text(kept, encode_json(replace(PLAN, gates=(GATE, KEEPING))))
    twice = encode_json(replace(PLAN, gates=(GATE, GATE)))
    notice = encode_json(replace(PLAN, gates=(NOTICE,)))
    header = {"decoder": "plan", "expect": "ok"}
    yield "plan/good-notice", vector_text(header | {"comment": "people were told"}, notice)
    unknown = encode_json(replace(PLAN, host=PlannedHost(name="files-1", machine="")))
    yield "plan/good-host-by-name", vector_text(header | {"comment": "a host without a machine-id"}, unknown)
    none = encode_json(replace(PLAN, gates=(UNTOLD,)))
    yield "plan/good-without-notice", vector_text(header | {"comment": "nobody was told, as decided"}, none)
    yield bad(
        "plan/gate-other-recipients",
        "contradiction",
        "$.gates[0].recipients[0].target",
        "people of what?",
        swap(
            notice,
            b'"target":"shop","table":"Customer","subject"',
            b'"target":"shed","table":"Customer","subject"',
        ),
    )
    yield bad("plan/gate-twice", "repeated", "$.gates[1].kind", "which one counts?", twice)


def _free_space() -> Made:
    text = encode_json(replace(PLAN, free_space=(FILL,)))
    header = {"decoder": "plan", "expect": "ok", "comment": "and the free space of its disk"}
    yield "plan/good-free-space", vector_text(header, text)
    for name, old, new, kind, place, comment in (
        (
            "other-id",
            b'"asked":{"id":"data-disk"',
            b'"asked":{"id":"other"',
            "contradiction",
            "$.free_space[0].asked.id",
            "which one was asked for?",
        ),
        (
            "of-no-target",
            b'"targets":["shop"]',
            b'"targets":["shed"]',
            "contradiction",
            "$.free_space[0].targets",
            "whose limits would it lift?",
        ),
        (
            "without-type",
            b'["type","ext4"]',
            b'["kind","ext4"]',
            "missing-key",
            "$.free_space[0].identity",
            "nobody knows what it reaches",
        ),
    ):
        yield bad(f"plan/free-space-{name}", kind, place, comment, swap(text, old, new))
    twice = encode_json(replace(PLAN, free_space=(FILL, FILL)))
    yield bad("plan/free-space-twice", "repeated", "$.free_space[1].id", "which one counts?", twice)


def plan() -> Made:
    yield from _free_space()
    yield from _gates()
    text = encode_json(PLAN)
    unasked = (RoleKeys(role="legal", keys=(PLAN.approvers[0].spki,)),)
    yield bad(
        "plan/role-unasked",
        "contradiction",
        "$.roles",
        "a role that the policy does not ask for",
        encode_json(replace(PLAN, roles=unasked)),
    )
    yield (
        "plan/good",
        vector_text({"decoder": "plan", "expect": "ok", "comment": "one target, one step"}, text),
    )
    header = {"decoder": "plan", "expect": "ok", "comment": "it rests on a data map"}
    yield "plan/good-gate", vector_text(header, encode_json(RESTING))
    header = {
        "decoder": "plan",
        "expect": "ok",
        "comment": "a map, a job that it goes on with, a register of holds and open matters",
    }
    yield "plan/good-gate-holds", vector_text(header, encode_json(replace(PLAN, gates=(GATE, FOLLOWS, HELD))))
    header = {"decoder": "plan", "expect": "ok", "comment": "records of what others destroyed before"}
    yield "plan/good-gate-records", vector_text(header, encode_json(replace(PLAN, gates=(ATTESTED,))))
    papers = encode_json(replace(PLAN, gates=(PAPERS,)))
    yield "plan/good-gate-papers", vector_text(header | {"comment": "papers that nobody here reads"}, papers)
    staff = encode_json(replace(PLAN, gates=(STAFF,)))
    yield "plan/good-gate-staff", vector_text(header | {"comment": "who is who"}, staff)
    same = swap(staff, b'"keys":["BBBB"]', b'"keys":["CCCC"]')
    yield bad("plan/key-of-two-people", "repeated", "$.gates[0].people.keys[2]", "whose is it?", same)
    same = swap(staff, b'"technician-4"', b'"lawyer-1"')
    yield bad("plan/person-twice", "repeated", "$.gates[0].people[1].name", "who is who?", same)
    size = b'"size":4,"units"'
    for name, old, new, kind, place, comment in (
        (
            "key-twice",
            size,
            b'"size":4,"size":5,"units"',
            "duplicate-key",
            "$.targets[0]",
            "which one counts?",
        ),
        ("unknown-key", size, b'"size":4,"site":5,"units"', "unknown-key", "$.targets[0]", "not ours"),
        ("missing-key", size, b'"units"', "missing-key", "$.targets[0]", "no size"),
        ("wrong-type", size, b'"size":"4","units"', "wrong-type", "$.targets[0].size", "text for a number"),
        (
            "bool-for-integer",
            size,
            b'"size":true,"units"',
            "wrong-type",
            "$.targets[0].size",
            "true is not 1",
        ),
        (
            "null-for-integer",
            size,
            b'"size":null,"units"',
            "wrong-type",
            "$.targets[0].size",
            "null is not 0",
        ),
        ("negative-size", size, b'"size":-4,"units"', "bad-value", "$.targets[0].size", "below nothing"),
        ("nan", size, b'"size":NaN,"units"', "number", "$.targets[0].size", "not JSON"),
        ("infinity", size, b'"size":1e999,"units"', "number", "$.targets[0].size", "too large for a double"),
        (
            "integer-too-large",
            size,
            b'"size":9007199254740992,"units"',
            "number",
            "$.targets[0].size",
            "2^53",
        ),
        ("lone-surrogate", b"schedule", b"\\ud800", "encoding", "$.authority", "not Unicode"),
        ("not-utf-8", b"schedule", b"\xff", "encoding", f"byte {text.index(b'schedule')}", "not UTF-8"),
        ("machine-short", b"3a" * 32, b"3a" * 31, "bad-value", "$.host.machine", "62 digits"),
        ("host-without-name", b'"files-1"', b'""', "bad-value", "$.host.name", "no host has none"),
        ("digest-short", b"1" * 64, b"1" * 63, "bad-value", "$.job_digest", "63 digits"),
        ("digest-capital", b"1" * 64, b"A" * 64, "bad-value", "$.job_digest", "one spelling only"),
        (
            "digest-newline",
            b"1" * 64,
            b"1" * 64 + b"\\n",
            "bad-value",
            "$.job_digest",
            "a newline at the end",
        ),
        (
            "mode-unknown",
            b'"verification":{"mode":"full"',
            b'"verification":{"mode":"fast"',
            "bad-value",
            "$.verification.mode",
            "not ours",
        ),
        ("spaces", size, b'"size": 4,"units"', "not-canonical", "$", "the same plan, other bytes"),
        (
            "escaped",
            b'"customers-germany"',
            b'"\\u0063ustomers-germany"',
            "not-canonical",
            "$",
            "other bytes",
        ),
        (
            "kept-unasked",
            b'"kept":[]',
            b'"kept":[{"unit":"table Customer","by":"inode-9"}]',
            "contradiction",
            "$.targets[0].kept[0]",
            "the job leaves nothing",
        ),
        (
            "shown-unasked",
            b'"shown":null',
            b'"shown":3',
            "contradiction",
            "$.targets[0].shown",
            "nothing is lifted",
        ),
        (
            "lift-unasked",
            b'"action":"rewrite","compare":"absence"',
            b'"action":"lift","compare":"size"',
            "contradiction",
            "$.steps",
            "no drive hides anything",
        ),
        ("lies-short", b'"lies":""', b'"lies":"ab"', "bad-value", "$.targets[0].units[0].lies", "2 digits"),
        ("step-number", b'"id":"s1"', b'"id":"s2"', "contradiction", "$.steps[0].id", "the first is s1"),
        (
            "step-without-target",
            b'"s1","target":"shop"',
            b'"s1","target":"shed"',
            "contradiction",
            "$.steps[0]",
            "no shed",
        ),
        (
            "other-target",
            b'"target":{"id":"shop"',
            b'"target":{"id":"shed"',
            "contradiction",
            "$.targets[0].target.id",
            "",
        ),
        (
            "device-without-control",
            b'"name":"database file","reach":"scannable","paths":["/srv/shop.sqlite"],"reason":"",'
            b'"decoders":[],"control":"own"',
            b'"name":"block device","reach":"scannable","paths":["/dev/sda1"],"reason":"",'
            b'"decoders":[],"control":"none"',
            "contradiction",
            "$.targets[0].surfaces[0].control",
            "a blind scan would count",
        ),
        (
            "control-unknown",
            b'"control":"own"',
            b'"control":"shared"',
            "bad-value",
            "$.targets[0].surfaces[0].control",
            "whose?",
        ),
        ("approver-twice", b'"BBBB"', b'"AAAA"', "repeated", "$.approvers[1].spki", "one key, two names"),
        (
            "keystream-without-pattern",
            b'"compare":"absence","pattern":{"kind":"aes-256-ctr","key":"' + b"5" * 64 + b'","cycle":""}',
            b'"compare":"keystream","pattern":null',
            "missing-key",
            "$.steps[0]",
            "compared with what?",
        ),
        (
            "keystream-without-key",
            b'"key":"' + b"5" * 64 + b'","cycle":""',
            b'"key":"","cycle":""',
            "bad-value",
            "$.steps[0].pattern",
            "the stream of which key?",
        ),
        (
            "bytes-with-key",
            b'"kind":"aes-256-ctr","key":"' + b"5" * 64 + b'","cycle":""',
            b'"kind":"bytes","key":"' + b"5" * 64 + b'","cycle":"00"',
            "bad-value",
            "$.steps[0].pattern",
            "one or the other",
        ),
    ):
        yield bad(f"plan/{name}", kind, place, comment or "two ids", swap(text, old, new))
    surface = PLAN.targets[0].surfaces[0]
    twice = encode_json(replace(PLAN, targets=(replace(PLAN.targets[0], surfaces=(surface, surface)),)))
    place = "$.targets[0].surfaces[1].name"
    yield bad("plan/surface-twice", "repeated", place, "which one was searched?", twice)
    yield bad("plan/no-newline", "not-canonical", "$", "the newline at the end is missing", text[:-1])
    yield bad("plan/two-newlines", "not-canonical", "$", "a line too many", text + b"\n")
    yield bad("plan/truncated", "syntax", "character 1200", "half a plan", text[:1200])
    yield bad("plan/trailing", "syntax", f"character {len(text)}", "two plans", text + text)
    yield bad("plan/bom", "encoding", "byte 0", "a byte order mark", b"\xef\xbb\xbf" + text)
    yield bad("plan/array", "wrong-type", "$", "not an object", b"[]\n")
    yield bad("plan/empty", "syntax", "character 0", "nothing at all", b"")
    yield bad("plan/too-deep", "too-deep", "$", "100,000 arrays", b"[" * 100_000, compressed=True)
    reordered = b'{"id":"' + b"0" * 32 + b'","schema":"deleatur/plan/v1",' + text[text.index(b'"job"') :]
    yield bad("plan/reordered", "not-canonical", "$", "the same keys in another order", reordered)
