"""Forms that format-preserving encryption keeps: alphabet, separators and check digit.

A check digit is computed anew from what was encrypted, and keeps its error if it had one: a valid
number gives a valid one, and two values never become one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deleatur.desensitize.values import SEPARATORS, UnfitError

if TYPE_CHECKING:
    import numpy.typing as npt

    from deleatur.desensitize.ff1 import Ff1

    Bytes = npt.NDArray[np.uint8]

_DIGITS = "0123456789"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NO, _SEPARATOR = 255, 254  # beside the numerals of an alphabet
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999: ISO 7064 MOD 11-2


@dataclass(frozen=True)
class Form:
    """One form of values, and how its last character follows from the others."""

    name: str
    alphabet: str
    check: Callable[["Bytes"], "Bytes"] | None = None  # numerals without the last -> the last
    modulus: int = 0  # of the check
    numerals: int = 0  # how many, the check included; 0: any number that FF1 takes


def _luhn(numerals: "Bytes") -> "Bytes":
    """Return the check digits of ISO/IEC 7812-1 annex B."""
    doubled = numerals[:, ::-1].astype(np.int64)
    doubled[:, ::2] *= 2
    checks: Bytes = (-(doubled - 9 * (doubled > 9)).sum(axis=1) % 10).astype(np.uint8)
    return checks


def _resident(numerals: "Bytes") -> "Bytes":
    """Return the check characters of ISO 7064 MOD 11-2, 10 standing for X."""
    checks: Bytes = ((12 - numerals.astype(np.int64) @ np.array(_WEIGHTS)) % 11).astype(np.uint8)
    return checks


FORMS = {
    form.name: form
    for form in (
        Form("digits", _DIGITS),
        Form("capitals", _DIGITS + _CAPITALS),
        Form("letters", _DIGITS + _CAPITALS + _CAPITALS.lower()),
        Form("bank-card", _DIGITS, _luhn, 10),
        Form("resident-id", _DIGITS, _resident, 11, 18),
    )
}


def encrypted(text: "Bytes", form: Form, cipher: "Ff1") -> "Bytes":
    """Return equally long texts, one a row, with the characters of the alphabet encrypted in place.

    Raises:
        UnfitError: a row has another character, or too few or too many of them.
    """
    numerals = _numerals_of(form)[text]
    if (numerals == _NO).any():
        raise UnfitError(f"a character that {form.name} has not")
    inside = numerals != _SEPARATOR
    counts = inside.sum(axis=1)
    result = text.copy()
    for count in map(int, np.unique(counts)):
        rows = np.flatnonzero(counts == count)
        places = inside[rows]
        part = result[rows]
        part[places] = _spelt(numerals[rows][places].reshape(rows.size, count), form, cipher).ravel()
        result[rows] = part
    return result


def _spelt(numerals: "Bytes", form: Form, cipher: "Ff1") -> "Bytes":
    length = numerals.shape[1]
    body = length - (form.check is not None)
    if not cipher.shortest() <= body <= cipher.longest() or (form.numerals and length != form.numerals):
        raise UnfitError(f"a value too short or too long for {form.name}")
    radix = len(form.alphabet)
    if (numerals[:, :body] >= radix).any():
        raise UnfitError(f"a character that {form.name} has not")
    changed = np.empty_like(numerals)
    changed[:, :body] = cipher.encrypt(numerals[:, :body])
    if form.check is not None:
        error = numerals[:, body].astype(np.int64) - form.check(numerals[:, :body])
        changed[:, body] = (form.check(changed[:, :body]) + error) % form.modulus
    return np.frombuffer((form.alphabet + "X" * (form.modulus == 11)).encode(), np.uint8)[changed]


def _numerals_of(form: Form) -> "Bytes":
    table = np.full(256, _NO, np.uint8)
    for separator in SEPARATORS:
        table[ord(separator)] = _SEPARATOR
    for number, character in enumerate(form.alphabet):
        table[ord(character)] = number
    if form.modulus == 11:
        table[ord("X")] = table[ord("x")] = len(form.alphabet)
    return table
