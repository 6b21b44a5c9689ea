"""The register, the record and the list of the how-to can be signed as they stand there."""

import re
from pathlib import Path

import pytest

from deleatur.errors import Refused
from deleatur.trust.record import look_at_record

PAGE = "docs/howto/record-a-destruction.md"
AT = "2026-11-20T12:00:00Z"


@pytest.fixture
def shown(pages: dict[str, str]) -> dict[str, str]:
    """The three documents of the page, by the name of their schema."""
    found = re.findall(r"^```toml\n(schema = \"deleatur/(\w+)/v1\"\n.*?)^```", pages[PAGE], re.M | re.S)
    return {kind: content for content, kind in found}


def test_the_record_may_be_signed_on_the_day(shown: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "hall-2.mp4").write_bytes(b"a video")
    (tmp_path / "vendors.toml").write_text(shown["vendors"])
    (tmp_path / "destruction.toml").write_text(shown["destruction"])
    record = look_at_record(tmp_path, AT)
    assert [key.name for key in record.unsigned] == ["shredco", "alice", "bob"]
    (tmp_path / "vendors.toml").write_text(shown["vendors"].replace("2027-04-30", "2026-11-19"))
    with pytest.raises(Refused, match="was not valid on 2026-11-20"):
        look_at_record(tmp_path, AT)


def test_the_list_of_processors_may_be_signed(shown: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "mailer.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "processors.toml").write_text(shown["processors"])
    assert look_at_record(tmp_path, AT).statement.predicate.state == "attested-with-exceptions"
