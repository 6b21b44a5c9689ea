"""The agent of a machine whose power is cut: at its first start it makes the job, at the others it goes on.

`python -m tests.lab.cut_agent` runs in a guest with the drives CUT0, to be erased, and JOBS0, for the job.
"""

import os
import subprocess
from pathlib import Path

from deleatur.engine.directory import JobDirectory
from deleatur.sanitize import device as whole
from deleatur.testing.workbench import Workbench

from .drives import by_serial
from .jobs import job

AT = Path("/run/jobs")
DRIVE = Path("/dev/cut")  # as a link by serial is: which node a drive gets is chance at each start


def main() -> None:
    """Erase, with an entry in the journal after every piece."""
    whole._DURABLE, whole._OFTEN = 0, 0.0
    AT.mkdir()
    DRIVE.symlink_to(by_serial("CUT0"))
    subprocess.run(["mount", by_serial("JOBS0"), AT], check=True, timeout=60)
    bench = Workbench(AT)
    if not (AT / "approved").exists():
        bench.approved(job(str(DRIVE)))
        (AT / "approved").touch()
        os.sync()
    bench.run(JobDirectory(AT / "job"))
    subprocess.run(["umount", AT], check=True, timeout=60)


if __name__ == "__main__":
    main()
