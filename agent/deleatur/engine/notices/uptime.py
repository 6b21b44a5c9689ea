"""How long this host has run: a clock that nobody can set (Linux)."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deleatur.errors import Failed

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Uptime:
    """Seconds since a boot, and which boot that was."""

    boot: str  # sha256 hex of the kernel's boot id
    seconds: int


Stopwatch = Callable[[], Uptime]


def uptime() -> Uptime:
    """Return how long the host has run, the time that it was suspended included (clock_gettime(2)).

    Raises:
        Failed: the kernel does not say which boot this is.
    """
    try:
        boot = _BOOT.read_bytes()
    except OSError as error:
        raise Failed(f"{_BOOT} cannot be read: {error.strerror}") from None
    return Uptime(hashlib.sha256(boot).hexdigest(), int(time.clock_gettime(time.CLOCK_BOOTTIME)))
