"""A virtual machine on the stock Debian kernel, with the host's programs, this checkout and its own drives.

The host's root is its root, read-only with a layer in memory above, so that Python, the environment and the
tests are there as they are. One boot serves many commands. Killing it is a power cut.
"""

import dataclasses
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .initramfs import write_initramfs
from .kernel import Kernel, fetched_kernel

CHECKOUT = Path(__file__).parents[2]
BOOT = 180  # seconds until the guest answers; 11 on a quiet machine without KVM
ACCELERATOR = os.environ.get("DELEATUR_LAB_ACCEL", "tcg")  # kvm, where it runs stock kernels
COMMAND_LINE = "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off"


class Silent(Exception):
    """The guest said nothing in time, or is gone."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended in the guest."""

    code: int
    output: str


class Machine:
    """A running guest."""

    def __init__(self, process: subprocess.Popen[bytes], share: Path) -> None:
        self._process = process
        self.share = share  # /run/share in the guest
        self._port = self._connected(share / "port")
        self._expect("ready", BOOT)

    def run(self, command: str, timeout: float = 120) -> Ended:
        """Run a line of bash in the guest's checkout and return its exit code and all that it printed.

        Raises:
            Silent: it has not ended after `timeout` seconds; the guest is of no use any more.
        """
        assert "\n" not in command
        self.start(command)
        code = self._expect("exit ", timeout)
        return Ended(int(code), self._printed())

    def start(self, command: str) -> None:
        """Start a line of bash in the guest; whoever does not wait for it cuts the power."""
        self._port.sendall(command.encode() + b"\n")

    def monitor(self, command: str, **arguments: object) -> object:
        """Give QEMU a command of its machine protocol (QMP), as `device_del` with `id`; return its answer."""
        with self._connected(self.share / "monitor") as connection, connection.makefile("rw") as lines:
            connection.settimeout(BOOT)
            lines.readline()  # its greeting
            for execute, given in (("qmp_capabilities", {}), (command, arguments)):
                lines.write(json.dumps({"execute": execute, "arguments": given}) + "\n")
                lines.flush()
                while not {"return", "error"} & (answer := json.loads(lines.readline())).keys():
                    pass  # an event
                assert "return" in answer, f"{execute}: {answer['error']['desc']}"
        return answer["return"]

    @property
    def pid(self) -> int:
        """QEMU's process."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether QEMU is there; a moment after its end, too."""
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return True
        return False

    def cut_power(self) -> None:
        """Stop the guest between two of its instructions."""
        self._process.kill()
        self._process.wait(timeout=60)

    def console(self) -> str:
        """Return what the kernel printed."""
        return (self.share / "console").read_text("utf-8", "replace")

    def close(self) -> None:
        """Release the port."""
        self._port.close()

    def _printed(self) -> str:
        path = self.share / "output"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _connected(self, path: Path) -> socket.socket:
        ends = time.monotonic() + BOOT
        while time.monotonic() < ends and self._process.poll() is None:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                time.sleep(0.1)
            else:
                return connection
        raise Silent(f"no QEMU at {path}; it printed: {(self.share / 'errors').read_text()[-2000:]}")

    def _expect(self, word: str, timeout: float) -> str:
        """Wait for the one line that the guest owes, which begins with `word`; return its rest."""
        self._port.settimeout(timeout)
        line = b""
        try:
            while not line.endswith(b"\n"):
                if not (piece := self._port.recv(64)):
                    raise Silent(f"the guest is gone; its console ended with: {self.console()[-2000:]}")
                line += piece
        except ConnectionResetError:
            raise Silent("the guest is gone in the midst of a command") from None
        except TimeoutError:
            raise Silent(
                f"no answer after {timeout:.0f} s; the command printed {self._printed()[-2000:]!r}"
                f" and the console ended with {self.console()[-2000:]!r}"
            ) from None
        assert line.startswith(word.encode()), line
        return line.decode().removeprefix(word).strip()


@contextmanager
def machine(drives: Sequence[str] = (), modules: Sequence[str] = (), memory: int = 1024) -> Iterator[Machine]:
    """Boot a guest with these drives, given as arguments of QEMU, and kill it at the end; needs root.

    `modules` are the drivers that it loads first; `memory` is in MiB.
    """
    kernel = fetched_kernel()
    share = Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))  # short: names of sockets end at 107 bytes
    try:
        _fill(share, kernel, modules)
        with (share / "errors").open("wb") as errors:
            process = subprocess.Popen(
                _command_line(share, kernel, drives, memory), stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors,
            )  # fmt: skip
        try:
            guest = Machine(process, share)
            try:
                yield guest
            finally:
                guest.close()
        finally:
            process.kill()
            process.wait(timeout=60)
    finally:
        shutil.rmtree(share)


def _fill(share: Path, kernel: Kernel, modules: Sequence[str]) -> None:
    write_initramfs(kernel, share / "initramfs")
    shutil.copy(Path(__file__).with_name("serve.sh"), share)
    settings = {
        "CHECKOUT": CHECKOUT,
        "PYTHON": sys.executable,
        "MODULES": kernel.modules,
        "DRIVERS": " ".join(modules),
    }
    lines = (f"export {name}={shlex.quote(str(value))}\n" for name, value in settings.items())
    (share / "settings").write_text("".join(lines))


def _command_line(share: Path, kernel: Kernel, drives: Sequence[str], memory: int) -> list[str]:
    return [
        "qemu-system-x86_64", "-machine", "q35", "-accel", ACCELERATOR, "-cpu", "max", "-smp", "1",
        "-m", str(memory),
        "-nodefaults", "-no-reboot", "-display", "none",
        "-serial", f"file:{share}/console", "-qmp", f"unix:{share}/monitor,server=on,wait=off",
        "-kernel", str(kernel.image), "-initrd", str(share / "initramfs"), "-append", COMMAND_LINE,
        "-virtfs", "local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap",
        "-virtfs", f"local,path={share},mount_tag=share,security_model=none",
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=port,path={share}/port,server=on,wait=off",
        "-device", "virtserialport,chardev=port,nr=1,name=port",
        *drives,
    ]  # fmt: skip
