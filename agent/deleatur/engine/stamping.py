"""Lay a stamp of an authority beside a job's certificate, once it verifies."""

import re
from pathlib import Path

from deleatur.engine.directory import JobDirectory
from deleatur.engine.reading import read_plain
from deleatur.errors import Refused
from deleatur.trust.dsse import MAX_ENVELOPE
from deleatur.trust.folder import ENVELOPE
from deleatur.trust.stamp import MAX_ROOTS, MAX_STAMP, Stamp, verify_stamp

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def envelope_at(certificate: Path) -> bytes:
    """Return the envelope of a certificate's folder, or of its file.

    Raises:
        Refused: it is not there.
        Malformed: it is larger than an envelope may be.
    """
    return _read(certificate / ENVELOPE if certificate.is_dir() else certificate, MAX_ENVELOPE)


def checked_stamp(certificate: Path, response: Path, roots: Path) -> Stamp:
    """Verify the file of a stamp over a certificate.

    Raises:
        Refused: a file is not there.
        Invalid, Malformed, Unsupported: as `verify_stamp`.
    """
    return verify_stamp(_read(response, MAX_STAMP), envelope_at(certificate), _read(roots, MAX_ROOTS))


def add_stamp(directory: JobDirectory, name: str, response: Path, roots: Path) -> Stamp:
    """Verify a stamp and write it and the roots that it verified under into the job, once each.

    Raises:
        Refused: the name is none, a stamp of this name is there already, or a file is not there.
        Invalid, Malformed, Unsupported: as `verify_stamp`.
    """
    if not _NAME.fullmatch(name):
        raise Refused("a stamp's name has up to 40 small letters, digits and dashes")
    stamp = checked_stamp(directory.certificate, response, roots)
    directory.write_once(directory.stamps / f"{name}.pem", _read(roots, MAX_ROOTS))
    directory.write_once(directory.stamps / f"{name}.tsr", _read(response, MAX_STAMP))
    return stamp


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_plain(path, limit)
    except FileNotFoundError:
        raise Refused(f"{path} is not there") from None
