"""The search by fingerprints finds exactly what a search by the values themselves finds."""

from unittest.mock import patch

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from deleatur.archive import distinct
from deleatur.archive.fingerprints import SHORTEST, Fingerprints

WORD = st.text("ab1王", min_size=1, max_size=9)


@given(
    st.lists(st.lists(WORD, min_size=2, max_size=4).map("".join), min_size=1, max_size=12),
    st.lists(st.one_of(st.none(), st.lists(WORD, max_size=8).map("".join)), max_size=8),
    st.integers(0, 2),
    st.integers(0, 3),
    st.data(),
)
def test_every_place_of_every_value_and_no_other(
    values: list[str], texts: list[str | None], skipped: int, allowed: int, data: st.DataObject
) -> None:
    texts += data.draw(st.lists(st.builds("{}{}{}".format, WORD, st.sampled_from(values), WORD), max_size=4))
    long_enough = [v for v in values if len(v.encode()) >= SHORTEST]
    known = Fingerprints(bytes(32))
    again = data.draw(st.lists(st.sampled_from(values), max_size=9))
    for value in [*values, *again]:  # one part each, as large tables come
        array = pa.array([value])
        tags = known.tags(array)
        rows = tags == (tags if value in long_enough else tags + 1)
        with patch.object(distinct, "_WAITING", 3):
            known.forbid(array, tags, rows, values.index(value))
    known.allow(known.tags(pa.array(values[:allowed], pa.string())))
    sought = set(long_enough) - set(values[:allowed])
    assert known.settle() == (len(sought), len(set(long_enough)) - len(sought))
    found = {(h.row, h.start, h.end) for h in known.find(pa.array(texts, pa.string())[skipped:])}
    expected = set()
    for row, text in enumerate(texts[skipped:]):
        content = (text or "").encode()
        for value in map(str.encode, sought):
            starts = (n for n in range(len(content)) if content.startswith(value, n))
            expected |= {(row, n, n + len(value)) for n in starts}
    assert found == expected
    owners = {values[h.owner] for h in known.find(pa.array(texts, pa.string()))}
    assert owners <= sought
