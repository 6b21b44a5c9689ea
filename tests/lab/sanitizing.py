"""An NVMe drive that sanitizes itself, and goes on with it when its power is back: played behind the ioctl.

The medium is a faulty device; what the controller knows outlives every process, as it lies in a file.
"""

import fcntl
import json
import os
import signal
import time
from pathlib import Path

import pytest

from deleatur.devices import sending
from deleatur.devices.erase_nvme import NVME_IOCTL_ID

from ..fake_drives import NvmeDrive

TAKES = 0.5  # seconds
NEVER = 1 << 30
RUNNING, DONE = 2, 1


class SanitizingDrive(NvmeDrive):
    """A controller over the platter at `truth`, whose host dies in the midst of a command.

    `after` is how many commands are answered before; `deaf` says that this one does nothing any more.
    """

    def __init__(self, truth: Path, memory: Path) -> None:
        super().__init__(takes=TAKES)
        self._truth, self._memory = truth, memory
        self.after, self.deaf = NEVER, False
        self.lies = False  # it says after a cut that it is done
        self._keep()

    def attach(self, patch: pytest.MonkeyPatch) -> None:
        """Let the kernel's ioctl reach this drive, for the commands of NVMe only."""
        kernel = fcntl.ioctl

        def ioctl(fd: int, request: int, *given: object) -> object:
            if request in (NVME_IOCTL_ID, sending.NVME_IOCTL_ADMIN_CMD):
                return self.ioctl(fd, request, *given)
            return kernel(fd, request, *given)

        patch.setattr(fcntl, "ioctl", ioctl)

    def admin(self, opcode: int, nsid: int, ten: int, content: bytearray) -> int:
        """Take a command; the host may lose its power before it does, or before it hears of it."""
        self._remember()
        self.after -= 1
        if self.after < 0 and self.deaf:
            os.kill(os.getpid(), signal.SIGKILL)
        status = super().admin(opcode, nsid, ten, content)
        self._erase()
        self._keep()
        if self.after < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return status

    def power_on(self) -> None:
        """Go on with what was begun, or say that it is done."""
        self._remember()
        self.after = NEVER
        if self.lies and self.state == RUNNING:
            self.state, self.running_since, self.mode = DONE, None, "lie"
        self._keep()

    def _erase(self) -> None:
        """Bring the platter to where the progress is."""
        if self.mode == "lie":
            return
        size = self._truth.stat().st_size
        done = size if self.state == DONE else self.progress() * size >> 16 if self.state == RUNNING else 0
        with self._truth.open("r+b") as platter:
            platter.write(bytes(done))

    def _remember(self) -> None:
        self.state, self.cdw10, self.running_since = json.loads(self._memory.read_text())
        self.now = time.monotonic()

    def _keep(self) -> None:
        self._memory.write_text(json.dumps([self.state, self.cdw10, self.running_since]))
