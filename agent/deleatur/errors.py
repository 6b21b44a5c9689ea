"""One tree of errors; each class carries the exit code that the command line returns.

An error is one line: what, where, what to do. It never quotes the data that is being erased.
"""

from typing import ClassVar


class DeleaturError(Exception):
    """Something went wrong that a person should read about, in one line."""

    exit_code: ClassVar[int] = 2


class Failed(DeleaturError):
    """The job could not go on: an I/O error, a defect of a backend, a failed self-test."""


class Malformed(DeleaturError):
    """A document does not follow its specification; `where` is the place inside it."""

    exit_code = 3

    def __init__(self, what: str, *, kind: str, where: str = "$") -> None:
        super().__init__(f"{what} (at {where})")
        self.what = what
        self.kind = kind
        self.where = where


class Refused(DeleaturError):
    """A rule forbids it: a hold, a missing approval, a target in use, an untrusted plugin."""

    exit_code = 4


class Gone(Refused):
    """The storage itself says that the target is not there."""


class Unsupported(DeleaturError):
    """This backend, device or file system cannot do what was asked."""

    exit_code = 5


class Transient(DeleaturError):
    """It did not work now and may work later: a lock, a time-out, a busy server."""

    exit_code = 6


class Residue(DeleaturError):
    """Erased data can still be read; there is a report and no certificate."""

    exit_code = 7


class Invalid(DeleaturError):
    """A certificate, approval or signature does not verify."""

    exit_code = 8


class Interrupted(DeleaturError):
    """A person stopped the job; it can be resumed."""

    exit_code = 130
