"""The first file system of the guest: busybox, the modules that reach the host's root, and an init."""

import gzip
import shutil
import stat
from pathlib import Path

from .kernel import Kernel

ROOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console")


def entry(number: int, name: str, mode: int, content: bytes = b"") -> bytes:
    """Return one file of a `newc` archive (cpio(5)): header with name, and content, each padded to 4."""
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def write_initramfs(kernel: Kernel, path: Path) -> None:
    """Write the compressed archive to `path`."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is missing: packaging/peers.sh installs it"
    modules = kernel.needed_for(*ROOT_MODULES)
    order = "".join(f"{module.name}\n" for module in modules)
    program = stat.S_IFREG | 0o755
    files = {
        "init": Path(__file__).with_name("init.sh").read_bytes(),
        "bin/busybox": Path(busybox).read_bytes(),
        "modules/order": order.encode(),
        **{f"modules/{module.name}": module.read_bytes() for module in modules},
    }
    folders = ("bin", "dev", "host", "modules", "new", "proc", "rw", "sys")
    parts = [entry(number, name, stat.S_IFDIR | 0o755) for number, name in enumerate(folders, 1)]
    parts += [
        entry(number, name, program, content) for number, (name, content) in enumerate(files.items(), 50)
    ]
    path.write_bytes(gzip.compress(b"".join([*parts, entry(0, "TRAILER!!!", 0)]), compresslevel=1))
