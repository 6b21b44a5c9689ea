"""Draw texts alike that differ only in numbers which every detector treats alike: their sketches. Pure.

A sketch has the length of its text, byte for byte. A sound number that stands by itself gives way to one
fixed number of the same form, so letters from one template have one sketch, and what is found in it stands
at the same places in each of them. What a detector may ask of a digit (first digits, check digits, the
calendar) is the same in both; where that is not certain, the text stays as it is.
tests/unit/test_redaction.py holds sketch and text against each other.
"""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from deleatur.desensitize import sound
from deleatur.desensitize.arrow import arrow, validity
from deleatur.desensitize.cmac import buffers_of, gather, windows
from deleatur.desensitize.finding import where, whole_steps

if TYPE_CHECKING:
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Numbers = npt.NDArray[np.uint16]
    Places = npt.NDArray[np.int64]
    Truth = npt.NDArray[np.bool_]

_PAD = 24  # bytes of nothing around the texts, so that a neighbour can be asked for everywhere
_GROUPS = 4  # groups of digits in a number
_MAIL_LONGEST, _MAIL_DIGITS = 20, 8  # of a local part: a longer one may hold a key or a telephone number
_BEFORE_IBAN = 40  # bytes, with a digit in which something else may begin that goes on into it
_AFTER_IBAN = 1 << 4 | 1 << 8  # groups of 4, 4, 4 and 2 digits, or of 4, 4 and 2, and so many characters
_CREDIT = 18  # letters and digits of a credit code, which may begin before a number and end behind it
_LED = 20  # bytes between the digits of such a code and a number: nine letters, with a gap behind each


def _table(characters: str) -> "Truth":
    table = np.zeros(256, bool)
    table[np.frombuffer(characters.encode(), np.uint8)] = True
    return table


