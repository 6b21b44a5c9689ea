"""What carries data outside of our reach, and how it is destroyed: words of ISO/IEC 21964 (DIN 66399). Pure.

The standard has a letter for each family of carriers and seven levels; from a certain level on, a
level is a largest area of the particles that are left. One particle in ten may be larger, up to a
tolerance that is not kept here.
"""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

Carrier = Literal["paper", "film", "optical", "magnetic", "hard-disk", "flash", "hybrid"]
Technique = Literal["shred", "disintegrate", "crush", "degauss", "incinerate"]
Level = Annotated[str, Meta(pattern=r"^([PFOTHE]-[1-7])?\Z")]  # "": it has none
Area = Annotated[str, Meta(pattern=r"^([0-9]{1,5}(\.[0-9]{1,2})?)?\Z")]  # mm²; "": not said

# ISO/IEC 21964-1: which letter is for what. A hybrid disk has platters and flash; the flash decides.
LETTERS: dict[Carrier, str] = {
    "paper": "P",
    "film": "F",
    "optical": "O",
    "magnetic": "T",
    "hard-disk": "H",
    "flash": "E",
    "hybrid": "E",
}
# NIST SP 800-88r1 App. A: degaussing is for magnetic media only; hybrid drives keep their flash.
TECHNIQUES: dict[Carrier, tuple[Technique, ...]] = {
    "paper": ("shred", "disintegrate", "incinerate"),
    "film": ("shred", "disintegrate", "incinerate"),
    "optical": ("shred", "disintegrate", "incinerate"),
    "magnetic": ("shred", "disintegrate", "incinerate", "degauss"),
    "hard-disk": ("shred", "disintegrate", "incinerate", "crush", "degauss"),
    "flash": ("shred", "disintegrate", "incinerate", "crush"),
    "hybrid": ("shred", "disintegrate", "incinerate", "crush"),
}
LEVELLED: tuple[Technique, ...] = ("shred", "disintegrate", "crush")  # what leaves pieces has a level
# Largest area of a particle in mm², by letter, from level 1 on; None: the level asks for no size.
# ISO/IEC 21964-2 (DIN 66399-2:2012), by secondary sources: shredding services print H-5, O-2, O-3,
# T-2 to T-4 and E-2 to E-3 with these numbers, makers of shredders the rest. The standard is not free.
_AREAS: dict[str, tuple[str | None, ...]] = {
    "P": ("2000", "800", "320", "160", "30", "10", "5"),
    "F": ("160", "30", "10", "2.5", "1", "0.5", "0.2"),
    "O": ("2000", "800", "160", "30", "10", "5", "0.2"),
    "T": (None, "2000", "320", "160", "30", "10", "2.5"),
    "H": (None, None, None, "2000", "320", "10", "5"),
    "E": (None, None, "160", "30", "10", "1", "0.5"),
}


def largest_area(level: str) -> Decimal | None:
    """Return the largest area of a particle, in mm², that a level such as `H-5` allows; None: any."""
    area = _AREAS[level[0]][int(level[2]) - 1]
    return None if area is None else Decimal(area)
