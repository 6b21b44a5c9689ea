"""The named ways to overwrite a whole device, as data: who asked for which passes, and if it still counts.

One pass is the default: NIST SP 800-88r2 §3.1.1 calls more of them unnecessary. The others are here for
whoever is bound to one. Whatever a standard asks, the last pass is read back.
"""

from typing import Literal

from deleatur.documents.place import Frozen

Status = Literal["current", "withdrawn", "never contained this"]

KEYSTREAM = "keystream"  # AES-256-CTR, a key of its own for each pass
RANDOM = "random"  # one byte, drawn when the plan is made
COMPLEMENT = "complement"  # of the byte of the pass before


class Standard(Frozen, frozen=True):
    """One named way. A pass is KEYSTREAM, RANDOM, COMPLEMENT, or the hex of the bytes that repeat."""

    id: str  # of the technique
    title: str
    issuer: str
    year: int
    status: Status
    passes: tuple[str, ...]
    verify: Literal["none", "last"]  # what it asks for itself
    source: str  # where the passes were read

    @property
    def repeats(self) -> bool:
        """Whether what is written last repeats every few bytes, and so is the same in many places."""
        return self.passes[-1] != KEYSTREAM


_NWIPE = "passes as in nwipe, src/method.c"
_SCRUB = "passes as in scrub, src/pattern.c"
_GUTMANN_FIXED = (
    *("55", "aa", "924924", "492492", "249249"),
    *(f"{n:x}{n:x}" for n in range(16)),
    *("924924", "492492", "249249", "6db6db", "b6db6d", "db6db6"),
)

STANDARDS: tuple[Standard, ...] = (
    Standard(
        id="overwrite-device",
        title="one pass of an AES-256-CTR keystream",
        issuer="NIST",
        year=2025,
        status="current",
        passes=(KEYSTREAM,),
        verify="last",
        source="SP 800-88r2 §3.1.1, Clear: one pass is enough",
    ),
    Standard(
        id="overwrite-device-zeros",
        title="one pass of zeros",
        issuer="NIST",
        year=2025,
        status="current",
        passes=("00",),
        verify="last",
        source="SP 800-88r2 §3.1.1, Clear: one fixed pass is enough",
    ),
    Standard(
        id="overwrite-device-ones",
        title="one pass of ones",
        issuer="NIST",
        year=2025,
        status="current",
        passes=("ff",),
        verify="last",
        source="SP 800-88r2 §3.1.1, Clear: one fixed pass is enough",
    ),
    Standard(
        id="overwrite-device-hmg-is5-enhanced",
        title="HMG Infosec Standard 5, enhanced: zeros, ones, random",
        issuer="CESG",
        year=2011,
        status="withdrawn",
        passes=("00", "ff", KEYSTREAM),
        verify="last",
        source=_NWIPE,
    ),
    Standard(
        id="overwrite-device-bmb21-2019",
        title="BMB21-2019: ones, zeros, three random passes, ones",
        issuer="State Secrets Protection Bureau of China",
        year=2019,
        status="current",
        passes=("ff", "00", KEYSTREAM, KEYSTREAM, KEYSTREAM, "ff"),
        verify="none",
        source=_NWIPE,
    ),
    Standard(
        id="overwrite-device-ops-ii",
        title="TSSIT OPS-II: a byte and its complement three times, then random",
        issuer="RCMP",
        year=1997,
        status="withdrawn",
        passes=("00", "ff", "00", "ff", "00", "ff", KEYSTREAM),
        verify="last",
        source="passes as the standard is commonly quoted",
    ),
    Standard(
        id="overwrite-device-nap-14.1-c",
        title="NAP-14.1-C: two random passes, zeros",
        issuer="NNSA",
        year=2008,
        status="withdrawn",
        passes=(KEYSTREAM, KEYSTREAM, "00"),
        verify="last",
        source=_SCRUB,
    ),
    Standard(
        id="overwrite-device-ar380-19",
        title="AR 380-19: zeros, ones, random",
        issuer="US Army",
        year=1998,
        status="withdrawn",
        passes=("00", "ff", KEYSTREAM),
        verify="none",
        source=_SCRUB,
    ),
    Standard(
        id="overwrite-device-bsi",
        title="the old BSI way: nine fixed bytes",
        issuer="BSI",
        year=2000,
        status="withdrawn",
        passes=("ff", "fe", "fd", "fb", "f7", "ef", "df", "bf", "7f"),
        verify="none",
        source=_SCRUB,
    ),
    Standard(
        id="overwrite-device-dod-short",
        title="the three passes called DoD 5220.22-M: a random byte, its complement, random",
        issuer="US Department of Defense",
        year=1995,
        status="never contained this",
        passes=(RANDOM, COMPLEMENT, KEYSTREAM),
        verify="last",
        source=f"{_NWIPE}; the manual itself has named no passes since 2006",
    ),
    Standard(
        id="overwrite-device-dod",
        title="the seven passes called DoD 5220.22-M ECE",
        issuer="US Department of Defense",
        year=1995,
        status="never contained this",
        passes=(RANDOM, COMPLEMENT, KEYSTREAM, RANDOM, RANDOM, COMPLEMENT, KEYSTREAM),
        verify="last",
        source=f"{_NWIPE}; the manual itself has named no passes since 2006",
    ),
    Standard(
        id="overwrite-device-schneier",
        title="Schneier: ones, zeros, five random passes",
        issuer="B. Schneier, Applied Cryptography",
        year=1996,
        status="withdrawn",
        passes=("ff", "00", *(KEYSTREAM,) * 5),
        verify="none",
        source=_NWIPE,
    ),
    Standard(
        id="overwrite-device-gutmann",
        title="Gutmann: 35 passes for encodings that disks gave up in the nineties",
        issuer="P. Gutmann, USENIX Security",
        year=1996,
        status="withdrawn",
        passes=(*(KEYSTREAM,) * 4, *_GUTMANN_FIXED, *(KEYSTREAM,) * 4),
        verify="none",
        source=f"{_SCRUB}, in the order of the paper",
    ),
)
