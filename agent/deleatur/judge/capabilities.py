"""Which techniques a device allows, and which category of NIST SP 800-88r2 each reaches on its medium. Pure.

Rules kept: what was not asked of the drive is not offered; a host's overwrite is Clear on every medium;
no technique of a program is Destroy.
"""

from collections.abc import Callable
from typing import Literal

from deleatur.documents.device import REVERTING, Device, Medium
from deleatur.documents.place import Denial, Frozen, Offer
from deleatur.judge.interlocks import full_size

# purge-if-vendor: IEEE 2883 asks the maker to have meant it so; on its own it is claimed as Clear.
Category = Literal["clear", "purge", "purge-if-vendor"]


class Capability(Frozen, frozen=True):
    """What one technique is worth on each medium, and who says so."""

    technique: str
    magnetic: Category | None  # None: it has no meaning there
    flash: Category | None
    source: str

    def on(self, medium: Medium) -> Category | None:
        """Return the category on a medium; of an unknown one the lower of the two."""
        if medium == "magnetic":
            return self.magnetic
        if medium == "flash":
            return self.flash
        both = {self.magnetic, self.flash} - {None}
        lowest: Category | None = None
        for category in ("clear", "purge-if-vendor", "purge"):
            if category in both:
                return category
        return lowest


# IEEE 2883-2022 by interface, as openSeaChest and Dell's table of Data Wipe print it; strongest first.
CAPABILITIES: tuple[Capability, ...] = (
    Capability(
        technique="nvme-sanitize-crypto",
        magnetic=None,
        flash="purge",
        source="NVMe Base: Sanitize, SANACT 100b; IEEE 2883-2022, NVMe, Purge",
    ),
    Capability(
        technique="nvme-sanitize-block",
        magnetic=None,
        flash="purge",
        source="NVMe Base: Sanitize, SANACT 010b; IEEE 2883-2022, NVMe, Purge",
    ),
    Capability(
        technique="nvme-sanitize-overwrite",
        magnetic=None,
        flash="purge",
        source="NVMe Base: Sanitize, SANACT 011b; IEEE 2883-2022, NVMe, Purge",
    ),
    *(
        Capability(
            technique=f"nvme-sanitize-{kind}-verified",
            magnetic=None,
            flash="purge",
            source="NVMe Base 2.1 §8.1.24.3.6: Sanitize, EMVS; IEEE 2883-2022, NVMe, Purge",
        )
        for kind in ("crypto", "block")
    ),
    Capability(
        technique="scsi-sanitize-crypto",
        magnetic="purge",
        flash="purge",
        source="SBC-4: SANITIZE, CRYPTOGRAPHIC ERASE; IEEE 2883-2022, SCSI, Purge",
    ),
    Capability(
        technique="scsi-sanitize-block",
        magnetic=None,
        flash="purge",
        source="SBC-4: SANITIZE, BLOCK ERASE; IEEE 2883-2022, SCSI, Purge",
    ),
    Capability(
        technique="scsi-sanitize-overwrite",
        magnetic="purge",
        flash="purge",
        source="SBC-4: SANITIZE, OVERWRITE; IEEE 2883-2022, SCSI, Purge",
    ),
    Capability(
        technique="ata-sanitize-crypto",
        magnetic="purge",
        flash="purge",
        source="ACS-4: CRYPTO SCRAMBLE EXT; IEEE 2883-2022, ATA, Purge",
    ),
    Capability(
        technique="ata-sanitize-block",
        magnetic=None,
        flash="purge",
        source="ACS-4: BLOCK ERASE EXT; IEEE 2883-2022, ATA, Purge",
    ),
    Capability(
        technique="ata-sanitize-overwrite",
        magnetic="purge",
        flash="purge",
        source="ACS-4: OVERWRITE EXT; IEEE 2883-2022, ATA, Purge",
    ),
    Capability(
        technique="nvme-format-crypto",
        magnetic=None,
        flash="purge-if-vendor",
        source="NVMe Base: Format NVM, SES 010b; IEEE 2883-2022: Clear, possible Purge",
    ),
    Capability(
        technique="ata-security-erase-enhanced",
        magnetic="purge-if-vendor",
        flash="purge-if-vendor",
        source="ACS-4: SECURITY ERASE UNIT, enhanced; makers' tools say Purge, the standards do not",
    ),
    Capability(
        technique="nvme-format",
        magnetic=None,
        flash="clear",
        source="NVMe Base: Format NVM, SES 001b; IEEE 2883-2022, NVMe, Clear",
    ),
    Capability(
        technique="ata-security-erase",
        magnetic="clear",
        flash="clear",
        source="ACS-4: SECURITY ERASE UNIT, normal; IEEE 2883-2022, ATA, Clear",
    ),
    Capability(
        technique="scsi-format",
        magnetic="clear",
        flash="clear",
        source="SBC-4: FORMAT UNIT; IEEE 2883-2022, SCSI, Clear",
    ),
    Capability(
        technique="overwrite-device",
        magnetic="clear",
        flash="clear",
        source="NIST SP 800-88r2, Clear: overwrite of all addressable locations; IEEE 2883-2022, Clear",
    ),
    Capability(
        technique="luks-erase",
        magnetic="clear",
        flash="clear",
        source="NIST SP 800-88r2 §3.2, cryptographic erase, of the keys that a host overwrites: Clear",
    ),
    Capability(
        technique="opal-psid-revert",
        magnetic="purge-if-vendor",
        flash="purge-if-vendor",
        source="TCG Opal SSC: Revert by the PSID; NIST SP 800-88r2 §3.2, if its conditions hold",
    ),
)
BY_NAME: dict[str, Capability] = {capability.technique: capability for capability in CAPABILITIES}
_OVER_SOFTWARE = ("virtio", "network", "iscsi", "fibre")
_SCSI = ("scsi", "sas")
_VERIFIED = "-verified"  # of a technique that reads in the Media Verification state
_NOT_ASKED = "the drive has not said what it offers; run as root, on a bus that passes commands on to it"


