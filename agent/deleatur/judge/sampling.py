"""How many places to read, which, and what reading them proves. Pure; decimals, never floats."""

import hashlib
import heapq
import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, Context, Decimal
from math import comb
from typing import NamedTuple

from deleatur.documents.place import Locator
from deleatur.errors import Refused

_DECIMAL = re.compile(r"0\.[0-9]{1,6}\Z")  # as in a job
_EXACT_UP_TO = 100_000  # places; beyond it the binomial bound is within 1 % of the exact one
_PLACES = Decimal("0.00000001")  # printed fractions, rounded up
_CONTEXT = Context(prec=60)  # digits: products of 100,000 factors keep 50 of them
_NEAR = Decimal("1e-40")  # closer than this, rounding could decide

SPARES = 16  # places that a medium may not show before the bound that was planned is missed

BINOMIAL = "1-(1-c)^(1/n)"
HYPERGEOMETRIC = "smallest K/N with C(N-K,n)/C(N,n) <= 1-c"


class Proven(NamedTuple):
    """An upper bound on the fraction of bad places, as a decimal string, and where it comes from."""

    fraction: str
    formula: str


def sample_size(confidence: str, max_bad_fraction: str) -> int:
    """Return n = ceil(ln(1-c)/ln(1-p)): reads that miss a bad fraction p with probability 1-c at most.

    Source: the binomial bound P(miss) = (1-p)^n; drawing without replacement misses no more often.
    For example 459 for "0.99" and "0.01".
    """
    confidence_, fraction = _fraction(confidence, "confidence"), _fraction(max_bad_fraction, "fraction")
    reads = _CONTEXT.divide(_CONTEXT.ln(1 - confidence_), _CONTEXT.ln(1 - fraction))
    return int(reads.to_integral_value(ROUND_CEILING))


def with_spares(count: int) -> int:
    """Return how many places of a device are drawn where `count` must be read: it may not show them all."""
    return count + SPARES


def proven_of_many(reads: int, confidence: str) -> Proven:
    """Return what `reads` random places without a fault prove about a population of unknown size.

    Source: 1-(1-c)^(1/n), the binomial bound; a population that is known and small is bound tighter.

    Raises:
        Refused: nothing was read.
    """
    if reads < 1:
        raise Refused("no reads prove nothing")
    allowed = 1 - _fraction(confidence, "confidence")
    root = _CONTEXT.exp(_CONTEXT.divide(_CONTEXT.ln(allowed), Decimal(reads)))
    return Proven(_printed(1 - root), BINOMIAL)


def proven(population: int, reads: int, confidence: str) -> Proven:
    """Return what `reads` random places without a fault prove about all of `population`.

    Raises:
        Refused: nothing was read, or more than there is.
    """
    if not 0 < reads <= population:
        raise Refused(f"{reads} reads of {population} places prove nothing")
    if population > _EXACT_UP_TO:
        return proven_of_many(reads, confidence)
    bad = _smallest_caught(population, reads, 1 - _fraction(confidence, "confidence"))
    return Proven(_printed(_CONTEXT.divide(Decimal(bad), Decimal(population))), HYPERGEOMETRIC)


def positions(seed: bytes, population: int, count: int) -> list[int]:
    """Return min(count, population) distinct positions below `population`, in order, fixed by `seed`.

    SHAKE-256(seed || counter) read as 64-bit numbers, those that would make some positions likelier
    rejected (FIPS 202 §6.2; rejection as in NIST SP 800-90A Rev. 1 §A.5.1).
    """
    if count >= population:
        return list(range(population))
    if 2 * count > population:  # fewer draws: name those that are left out
        left_out = set(positions(seed, population, population - count))
        return [position for position in range(population) if position not in left_out]
    limit = (1 << 64) // population * population
    chosen: set[int] = set()
    block = 0
    while len(chosen) < count:
        stream = hashlib.shake_256(seed + block.to_bytes(8, "big")).digest(8 * 1024)
        block += 1
        for start in range(0, len(stream), 8):
            number = int.from_bytes(stream[start : start + 8], "big")
            if number < limit and len(chosen) < count:
                chosen.add(number % population)
    return sorted(chosen)


def drawn(places: Iterable[Locator], count: int | None, seed: bytes) -> Iterable[Locator]:
    """Return `count` of the places, the same ones for the same seed; every place for None.

    Those with the lowest keyed digests (BLAKE2b, RFC 7693): no more than `count` are kept in memory.
    """
    if count is None:
        return places

    def lot(place: Locator) -> bytes:
        text = f"{place.unit} {place.item} {place.offset}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, key=seed[:64], digest_size=16).digest()

    return heapq.nsmallest(count, places, key=lot)


def _smallest_caught(population: int, reads: int, allowed: Decimal) -> int:
    """Return the smallest number of bad places that `reads` miss with probability `allowed` at most."""
    missed = Decimal(1)
    for bad in range(population):  # C(N-K, n)/C(N, n), one factor more for each K
        near = abs(missed - allowed) < _NEAR
        if _exactly_caught(population, bad, reads, allowed) if near else missed <= allowed:
            return bad
        missed = _CONTEXT.multiply(
            missed, _CONTEXT.divide(Decimal(max(population - reads - bad, 0)), Decimal(population - bad))
        )
    return population


def _exactly_caught(population: int, bad: int, reads: int, allowed: Decimal) -> bool:
    """Compare without rounding: where both are equal, the last digit of a rounded product decides nothing."""
    numerator, denominator = allowed.as_integer_ratio()
    return comb(population - bad, reads) * denominator <= comb(population, reads) * numerator


def _fraction(text: str, what: str) -> Decimal:
    if not _DECIMAL.match(text):
        raise Refused(f"the {what} {text[:20]!r} is not a decimal between 0 and 1")
    value = Decimal(text)
    if not value:
        raise Refused(f"the {what} is 0, and must be more")
    return value


def _printed(value: Decimal) -> str:
    return format(value.quantize(_PLACES, ROUND_CEILING).normalize(), "f")
