"""Whole jobs on a device, and what they left in their directory."""

import base64
import json
from pathlib import Path
from typing import Any

from deleatur.documents.journal import decode_entry
from deleatur.documents.place import Pattern
from deleatur.engine.directory import JobDirectory


def job(path: Path | str, technique: str = "overwrite-device", mode: str = "full", more: str = "") -> str:
    """Return the text of a job that erases one device."""
    return f"""
schema = "deleatur/job/v1"
name = "disk"
reason = "other"
authority = "a test"
requested_by = "tester"
[verification]
mode = "{mode}"
{more}
[[target]]
id = "disk"
url = "block://{path}"
technique = "{technique}"
"""


def predicate(directory: JobDirectory) -> dict[str, Any]:
    """Return what the certificate says."""
    envelope = json.loads((directory.certificate / "certificate.dsse.json").read_bytes())
    certificate: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    return certificate


def events(directory: JobDirectory) -> list[Any]:
    """Return what the journal says, without a line that was torn."""
    whole = directory.journal.read_bytes().split(b"\n")[:-1]
    return [decode_entry(line + b"\n").event for line in whole]


def pattern_of(directory: JobDirectory, action: str = "pass-1") -> Pattern:
    """Return the pattern that an action of the plan lays."""
    steps = json.loads((directory.path / "plan.json").read_bytes())["steps"]
    found = next(s["pattern"] for s in steps if s["action"] == action)
    return Pattern(**found)
