"""Work on whole Arrow columns: what is regular goes through compiled code, the rest value by value.

Both roads give the same result (tests/unit/test_columns.py); the short one only costs less. NULL
stays NULL.
"""

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from deleatur.desensitize import values
from deleatur.desensitize.arrow import arrow, kind_of, with_nulls_of

if TYPE_CHECKING:
    import numpy.typing as npt

_ISO = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}(?:[T ][0-9].*)?$"
_COMPOSED = (  # nothing to strip, and characters that NFC leaves as they are
    "^[!-~À-ÿ\u4e00-\u9fff\uff01-\uff5e]+(?: [!-~À-ÿ\u4e00-\u9fff\uff01-\uff5e]+)*$"
)
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_FIRST_DAY, _LAST_DAY = datetime.date.min.toordinal() - _EPOCH, datetime.date.max.toordinal() - _EPOCH
_EXACT = float(2**53)  # integers up to here are exact in an IEEE 754 double


def whole(column: Any) -> Any:
    """Return a column as one array."""
    chunked = column if isinstance(column, arrow().ChunkedArray) else arrow().chunked_array([column])
    return chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)


def each_distinct(array: Any, function: Callable[[Any], Any], result: str) -> Any:
    """Apply `function` once to each distinct value; NULL is never passed to it."""
    pa = arrow()
    encoded = array.dictionary_encode()
    changed = pa.array([function(value) for value in encoded.dictionary.to_pylist()], type=result)
    return changed.take(encoded.indices)


def text_of(array: Any) -> Any:
    """Return an array in the one text form of values (`values.plain`); bytes have none."""
    pa, kind = arrow(), kind_of(array.type)
    if kind in {"text", "integer", "bool"}:
        return array.cast(pa.string())
    if kind == "date":
        return array.cast(pa.date32()).cast(pa.string())
    if kind == "float":
        numbers = array.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        whole_numbers = (np.trunc(numbers) == numbers) & (np.abs(numbers) < _EXACT)
        return _two_roads(
            array,
            whole_numbers,
            lambda a: a.cast(pa.float64()).cast(pa.int64()).cast(pa.string()),
            values.plain,
        )
    return each_distinct(array, values.plain, "string")


def masked(array: Any) -> Any:
    """Apply `values.mask`."""
    from pyarrow import compute as pc

    if kind_of(array.type) != "text":
        return each_distinct(array, values.mask, "string")
    array = array.cast(arrow().string())
    regular = pc.and_(pc.string_is_ascii(array), pc.less_equal(pc.binary_length(array), values.EXACT_SHAPE))
    result = _two_roads(array, _truth(regular), lambda a: translated(a, _ASCII_SHAPES), values.mask)
    same = _truth(pc.equal(result, array))  # such as 000-000: a value that is its own mask
    return _two_roads_between(array, ~same, result, values.mask) if same.any() else result


def last_4(array: Any) -> Any:
    """Apply `values.keep_last_4`."""
    from pyarrow import compute as pc

    array = array.cast(arrow().string())

    def short_road(part: Any) -> Any:
        bare = part
        if not pc.all(pc.ascii_is_alnum(part)).as_py():
            bare = pc.replace_substring_regex(part, "[^0-9A-Za-z]", "")
        shown = pc.if_else(
            pc.greater_equal(pc.binary_length(bare), 2 * values.SHOWN),
            pc.utf8_slice_codeunits(bare, -values.SHOWN),
            "",
        )
        return pc.binary_join_element_wise("****", shown, "")

    return _two_roads(array, _truth(pc.string_is_ascii(array)), short_road, values.keep_last_4)