_LOWER = _table("abcdefghijklmnopqrstuvwxyz")
_LETTERS = _LOWER | _table("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = _table("0123456789")
_SECOND = _table("aA")  # letters that may be the second of a credit code
_MARKS = _table(" -./")  # between the groups of a number
_FREE_LEFT = _table("\0\n,;!?(:=\"'")
_CLOSED = _table("\0\n,;!?:")  # before a space before a number
_FREE_RIGHT = _table("\0\n,;!?\"'")
_GOES_ON = _table(" -./0123456789")  # after an area code in brackets
_WORDS = _LETTERS | _DIGITS
_HIGH = np.arange(256) >= 128
_SHORT = np.zeros(
    (256, 256), bool
)  # words of two letters that begin no VAT number which goes on with a digit
_SHORT[tuple(np.frombuffer(b"".join([b"aaoitamuz", b"mtnsonymu"]), np.uint8).reshape(2, -1))] = True
_BREAKS = ~(_WORDS | _table(" .-")) | _table("iosvzIOSVZ")  # no credit code goes on over these
_NUMERALS = "〇零一二三四五六七八九十百千万两幺壹贰叁肆伍陆柒捌玖"
_PLATES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PUNCTUATION = "、。，：；！？（）《》【】“”‘’…"


def _characters(without: str) -> "Truth":
    """Return which of the first 65,536 characters are Chinese or their punctuation, without some."""
    table = np.zeros(1 << 16, bool)
    table[0x4E00:0xA000] = True
    table[[ord(c) for c in _PUNCTUATION]] = True
    table[[ord(c) for c in without]] = False
    return table


_PLAIN_LEFT = _characters(_NUMERALS)
_PLAIN_RIGHT = _characters(_NUMERALS + "年月日号號岁歲周")
_PLAIN_MAIL = _characters(_NUMERALS + _PLATES)


def sketch(texts: Any) -> Any:
    """Return an Arrow array of strings with their sound numbers and mail addresses drawn alike."""
    pa = arrow()
    content, offsets = buffers_of(texts)
    first, last = int(offsets[0]), int(offsets[-1])
    if first == last:
        return texts
    drawing = _Drawing(content[first:last], offsets - first)
    drawing.numbers()
    drawing.days_in_chinese()
    drawing.ibans()
    drawing.mail()
    places = pa.py_buffer((offsets - first).astype(np.int32))
    return pa.StringArray.from_buffers(len(texts), places, pa.py_buffer(drawing.content()), validity(texts))


class _Drawing:
    """The bytes of many texts, with the places where each text and each group of digits begins and ends."""

    def __init__(self, content: "Bytes", offsets: "Places") -> None:
        self._size = content.size
        self._bytes = np.zeros(whole_steps(content.size) + 2 * _PAD, np.uint8)
        self._bytes[_PAD : _PAD + content.size] = content
        self._offsets = offsets + _PAD
        self._edge = np.zeros(self._bytes.size, bool)  # a text begins or ends here
        self._edge[self._offsets] = True
        digits = (self._bytes - np.uint8(48)) < 10
        turns = np.zeros(digits.size, bool)
        np.not_equal(digits[1:], digits[:-1], out=turns[1:])
        turns_at = where(turns)
        between = digits[self._offsets - 1] & digits[self._offsets]  # one text ends so, the next begins so
        if between.any():
            edges = np.unique(self._offsets[between])
            turns_at = np.sort(np.concatenate([turns_at, edges, edges]))
        self._starts, self._ends = turns_at.reshape(-1, 2).T.copy()

    def content(self) -> "Bytes":
        """Return the bytes as they are drawn."""
        return self._bytes[_PAD : _PAD + self._size]

    def numbers(self) -> None:
        """Draw numbers alike: up to four groups of digits with one kind of separator between them."""
        starts, ends, edge = self._starts, self._ends, self._edge
        if not starts.size:
            return
        lengths = np.minimum(ends - starts, 31)
        mark = self._bytes[ends]
        linked = _MARKS[mark] & ~edge[ends] & ~edge[ends + 1]
        linked[:-1] &= starts[1:] - ends[:-1] == 1
        linked[-1] = False
        plus = (self._bytes[starts - 1] == ord("+")) & ~edge[starts]
        prefix = plus & linked & (lengths <= 2) & ((mark == ord(" ")) | (mark == ord("-")))  # +86 154 …
        linked &= ~prefix
        heads = np.flatnonzero(~np.append(False, linked[:-1]))
        counts = np.diff(np.append(heads, starts.size))
        heads, counts = heads[counts <= _GROUPS], counts[counts <= _GROUPS]
        key = lengths[heads]
        uniform = np.ones(heads.size, bool)
        for group in range(1, _GROUPS):
            more = np.flatnonzero(counts > group)
            run = heads[more] + group
            key[more] |= lengths[run] << (5 * group)
            uniform[more] &= (counts[more] == group + 1) | (mark[run] == mark[heads[more]])
        layout = _LAYOUTS[np.minimum(key, _LAYOUTS.size - 1)]
        known = np.flatnonzero(uniform & (layout > 0))
        heads, key, layout, counts = heads[known], key[known], layout[known], counts[known]
        marks = np.where(counts > 1, mark[heads], 0)
        tails = ends[heads + counts - 1]
        crossed = _CROSSED[layout] & ((self._bytes[tails] | 32) == ord("x")) & ~edge[tails]
        tails += crossed
        code = np.zeros(heads.size, np.int64)
        after = np.flatnonzero(np.append(False, prefix)[heads])
        code[after] = self._country(heads[after])
        begins = np.where(code > 0, starts[heads - 1] - 1, starts[heads])
        glued = plus[heads] & _GLUED[layout]
        begins -= glued
        led = np.where(code > 0, lengths[heads - 1], self._led(begins))
        free = self._right_free(tails, lambda rows: _needs(key[rows], crossed[rows], led[rows]))
        free &= self._left_free(begins) & (glued | (code > 0) | ~plus[heads])
        free &= (led != 2) | (_digits(key) != _CREDIT - 2)  # which is one together with two letters
        rows = np.flatnonzero(free)
        layout += crossed * np.uint16(len(_KEYS))
        self._draw(starts[heads[rows]], layout[rows], marks[rows], code[rows])

    def _country(self, heads: "Places") -> "Places":
        """Return the country code in the group before; only the last two digits of it count."""
        before = self._starts[heads - 1]
        value = (self._bytes[before] - np.uint8(48)).astype(np.int64)
        two = self._ends[heads - 1] - before == 2
        code: Places = np.where(two, value * 10 + (self._bytes[before + 1] - np.uint8(48)), value)
        return code

    def _draw(
        self, begins: "Places", layout: "npt.NDArray[np.uint16]", marks: "Bytes", code: "Places"
    ) -> None:
        order = np.argsort(layout, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(layout[order])) + 1) if order.size else ():
            for form in _FORMS[layout[rows[0]]]:
                fitting = rows[form.marks[marks[rows]] & form.countries[code[rows]]]
                self._redraw(begins[fitting], form.columns, form.draw)

    def _redraw(self, begins: "Places", columns: "Places", draw: "sound.Draw") -> None:
        """Draw the sound ones of numbers whose digits stand in these columns."""
        if not begins.size:
            return
        width = int(columns[-1]) + 1
        numbers = gather(self._bytes, begins, width)
        good, drawn = draw(numbers.take(columns, axis=1) - np.uint8(48))
        numbers[:, columns] = drawn + np.uint8(48)
        windows(self._bytes, width)[begins[good]] = numbers[good].view(f"V{width}").ravel()

    def _neighbours(self, places: "Places", step: int, count: int) -> "Bytes":
        """Return the bytes to the left (step -1) or right (step 1) of places, nearest first; 0 beyond."""
        back = step < 0
        near = gather(self._bytes, places - count * back, count)[:, ::step].T.copy()
        beyond = gather(self._edge, places - (count - 1) * back, count)[:, ::step].T.copy()
        for further in range(1, count):
            beyond[further] |= beyond[further - 1]
        near[beyond > 0] = 0
        return near

    def _left_free(self, begins: "Places", plain: "Truth" = _PLAIN_LEFT) -> "Truth":
        """Say before which places stands nothing that a detector could read together with a number."""
        one, two, three, four = self._neighbours(begins, -1, 4)
        word = _LETTERS[two] & _LETTERS[three] & (_LETTERS[four] | (_SHORT[three, two] & ~_HIGH[four]))
        word |= (two == ord(".")) & _LETTERS[three]
        word &= one == ord(" ")
        spaced = (one == ord(" ")) & (_CLOSED[two] | _plain(plain, four, three, two))
        answer: Truth = _FREE_LEFT[one] | word | spaced | _plain(plain, three, two, one)
        rows = np.flatnonzero(word)
        answer[rows[self._goes_on(begins[rows])]] = False
        return answer

    def _goes_on(self, begins: "Places") -> "Truth":
        """Say into which places a credit code may go on whose digits stand before a word."""
        ends = np.append(-_LED, self._ends)  # as if digits ended somewhere before the texts
        before = ends[np.searchsorted(self._ends, begins, side="right")]
        near = np.flatnonzero(begins - before < _LED)
        answer, blank = np.zeros(begins.size, bool), np.zeros(near.size, bool)
        going = np.ones(near.size, bool)
        for byte in self._neighbours(begins[near], -1, _LED):
            gap = _MARKS[byte]
            going &= ~_BREAKS[byte] & ~(gap & blank)
            blank = gap
            answer[near] |= going & _DIGITS[byte]
        return answer

    def _led(self, begins: "Places") -> "Places":
        """Return how many letters of the word before a credit code may begin with, if more than one."""
        one, two, three = self._neighbours(begins, -1, 3)
        letters: Places = np.where((one == ord(" ")) & _SECOND[two] & _LETTERS[three], 2, 0)
        return letters

    def _right_free(self, tails: "Places", needs: "Callable[[Places], Places]") -> "Truth":
        """Say behind which places stands nothing that a detector could read together with a number.

        `needs` gives bits for rows: with so many letters or digits more, a credit code would be complete.
        """
        one, two, three, four = self._neighbours(tails, 1, 4)
        spaced = one == ord(" ")
        worded = (two == ord(" ")) & _LETTERS[three]
        stop = (one == ord(".")) & ((two == 0) | worded)
        bracket = (one == ord(")")) & (~_GOES_ON[two] | worded)
        free: Truth = _FREE_RIGHT[one] | stop | bracket | _plain(_PLAIN_RIGHT, one, two, three)
        free |= spaced & _plain(_PLAIN_RIGHT, two, three, four)
        rows = np.flatnonzero(spaced & _LETTERS[two])
        if rows.size:
            free[rows] = ~_completes(self._neighbours(tails[rows] + 1, 1, 10), needs(rows))
        return free

    def _first_digits(self, heads: "Places", within: int) -> "Truth":
        """Say before which groups no other of the same text ends within so many bytes."""
        starts = self._starts[heads]
        before = np.where(heads > 0, self._ends[heads - 1], 0)
        begins = self._offsets[np.searchsorted(self._offsets, starts, side="right") - 1]
        first: Truth = (before <= begins) | (before < starts - within)
        return first

    def days_in_chinese(self) -> None:
        """Draw days alike that are written as 1990年3月7日."""
        if self._starts.size < 3:
            return
        starts, ends = self._starts, self._ends
        year = np.flatnonzero(ends[:-2] - starts[:-2] == 4)
        for step, character in enumerate("年月日"):
            expected = np.frombuffer(character.encode(), np.uint8)
            year = year[self._bytes[ends[year + step]] == expected[0]]  # which few are
            end = ends[year + step]
            written = (self._neighbours(end, 1, 3) == expected[:, None]).all(axis=0)
            if step < 2:
                following = starts[year + step + 1]
                written &= (
                    (following == end + 3) & (ends[year + step + 1] - following <= 2) & ~self._edge[following]
                )
            year = year[written]
        year = year[self._left_free(starts[year])]
        numbers = [self._number(year + step) for step in range(3)]
        year = year[sound.days(*numbers)]
        for step, (one, two) in enumerate((("", ""), ("5", "10"), ("5", "10"))):
            at, length = starts[year + step], (ends - starts)[year + step]
            for size, text in ((4, "1990"), (1, one), (2, two)):
                if text:
                    rows = at[length == size]
                    self._bytes[rows[:, None] + np.arange(size)] = np.frombuffer(text.encode(), np.uint8)

    def _number(self, runs: "Places") -> "Places":
        value = np.zeros(runs.size, np.int64)
        for step in range(4):
            there = self._ends[runs] - self._starts[runs] > step
            at = self._starts[runs] + step
            value = np.where(there, value * 10 + (self._bytes[at] - np.uint8(48)), value)
        return value

    def ibans(self) -> None:
        """Draw German account numbers alike: in one group, or in groups of four."""
        starts, ends, content = self._starts, self._ends, self._bytes
        named = (content[starts - 2] == ord("D")) & (content[starts - 1] == ord("E"))
        named &= ~self._edge[starts] & ~self._edge[starts - 1]
        lengths = ends - starts
        for layout in ((20,), (2, 4, 4, 4, 4, 2)):
            heads = np.flatnonzero(named[: max(0, starts.size - len(layout) + 1)])
            for group, length in enumerate(layout):
                heads = heads[lengths[heads + group] == length]
                if group:
                    end = ends[heads + group - 1]
                    close = (starts[heads + group] == end + 1) & ~self._edge[end] & ~self._edge[end + 1]
                    heads = heads[close & ((content[end] == ord(" ")) | (content[end] == ord("-")))]
            tails = ends[heads + len(layout) - 1]
            free = self._right_free(tails, lambda rows: np.full(rows.size, _AFTER_IBAN))
            free &= self._left_free(starts[heads] - 2) & self._first_digits(heads, _BEFORE_IBAN)
            self._redraw(starts[heads[free]], sound.columns_of(layout), sound.iban)

    def mail(self) -> None:
        """Draw local parts alike, in texts without any other digit: words in them name nothing then."""
        at = where(self._bytes == ord("@"))
        if not at.size:
            return
        near = self._neighbours(at, -1, _MAIL_LONGEST + 1).T
        digits = (near - np.uint8(48)) < 10
        allowed = _LOWER[near] | digits | (near == ord("."))
        length = np.where(allowed.all(axis=1), 0, allowed.argmin(axis=1))
        inside = np.arange(near.shape[1]) < length[:, None]
        count = (digits & inside).sum(axis=1)
        tail = digits.argmin(axis=1)  # so many digits stand directly before the @
        tail = np.minimum(tail, _MAIL_DIGITS + 1)
        word = np.ones(at.size, bool)  # then three letters, so that no code begins there
        for step in range(3):
            word &= _LOWER[near[np.arange(at.size), tail + step]]
        row = np.searchsorted(self._offsets, at, side="right") - 1
        runs = np.searchsorted(self._starts, self._offsets[row + 1]) - np.searchsorted(
            self._starts, self._offsets[row]
        )
        good = (length >= tail + 3) & (count == tail) & (tail <= _MAIL_DIGITS) & (runs == (tail > 0))
        good &= (tail == 0) | self._surely_mail(at, at - length)
        good &= self._left_free(at - length, _PLAIN_MAIL)
        inside &= good[:, None] & (near != ord("."))
        rows, steps = np.nonzero(inside)
        self._bytes[at[rows] - 1 - steps] = ord("a")

    def _surely_mail(self, at: "Places", begins: "Places") -> "Truth":
        """Say where a domain follows, and no user of a URL comes before: such a local part is found."""
        domain = self._neighbours(at + 1, 1, _PAD - 2).T
        end = (~_LETTERS[domain]).argmax(axis=1)
        last = np.minimum(end + 1, _PAD - 3)
        rows = np.arange(at.size)
        (before,) = self._neighbours(begins, -1, 1)
        sure: Truth = (end > 0) & (domain[rows, end] == ord(".")) & _LETTERS[domain[rows, last]]
        sure &= before != ord(":")
        return sure