def offers_for(device: Device) -> tuple[tuple[Offer, ...], tuple[Denial, ...]]:
    """Return the techniques that this very device allows now, strongest first, and why not the others.

    Only techniques that have to do with the kind of device are named: an NVMe drive is not denied
    SCSI commands. Whether the device may be erased at all is for the interlocks.
    """
    offers: list[Offer] = []
    denials: list[Denial] = []
    for capability in CAPABILITIES:
        refusal = _refusal(device, capability.technique)
        if refusal is None:
            continue
        if not refusal and capability.on(device.medium) is None:
            refusal = f"it has no meaning on {device.medium} media"
        if refusal:
            denials.append(Denial(technique=capability.technique, reason=refusal))
        else:
            offers.append(Offer(technique=capability.technique, limits=_limits(device, capability.technique)))
    return tuple(offers), tuple(denials)


def _refusal(device: Device, technique: str) -> str | None:
    """Return why a technique is not offered; "" if it is, None if it is not of this kind of device."""
    for prefix, said in _FAMILIES.items():
        if technique.startswith(prefix):
            return said(device, technique)
    return _of_overwrite(device)


def _of_overwrite(device: Device) -> str:
    if device.zoned == "host-managed":
        return "a host-managed zoned device takes writes in order of its zones only"
    if device.size % device.logical_block:  # the kernel takes whole blocks only
        return f"its size is no multiple of its {device.logical_block}-byte blocks: its end cannot be written"
    return ""


def _of_nvme(device: Device, technique: str) -> str | None:
    if device.bus != "nvme" or device.kind != "disk":
        return None
    if device.nvme is None:
        return _NOT_ASKED
    if technique.endswith(_VERIFIED) and not device.nvme.media_verification:
        return _said(offered=False)
    name = technique.removeprefix("nvme-").removesuffix(_VERIFIED)
    return _said(getattr(device.nvme, name.replace("-", "_")))


def _of_scsi(device: Device, technique: str) -> str | None:
    if device.bus not in ("scsi", "sas", "fibre", "iscsi", "usb") or device.kind != "disk":
        return None
    if device.scsi is None:
        return _NOT_ASKED
    name = technique.removeprefix("scsi-").replace("-", "_")
    return _said(device.scsi.format_unit if name == "format" else getattr(device.scsi, name))


