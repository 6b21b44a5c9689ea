"""Look for original values in what is about to be sealed, and refuse by table and column.

A value that another column keeps as a whole is there by right; a value inside a longer text, such
as a phone number in a kept chat message, is a leak. In redacted text it is redacted instead.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from deleatur.archive import shapes, spellings
from deleatur.archive.days import check_days
from deleatur.archive.distinct import Distinct
from deleatur.archive.fingerprints import SHORTEST, Fingerprints, Hit
from deleatur.desensitize.arrow import arrow, kind_of
from deleatur.desensitize.columns import text_of, whole
from deleatur.desensitize.keyed import derived
from deleatur.desensitize.rules import rule_in_words
from deleatur.desensitize.values import UnfitError, date_of
from deleatur.documents.detection import Detector
from deleatur.documents.job import Rule
from deleatur.errors import Failed, Refused

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Words = npt.NDArray[np.uint64]
    Truth = npt.NDArray[np.bool_]

REDACTED = "[original]"  # stands for a value of another row that the detectors left
_LONE_DIGITS = 9  # digits; fewer, inside a longer run of digits, are a coincidence
_DIGITS = re.compile(rb"[0-9]+")
_ISO_DATE = r"^[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?:[T ][0-9].*)?$"
_LIKE_A_DATE = (
    r"[0-9０-９]{1,4} ?[-/.年－／．][0-9０-９]{1,2} ?[-/.月－／．][0-9０-９]{1,4}"
    r"|^\s*[0-9０-９]{4}(?:[0０][1-9１-９]|[1１][0-2０-２])[0-3０-３][0-9０-９]\s*$"
)
_TELLING = re.compile(r"(?:[0-9][^A-Za-z]*){6}|@|\w[._]\w|\S\s+\S|[\u4e00-\u9fff]{2}|[0-9A-Za-z+/=]{32}")
_COUNT = re.compile(r"(?<=: )[0-9]+(?=[,\s}\]]|$)")  # in JSON
_FORMS = {  # all that a column may hold after its rule; whatever else it holds came from an original
    "mask": r"[x0*# \-_.@/+:,()]*|\[up to [0-9]+ (?:characters|bytes)\]",
    "keep-last-4": r"\*{4}(?:[\pL\pN]{4})?",
    "keyed-hash": r"[0-9a-f]{32}",
    "format-preserving": r"[0-9A-Za-z \-_.@/+:,()]+",
    "date-shift": r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T.*)?",
    "generalise to year": r"[0-9]{1,4}",
    "generalise to month": r"[0-9]{4}-[0-9]{2}",
    "generalise to five-years": r"[0-9]{0,3}[05]",
    "generalise to decade": r"[0-9]{0,3}0",
    "generalise to first-letter": r"(?s:.?)",
    "generalise to first-2": r"(?s:.{0,2})",
    "generalise to first-3": r"(?s:.{0,3})",
    "generalise to tens": r"-?[0-9]*0",
    "generalise to thousands": r"-?[0-9]+",
}


class LeakScan(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked for before sealing; goes into the package as data/leak-scan.json."""

    needles: int  # distinct protected values that were searched, as UTF-8 and as UTF-16LE
    short: int  # distinct protected values of fewer than 6 bytes: not searched
    dates: int  # distinct protected values that are dates: they recur in every calendar
    kept: int  # distinct protected values that stand in a column with the rule keep, as a whole
    searched: int  # bytes of text and binary columns that were searched
    redacted: int  # places in redacted text where a protected value still stood, and gave way
    found: int = 0  # always: a finding refuses the archive


