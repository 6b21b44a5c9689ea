"""Which host this is: a plan is run where it was made, and nowhere else.

The machine-id is told to nobody: what a document has of it is a digest under it as the key, as
machine-id(5) asks.
"""

import hmac
import os
import re
import socket
from pathlib import Path

from deleatur.documents.plan import Plan, PlannedHost
from deleatur.errors import Refused

_MACHINE_ID = Path("/etc/machine-id")
_FORM = re.compile(rb"[0-9a-f]{32}\n?")  # machine-id(5); an image without one has an empty file or a word
_PURPOSE = b"deleatur/plan/v1 host"
_SHOWN = 64  # characters of a name: HOST_NAME_MAX of Linux


def this_host() -> PlannedHost:
    """Return the name of this host and the digest of its machine-id.

    Raises:
        Refused: the machine-id is there and cannot be read.
    """
    try:
        content = _MACHINE_ID.read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise Refused(f"{_MACHINE_ID} cannot be read: {error.strerror}; it tells hosts apart") from None
    digest = ""
    if _FORM.fullmatch(content):
        digest = hmac.new(bytes.fromhex(content.decode()), _PURPOSE, "sha256").hexdigest()
    return PlannedHost(name=_name() or "unknown", machine=digest)


def _name() -> str:
    return os.fsencode(socket.gethostname()).decode("utf-8", "replace")  # the kernel takes any bytes


def require_this_host(plan: Plan) -> None:
    """Refuse a plan that was made on another host.

    Raises:
        Refused: name or machine-id are not those of the plan.
    """
    here = this_host()
    if here == plan.host:
        return
    name = plan.host.name[:_SHOWN]
    if here.name != plan.host.name:
        what = f"the plan was made on the host {name}, and this one is {here.name}"
    else:
        what = f"the plan was made on another machine that is called {name} too, with another machine-id"
    raise Refused(f"{what}; run it there, or make a new job here")
