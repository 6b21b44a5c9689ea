"""Remember what was found out about short texts, and never keep a long one in memory. Pure."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")
_LONGEST = 4096  # characters: 2^14 such texts are 64 MiB, and a longer one seldom comes twice


def remembered(
    most: int, size: Callable[[Any], int] = len
) -> Callable[[Callable[Asked, Answer]], Callable[Asked, Answer]]:
    """Remember the last `most` answers of a function whose first argument has no more than 4,096 characters.

    `size` counts them; what is longer is worked out anew each time.
    """

    def decorated(function: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
        known = cast(Callable[Asked, Answer], lru_cache(most)(function))

        @wraps(function)
        def answered(*asked: Asked.args, **named: Asked.kwargs) -> Answer:
            short = size(asked[0]) <= _LONGEST
            return known(*asked, **named) if short else function(*asked, **named)

        return answered

    return decorated


def size_of_all(texts: tuple[str, ...]) -> int:
    """Return how many characters some texts have."""
    return sum(map(len, texts))