class LeakSearch:
    """First learns what is protected, from all parts of all tables; then looks at each part of the result."""

    def __init__(
        self,
        rules: Mapping[str, Mapping[str, Rule]],
        key: bytes,
        detectors: Sequence[Detector] = (),
    ) -> None:
        self._rules = rules
        allowed, own = Distinct(np.uint64), derived(key, "leak-scan", None)
        self._known = Fingerprints(own, allowed)
        self._texts = Fingerprints(own, allowed)  # redacted: sought where texts are kept
        self._places: list[str] = []
        self._short = Distinct(np.uint64)
        self._dates = Distinct(np.uint64)
        self._learnt: dict[str, int] = {}
        self._met: dict[str, int] = {}
        self._counts = (0, 0)
        self._searched = self._redacted = 0
        self._detectors = tuple(detectors)
        keys = [key, key.hex().encode(), base64.b64encode(key), base64.b32encode(key)]
        self._forbid(
            self._known, "the job's key", arrow().array(keys, arrow().binary()), np.ones(len(keys), bool)
        )

    def learn(self, table: str, originals: Mapping[str, Any]) -> None:
        """Take in one part of a table: Arrow arrays of text or bytes by column."""
        for column, values in originals.items():
            tags = self._counted(self._learnt, table, column, values)
            valid = values.is_valid().to_numpy(zero_copy_only=False)
            if self._rules[table][column].rule == "keep":
                other = spellings.folded(values)
                told = self._known.tags(other)[other.is_valid().to_numpy(zero_copy_only=False)]
                self._known.allow(tags[valid])  # which is what the other one allows too
                self._known.allow(told)
            else:
                sought = self._texts if self._rules[table][column].rule == "redact" else self._known
                self._protect(sought, f"{table}.{column}", values, tags, valid)

    def settle(self) -> None:
        """End the learning."""
        known, texts = self._known.settle(), self._texts.settle()
        self._counts = known[0] + texts[0], known[1] + texts[1]

    def compare(self, readings: dict[str, int]) -> None:
        """Enter what was learnt into `readings`, and ask that other parts of the archive learnt the same.

        Raises:
            Failed: the records changed between two parts, so that their rows could not be matched.
        """
        for place, total in self._learnt.items():
            if readings.setdefault(place, total) != total:
                raise Failed(
                    "archive: the records changed between its parts; stop what writes, and run again"
                )

    def clear(self, table: str, originals: Mapping[str, Any], result: "pa.Table") -> "pa.Table":
        """Look at one part of a result; return it with what its redacted texts still showed redacted.

        A changed column is not searched: a short number inside 32 random hex digits means nothing.
        It may hold nothing but what its rule can make.

        Raises:
            Refused: an original value would enter the archive; names the columns, never the value.
        """
        for column, values in originals.items():
            self._counted(self._met, table, column, values)
        check_days(table, self._rules[table], originals, result)
        for number, column in enumerate(result.column_names):
            place, rule = f"{table}.{column}", self._rules[table][column]
            array = whole(result.column(column))
            if rule.rule == "redact":
                result = result.set_column(number, column, self._cleared(array))
            elif rule.rule != "keep":
                _check_form(place, array, rule_in_words(rule))
            elif kind_of(array.type) in {"text", "bytes"}:
                self._search(place, array)
        return result

    def report(self) -> LeakScan:
        """Return what was looked for.

        Raises:
            Failed: the parts that were looked at are not those that were learnt from.
        """
        if self._met != self._learnt:
            raise Failed("archive: the records changed while they were read; stop what writes, and run again")
        return LeakScan(
            needles=self._counts[0],
            short=len(self._short),
            dates=len(self._dates),
            kept=self._counts[1],
            searched=self._searched,
            redacted=self._redacted,
        )

    def _counted(self, sums: dict[str, int], table: str, column: str, values: Any) -> "Words":
        """Return the tags of the values, and add them up, so that two readings can be compared."""
        tags = self._known.tags(values)
        place = f"{table}.{column}"
        total = sums.get(place, 0) + len(values) + (int(tags.sum(dtype=np.uint64)) << 64)
        sums[place] = total % (1 << 128)
        return tags

    def _protect(self, sought: Fingerprints, place: str, values: Any, tags: "Words", valid: "Truth") -> None:
        from pyarrow import compute as pc

        short = pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False) < SHORTEST
        dates = _dates(values) & ~short
        self._short.add(tags[valid & short])
        self._dates.add(tags[valid & dates])
        self._forbid(sought, place, values, valid & ~short & ~dates, tags)
        other = spellings.folded(values)
        long = pc.binary_length(other).fill_null(0).to_numpy(zero_copy_only=False) >= SHORTEST
        changed = pc.not_equal(other, values).fill_null(True).to_numpy(zero_copy_only=False)
        self._forbid(sought, place, other, valid & ~short & ~dates & long & changed)

    def _forbid(
        self,
        sought: Fingerprints,
        place: str,
        values: Any,
        rows: "Truth",
        tags: "Words | None" = None,
    ) -> None:
        if place not in self._places:
            self._places.append(place)
        owner = self._places.index(place)
        sought.forbid(values, sought.tags(values) if tags is None else tags, rows, owner)

    def _search(self, place: str, array: Any) -> None:
        self._searched += _size(array)
        for form in (array, self._disguised(array)[0]):
            for hit in (*self._hits(form), *self._hits(form, self._texts)):
                owner = self._places[hit.owner]
                raise Refused(
                    f"archive: column {place} would carry original values of {owner}; "
                    f"protect {place} too (drop, null, mask, redact), or keep {owner}"
                )
        found = shapes.identifiers(array, self._detectors)
        if found:
            raise Refused(
                f"archive: column {place} would carry {found} inside its texts; "
                f"protect {place} (drop, null, mask, redact)"
            )

    def check_document(self, path: str, content: bytes) -> None:
        """Look at a file of the package that is no table, or at names.

        Words of the trade stand in such a file by chance; what has digits, signs or spaces does not. But
        among a million numbers of customers there is one for six digits of any digest or day.

        Raises:
            Refused: an original value, the job's key, or an identifier stands in it; names the file.
        """
        for text, lone in ((content, False), (shapes.without_chance(content), True)):
            texts = arrow().array([text], arrow().binary())
            for form in (texts, self._disguised(texts)[0]):
                for hit in self._hits(form):
                    value = form[hit.row].as_py()[hit.start : hit.end]
                    short = len(value) < _LONE_DIGITS and _DIGITS.fullmatch(value)
                    if (lone or not short) and _TELLING.search(value.decode(errors="replace")):
                        raise Refused(
                            f"archive: {path} would carry an original value of {self._places[hit.owner]}; "
                            f"name things otherwise, or keep {self._places[hit.owner]}"
                        )
        words = _COUNT.sub("#", content.decode(errors="replace"))
        found = shapes.identifiers(arrow().array([words]), self._detectors)
        if found:
            raise Refused(f"archive: {path} would carry {found}; name things otherwise")

    def _disguised(self, array: Any) -> tuple[Any, "npt.NDArray[np.int64]"]:
        """Return the other readings of the values that may have some, and the row of each."""
        words = array.dictionary_encode().dictionary
        plain = spellings.plain(words).to_numpy(zero_copy_only=False).astype(bool)
        found: list[bytes] = []
        owners: list[int] = []
        for number in np.flatnonzero(~plain).tolist():
            value = words[number].as_py()
            content = value if isinstance(value, bytes) else value.encode()
            others = spellings.readings(content) if len(content) >= SHORTEST else set()
            found += others
            owners += [number] * len(others)
        joined = spellings.folded(words.filter(arrow().array(plain))).cast(arrow().binary())
        return (
            arrow().concat_arrays([arrow().array(found, arrow().binary()), joined]),
            np.concatenate([np.array(owners, np.int64), np.flatnonzero(plain)]),
        )

    def _hits(self, array: Any, sought: Fingerprints | None = None) -> Iterator[Hit]:
        for hit in (sought or self._known).find(array):
            value = array[hit.row].as_py()
            text = value if isinstance(value, bytes) else value.encode()
            if not _coincidence(text, hit.start, hit.end):
                yield hit

    def _cleared(self, array: Any) -> Any:
        """Redact what is still there; a text that shows a value even then, or in disguise, becomes NULL."""
        self._searched += _size(array)
        once = self._redact(array, _without)
        twice = once if once is array else self._redact(once, lambda *_: None)
        if not len(twice):
            return twice
        encoded = twice.dictionary_encode()
        others, owners = self._disguised(twice)
        bad = np.unique(owners[[hit.row for hit in self._hits(others)]]) if len(others) else owners
        if not bad.size:
            return twice
        self._redacted += len(bad)
        from pyarrow import compute as pc

        hidden = pc.is_in(encoded.indices, arrow().array(bad, encoded.indices.type))
        return pc.if_else(hidden, arrow().scalar(None, twice.type), twice)

    def _redact(self, array: Any, change: Callable[[bytes, list[Hit]], str | None]) -> Any:
        found: dict[int, list[Hit]] = {}
        for hit in self._hits(array):
            found.setdefault(hit.row, []).append(hit)
        if not found:
            return array
        texts = array.to_pylist()
        for row, hits in found.items():
            self._redacted += len(hits)
            texts[row] = change(texts[row].encode(), hits)
        return arrow().array(texts, array.type)


