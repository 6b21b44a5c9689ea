"""Every use that a device may have, set up for real in the guest and taken down again."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

AT = Path("/run/lab")
NULL_BLK = Path("/sys/kernel/config/nullb/lab")
SECTORS = 8192  # of 512 bytes, of a mapping: a memory disk has 16384 in all
LVM = '--config \'devices { dir="/dev" scan="/dev" } activation { udev_sync=0 udev_rules=0 }\''
Use = Callable[[Path], contextlib.AbstractContextManager[Path]]  # yields what else must not be written


def sh(line: str) -> None:
    done = subprocess.run(["bash", "-ec", line], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"


def mapping(name: str, table: str) -> Path:
    """Make a device of the device mapper."""
    words = ("dmsetup", "create", "--noudevsync", name)
    subprocess.run(words, input=table, check=True, timeout=60, text=True)
    return Path("/dev/mapper") / name


@contextlib.contextmanager
def undone(setting_up: str, taking_down: str) -> Iterator[None]:
    sh(setting_up)
    try:
        yield
    finally:
        sh(taking_down)


@contextlib.contextmanager
def beside(*words: str | Path, **where: object) -> Iterator[None]:
    """Have another process do something, which says "ready"."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, **where) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"ready\n"
            yield
        finally:
            other.kill()
            other.wait(30)


@contextlib.contextmanager
def mounted(device: Path) -> Iterator[Path]:
    AT.mkdir(exist_ok=True)
    with undone(f"mkfs.ext4 -q -F {device} && mount -o ro {device} {AT}", f"umount {AT}"):
        yield device


@contextlib.contextmanager
def mounted_by_uuid_elsewhere(device: Path) -> Iterator[Path]:
    """In a namespace that only another process has, through a name that goes away."""
    AT.mkdir(exist_ok=True)
    link = Path("/dev/disk/by-uuid/5e1f0000-0000-4000-8000-000000000001")
    sh(f"mkfs.ext4 -q -F -U {link.name} {device} && mkdir -p {link.parent} && ln -sf {device} {link}")
    script = f"mount -o ro {link} {AT} && rm {link} && echo ready && exec sleep 600"
    with beside("unshare", "--mount", "--propagation", "private", "sh", "-c", script):
        yield device


@contextlib.contextmanager
def swapping(device: Path) -> Iterator[Path]:
    with undone(f"mkswap -q {device} && swapon {device}", f"swapoff {device}"):
        yield device


@contextlib.contextmanager
def held_open(device: Path) -> Iterator[Path]:
    with device.open("rb") as file, beside("sh", "-c", "echo ready && exec sleep 600", stdin=file):
        yield device


@contextlib.contextmanager
def mapped(device: Path) -> Iterator[Path]:
    """Under an idle mapping; the mapping itself may be erased, the device not."""
    table = f"0 {SECTORS} linear {device} 2048"
    setting_up = f"dmsetup create --noudevsync lab --table '{table}' && dmsetup mknodes lab"
    with undone(setting_up, "dmsetup remove --noudevsync lab; rm -f /dev/mapper/lab"):
        yield device


@contextlib.contextmanager
def mounted_through_a_mapping(device: Path) -> Iterator[Path]:
    with mapped(device), mounted(Path("/dev/mapper/lab")):
        yield device


@contextlib.contextmanager
def mounted_partition(device: Path) -> Iterator[Path]:
    part = Path(f"{device}p1" if device.name[-1].isdigit() else f"{device}1")
    with undone(f"addpart {device} 1 2048 {SECTORS}", f"delpart {device} 1"), mounted(part):
        yield device


@contextlib.contextmanager
def mounted_through_a_loop(device: Path) -> Iterator[Path]:
    with undone(f"losetup /dev/loop7 {device}", "losetup -d /dev/loop7"), mounted(Path("/dev/loop7")):
        yield device


@contextlib.contextmanager
def of_a_volume_group(device: Path) -> Iterator[Path]:
    """A physical volume of LVM whose group is not active: only its label says so."""
    making = f"lvm pvcreate -qq -ff -y {LVM} {device} && lvm vgcreate -qq {LVM} lab {device}"
    with undone(making, f"wipefs -qa {device}"):
        yield device


@contextlib.contextmanager
def under_a_logical_volume(device: Path) -> Iterator[Path]:
    volume = f"lvm lvcreate -qq -y -Wn -Zn -l 1 -n volume {LVM} lab"
    with of_a_volume_group(device), undone(volume, f"lvm vgchange -qq -an {LVM} lab"):
        yield device


@contextlib.contextmanager
def of_an_array_that_stands_still(device: Path) -> Iterator[Path]:
    with array(device), undone("mdadm -q --stop /dev/md77", "true"):
        yield device


@contextlib.contextmanager
def of_an_array(device: Path) -> Iterator[Path]:
    with array(device), undone("mdadm -q --readonly /dev/md77", "mdadm -q --stop /dev/md77"):
        yield device


@contextlib.contextmanager
def array(device: Path) -> Iterator[None]:
    making = f"mdadm -q --create /dev/md77 --run --level=1 --raid-devices=2 --metadata=1.2 {device} missing"
    with undone(making, f"mdadm -q --zero-superblock {device}"):
        yield


@contextlib.contextmanager
def under_a_cipher(device: Path) -> Iterator[Path]:
    header = 4096  # sectors; the rest of the smallest drive is encrypted
    table = f"0 {SECTORS - header} crypt aes-xts-plain64 {'5e' * 64} 0 {device} {header}"
    with undone(f"dmsetup create --noudevsync lab --table '{table}'", "dmsetup remove --noudevsync lab"):
        yield device


USES: tuple[Use, ...] = (
    mounted,
    mounted_by_uuid_elsewhere,
    swapping,
    held_open,
    mapped,
    mounted_through_a_mapping,
    mounted_partition,
    mounted_through_a_loop,
    of_a_volume_group,
    under_a_logical_volume,
    of_an_array_that_stands_still,
    of_an_array,
    under_a_cipher,
)
