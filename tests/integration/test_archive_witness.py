"""The witness's key of an archive: in memory while the file is compared, and gone from it afterwards."""

import subprocess
import sys
from pathlib import Path

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # BIP 173
SCRIPT = """
import sys
from pathlib import Path
from deleatur.archive import new_identity, seal
from deleatur.archive.bag import Bag
from deleatur.archive.age import recipient_of
from deleatur.testing.keepers import keepers

opens_to = seal._opens_to

def told(path, identity, digest):
    print(str(identity), flush=True)
    sys.stdin.readline()
    return opens_to(path, identity, digest)

seal._opens_to = told
recipients = [recipient_of(c) for c in keepers(new_identity()[1]).custodian]
seal.seal(Bag("b").end({"README.txt": b"plain" * 1000}, ""), Path(sys.argv[1]), recipients)
print("sealed", flush=True)
sys.stdin.readline()
"""


def secret_bytes(identity: str) -> bytes:
    """Return the 32 bytes that an age identity spells; the last six characters are its checksum."""
    number = 0
    digits = identity.lower().rpartition("1")[2][:-6]
    for digit in digits:
        number = number << 5 | BECH32.index(digit)
    return (number >> (len(digits) * 5 - 256)).to_bytes(32, "big")


def occurrences(process: int, needle: bytes) -> int:
    """Count `needle` in the writable memory of a process."""
    found = 0
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as memory:
        for line in maps:
            area, rights = line.split()[:2]
            if rights.startswith("rw"):
                start, end = (int(number, 16) for number in area.split("-"))
                memory.seek(start)
                found += memory.read(end - start).count(needle)
    return found


def test_the_key_is_in_memory_while_it_is_needed_and_not_after(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "archive" / "a.tar.age")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        key = secret_bytes(child.stdout.readline().strip())
        assert occurrences(child.pid, key) >= 1  # the control: the search sees it
        print(file=child.stdin, flush=True)
        assert child.stdout.readline() == "sealed\n"
        assert occurrences(child.pid, key) == 0
        print(file=child.stdin, flush=True)
    assert child.returncode == 0
