"""Count people: records that share an identifier are one person, however many stores they stand in.

Held are keyed digests of normalised identifiers, in memory and nowhere else. Pure: the key is given.
"""

import hashlib
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

LINKING = (
    "e-mail",
    "mobile-number",
    "resident-id",
    "passport",
    "social-security-number",
    "tax-number",
)  # what belongs to one person; a landline or a card may belong to a household
RULE = (
    "records that share an e-mail address, mobile number, resident ID, passport, social security or "
    "tax number are one person"
)
MOST = 8_000_000  # identifiers; 18 to 36 bytes each and 12 a person, so below 0.5 GB
# ITU-T E.164, list of assigned country codes: all others have three digits
_SHORT_CODES = {"1", "7"} | {
    str(n)
    for run in ((20,), (27,), range(30, 35), (36,), (39,), (40,), (41,), range(43, 50), range(51, 59))
    for n in run
}
_SHORT_CODES |= {str(n) for run in (range(60, 67), (81, 82, 84, 86), range(90, 96), (98,)) for n in run}
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999


def normalised(kind: str, value: str) -> str:
    """Return an identifier in the one form in which it is compared; "" when too little is left."""
    text = unicodedata.normalize("NFKC", value).strip()
    if kind == "e-mail":
        return text.lower() if "@" in text else ""
    if kind == "mobile-number":
        return _national(text)
    plain = "".join(c for c in text.upper() if c.isalnum())
    if len(set(plain)) <= 2:  # 000000, 111111: what people write where they have no number
        return ""
    if kind == "resident-id" and len(plain) == 15 and plain.isdigit():
        plain = _of_18(plain)
    return plain if len(plain) >= 5 else ""


def family(kind: str) -> str:
    """Return what an identifier is compared among: a number is the same, whatever a column calls it."""
    return "e-mail" if kind == "e-mail" else "mobile" if kind == "mobile-number" else "number"


def _national(text: str) -> str:
    """Return the digits of a telephone number without the country's code and the trunk's 0."""
    digits = "".join(str(unicodedata.digit(c)) for c in text if c.isdigit())
    abroad = text.lstrip(" (").startswith("+")
    if digits.startswith("00"):
        abroad, digits = True, digits[2:]
    if abroad:
        size = next((n for n in (1, 2) if digits[:n] in _SHORT_CODES), 3)
        digits = digits[size:]
    elif len(digits) == 13 and digits.startswith("861"):
        digits = digits[2:]
    digits = digits.lstrip("0")
    return digits if len(digits) >= 6 and len(set(digits)) > 2 else ""


def _of_18(old: str) -> str:
    """Return a resident ID number of 15 digits in its form of 18 (GB 11643-1999)."""
    digits = f"{old[:6]}19{old[6:]}"
    total = sum(int(d) * w for d, w in zip(digits, _RESIDENT_WEIGHTS, strict=True))
    return digits + "10X98765432"[total % 11]


class _Numbers:
    """A number for each of many digests of 64 bits that are not 0: open addressing, in two flat arrays."""

    def __init__(self) -> None:
        self._bits = 10  # of the number of slots
        self._taken = 0
        self._clear()

    def _clear(self) -> None:
        self._digests = array("Q", bytes(8 << self._bits))
        self._values = array("I", bytes(4 << self._bits))

    def __len__(self) -> int:
        """Return how many digests have a number."""
        return self._taken

    def __iter__(self) -> Iterator[int]:
        """Yield the digests."""
        return filter(None, self._digests)

    def get(self, digest: int) -> int | None:
        """Return the number of a digest, None if it has none."""
        slot = self._slot(digest)
        return self._values[slot] if self._digests[slot] else None

    def put(self, digest: int, value: int) -> None:
        """Give a digest a number, in place of an earlier one."""
        slot = self._slot(digest)
        if not self._digests[slot]:
            self._digests[slot] = digest
            self._taken += 1
        self._values[slot] = value
        if self._taken * 3 > 2 << self._bits:
            self._grow()

    def _slot(self, digest: int) -> int:
        """Return where a digest stands, or would."""
        digests, last = self._digests, (1 << self._bits) - 1
        slot = digest & last
        while digests[slot] and digests[slot] != digest:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        digests, values = self._digests, self._values
        self._bits += 1
        self._clear()
        for digest, value in zip(digests, values, strict=True):
            if digest:
                slot = self._slot(digest)
                self._digests[slot], self._values[slot] = digest, value


class People:
    """Joins records to people. Places are numbered by who counts."""

    def __init__(self, key: bytes, most: int = MOST) -> None:
        self._key = key
        self._most = most
        self._of = _Numbers()  # identifier: a person's number, to be followed
        self._parent = array("I")
        self._places: list[int] = []  # bit mask of the places of each person, by root
        self._mentioned = _Numbers()  # all of them 0
        self.complete = True

    def add(self, place: int, identifiers: Iterable[tuple[str, str]]) -> None:
        """Add one record of a place; without any usable identifier it is nobody."""
        found = [d for d in (self._digest(k, v) for k, v in identifiers) if d]
        if not found:
            return
        known = {self._root(n) for n in map(self._of.get, found) if n is not None}
        if not known and len(self._of) + len(found) > self._most:
            self.complete = False
            return
        person = min(known) if known else self._new()
        for other in known - {person}:
            self._parent[other] = person
            self._places[person] |= self._places[other]
        self._places[person] |= 1 << place
        for digest in found:
            self._of.put(digest, person)

    def mention(self, kind: str, value: str) -> None:
        """Note an identifier that stands in a text."""
        digest = self._digest(kind, value)
        if digest and len(self._mentioned) < self._most:
            self._mentioned.put(digest, 0)
        elif digest:
            self.complete = False

    def count(self) -> int:
        """Return how many people there are."""
        return sum(parent == number for number, parent in enumerate(self._parent))

    def mentioned(self) -> int:
        """Return how many identifiers stand in texts and in no record."""
        return sum(self._of.get(digest) is None for digest in self._mentioned)

    def in_place(self, place: int) -> int:
        """Return how many people stand in one place."""
        return sum(count for mask, count in self._masks().items() if mask >> place & 1)

    def in_both(self, one: int, other: int) -> int:
        """Return how many people stand in both places."""
        both = 1 << one | 1 << other
        return sum(count for mask, count in self._masks().items() if mask & both == both)

    def _masks(self) -> Counter[int]:
        return Counter(m for n, (p, m) in enumerate(zip(self._parent, self._places, strict=True)) if p == n)

    def _digest(self, kind: str, value: str) -> int:
        """Return 64 bits of a keyed digest, never 0; two of 8 million meet once in 600,000 maps."""
        text = normalised(kind, value)
        if not text:
            return 0
        content = f"{family(kind)}\0{text}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(content, key=self._key, digest_size=8).digest(), "big") or 1

    def _new(self) -> int:
        self._parent.append(len(self._parent))
        self._places.append(0)
        return len(self._parent) - 1

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number


def overlaps(people: People, places: Sequence[int]) -> dict[tuple[int, int], int]:
    """Return how many people each pair of places shares; pairs without any are left out."""
    pairs = ((one, other) for n, one in enumerate(places) for other in places[n + 1 :])
    return {pair: both for pair in pairs if (both := people.in_both(*pair))}
