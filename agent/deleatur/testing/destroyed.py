"""Records of destruction that are sound, for tests to break: a disk, a stick and boxes of paper."""

from pathlib import Path

from deleatur.testing.workbench import signing_key

SHREDCO, ALICE = signing_key("shredco", 21), signing_key("alice", 22)
BOB, CAROL = signing_key("bob", 23), signing_key("carol", 24)
AT = "2026-11-20T12:00:00Z"  # the same day as the destruction

VENDORS = f"""\
schema = "deleatur/vendors/v1"
requires = ["ISO/IEC 27001"]

[[vendor]]
id = "shredco"
name = "Shred and Sons"
spki = "{SHREDCO.public.spki}"

[[vendor.certificate]]
standard = "ISO/IEC 27001"
number = "IS 700001"
issuer = "a certification body"
scope = "destruction of documents and data carriers at customers' sites"
carriers = ["paper", "hard-disk", "flash"]
issued = "2024-05-01"
expires = "2027-04-30"

[[vendor.operator]]
name = "op-7"
trained_until = "2027-01-31"

[[own_operator]]
name = "carol"
spki = "{CAROL.public.spki}"
trained_until = "2026-12-31"
"""

DESTRUCTION = f"""\
schema = "deleatur/destruction/v1"
id = "yard-2026-11-20"
authority = "plan of closing, part 7"
started = "2026-11-20T09:00:00Z"
ended = "2026-11-20T10:30:00Z"
place = "yard of the vendor, hall 2"
by = "shredco"
operator = "op-7"

[[item]]
serial = "ZC1ABC01"
carrier = "hard-disk"
what = "disk 1 of the shop's database"
maker = "Seagate"
model = "ST4000NM0035"

[[item]]
serial = "S4X7NF0M"
carrier = "flash"
what = "disk of the mail server"

[[item]]
serial = "BOX-1"
carrier = "paper"
what = "contracts 2010 to 2014"
boxes = 3
grams = 41500

[[handover]]
at = "2026-11-20T07:30:00Z"
giver = "it"
taker = "courier"
seal = "K-118"

[[handover]]
at = "2026-11-20T08:40:00Z"
giver = "courier"
taker = "shredco"
seal = "K-118"

[[treatment]]
technique = "degauss"
serials = ["ZC1ABC01"]
machine = "degausser 3"

[[treatment]]
technique = "shred"
serials = ["ZC1ABC01"]
level = "H-5"
particle = "300"

[[treatment]]
technique = "disintegrate"
serials = ["S4X7NF0M"]
level = "E-5"
particle = "9.5"

[[treatment]]
technique = "incinerate"
serials = ["BOX-1"]

[[evidence]]
file = "hall-2.mp4"
kind = "video"

[[evidence]]
file = "serials.jpg"
kind = "photo"
shows = ["ZC1ABC01", "S4X7NF0M"]

[[witness]]
name = "alice"
spki = "{ALICE.public.spki}"

[[witness]]
name = "bob"
spki = "{BOB.public.spki}"
"""


def _ordered(record: str) -> str:
    """Return the order that a record began as."""
    head, _, rest = record.partition("started = ")
    items, _, rest = rest[rest.index("[[item]]") :].partition("[[treatment]]")
    head = head.replace("deleatur/destruction/v1", "deleatur/order/v1") + 'by = "shredco"\n\n'
    return head + items + rest[rest.index("[[witness]]") :]


ORDER = _ordered(DESTRUCTION)
PROCESSORS = f"""\
schema = "deleatur/processors/v1"
id = "processors-2026"
keep_years = 3

[officer]
name = "carol"
spki = "{CAROL.public.spki}"

[[processor]]
id = "mailer"
name = "a sender of newsletters"
covers = "names and addresses of the newsletter, 2019 to 2026"
asked = "2026-10-01"

[processor.certificate]
file = "mailer.pdf"
received = "2026-11-18"
says = "all copies deleted on 2026-11-12, backups by 2026-12-12"

[[processor]]
id = "profiler"
name = "an agency for profiles"
covers = "profiles of all customers"
asked = "2026-10-01"
"""


def write_destruction(folder: Path, record: str = DESTRUCTION, vendors: str = VENDORS) -> Path:
    """Write the folder of a destruction that nobody has signed yet."""
    (folder / "evidence").mkdir(parents=True)
    (folder / "destruction.toml").write_text(record, "utf-8")
    (folder / "vendors.toml").write_text(vendors, "utf-8")
    (folder / "evidence" / "hall-2.mp4").write_bytes(b"a video of the hall" * 999)
    (folder / "evidence" / "serials.jpg").write_bytes(b"a photo of the serials")
    return folder


def write_processors(folder: Path, processors: str = PROCESSORS) -> Path:
    """Write the folder of a list of processors that nobody has signed yet."""
    (folder / "evidence").mkdir(parents=True)
    (folder / "processors.toml").write_text(processors, "utf-8")
    (folder / "evidence" / "mailer.pdf").write_bytes(b"%PDF-1.7 we deleted everything")
    return folder