def _without(text: bytes, hits: list[Hit]) -> str:
    ranges: list[tuple[int, int]] = []
    for hit in sorted(hits, key=lambda h: h.start):
        if ranges and hit.start < ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], hit.end))
        else:
            ranges.append((hit.start, hit.end))
    for start, end in reversed(ranges):
        text = text[:start] + REDACTED.encode() + text[end:]
    return text.decode()


def _size(array: Any) -> int:
    from pyarrow import compute as pc

    return int(pc.sum(pc.binary_length(array)).as_py() or 0)


def _coincidence(text: bytes, start: int, end: int) -> bool:
    """Say whether a short number was met inside a longer one."""
    if end - start >= _LONE_DIGITS or not _DIGITS.fullmatch(text[start:end]):
        return False
    return bool(_DIGITS.match(text[max(start - 1, 0) : start]) or _DIGITS.match(text[end : end + 1]))


def _check_form(place: str, array: Any, words: str) -> None:
    from pyarrow import compute as pc

    if kind_of(array.type) == "null" or words == "null":
        fits = array.null_count == len(array)
    else:
        form = _FORMS.get(words, "[^\\x00-\\x{10FFFF}]")
        fits = pc.all(pc.match_substring_regex(text_of(array), f"^(?:{form})$")).as_py() is not False
    if not fits:
        raise Refused(f"archive: column {place} holds something that {words} cannot make; report this defect")


def _dates(values: Any) -> "Truth":
    """Say which values are dates; of bytes none is."""
    from pyarrow import compute as pc

    none = np.zeros(len(values), bool)
    if kind_of(values.type) == "bytes":
        try:
            values = values.cast(arrow().string())
        except arrow().ArrowInvalid:
            return none
    usual = pc.match_substring_regex(values, _ISO_DATE).fill_null(False).to_numpy(zero_copy_only=False)
    perhaps = pc.match_substring_regex(values, _LIKE_A_DATE).fill_null(False).to_numpy(zero_copy_only=False)
    other = np.flatnonzero(perhaps & ~usual)
    if other.size:
        encoded = values.take(arrow().array(other)).dictionary_encode()
        answers = np.array([_is_date(value) for value in encoded.dictionary.to_pylist()], bool)
        usual = usual.copy()
        usual[other] = answers[encoded.indices.to_numpy(zero_copy_only=False)]
    dates: Truth = usual
    return dates


def _is_date(value: str) -> bool:
    try:
        date_of(value)
    except UnfitError:
        return False
    return True
