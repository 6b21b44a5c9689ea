"""Plan, read back and certify a large device, and print what that took: `large_device.py NODE FOLDER`.

The device is sparse and reads as zeros, as one that was overwritten with zeros: only the writing is left out.
"""

import sys
from collections.abc import Generator
from pathlib import Path

from deleatur.sanitize.device import Medium, Written
from deleatur.sanitize.patterns import Laid
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import overwriting

from ..lab.jobs import job, predicate


def written(medium: Medium, _pattern: Laid, _unit: str, after: int = 0) -> Generator[Written, None, None]:
    """Tell of a pass as it is told."""
    yield from (Written(n * medium.size // 64, ()) for n in range(1, 65) if n * medium.size // 64 > after)


def main(node: str, folder: Path) -> None:
    """Run the job whole."""
    vars(overwriting)["overwrite_device"] = written
    bench = Workbench(folder)
    bound = 'confidence = "0.9"\nmax_bad_fraction = "0.1"'
    directory = bench.whole(job(node, "overwrite-device-zeros", "sample", bound))
    (compared,) = predicate(directory)["verification"][0]["comparisons"]
    sizes = sum(path.stat().st_size for path in directory.path.rglob("*") if path.is_file())
    status = Path("/proc/self/status").read_text()  # getrusage would tell of whoever started this, too
    peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    print(compared["population"], compared["sampled"], sizes, peak)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