def dates_of(array: Any) -> Any:
    """Return the dates that an array holds as date32; empty text has none.

    Raises:
        UnfitError: a text is no date.
    """
    from pyarrow import compute as pc

    pa = arrow()
    if kind_of(array.type) != "text":
        if getattr(array.type, "tz", None) is not None:  # the day there, not the day in Greenwich
            array = pc.local_timestamp(array)
        return array.cast(pa.date32(), safe=False)
    array = array.cast(pa.string())
    written = _as_written(array)
    if written is not None:
        return written

    def short_road(part: Any) -> Any:
        try:
            return pc.utf8_slice_codeunits(part, 0, 10).cast(pa.date32())
        except pa.ArrowInvalid:
            raise values.UnfitError("a date that the calendar does not have") from None

    regular = _truth(pc.match_substring_regex(array, _ISO))
    return _two_roads(array, regular, short_road, _date_or_nothing, "date32")


def years(array: Any, step: int) -> Any:
    """Return the years of dates, rounded down to a multiple of `step`."""
    from pyarrow import compute as pc

    return _rounded(pc.year(dates_of(array)), step)


def months(array: Any) -> Any:
    """Return year and month of dates, as 2026-03."""
    from pyarrow import compute as pc

    dates = dates_of(array)
    count = pc.add(pc.multiply(pc.year(dates), 100), pc.month(dates))
    return each_distinct(count, lambda n: f"{n // 100:04d}-{n % 100:02d}", "string")


def first_letter(array: Any) -> Any:
    """Apply `values.to_first_letter`; empty text has none."""
    return _of_text(array, values.to_first_letter)


def first(array: Any, most: int) -> Any:
    """Apply `values.to_first`; empty text has none."""
    from pyarrow import compute as pc

    encoded = array.cast(arrow().string()).dictionary_encode()  # many live in one street
    array, function = encoded.dictionary, values.to_first(most)
    plain = pc.match_substring_regex(array, _COMPOSED)
    regular = pc.and_(plain, pc.greater_equal(pc.utf8_length(array), 2 * most))
    result = _two_roads(
        array,
        _truth(regular),
        lambda part: pc.utf8_slice_codeunits(part, 0, most),
        lambda value: function(value) if value.strip() else None,
    )
    return result.take(encoded.indices)


def thousands(array: Any) -> Any:
    """Apply `values.to_thousands`."""
    return _numbers(array, 1000, 1, values.to_thousands)


def tens(array: Any) -> Any:
    """Apply `values.to_tens`."""
    return _numbers(array, 10, 10, values.to_tens)


def shifted(array: Any, days: "npt.NDArray[np.int64]") -> Any:
    """Return dates moved by so many days each: a timestamp keeps its time of day, text gives a date.

    Raises:
        UnfitError: a text is no date, or the calendar ends.
    """
    pa = arrow()
    if kind_of(array.type) == "timestamp":
        _in_calendar(dates_of(array), days)
        ticks = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[array.type.unit]
        moved = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) + days * (86_400 * ticks)
        return with_nulls_of(array, pa.array(moved, pa.int64()).cast(array.type))
    dates = dates_of(array)
    numbers = _in_calendar(dates, days)
    result = with_nulls_of(dates, pa.array(numbers.astype(np.int32), pa.int32()).cast(pa.date32()))
    return result.cast(pa.string() if kind_of(array.type) == "text" else array.type)


def translated(array: Any, table: "npt.NDArray[np.uint8]") -> Any:
    """Return text in which each byte is replaced by what the table of 256 bytes says."""
    pa = arrow()
    valid, offsets, content = array.buffers()
    if content is None:
        return array
    changed = pa.py_buffer(table[np.frombuffer(content, np.uint8)])
    return pa.StringArray.from_buffers(len(array), offsets, changed, valid, -1, array.offset)


def _two_roads(
    array: Any,
    regular: "npt.NDArray[np.bool_]",
    short_road: Callable[[Any], Any],
    function: Callable[[Any], Any],
    result: str = "string",
) -> Any:
    """Send regular rows down the short road and each distinct one of the rest through `function`."""
    if regular.all():
        return short_road(array)
    pa = arrow()
    rest = each_distinct(array.filter(pa.array(~regular)), function, result)
    if not regular.any():
        return rest
    both = pa.concat_arrays([short_road(array.filter(pa.array(regular))), rest])
    places = np.empty(len(array), np.int64)
    places[np.concatenate([np.flatnonzero(regular), np.flatnonzero(~regular)])] = np.arange(len(array))
    return both.take(pa.array(places))


