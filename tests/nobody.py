"""Be a user who owns nothing here, for a while."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the rights of root in the block, and take them back after it."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
