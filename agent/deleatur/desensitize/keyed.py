"""Rules with a key: tokens, format-preserving encryption and date shifts, over whole Arrow columns.

One key for each job, purpose and domain: the same value has the same token in every table and
package of a job, and in nothing else. Once the job's key is destroyed nobody can compute a token.
"""

import hmac
from typing import TYPE_CHECKING, Any

import numpy as np

from deleatur.desensitize import columns
from deleatur.desensitize.arrow import arrow, kind_of, with_nulls_of
from deleatur.desensitize.cmac import Cmac, buffers_of, by_length, gather, hexadecimal
from deleatur.desensitize.values import UnfitError

if TYPE_CHECKING:
    import numpy.typing as npt

SHIFT_DAYS = 365  # the most that a subject's dates move, either way


def derived(key: bytes, purpose: str, domain: str | None) -> bytes:
    """Return the AES-256 key of one purpose and domain (HMAC-SHA-256, one block of HKDF-Expand's kind)."""
    return hmac.digest(key, f"deleatur/archive/v1/{purpose}/{domain or ''}".encode(), "sha256")


def tokens(array: Any, key: bytes, domain: str | None = None) -> Any:
    """Return 32 hex digits of AES-CMAC for each value; NULL stays NULL.

    A number and its decimal text give one token, so that references hold between typed and
    untyped columns; bytes never equal text.
    """
    if kind_of(array.type) == "bytes":
        return with_nulls_of(array, hexadecimal(Cmac(derived(key, "token-bytes", domain)).tags(array)))
    text = columns.text_of(array)
    return with_nulls_of(array, hexadecimal(Cmac(derived(key, "token", domain)).tags(text)))


def format_preserving(array: Any, key: bytes, form: str, domain: str | None = None) -> Any:
    """Return FF1 of each value in the form `form` (`formats.FORMS`): length, separators and check digit stay.

    Raises:
        UnfitError: a value has other characters than the form, or too few or too many.
    """
    from deleatur.desensitize import formats
    from deleatur.desensitize.ff1 import Ff1

    pa = arrow()
    text = columns.text_of(array)
    shape = formats.FORMS[form]
    cipher = Ff1(derived(key, f"ff1-{shape.name}", domain), len(shape.alphabet))
    content, offsets = buffers_of(text)
    changed = content.copy()
    for length, rows in by_length(offsets):
        if length:
            starts = offsets[rows]
            matrix = formats.encrypted(gather(content, starts, length), shape, cipher)
            np.put(changed, starts[:, None] + np.arange(length), matrix)
    buffers = text.buffers()
    result = pa.StringArray.from_buffers(
        len(text), buffers[1], pa.py_buffer(changed), buffers[0], -1, text.offset
    )
    return _empty_is_null(result)


def date_shift(array: Any, subjects: Any, key: bytes, domain: str | None = None) -> Any:
    """Move each date by its subject's own number of days: the intervals of one subject stay.

    Raises:
        UnfitError: a date without a subject, a text that is no date, or the calendar ends.
    """
    from pyarrow import compute as pc

    if kind_of(subjects.type) in {"bytes", "other"}:
        raise UnfitError("subjects that are no text or number")
    names = columns.text_of(subjects) if kind_of(subjects.type) != "null" else subjects.cast("string")
    if pc.any(pc.and_(pc.is_valid(array), pc.is_null(names))).as_py():
        raise UnfitError("a date without a subject")
    return columns.shifted(array, _days_of(names, derived(key, "date-shift", domain)))


def _days_of(names: Any, key: bytes) -> "npt.NDArray[np.int64]":
    """Return -365 … -1 or 1 … 365 for each name; never 0, which would leave the date as it is."""
    words = Cmac(key).tags(names)[:, :8].copy().view(">u8").ravel()
    days = (words % np.uint64(2 * SHIFT_DAYS)).astype(np.int64) - SHIFT_DAYS
    return np.where(days >= 0, days + 1, days)


def _empty_is_null(array: Any) -> Any:
    from pyarrow import compute as pc

    return pc.if_else(pc.equal(pc.binary_length(array), 0), arrow().scalar(None, array.type), array)