def _two_roads_between(
    array: Any, good: "npt.NDArray[np.bool_]", result: Any, function: Callable[[Any], Any]
) -> Any:
    """Keep the result where it is good, and apply `function` to the other rows."""
    pa = arrow()
    other = each_distinct(array.filter(pa.array(~good)), function, "string")
    from pyarrow import compute as pc

    return pc.replace_with_mask(result, pa.array(~good), other)


def _numbers(array: Any, step: int, unit: int, function: Callable[[Any], Any]) -> Any:
    """Round numbers down to a multiple of `step`, counted in `step / unit`."""
    pa, kind = arrow(), kind_of(array.type)
    if kind == "integer" and array.type != pa.uint64():
        numbers = _ints(array.cast(pa.int64()))
        if numbers.size and numbers.min() > -_EXACT:
            return with_nulls_of(array, pa.array(numbers // step * unit, pa.int64()))
    if kind == "float":
        array = array.cast(pa.float64())
        small = np.abs(array.fill_null(0.0).to_numpy(zero_copy_only=False)) < _EXACT
        return _two_roads(array, small, lambda part: _floats_down(part, step, unit), function, "int64")
    if kind == "text":
        return _of_text(array, function, "int64")
    return each_distinct(array, function, "int64")


def _as_written(array: Any) -> Any:
    """Return the dates of texts that are YYYY-MM-DD and nothing more, each a day; None if one is not."""
    from pyarrow import compute as pc

    try:
        dates = array.cast(arrow().date32())
    except arrow().ArrowInvalid:
        return None
    first = pc.min(dates.cast(arrow().int32())).as_py()  # Arrow has a year 0
    return None if first is not None and first < _FIRST_DAY else dates


def _of_text(array: Any, function: Callable[[Any], Any], result: str = "string") -> Any:
    """Say that an empty text has no year: databases write '' where they mean NULL."""
    return each_distinct(array, lambda value: function(value) if value.strip() else None, result)


def _floats_down(array: Any, step: int, unit: int) -> Any:
    numbers = array.fill_null(0.0).to_numpy(zero_copy_only=False)
    down = np.floor_divide(numbers, step).astype(np.int64) * unit
    return with_nulls_of(array, arrow().array(down, arrow().int64()))


def _ints(array: Any) -> "npt.NDArray[np.int64]":
    numbers: npt.NDArray[np.int64] = array.fill_null(0).to_numpy(zero_copy_only=False)
    return numbers


def _rounded(array: Any, step: int) -> Any:
    return with_nulls_of(array, arrow().array(_ints(array) // step * step, arrow().int64()))


def _in_calendar(dates: Any, days: "npt.NDArray[np.int64]") -> "npt.NDArray[np.int64]":
    pa = arrow()
    numbers = dates.cast(pa.int32()).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) + days
    if numbers.size and (numbers.min() < _FIRST_DAY or numbers.max() > _LAST_DAY):
        raise values.UnfitError("a date at the end of the calendar")
    moved: npt.NDArray[np.int64] = numbers
    return moved


def _truth(array: Any) -> "npt.NDArray[np.bool_]":
    """Return what holds as a numpy array; of NULL anything holds."""
    truth: npt.NDArray[np.bool_] = array.fill_null(True).to_numpy(zero_copy_only=False)
    return truth


def _date_or_nothing(value: str) -> datetime.date | None:
    return values.date_of(value) if value.strip() else None


_ASCII_SHAPES = np.array([ord(values.shape_of(chr(n))) if n < 128 else 0 for n in range(256)], np.uint8)
