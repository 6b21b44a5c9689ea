"""Where a LUKS container keeps its keys: headers, their copy, and key slots, all before its data. Pure.

Sources: LUKS1 On-Disk Format Specification 1.2.3 §2; LUKS2 On-Disk Format Specification 1.1.1 §2, §3.
Rule kept: a container that keeps keys elsewhere, or is being encrypted anew, is refused, not guessed at.
"""

import json
from collections.abc import Callable
from typing import Any

from deleatur.errors import Refused

MAGIC = b"LUKS\xba\xbe"
_SECTOR = 512  # bytes in which LUKS1 counts
_JSON_AT = 4096  # LUKS2 §2.1: size of the binary header
_LARGEST = 4 << 20  # bytes of the largest header, LUKS2 §2.2
Read = Callable[[int, int], bytes]  # offset, length (bytes)


def key_area(read: Read, size: int) -> int:
    """Return how many bytes at the beginning of a device of `size` bytes hold headers and key slots.

    Raises:
        Refused: there is no LUKS header, it cannot be understood, or keys may lie elsewhere.
    """
    head = read(0, _SECTOR * 2)
    version = int.from_bytes(head[6:8], "big")
    if head[:6] != MAGIC or version not in (1, 2):
        raise Refused("no LUKS header lies at its beginning")
    end = _before_payload(head) if version == 1 else _before_segments(read, head)
    if not _SECTOR * 2 <= end <= size or end % _SECTOR:
        raise Refused("its LUKS header names no room for keys on this device: it may belong to another one")
    return end


def _before_payload(head: bytes) -> int:
    """Return where the data of a LUKS1 container begin, with every key slot before."""

    def number(at: int) -> int:
        return int.from_bytes(head[at : at + 4], "big")

    end = number(104) * _SECTOR
    for slot in range(208, 208 + 8 * 48, 48):  # LUKS1 §2, figures 2 and 3
        if number(slot + 40) * _SECTOR + number(slot + 44) * number(108) > end:
            raise Refused("its LUKS1 header names keys that do not lie before its data")
    return end


def _before_segments(read: Read, head: bytes) -> int:
    """Return where the data of a LUKS2 container begin: whatever lies before is header or key."""
    length = int.from_bytes(head[8:16], "big")
    if not _JSON_AT < length <= _LARGEST:
        raise Refused("its LUKS2 header has no length that the format knows")
    try:
        found = json.loads(read(_JSON_AT, length - _JSON_AT).split(b"\0")[0])
        return _checked(found, 2 * length)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused("its LUKS2 header cannot be understood") from None


def _checked(found: dict[str, Any], headers: int) -> int:
    needs = found["config"].get("requirements", {}).get("mandatory", [])
    kinds = {segment["type"] for segment in found["segments"].values()}
    if needs or kinds != {"crypt"}:
        raise Refused(
            "its LUKS2 container is being encrypted anew, or needs what is not known here; end that first"
        )
    end = min(int(segment["offset"]) for segment in found["segments"].values())
    areas = [slot["area"] for slot in found["keyslots"].values()]
    if any(int(area["offset"]) + int(area["size"]) > end for area in areas) or end < headers:
        raise Refused("its LUKS2 header names keys that do not lie before its data")
    return end
