"""The facts of the block devices of a host, as they were read; plain data, which `deleatur devices` prints.

None means that it was not asked or that nothing answered, never "no". Nothing in here is judged.
"""

from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.place import Count, Frozen, Text

Number = Annotated[str, Meta(pattern=r"^[0-9]{1,4}:[0-9]{1,8}\Z")]  # major:minor of a device node
NodePath = Annotated[str, Meta(pattern=r"^/dev/[^\x00-\x1f\x7f]{1,4000}\Z")]
Kind = Literal["disk", "partition", "mapping", "array", "loop", "memory", "optical", "other"]
Bus = Literal["nvme", "ata", "scsi", "sas", "fibre", "iscsi", "usb", "virtio", "mmc", "network", "none"]
Medium = Literal["magnetic", "flash", "memory", "unknown"]
Zoned = Literal["none", "host-aware", "host-managed"]
UseKind = Literal[
    "mounted", "swap", "root", "boot", "resume", "own", "opened", "exported", "member-of-mounted"
]
Erasing = Literal["running", "verifying", "failed"]
SignatureRole = Literal["member", "encrypted", "file-system", "swap", "table"]


class Signature(Frozen, frozen=True):
    """Bytes that say what lies on a device: of a file system, an array, a volume group."""

    name: str  # "lvm2", "md-1.2", "zfs", "luks2", "ext4", "gpt" …
    role: SignatureRole
    offset: Count  # bytes from the start of the device
    uuid: str = ""  # of the thing that it is, or of the set that it is a member of


class Partition(Frozen, frozen=True):
    """Where a partition lies on its disk."""

    index: Count
    start: Count  # bytes
    uuid: str = ""  # GPT's unique id, or "SIGNATURE-NN" of an MBR


class HiddenAreas(Frozen, frozen=True):
    """Sectors that a drive keeps from the host: HPA and DCO (ATA), AMAC (ACS-3). None: not answered."""

    native_sectors: Count | None = None  # with the host protected area taken back
    factory_sectors: Count | None = None  # with the configuration overlay taken back too
    by: Literal["hpa", "amac", "none"] = "none"  # the way in which it was asked
    overlay_unread: bool = False  # it has a configuration overlay, and does not say what that hides


class Security(Frozen, frozen=True):
    """The ATA security feature set of a drive (IDENTIFY DEVICE word 128)."""

    supported: bool
    enabled: bool = False  # a password is set
    locked: bool = False
    frozen: bool = False  # no password can be set, nor an erase begun, until the next power-up
    expired: bool = False  # too many wrong passwords
    enhanced: bool = False  # it offers the enhanced erase
    minutes: Count | None = None  # that a normal erase takes; None: not said
    enhanced_minutes: Count | None = None


REVERTING = ("opal-1", "opal-2", "opalite", "ruby")  # TCG classes whose Revert changes the medium's key


class Opal(Frozen, frozen=True):
    """The TCG state of a self-encrypting drive, as the kernel or Level 0 Discovery tells it."""

    supported: bool
    ssc: str = ""  # the security subsystem class: opal-2, pyrite-2 …; "": nobody asked, or it told none
    encrypts: bool = False  # the medium is always encrypted
    locking_enabled: bool = False
    locked: bool = False


class Health(Frozen, frozen=True):
    """What a drive says of its own health: SMART, or the NVMe log page 02h. None: not said."""

    passed: bool | None = None
    celsius: int | None = None
    used_percent: Count | None = None  # of the life that its maker expects
    spare_percent: Count | None = None
    media_errors: Count | None = None
    reallocated: Count | None = None  # sectors that were replaced, and whose old content nobody can address
    hours: Count | None = None


class AtaCommands(Frozen, frozen=True):
    """What the IDENTIFY DEVICE data of an ATA drive offer (word 59)."""

    sanitize: bool = False
    sanitize_crypto: bool = False
    sanitize_block: bool = False
    sanitize_overwrite: bool = False
    antifreeze: bool = False
    security_protocol: bool = False  # TRUSTED SEND and RECEIVE
    sanitize_frozen: bool | None = None  # None: it did not say


