"""What the client of buckets holds: names on the disk under a key, of an answer no more than its bound."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur_plugins.s3.answers import Document, NotTaken
from deleatur_plugins.s3.connecting import batch_of
from deleatur_plugins.s3.listing import Entry
from deleatur_plugins.s3.spool import Spool

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"), max_size=30
)


def entry(number: int) -> Entry:
    return Entry(f"anna-{number}", f"id-{number}", "object", "etag", number, "2026-11-23T00:00:00.000+00:00")


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 3456])
def test_a_spool_gives_back_what_was_added_in_order_as_often_as_asked(count: int) -> None:
    with Spool.of(map(entry, range(count))) as spool:
        assert len(spool) == count
        for _ in range(2):
            assert list(spool) == [entry(number) for number in range(count)]


def test_a_spool_has_no_name_on_the_disk_and_nothing_in_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Spool.of(map(entry, range(2500))) as spool:
        assert list(tmp_path.iterdir()) == []
        written = os.pread(spool._file.fileno(), 1 << 24, 0)
    assert len(written) > 2000 * 20
    assert b"anna" not in written
    assert b"anna" in repr(entry(1)).encode()  # the control


def test_a_changed_spool_is_not_read() -> None:
    from cryptography.exceptions import InvalidTag

    with Spool.of(map(entry, range(1000))) as spool:
        (byte,) = os.pread(spool._file.fileno(), 1, 100)
        os.pwrite(spool._file.fileno(), bytes([byte ^ 1]), 100)
        with pytest.raises(InvalidTag):
            list(spool)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_a_batch_names_exactly_what_it_was_given(names: list[tuple[str, str]]) -> None:
    document = Document(batch_of(names), 1000)
    assert document.root == "Delete"
    assert document.said == {"Quiet": "false"}
    assert [(row["Key"], row["VersionId"]) for kind, row in document.rows if kind == "Object"] == names


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_document_or_a_named_failure(body: bytes) -> None:
    with contextlib.suppress(NotTaken):
        assert Document(body, 10).root


def test_a_page_that_has_more_in_it_than_its_entries_need_is_too_large() -> None:
    Document(b"<a>" + b"<b><c/></b>" * 100 + b"</a>", 100)
    with pytest.raises(NotTaken, match="AnswerTooLarge"):
        Document(b"<a>" + b"<b><c/></b>" * 100_000 + b"</a>", 100)
