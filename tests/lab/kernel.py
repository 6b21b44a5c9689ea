"""The stock Debian kernel of the guest: fetched once through apt into a cache folder, unpacked where needed.

Nothing is installed on the host and nothing is written into the tree. The *cloud* kernel will not do: it has
no 9p, AHCI or UAS.
"""

import dataclasses
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

PATIENCE = 600  # seconds for the package to arrive and be unpacked
META_PACKAGE = "linux-image-amd64"
PARTS = (
    "arch", "block", "crypto", "fs", "lib", "net/9p", "net/core",
    *(f"drivers/{part}" for part in (
        "ata", "block", "cdrom", "char", "dca", "dma", "md", "message", "mmc", "nvdimm", "nvme", "scsi",
        "target", "uio", "usb", "virtio",
    )),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel on the host's disk."""

    release: str
    folder: Path  # with boot/ and lib/modules/

    @property
    def image(self) -> Path:
        """The compressed kernel."""
        return self.folder / "boot" / f"vmlinuz-{self.release}"

    @property
    def modules(self) -> Path:
        """The folder of modules of this release."""
        return self.folder / "lib" / "modules" / self.release

    def needed_for(self, *names: str) -> list[Path]:
        """List the files of these modules and of all that they need, in the order in which they load."""
        needs: dict[str, list[str]] = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            file, _, others = line.partition(":")
            needs[file] = others.split()
        by_name = {Path(file).name.removesuffix(".ko").replace("-", "_"): file for file in needs}
        order: list[str] = []
        for name in names:
            file = by_name[name]
            order += [found for found in (*reversed(needs[file]), file) if found not in order]
        return [self.modules / file for file in order]


def fetched_kernel() -> Kernel:
    """Return the kernel in the cache, fetched first if there is none.

    Raises:
        subprocess.CalledProcessError: apt cannot fetch it.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "deleatur-lab"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (found := sorted(cache.glob("[0-9]*"))):
            found = [_unpack(_package_name(), cache)]
    return Kernel(found[-1].name, found[-1])


def _package_name() -> str:
    told = _run("apt-cache", "depends", META_PACKAGE)
    found = re.search(r"Depends: (linux-image-\S+)", told)
    assert found, f"apt knows no kernel behind {META_PACKAGE}: {told!r}"
    return found[1]


def _unpack(package: str, cache: Path) -> Path:
    """Fetch a package and take what a guest needs out of it; its folder appears when it is whole."""
    release = package.removeprefix("linux-image-")
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    try:
        _run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package, cwd=work)
        (archive,) = work.glob("*.deb")
        wanted = [f"./lib/modules/{release}/kernel/{part}" for part in PARTS]
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as reading:
            _run("tar", "-x", "-C", work, "--wildcards", "--no-anchored", "./boot/vmlinuz*",
                 "./lib/modules/*/modules.*", *wanted, stdin=reading.stdout)  # fmt: skip
            assert reading.wait(PATIENCE) == 0
        _run("depmod", "--basedir", work, release)
        archive.unlink()
        return work.rename(cache / release)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(*words: str | Path, **where: object) -> str:
    environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        words, check=True, timeout=PATIENCE, stdout=subprocess.PIPE, text=True, env=environment, **where
    ).stdout