class ScsiCommands(Frozen, frozen=True):
    """What a SCSI drive lists among its supported operation codes."""

    sanitize_crypto: bool = False
    sanitize_block: bool = False
    sanitize_overwrite: bool = False
    format_unit: bool = False
    security_protocol: bool = False  # SECURITY PROTOCOL IN and OUT


class NvmeCommands(Frozen, frozen=True):
    """What the Identify Controller data of an NVMe drive offer (OACS, SANICAP, FNA)."""

    format: bool = False
    format_crypto: bool = False
    format_reaches_all: bool = False  # FNA: format, or its erase, takes every namespace
    sanitize_crypto: bool = False
    sanitize_block: bool = False
    sanitize_overwrite: bool = False
    no_deallocate_inhibited: bool = False
    media_verification: bool = False
    security_protocol: bool = False  # Security Send and Receive


class Device(Frozen, frozen=True):
    """One block device of the kernel: a whole disk, a partition, or what is made of others."""

    name: str  # the kernel's: "sda", "nvme0n1p2", "dm-0"
    path: str
    number: Number
    kind: Kind
    size: Count  # bytes that the host can address
    diskseq: Count | None = None  # of this attachment; another one after a change of disks (since 5.15)
    logical_block: Count = 512
    physical_block: Count = 512
    bus: Bus = "none"
    bridge: str = ""  # the driver of what translates between the host's bus and the drive
    medium: Medium = "unknown"
    rotational: bool | None = None  # the kernel's hint, which virtual disks get wrong
    removable: bool = False
    read_only: bool = False
    zoned: Zoned = "none"
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    wwid: str = ""  # WWN, EUI-64 or NGUID with its prefix, as the kernel writes it
    aliases: tuple[str, ...] = ()  # links below /dev/disk/by-id and /dev/mapper
    partition: Partition | None = None
    parent: Number | None = None  # the disk that a partition is part of
    slaves: tuple[Number, ...] = ()  # what it is made of
    holders: tuple[Number, ...] = ()  # what is made of it
    backing: str = ""  # of a loop device: the file or device below it
    backing_inode: str = ""  # of that file: major:minor of its file system, and its inode
    backing_offset: Count = 0  # bytes of it that lie before the first of the device
    backing_number: Number | None = None  # if it is a block device
    mapping: str = ""  # of the device mapper: its UUID
    subsystem: str = ""  # NVMe: the qualified name that all its namespaces and controllers share
    controller: str = ""  # NVMe: the controller's device, such as /dev/nvme0
    namespace: Count | None = None  # NVMe: the namespace's number
    signatures: tuple[Signature, ...] | None = None  # None: they could not be read
    erasing: Erasing | None = None  # by a command of its own: until that has ended well, nothing can be read
    hidden: HiddenAreas | None = None
    security: Security | None = None
    opal: Opal | None = None
    health: Health | None = None
    ata: AtaCommands | None = None
    scsi: ScsiCommands | None = None
    nvme: NvmeCommands | None = None


class Use(Frozen, frozen=True):
    """One use of one device, seen now: why its bytes matter to somebody."""

    number: Number
    kind: UseKind
    what: str  # a mount point, a process, a swap area: in words


class NeverErase(Frozen, frozen=True):
    """`never-erase.toml`: devices that no job of this host may erase (docs/reference/devices.md)."""

    schema: Literal["deleatur/never-erase/v1"]
    server: bool = False  # a server's list may not be empty
    serials: tuple[Text, ...] = ()
    wwids: tuple[Text, ...] = ()
    models: tuple[Text, ...] = ()
    paths: tuple[NodePath, ...] = ()  # device nodes, or links to them


class DeviceTable(Frozen, frozen=True):
    """Every block device of a host and every use of one, at one moment."""

    boot: str  # the kernel's boot id: `diskseq` counts within it
    devices: tuple[Device, ...]
    uses: tuple[Use, ...] = ()
    never: NeverErase | None = None  # None: this host has no list
    unseen: tuple[str, ...] = ()  # what could not be looked at, so that no use can be ruled out
    closed: tuple[str, ...] = ()  # processes whose open files the kernel shows to nobody, not even to root