def _needs(key: "Places", more: "Truth", led: "Places") -> "Places":
    """Return as bits how many characters a credit code lacks that begins with a group of these numbers.

    Or with the `led` characters before them, of a country code or a word.
    """
    needs = np.zeros(key.size, np.int64)
    for group in range(_GROUPS):
        lacking: Places = _CREDIT - (more + _digits(key, group))
        before: tuple[Places | int, ...] = (0, 1, led) if not group else (0,)  # 1 for a letter
        for characters in before:
            missing = lacking - characters
            useful = (missing >= 1) & (missing <= _CREDIT - 8)  # which has six digits after the second place
            needs |= np.where(useful, 1 << np.clip(missing, 0, _CREDIT), 0)
    return needs


def _digits(key: "Places", first: int = 0) -> "Places":
    """Return how many digits a number has, from one of its groups on."""
    digits: Places = np.sum([(key >> (5 * group)) & 31 for group in range(first, _GROUPS)], axis=0)
    return digits


def _completes(near: "Bytes", needs: "Places") -> "Truth":
    """Say whether the words that follow may complete a credit code, or are too long to see."""
    count, blank = np.zeros(needs.size, np.int64), np.zeros(needs.size, bool)
    going, answer = np.ones(needs.size, bool), np.zeros(needs.size, bool)
    for byte, following in itertools.pairwise(near):
        gap = _MARKS[byte] & (byte != ord("/"))
        going &= ~_BREAKS[byte] & ~(gap & blank)
        blank = gap
        count += going & ~gap
        answer |= going & ~gap & ~_WORDS[following] & ((needs >> count) & 1 > 0)
    answer |= going & (needs >> (count + 1) > 0)
    return answer


