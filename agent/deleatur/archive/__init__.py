"""The archive: what must stay, desensitized, encrypted for a custodian, compared before any erase."""

from deleatur.archive.age import new_identity
from deleatur.archive.package import Opened, check_archive, open_archive, write_archive

__all__ = ["Opened", "check_archive", "new_identity", "open_archive", "write_archive"]
