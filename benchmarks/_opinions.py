"""What programs of other people find on a device: `strings`, and the files that `photorec` carves out of it.

They read the same bytes as our own search and share no code with it. What was only deleted is on the same
device: a program that does not see that either is blind, and what it does not see of ours says nothing.
"""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks._halves import Found, search, search_in

_PATIENCE = 900  # seconds


def strings(image: Path) -> Found:
    """Search what GNU strings takes for text."""
    found = Found()
    with tempfile.TemporaryFile(dir="/dev/shm") as told:
        subprocess.run(["strings", "-a", "-n", "24", image], check=True, stdout=told, timeout=_PATIENCE)
        told.seek(0)
        search_in(told, found)
    return found


def photorec(image: Path) -> Found:
    """Search the files that photorec carves, of every kind that it knows, also those that are damaged."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as room:
        asked = "partition_none,options,keep_corrupted_file,wholespace,search"
        words = ["photorec", "/d", f"{room}/carved", "/cmd", str(image), asked]
        subprocess.run(
            words, check=True, cwd=room, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE
        )
        return search(path for path in sorted(Path(room).rglob("*")) if path.is_file())


OPINIONS: dict[str, Callable[[Path], Found]] = {"strings": strings, "photorec": photorec}
