"""What is found in all rows at once stands there, and nothing else does."""

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from deleatur.desensitize.finding import LONGEST, SHORTEST, Texts, words_of

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
