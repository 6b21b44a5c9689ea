"""`deleatur devices`: list the block devices of this host, and what each allows or refuses."""

from typing import TYPE_CHECKING, Any

import click

from deleatur.cli.output import as_json_option, emit, note, say, size, table

if TYPE_CHECKING:
    from deleatur.documents.device import Device, DeviceTable


@click.command("devices")
@click.argument("name", required=False)
@as_json_option
def command(name: str | None, as_json: bool) -> None:
    """List the block devices of this host: what each is, what lies on it, what refuses to erase it.

    With NAME (as `sda`, `/dev/sda` or a link to it) one device is shown whole: identity, health,
    hidden areas, uses, and each technique that it allows now, with the category of NIST SP 800-88r2
    that it reaches on this medium, or why it does not allow it. Nothing is changed.
    """
    from deleatur.devices.inventory import device_at, read_table

    found = read_table(name)
    if as_json:
        shown = found.devices if name is None else (device_at(found, name),)
        emit(_as_json(found, shown))
    elif name is not None:
        _show_one(found, device_at(found, name))
    else:
        _show_all(found)


def _as_json(found: "DeviceTable", shown: "tuple[Device, ...]") -> dict[str, Any]:
    import msgspec

    from deleatur.judge.interlocks import identity_of, interlocks

    numbers = {one.number for one in shown}
    return {
        "boot": found.boot,
        "unseen": list(found.unseen),
        "uses": [msgspec.to_builtins(use) for use in found.uses if use.number in numbers],
        "devices": [
            {
                **msgspec.to_builtins(one),
                "identity": dict(identity_of(found, one).fields),
                "refused": list(interlocks(found, one)),
                **_techniques(one),
            }
            for one in shown
        ],
    }


def _techniques(device: "Device") -> dict[str, Any]:
    import msgspec

    from deleatur.judge.capabilities import BY_NAME, offers_for

    offers, denials = offers_for(device)
    return {
        "techniques": [
            {
                "technique": offer.technique,
                "category": BY_NAME[offer.technique].on(device.medium),
                "limits": list(offer.limits),
            }
            for offer in offers
        ],
        "not_offered": [msgspec.to_builtins(denial) for denial in denials],
    }


def _show_all(found: "DeviceTable") -> None:
    from deleatur.judge.interlocks import interlocks

    rows = []
    for one in found.devices:
        if one.size == 0:
            continue  # nothing is attached
        reasons = interlocks(found, one)
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        name = f"  {one.name}" if one.kind == "partition" else one.name
        verdict = f"no: {reasons[0]}{more}" if reasons else "yes"
        rows.append([name, size(one.size), _what(one), _made(one), one.serial, _content(one), verdict])
    table(rows, ["device", "size", "what", "model", "serial", "holds", "can be erased"])
    for what in found.unseen[:3]:
        note(f"{what} could not be looked at; run as root")


def _show_one(found: "DeviceTable", device: "Device") -> None:
    from deleatur.judge.capabilities import BY_NAME, offers_for
    from deleatur.judge.interlocks import identity_of, interlocks

    say(f"{device.path}: {_made(device) or device.kind}, {size(device.size)} ({device.size} bytes)")
    facts = [
        *((f"identity: {key}", value) for key, value in identity_of(found, device).fields),
        ("what", _what(device)),
        ("bridge", device.bridge),
        ("firmware", device.firmware),
        ("names", ", ".join(device.aliases)),
        ("blocks", f"{device.logical_block} bytes, {device.physical_block} of the medium"),
        ("attachment", f"{device.number}, number {device.diskseq} since the start of this host"),
        ("hidden areas", _hidden(device)),
        ("security", _security(device)),
        ("health", _health(device)),
        ("holds", _content(device)),
    ]
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        if value:
            say(f"  {name:<{width}}  {value}")
    reasons = interlocks(found, device)
    say("it must not be erased now:" if reasons else "nothing that could be seen uses it")
    for reason in reasons:
        say(f"  - {reason}")
    offers, denials = offers_for(device)
    say("techniques that it allows, strongest first, with the category of NIST SP 800-88r2:")
    for offer in offers:
        say(f"  {offer.technique}: {BY_NAME[offer.technique].on(device.medium)}")
    for denial in denials:
        say(f"  {denial.technique}: no, {denial.reason}")


def _what(device: "Device") -> str:
    if device.kind == "partition":
        return "partition"
    first = device.bus if device.kind == "disk" and device.bus != "none" else device.kind
    words = (first, *(word for word in (device.medium, device.zoned) if word not in ("unknown", "none")))
    return " ".join(words)


def _made(device: "Device") -> str:
    return f"{device.vendor} {device.model}".strip() or device.mapping or device.backing


def _content(device: "Device") -> str:
    if device.signatures is None:
        return "not read"
    return ", ".join(dict.fromkeys(one.name for one in device.signatures)) or "nothing that we know"


def _hidden(device: "Device") -> str:
    from deleatur.judge.interlocks import full_size

    if device.hidden is None or device.hidden.native_sectors is None:
        return "not asked, or no answer"
    hidden = full_size(device) - device.size
    return f"{hidden} bytes ({device.hidden.by})" if hidden else "none"


def _security(device: "Device") -> str:
    state, opal = device.security, device.opal
    words = []
    if state is not None:
        names = ("supported", "enabled", "locked", "frozen", "expired", "enhanced")
        words.append("ATA " + (", ".join(n for n in names if getattr(state, n)) or "not supported"))
    if opal is not None and opal.supported:
        words.append(f"TCG {opal.ssc or 'Opal'}" + (", always encrypts" if opal.encrypts else ""))
        words.append("locking enabled" if opal.locking_enabled else "locking not enabled")
        words.append("locked" if opal.locked else "not locked")
    return "; ".join(words)


def _health(device: "Device") -> str:
    state = device.health
    if state is None:
        return ""
    verdict = {True: "good", False: "failing", None: ""}[state.passed]
    numbers = (
        ("°C", state.celsius),
        ("% used", state.used_percent),
        ("% spare", state.spare_percent),
        (" media errors", state.media_errors),
        (" sectors replaced", state.reallocated),
        (" hours", state.hours),
    )
    words = (verdict, *(f"{count}{unit}" for unit, count in numbers if count is not None))
    return ", ".join(word for word in words if word)
