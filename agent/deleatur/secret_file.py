"""Files of secrets that the environment names: for their owner only, and quoted in no message."""

import os
import stat
from configparser import Error as Unreadable
from configparser import RawConfigParser

from deleatur.errors import Refused

_MOST = 1 << 20  # bytes


def secret_text(variable: str) -> str:
    """Return what stands in the file that an environment variable names; "" if it names none.

    Raises:
        Refused: it is no plain file, others may read it, or it is no UTF-8 of at most 1 MiB.
    """
    name = os.environ.get(variable, "")
    if not name:
        return ""
    where = f"the file that {variable} names"
    try:
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
                raise Refused(f"{where} can be read by others; run chmod 600 on it")
            content = file.read(_MOST + 1)
        if len(content) > _MOST:
            raise Refused(f"{where} is larger than {_MOST} bytes")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{where} cannot be read ({type(error).__name__})") from None


def client_options(variable: str) -> dict[str, str]:
    """Return the group [client] of the option file that an environment variable names; nothing for none.

    Raises:
        Refused: as `secret_text`; or it has no such group, or another one.
    """
    content = secret_text(variable)
    if not os.environ.get(variable, ""):
        return {}
    parser = RawConfigParser(comment_prefixes=("#",), strict=True)
    try:
        parser.read_string(content)
        return dict(parser["client"])
    except (Unreadable, KeyError):
        raise Refused(f"the option file that {variable} names needs one group [client]") from None
