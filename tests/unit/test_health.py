"""Numbers of health care, by published examples: found right or wrong, in three languages."""

import pyarrow as pa
import pytest

from deleatur.desensitize.detectors import TYPES, classify, spans
from deleatur.desensitize.redaction import redacted

EXAMPLES = [  # number, text around it, whether the form has a check digit
    ("A123456780", "Meine Versichertennummer ist {}.", True),  # KVNR: the example of the GKV's definition
    ("A123456780", "电子健康卡KVNR号{}谢谢", True),
    ("1234567893", "NPI号{}", True),  # the example of CMS for the check digit
    ("943 476 5919", "NHS number: {}", True),  # the example of python-stdnum
    ("1EG4-TE5-MK73", "Medicare card {} shown", False),  # the example of CMS for the MBI
    ("1EG4TE5MK73", "号码{}号", False),
]


@pytest.mark.parametrize(("number", "text", "check"), EXAMPLES)
def test_a_published_example_is_found_and_its_check_digit_is_told(
    number: str, text: str, check: bool
) -> None:
    written = text.format(number)
    (span,) = [s for s in spans(written) if s.type == "health-number"]
    assert written[span.start : span.end] == number
    assert span.checked is (True if check else None)


@pytest.mark.parametrize(("number", "text", "check"), [one for one in EXAMPLES if one[2]])
def test_with_another_last_digit_it_is_found_all_the_same_beside_its_word(
    number: str, text: str, check: bool
) -> None:
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    (span,) = [s for s in spans(text.format(wrong)) if s.type == "health-number"]
    assert span.checked is False


@pytest.mark.parametrize(
    "text",
    [
        "order 1234567893",
        "call 943 476 5919",
        "part B123456789",
        "1SG4-TE5-MK73",
        "XA123456780",
        "1EG4TE5MK733",
    ],
)
def test_look_alikes_without_a_word_stay(text: str) -> None:
    assert not [s for s in spans(text) if s.type == "health-number"]


def test_they_are_core_and_named_in_a_column() -> None:
    assert TYPES["health-number"].level == "core"
    (finding,) = classify(["A123456780", "1EG4-TE5-MK73", "1EG4TE5MK73"], name="insured")
    assert (finding.type, finding.level, finding.count) == ("health-number", "core", 3)


@pytest.mark.parametrize(("number", "text", "check"), EXAMPLES)
def test_redaction_leaves_nothing_of_it(number: str, text: str, check: bool) -> None:
    (left,) = redacted(pa.array([text.format(number)]), []).to_pylist()
    assert "[health-number]" in left
    assert not any(character.isdigit() for character in left)
