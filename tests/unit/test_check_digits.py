"""Identifiers with a check digit, by published examples: found right or wrong, and told apart."""

import pytest

from deleatur.desensitize.detectors import spans

EXAMPLES = [
    ("unified-social-credit-code", "91350100M000100Y43"),  # GB 32100-2015: base 31
    ("iban", "GB82WEST12345698765432"),  # the example of the IBAN registry for ISO 13616-1: MOD 97-10
    ("bank-card", "4111111111111111"),  # ISO/IEC 7812-1: Luhn; a test number that card networks publish
]


@pytest.mark.parametrize(("kind", "number"), EXAMPLES)
@pytest.mark.parametrize("text", ["号码{}谢谢", "No. {}, thanks"])
def test_a_published_example_passes_its_check_and_fails_it_with_another_last_digit(
    kind: str, number: str, text: str
) -> None:
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    for written, right in ((number, True), (wrong, False)):
        (span,) = spans(text.format(written))
        assert (span.type, span.checked) == (kind, right)
        assert text.format(written)[span.start : span.end] == written
