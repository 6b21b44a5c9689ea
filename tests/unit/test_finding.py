"""What is found in all rows at once stands there, and nothing else does."""

import re

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from deleatur.desensitize.finding import LONGEST, SHORTEST, Texts, of_bytes, words_of

WRITTEN = st.text("aA ÀàÖö×÷ÞßÿĀ王芳·\u3000\xa0\n1", max_size=12)
ROWS = st.lists(st.tuples(st.none() | WRITTEN, st.none() | st.text("aÖ王芳", max_size=4)), min_size=1)
MARK = "\ue000"


def strings(values: list[str | None]) -> pa.Array:
    """Return strings as a slice, so that they begin in the midst of their bytes."""
    return pa.array(["王a", *values], pa.string())[1:]


def fit(word: str | None) -> bool:
    return SHORTEST <= len((word or "").encode()) <= LONGEST


@given(rows=ROWS)
def test_a_word_is_found_wherever_it_stands(rows: list[tuple[str | None, str | None]]) -> None:
    texts, words = (
        Texts.of(strings([text for text, _ in rows])),
        words_of(strings([word for _, word in rows])),
    )
    found = texts.find(words)
    counts = [
        len(re.findall(f"(?={re.escape(word)})", text)) if text and word and fit(word) else 0
        for text, word in rows
    ]
    assert texts.count(found).tolist() == counts
    overlapping = [
        bool(word) and count > (text or "").count(str(word))
        for (text, word), count in zip(rows, counts, strict=True)
    ]
    assert texts.overlapping(found, words).tolist() == overlapping


@given(rows=ROWS)
def test_a_cut_leaves_a_mark_and_all_the_rest(rows: list[tuple[str | None, str | None]]) -> None:
    column = strings([text for text, _ in rows])
    texts, words = Texts.of(column), words_of(strings([word for _, word in rows]))
    found = texts.find(words)
    once = found.only(~texts.overlapping(found, words)[found.rows])
    for (text, word), overlaps, cut in zip(
        rows,
        texts.overlapping(found, words),
        texts.cut(once, words, MARK.encode()).to_pylist(),
        strict=True,
    ):
        assert cut == (text.replace(word, MARK) if text and word and fit(word) and not overlaps else text)


@given(rows=st.lists(st.tuples(WRITTEN, st.text("aAÀàÖö×÷ÞßÿĀ", max_size=4)), min_size=1))
def test_small_letters_are_those_of_the_language(rows: list[tuple[str, str]]) -> None:
    """A text is lowered as Python does it, unless it goes beyond."""
    texts = Texts.of(strings([text for text, _ in rows]))
    lowered, beyond = texts.lowered(), texts.beyond().tolist()
    words = of_bytes([word.lower().encode() for _, word in rows], np.arange(len(rows)))
    counts = lowered.count(lowered.find(words)).tolist()
    for (text, word), far, count in zip(rows, beyond, counts, strict=True):
        assert far == ("Ā" in text)
        if not far and fit(word.lower()):
            assert count == len(re.findall(f"(?={re.escape(word.lower())})", text.lower()))


@given(rows=st.lists(st.tuples(WRITTEN, st.sampled_from(["王芳", "芳芳", "芳王", "Ö王"])), min_size=1))
def test_a_first_character_before_a_space_is_never_missed(rows: list[tuple[str, str]]) -> None:
    texts = Texts.of(strings([text for text, _ in rows]))
    before = texts.before_space(words_of(strings([word for _, word in rows])))
    for (text, word), says in zip(rows, before.tolist(), strict=True):
        if word[0] != "Ö" and re.search(rf"{word[0]}\s", text):
            assert says


def test_words_that_begin_with_a_surname_of_two_characters() -> None:
    words = words_of(strings(["欧阳修", "欧阳", "欧", "王小明", None, ""]))
    assert words.begin(["欧阳".encode(), "司马".encode()]).tolist() == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_some_of_the_texts_are_texts() -> None:
    texts = Texts.of(strings(["王芳在", "", None, "找王芳"]))
    some = texts.only(texts.count(texts.find(words_of(strings(["王芳"] * 4)))) > 0)
    assert some.find(words_of(strings(["王芳"] * 2))).rows.tolist() == [0, 1]
