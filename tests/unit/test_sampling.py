"""Sample sizes, bounds and positions: the numbers that certificates print."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.documents.place import Locator
from deleatur.errors import Refused
from deleatur.judge.sampling import (
    BINOMIAL,
    HYPERGEOMETRIC,
    drawn,
    positions,
    proven,
    proven_of_many,
    sample_size,
)


@pytest.mark.parametrize(
    ("fraction", "confidence", "reads"),
    [
        ("0.01", "0.95", 299),
        ("0.01", "0.99", 459),
        ("0.01", "0.999", 688),
        ("0.01", "0.999999", 1375),
        ("0.001", "0.99", 4603),
        ("0.0001", "0.99", 46050),
        ("0.000001", "0.95", 2995731),
        ("0.000001", "0.999999", 13815504),
    ],
)
def test_the_table_of_sample_sizes(fraction: str, confidence: str, reads: int) -> None:
    assert sample_size(confidence, fraction) == reads


def missed(population: int, bad: int, reads: int) -> Fraction:
    """The exact chance that none of `reads` places is bad."""
    return Fraction(comb(population - bad, reads), comb(population, reads))


small = st.integers(min_value=1, max_value=400)
decimals = st.integers(min_value=1, max_value=999).map(lambda n: f"0.{n:03d}")


@given(small, st.data(), decimals)
def test_the_exact_bound_is_the_hypergeometric_one(
    population: int, data: st.DataObject, confidence: str
) -> None:
    reads = data.draw(st.integers(min_value=1, max_value=population))
    shown = proven(population, reads, confidence)
    allowed = 1 - Fraction(confidence)
    bad = next(k for k in range(population + 1) if missed(population, k, reads) <= allowed)
    assert shown.formula == HYPERGEOMETRIC
    assert 0 <= Fraction(shown.fraction) - Fraction(bad, population) < Fraction(1, 10**8)


def test_a_chance_that_is_exactly_what_is_allowed_is_allowed() -> None:
    assert proven(135, 1, "0.200").fraction == "0.2"  # 27 of 135: one read misses them with 108/135 = 0.8


def test_the_binomial_bound_is_close_to_the_exact_one() -> None:
    exact = Fraction(proven(100_000, 4603, "0.99").fraction)
    close = Fraction(proven(100_001, 4603, "0.99").fraction)
    assert proven(100_001, 4603, "0.99").formula == BINOMIAL
    assert exact <= close <= exact * Fraction(103, 100)


def test_reading_more_never_proves_less() -> None:
    shown = [Fraction(proven(5000, reads, "0.99").fraction) for reads in range(1, 5001, 13)]
    assert shown == sorted(shown, reverse=True)


def test_a_sample_of_the_planned_size_proves_what_was_planned() -> None:
    for fraction, confidence in (("0.01", "0.99"), ("0.001", "0.999"), ("0.0001", "0.95")):
        reads = sample_size(confidence, fraction)
        assert Fraction(proven_of_many(reads, confidence).fraction) <= Fraction(fraction)
        assert Fraction(proven_of_many(reads - 1, confidence).fraction) > Fraction(fraction)
    with pytest.raises(Refused):
        proven_of_many(0, "0.99")


@pytest.mark.parametrize("reads", [0, 11, -1])
def test_nothing_is_proven_by_no_reads_or_too_many(reads: int) -> None:
    with pytest.raises(Refused):
        proven(10, reads, "0.99")


@pytest.mark.parametrize("text", ["0", "1", "0.0", "1.0", "nan", "inf", "-0.5", "0.5\n", "0.١", "", "9" * 99])
def test_what_is_no_fraction_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        sample_size(text, "0.01")
    with pytest.raises(Refused):
        sample_size("0.99", text)


@given(st.binary(max_size=40), st.integers(0, 3000), st.integers(0, 3000))
def test_positions_are_distinct_sorted_in_range_and_repeatable(
    seed: bytes, population: int, count: int
) -> None:
    chosen = positions(seed, population, count)
    assert len(chosen) == min(population, count)
    assert chosen == sorted(set(chosen))
    assert all(0 <= position < population for position in chosen)
    assert positions(seed, population, count) == chosen


def test_positions_are_the_same_on_every_machine_for_ever() -> None:
    # printf 'deleatur\0\0\0\0\0\0\0\0' | openssl dgst -shake256 -xoflen 40, each 8 bytes modulo a million
    assert positions(b"deleatur", 1_000_000, 5) == [352703, 364140, 383875, 485690, 915323]


def test_every_position_is_as_likely_as_any_other() -> None:
    counts = [0] * 10
    for number in range(4000):
        for position in positions(number.to_bytes(4, "big"), 10, 3):
            counts[position] += 1
    assert sum(counts) == 12_000
    assert all(1000 < count < 1400 for count in counts)  # expected 1,200; 6 standard deviations


@given(st.sets(st.integers(0, 999), max_size=40), st.integers(0, 50), st.binary(min_size=1, max_size=64))
def test_the_same_seed_draws_the_same_places_in_whatever_order_they_come(
    numbers: set[int], count: int, seed: bytes
) -> None:
    places = [Locator(unit="table people", item=f"row-\udc80{number}") for number in sorted(numbers)]
    chosen = list(drawn(places, count, seed))
    assert chosen == list(drawn(reversed(places), count, seed))
    assert len(set(chosen)) == min(count, len(places))
    assert set(chosen) <= set(places)
    assert list(drawn(places, None, seed)) == places


def test_another_seed_draws_other_places() -> None:
    places = [Locator(unit="table people", item=str(number)) for number in range(1000)]
    assert set(drawn(places, 20, b"one")) != set(drawn(places, 20, b"two"))