def _plain(table: "Truth", one: "Bytes", two: "Bytes", three: "Bytes") -> "Truth":
    """Say which three bytes are one character of the table, in UTF-8."""
    lead = one.astype(np.int32)
    point = ((lead & 15) << 12) | ((two.astype(np.int32) & 63) << 6) | (three & 63)
    answer: Truth = (lead >> 4 == 14) & table[point]
    return answer


_KEYS = sorted({form.key for form in (*sound.FORMS, *sound.BEFORE_X)})
_LAYOUTS = np.zeros(_KEYS[-1] + 2, np.uint16)  # the number of each layout; 0 of one that no form has
_LAYOUTS[_KEYS] = np.arange(len(_KEYS)) + 1
_FORMS: list[list[sound.Form]] = [[] for _ in range(2 * len(_KEYS) + 1)]  # by that number; then, before an X
_GLUED, _CROSSED = np.zeros((2, len(_KEYS) + 1), bool)
for _form in sound.FORMS:
    _FORMS[_LAYOUTS[_form.key]].append(_form)
for _form in sound.BEFORE_X:
    _FORMS[_LAYOUTS[_form.key] + len(_KEYS)].append(_form)
    _CROSSED[_LAYOUTS[_form.key]] = True
_GLUED[_LAYOUTS[list(sound.GLUED)]] = True