def _of_ata(device: Device, technique: str) -> str | None:
    if device.kind != "disk" or (device.bus != "ata" and device.ata is None):
        return None
    if device.ata is None:
        return _NOT_ASKED
    if technique.startswith("ata-security"):
        return _of_security(device, enhanced=technique.endswith("enhanced"))
    if not (device.ata.sanitize and getattr(device.ata, technique.removeprefix("ata-").replace("-", "_"))):
        return _said(offered=False)
    if device.ata.sanitize_frozen is None:
        return (
            "the drive does not say whether its sanitize feature set is frozen; look at its adapter or bridge"
        )
    return "its sanitize feature set is frozen until the next power-up" if device.ata.sanitize_frozen else ""


def _of_security(device: Device, *, enhanced: bool) -> str:
    state = device.security
    if state is None:
        return _NOT_ASKED
    if not state.supported or (enhanced and not state.enhanced):
        return _said(offered=False)
    if state.frozen:
        return "its security feature set is frozen; suspend and resume the host, or plug the drive in again"
    if state.locked:
        return "it is locked by a password; unlock it with the password first"
    if state.enabled:
        return "a password is set already; take it away with the password first"
    return "its count of wrong passwords is used up until the next power-up" if state.expired else ""


def _said(offered: bool) -> str:
    return "" if offered else "the drive says that it does not offer it"


def _limits(device: Device, technique: str) -> tuple[str, ...]:
    """Return the ids of the sentences that lower a claim about this device, erased so."""
    by_host = technique in (
        "overwrite-device",
        "luks-erase",
    )  # a command of the drive's own reaches what the host does not
    flash = device.medium == "flash" or device.rotational is False
    layered = _layered(device)
    found = {
        "flash": by_host and flash,
        "medium-unknown": by_host and device.medium == "unknown" and not (flash or layered),
        "layered-device": layered,
        "sealed-values": technique == "luks-erase",
        "answers-of-device": by_host and device.kind != "memory",
        "hidden-area": by_host and full_size(device) > device.size,
        "hidden-area-unknown": by_host and _may_hide(device),
    }
    return tuple(name for name, applies in found.items() if applies)


def _layered(device: Device) -> bool:
    """Say whether software stands between the device and what keeps its bytes, as in a storage array."""
    if device.kind in ("mapping", "array", "loop") or device.bus in _OVER_SOFTWARE:
        return True
    if device.bus == "nvme" and device.bridge:  # a namespace that another host serves
        return True
    return device.kind in ("disk", "partition") and device.bus == "none"  # also a partition of a loop


def _may_hide(device: Device) -> bool:
    """Say whether a drive of a kind that can keep sectors from the host did not say if it does."""
    spins = device.rotational or device.medium == "magnetic"
    if device.kind != "disk":
        return False
    if device.bus in _SCSI and device.ata is None:  # MODE SELECT can lower what it shows (SBC-4, its block
        return True  # descriptor; `sg_format --resize`), and no command asks for the rest
    if not (device.bus in ("ata", *_SCSI) or (device.bus == "usb" and spins)):
        return False
    return device.hidden is None or device.hidden.native_sectors is None or device.hidden.overlay_unread


def unliftable(device: Device) -> str:
    """Say why what a device hides cannot be lifted; "": nothing speaks against it."""
    if device.kind != "disk" or device.ata is None or device.hidden is None:
        return "lift_hidden is for whole ATA drives that say what they hide"
    if device.hidden.native_sectors is None:
        return "the drive does not say how many sectors it has, so nobody would know whether all were lifted"
    if device.hidden.overlay_unread:
        return "its configuration overlay is frozen or does not answer; switch the drive off and on"
    return ""


def _of_luks(device: Device, _technique: str) -> str | None:
    """Of a device that no LUKS header lies on, the technique is not of its kind."""
    found = {signature.name for signature in device.signatures or ()}
    return "" if found & {"luks1", "luks2"} else None


def _of_opal(device: Device, _technique: str) -> str | None:
    """Of a drive that no security subsystem class is known of, the technique is not of its kind."""
    state = device.opal
    if device.kind != "disk" or state is None or not state.ssc:
        return None
    if state.ssc not in REVERTING or not state.encrypts:
        return "the drive does not say that it encrypts its medium and changes the key at a revert"
    return _LOCKED if state.locked else ""


_LOCKED = "its data are locked: no marker could be written and read back; unlock it first"
_FAMILIES: dict[str, Callable[[Device, str], str | None]] = {
    "luks-": _of_luks,
    "opal-": _of_opal,
    "nvme-": _of_nvme,
    "scsi-": _of_scsi,
    "ata-": _of_ata,
}
