"""Find what uses the block devices of a host now: mounts of every namespace, swap, open files.

Rule kept: what may not be looked at is named, so that nothing is taken for unused by mistake.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from deleatur.devices.exports import exports
from deleatur.devices.places import Places, attribute, names_in
from deleatur.documents.device import Number, Use, UseKind
from deleatur.sanitize.mounts import Mount, mounts, plain

# A line of /proc/PID/maps (proc(5)) that has a file: major, minor (hex), inode, path.
_MAPPED = re.compile(rb"[0-9a-f]+-[0-9a-f]+ \S+ [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) ([1-9][0-9]*) +(.*)")
_NO_FILES: Mapping[str, Sequence[Number]] = {}
_NO_DEVICES: Mapping[Number, Number] = {}
_BOOT_POINTS = ("/boot", "/boot/efi", "/efi", "/boot/firmware")
# Options of XFS, ext4, ReiserFS and JFS that name another device of the same file system.
_BESIDE = re.compile(r"(?:^|,)(?:logdev|rtdev|journal_path|jdev)=([^,]+)")


class Looking:
    """One look at all uses; `unseen` names what could not be looked at."""

    def __init__(
        self,
        places: Places,
        nodes: Mapping[str, Number],
        files: Mapping[str, Sequence[Number]] = _NO_FILES,
        characters: Mapping[Number, Number] = _NO_DEVICES,
    ) -> None:
        """`nodes` gives major:minor for each path and alias of a device node.

        `files` gives it for each loop device over a file, which is named as in `Device.backing_inode`,
        `characters` for each character device that takes commands to the same drive.
        """
        self._places = places
        self._nodes = nodes
        self._files = files
        self._characters = characters
        self.unseen: list[str] = []
        self.closed: list[str] = []  # processes whose open files are listed, and not shown

    def uses(self) -> tuple[Use, ...]:
        """Return every use that can be seen, each once."""
        held = (*self._mounts(), *self._btrfs(), *self._swaps(), *self._resume())
        found = (*held, *self._exported(), *self._opened())
        return tuple(dict.fromkeys(found))

    def _mounts(self) -> Iterator[Use]:
        seen: set[str] = set()
        first = self._namespace("1")
        own = self._namespace("self")
        for process in ("1", "self", *self._processes()):
            namespace = self._namespace(process)
            if namespace in seen and namespace:
                continue
            seen.add(namespace)
            try:
                table = (self._places.proc / process / "mountinfo").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError as error:
                if error.errno != errno.EINVAL:  # a process that has ended and has no namespace any more
                    self.unseen.append(f"the mounts of process {process}")
                continue
            where = "" if namespace in (first, own) else f" in the mount namespace of process {process}"
            for mount in mounts(table):
                yield from self._mount(mount, where)

    def _mount(self, mount: Mount, where: str) -> Iterator[Use]:
        kind: UseKind = "mounted"
        if not where and mount.point == "/":
            kind = "root"
        elif not where and mount.point in _BOOT_POINTS:
            kind = "boot"
        what = f"at {mount.point}{where}"
        numbers = {mount.number} if not mount.number.startswith("0:") else set()
        # Several devices: bcachefs joins them by colons; the others name what lies beside by options.
        for path in (*mount.source.split(":"), *_BESIDE.findall(mount.super_options)):
            if (number := self._number(path)) is not None:
                numbers.add(number)
        yield from (Use(number=number, kind=kind, what=what) for number in sorted(numbers))

    def _btrfs(self) -> Iterator[Use]:
        """Yield the devices of mounted btrfs file systems: mountinfo names one of several."""
        folder = self._places.sys / "fs/btrfs"
        for uuid in names_in(folder):
            for name in names_in(folder / uuid / "devices"):
                number = attribute(self._places.sys / "class/block" / name / "dev")
                if number:
                    yield Use(number=number, kind="member-of-mounted", what=f"(btrfs {uuid})")

    def _swaps(self) -> Iterator[Use]:
        for line in (self._places.proc / "swaps").read_text("utf-8", "surrogateescape").splitlines()[1:]:
            path, kind = line.split()[:2]
            number = self._number(plain(path))
            if number is not None:
                yield Use(number=number, kind="swap", what="")
            elif kind == "partition":
                self.unseen.append("a swap area whose device has no name here")

    def _resume(self) -> Iterator[Use]:
        number = attribute(self._places.sys / "power/resume")
        if number and number != "0:0":
            yield Use(number=number, kind="resume", what="")

    def _exported(self) -> Iterator[Use]:
        """Yield what this kernel serves to other hosts: it has the device open where no process does."""
        try:
            for path, what in exports(self._places):
                number = self._number(path)
                if number is not None:
                    yield Use(number=number, kind="exported", what=what)
                elif not Path(path).is_file():  # a link that leads nowhere, or a node elsewhere
                    self.unseen.append(f"what this host's kernel exports {what}")
        except OSError:
            self.unseen.append("what this host's kernel exports")

    def _opened(self) -> Iterator[Use]:
        own = str(os.getpid()) if self._places.live else ""
        for process in self._processes():
            if process == own:
                continue
            folder = self._places.proc / process / "fd"
            try:
                links = tuple(folder.iterdir())
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError:
                self.unseen.append(f"the open files of process {process}")
                continue
            held = {number for link in links for number in self._held(link, process)}
            held.update(self._mapped(process))
            if held:
                program = attribute(self._places.proc / process / "comm")
                what = f"process {process} ({program})"
                yield from (Use(number=number, kind="opened", what=what) for number in sorted(held))

    def _held(self, link: Path, process: str) -> Sequence[Number]:
        """Return the device that an open file is, or the loop devices that it lies below."""
        try:
            if not str(link.readlink()).startswith("/"):
                return ()
            status = link.stat()
        except (FileNotFoundError, ProcessLookupError):
            return ()  # closed since it was listed, or of a recorded tree
        except OSError:  # a kernel may show the files of some processes to nobody
            self.closed.append(f"process {process}")
            return ()
        number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        if stat.S_ISBLK(status.st_mode):
            return (number,)
        if stat.S_ISCHR(status.st_mode):
            return (self._characters[number],) if number in self._characters else ()
        file = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)} {status.st_ino}"
        return self._files.get(file, ())

    def _mapped(self, process: str) -> Iterator[Number]:
        """Yield what a process has in its memory, whether it has it open or closed it since."""
        try:
            lines = (self._places.proc / process / "maps").read_bytes().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return
        except OSError:
            self.closed.append(f"process {process}")
            return
        for found in set(filter(None, map(_MAPPED.match, lines))):
            major, minor, inode = int(found[1], 16), int(found[2], 16), int(found[3])
            yield from self._files.get(f"{major}:{minor} {inode}", ())
            if found[4].startswith(b"/dev/") and (number := self._number(plain(os.fsdecode(found[4])))):
                yield number

    def _processes(self) -> tuple[str, ...]:
        return tuple(name for name in names_in(self._places.proc) if name.isdigit())

    def _namespace(self, process: str) -> str:
        try:
            return str((self._places.proc / process / "ns/mnt").readlink())
        except OSError:
            return ""

    def _number(self, path: str) -> Number | None:
        """Return major:minor of the device node at `path`; None if there is none."""
        if path in self._nodes:
            return self._nodes[path]
        if not self._places.live or not path.startswith("/"):
            return None
        try:
            status = Path(path).stat()
        except OSError:
            return None
        if stat.S_ISBLK(status.st_mode):
            return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        return None
