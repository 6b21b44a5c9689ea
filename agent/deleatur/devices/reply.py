"""Take fields out of what a device answered, which may be short, torn or made up.

Rule kept: a field that is not wholly there is a clear error, never a zero.
"""

from deleatur.errors import Malformed


def required(content: bytes, length: int, what: str) -> bytes:
    """Return `content` if it has at least `length` bytes.

    Raises:
        Malformed: it is shorter.
    """
    if len(content) < length:
        raise Malformed(
            f"the device answered {len(content)} bytes of {what}, {length} are needed", kind="short-answer"
        )
    return content


def little(content: bytes, offset: int, length: int) -> int:
    """Return the little-endian number of `length` bytes at `offset`, as NVMe writes it."""
    return int.from_bytes(required(content, offset + length, "a number")[offset : offset + length], "little")


def big(content: bytes, offset: int, length: int) -> int:
    """Return the big-endian number of `length` bytes at `offset`, as SCSI writes it."""
    return int.from_bytes(required(content, offset + length, "a number")[offset : offset + length], "big")


def printed(raw: bytes) -> str:
    """Return a name as a device prints it: ASCII, blanks at its ends cut, any other byte as `?`."""
    return "".join(chr(b) if 0x20 <= b < 0x7F else "?" for b in raw.replace(b"\0", b" ").strip())
