"""The letter by rule, and the words that may stand beside it."""

import re
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.errors import Refused
from deleatur.judge.assurance import Facts, assess, exceptional
from deleatur.judge.limits import LIMITS
from deleatur.judge.sentences import CLAIMS, FORBIDDEN, claim, limit, limit_sentence
from deleatur.judge.statement import NOT_RECORDED

reaches = st.sampled_from(["complete", "sampled", "none"])
facts = st.builds(
    Facts,
    overwritten=st.none() | reaches,
    absent=reaches,
    searched=st.none() | reaches,
    verdict=st.sampled_from(["CLEAN", "INCONCLUSIVE"]),
    limits=st.lists(st.sampled_from(sorted(LIMITS)), max_size=6),
)
WORSE = {"complete": "sampled", "sampled": "none", "none": "none", None: None}


def level(overwritten, absent, verdict="CLEAN", limits=(), searched=None) -> str:
    return assess(Facts(overwritten, absent, searched, verdict, limits)).level


def test_the_letters_by_rule() -> None:
    assert level("complete", "complete") == "A3"
    assert level(None, "complete") == "A3"
    assert level("sampled", "complete") == "A2"
    assert level("complete", "sampled") == "A2"
    assert level("none", "complete") == "A0"
    assert level(None, "complete", searched="complete") == "A3"
    assert level(None, "complete", searched="sampled") == "A2"
    assert level(None, "complete", searched="none") == "A0"
    assert level("complete", "none") == "A0"
    assert level("complete", "complete", "INCONCLUSIVE") == "A0"


@pytest.mark.parametrize(
    "name", ["copy-on-write", "data-journal", "network-file-system", "shared-extents", "compressed-extents"]
)
def test_old_blocks_that_were_not_reached_leave_no_more_than_executed(name: str) -> None:
    found = assess(Facts("complete", "complete", None, "CLEAN", [name]))
    assert (found.level, found.limited_by) == ("A0", (name,))


@pytest.mark.parametrize("name", ["flash", "directory-names", "symlink-text", "extended-attributes"])
def test_what_lies_beside_the_claim_is_an_exception_and_no_cap(name: str) -> None:
    assert level("complete", "complete", limits=[name]) == "A3"
    assert exceptional([name])


def test_what_holds_for_every_erase_is_no_exception() -> None:
    assert not exceptional(
        ["process-memory", "copies-elsewhere", "earlier-free-blocks", "small-numbers-not-searched"]
    )
    assert exceptional(["process-memory", "flash"])


@given(facts, st.data())
def test_less_evidence_and_more_limits_never_raise_the_letter(known: Facts, data: st.DataObject) -> None:
    before = assess(known).level
    worse = data.draw(
        st.sampled_from(
            [
                replace(known, overwritten=WORSE[known.overwritten]),
                replace(known, absent=WORSE[known.absent]),
                replace(known, searched=WORSE[known.searched]),
                replace(known, verdict="INCONCLUSIVE"),
                replace(known, limits=[*known.limits, data.draw(st.sampled_from(sorted(LIMITS)))]),
            ]
        )
    )
    assert assess(worse).level <= before
    assert exceptional(worse.limits) >= exceptional(known.limits)


PLUGINS = Path(__file__).parents[2] / "plugins"
NAMED_BY_BACKENDS = (
    *("copy-on-write", "data-journal", "flash", "symlink-text", "extended-attributes", "directory-names"),
    *("memory-file-system", "network-file-system", "unknown-file-system", "compressed-extents"),
    *("links-elsewhere", "shared-extents", "thumbnails-left"),
    *("placement-unknown", "inline-data", "open-files-unseen", "earlier-free-blocks", "numbers-not-searched"),
    "small-numbers-not-searched",
    "packed-numbers-not-searched",
    "engine-check-not-run",
    "index-parts-not-searched",
    *("words-not-searched", "folded-words-not-searched", "shared-words-not-searched"),
    *("openers-unseen", "repeating-pattern"),
)


@pytest.mark.parametrize("name", NAMED_BY_BACKENDS)
def test_every_limit_that_a_backend_names_has_a_sentence_without_holes(name: str) -> None:
    assert limit_sentence(name).text == LIMITS[name].text
    assert any(f'"{name}"' in path.read_text() for path in PLUGINS.rglob("*.py"))


def test_no_backend_names_a_limit_directly_that_has_no_sentence() -> None:
    named = {
        name
        for path in PLUGINS.rglob("*.py")
        for name in re.findall(r'\.limit\("([^"]+)"\)', path.read_text())
    }
    assert named
    assert named <= set(NAMED_BY_BACKENDS)


@pytest.mark.parametrize("name", ["", "unknown", "Flash", "flash "])
def test_an_unknown_limit_is_never_certified(name: str) -> None:
    for use in (limit, limit_sentence, lambda n: assess(Facts(None, "complete", None, "CLEAN", [n]))):
        with pytest.raises(Refused, match="no vetted sentence"):
            use(name)


def test_a_sentence_is_never_printed_with_a_hole() -> None:
    with pytest.raises(Refused, match="needs a value"):
        limit_sentence("values-shared")
    filled = {
        field: "7" for _, field, _, _ in string.Formatter().parse(LIMITS["values-shared"].text) if field
    }
    assert "{" not in limit_sentence("values-shared", **filled).text


def sentences() -> dict[str, str]:
    texts = dict(CLAIMS) | {name: held.text for name, held in LIMITS.items()}
    return texts | {f"field {number}": text for number, text in enumerate(NOT_RECORDED)}


@pytest.mark.parametrize(("name", "text"), sentences().items())
def test_no_sentence_promises_too_much(name: str, text: str) -> None:
    folded = text.lower()
    assert [word for word in FORBIDDEN if word in folded] == []
    assert re.search(r"[a-z]", folded)


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_every_claim_says_when(name: str) -> None:
    assert "{at}" in CLAIMS[name]
    values = {field: "7" for _, field, _, _ in string.Formatter().parse(CLAIMS[name]) if field}
    made = claim(name, **values)
    assert made.id == name
    assert made.text.endswith(".")


def test_flash_is_never_called_purge() -> None:
    assert "Clear, never Purge" in LIMITS["flash"].text
    assert not any("Purge" in text for text in CLAIMS.values())
