"""A target of a job with a relative path is the same target, but for where it is."""

from pathlib import Path

import pytest
from msgspec.structs import fields, replace

from deleatur.documents.job import Condition, HeldRows, Selection, Target
from deleatur.engine.opening import absolute

WHERE = (Condition(column="id", operator="=", value=1),)
TARGET = Target(
    id="t",
    url="sqlite:shop.sqlite",
    technique="rewrite-and-shred",
    select=(Selection(table="person", where=WHERE),),
    hold=(HeldRows(id="h", reason="r", table="person", where=WHERE),),
    others_write=True,
    leave_shared=True,
    lift_hidden=True,
)


def test_nothing_but_the_url_changes() -> None:
    changed = absolute(TARGET, Path("/jobs"))
    assert changed.url == "sqlite:///jobs/shop.sqlite"
    assert changed == replace(TARGET, url=changed.url)
    untouched = {f.name for f in fields(Target) if getattr(TARGET, f.name) == f.default}
    assert untouched == {"archive"}, "the target of this test says something of every field that it can"


@pytest.mark.parametrize("url", ["sqlite:///srv/shop.sqlite", "postgresql://host/shop"])
def test_a_whole_url_stays(url: str) -> None:
    assert absolute(replace(TARGET, url=url), Path("/jobs")).url == url
