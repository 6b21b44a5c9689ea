"""A host that loses its power, without a virtual machine: a device to erase and the disk of the jobs.

Both are drives with a cache that has no power of its own. A cut ends the process of the agent in the midst
of a request, and both drives forget a part of what they were not told to flush.
"""

import os
import signal
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .faulty_device import FaultyDevice, faulty_device
from .faulty_file import Faults

PATIENCE = 60  # seconds
DISK = 16 << 20  # bytes of the disk of the jobs
ON = Faults(volatile=True)


class PoweredHost:
    """What is under power: `device` is to be erased, `jobs` is the folder of the jobs."""

    def __init__(self, device: FaultyDevice, disk: FaultyDevice, jobs: Path) -> None:
        self.device, self.jobs = device, jobs
        self._disk = disk

    def run(self, agent: Callable[[], object], after: int, chance: int) -> bool:
        """Run `agent` in a process of its own, and cut the power in the midst of a request to the device.

        `after` writes and flushes are served before. Return False if the agent ended well before the cut;
        else power has come back, and what the disk of the jobs has kept is mounted.

        Raises:
            AssertionError: the agent failed by itself; it printed why.
        """
        subprocess.run(["sync", "--file-system", self.jobs], check=True, timeout=PATIENCE)
        waiting, told = os.pipe()
        if not (child := os.fork()):
            os.close(told)
            os.read(waiting, 1)  # until the device knows whom to take along
            _end(agent)
        os.close(waiting)
        self.device.set_faults(Faults(volatile=True, off_after=after, killed=child, chance=chance))
        os.close(told)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
            self._start_again(chance)
            return True
        assert status == 0
        self.device.set_faults(ON)
        return False

    def _start_again(self, chance: int) -> None:
        for drive in (self.device, self._disk):
            drive.set_faults(Faults(off=True, volatile=True, chance=chance))
        subprocess.run(["umount", self.jobs], check=True, timeout=PATIENCE)
        self._disk.set_faults(ON)
        subprocess.run(["mount", self._disk.path, self.jobs], check=True, timeout=PATIENCE)
        self.device.set_faults(ON)


def _end(agent: Callable[[], object]) -> None:
    """Be the agent's process, and nothing else."""
    code = 1
    try:
        agent()
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


@contextmanager
def powered_host(size: int) -> Iterator[PoweredHost]:
    """Yield a host under power, with a device of `size` bytes; needs root."""
    with (
        tempfile.TemporaryDirectory(prefix="powered-", dir="/dev/shm") as folder,
        faulty_device(size, ON) as device,
        faulty_device(DISK) as disk,
    ):
        subprocess.run(["mkfs.ext4", "-q", "-J", "size=1", disk.path], check=True, timeout=PATIENCE)
        jobs = Path(folder) / "jobs"
        jobs.mkdir()
        subprocess.run(["mount", disk.path, jobs], check=True, timeout=PATIENCE)
        try:
            disk.set_faults(ON)
            yield PoweredHost(device, disk, jobs)
        finally:
            disk.set_faults(Faults())
            subprocess.run(["umount", jobs], check=True, timeout=PATIENCE)
