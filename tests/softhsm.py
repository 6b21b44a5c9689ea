"""A SoftHSM with its tokens in one folder, for a test and its own process."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pkcs11

LIBRARY = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "4711-kept-in-a-file"


@contextmanager
def softhsm(folder: Path) -> Iterator[Path]:
    """Yield the folder of its tokens; the library reads its configuration anew on both ends."""
    tokens = folder / "tokens"
    tokens.mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    (folder / "pin").write_text(f"{PIN}\n")
    (folder / "pin").chmod(0o600)
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    forget_library()
    try:
        yield tokens
    finally:
        forget_library()
        shutil.rmtree(tokens)
        del os.environ["SOFTHSM2_CONF"]
        if before is not None:
            os.environ["SOFTHSM2_CONF"] = before


def forget_library() -> None:
    """Have the library look for its tokens again when it is asked next."""
    pkcs11.unload(LIBRARY)


def make_token(label: str = "people") -> None:
    """Make an empty token with the PIN."""
    words = (
        "softhsm2-util",
        "--init-token",
        "--free",
        "--label",
        label,
        "--so-pin",
        "87654321",
        "--pin",
        PIN,
    )
    subprocess.run(words, check=True, timeout=60, stdout=subprocess.DEVNULL)
    forget_library()


def url_of(folder: Path, *, seen: bool = True) -> str:
    """Return the URL of the token; `seen`: its files are searched."""
    files = f"&softhsm-tokens={folder}/tokens" if seen else ""
    return f"pkcs11:token=people?module-path={LIBRARY}&pin-source=file:{folder}/pin{files}"
