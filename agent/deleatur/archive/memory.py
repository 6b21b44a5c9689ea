"""Give memory that is free back to the system, when a step of a job has ended.

Allocators keep it, for speed, and `deleatur.desensitize.arrow.keep_memory` lets them: without this, a step
comes on top of the most that any step before it needed.
"""

import sys
from ctypes import CDLL


def give_back_memory() -> None:
    """Let Arrow, if it was imported, and glibc return what they keep; other libraries of C keep theirs.

    Source: malloc_trim(3).
    """
    if (pyarrow := sys.modules.get("pyarrow")) is not None:
        pyarrow.default_memory_pool().release_unused()
    if (trim := getattr(CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
