"""Find the PSID of a drive, which is printed on its label: a secret that no document holds.

Rule kept: it comes from a file that only its owner can read, and goes to the drive; no message quotes it.
"""

import re

from deleatur.api import Device, Refused, secret_text

TECHNIQUE = "opal-psid-revert"
FILE = "DELEATUR_PSIDS"  # environment: a file with the serial and the PSID of one drive on each line
_PSID = re.compile(r"[!-~]{8,64}")  # of the label without blanks; makers print 32 letters and digits


def psid_of(device: Device) -> bytes:
    """Return the PSID of a drive by its serial.

    Raises:
        Refused: the file is not there, can be read by others or not be understood, or lacks the drive.
    """
    where = f"the file that {FILE} names"
    content = secret_text(FILE)
    if not content:
        raise Refused(
            f"{TECHNIQUE} needs the PSID of each label: name a file with a serial and a PSID on each "
            f"line in {FILE}"
        )
    lines = content.splitlines()
    found = [line.rsplit(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    if any(len(pair) != 2 or not _PSID.fullmatch(pair[1]) for pair in found):
        raise Refused(f"{where} needs a serial and a PSID of 8 to 64 characters on each line")
    known = {psid for serial, psid in found if device.serial and serial.strip() == device.serial}
    if len(known) != 1:
        raise Refused(
            f"{where} names {len(known)} PSIDs for the serial {device.serial or 'none'}; write the label's"
        )
    return known.pop().encode("ascii")
