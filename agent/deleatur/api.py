"""The front door: everything that a plugin may import.

A plugin needs nothing else of deleatur, and what stands here changes only with `Backend.api`.
"""

from deleatur.backend import Backend, Secrets
from deleatur.documents.job import Condition, HeldRows, Selection, Target, Within
from deleatur.documents.place import (
    Cursor,
    Denial,
    Identity,
    Inspection,
    Locator,
    Offer,
    Pattern,
    Step,
    Surface,
    Unit,
)
from deleatur.errors import Failed, Gone, Refused, Transient, Unsupported
from deleatur.hooks import Hold, hookimpl
from deleatur.sanitize.digest import keyed_digest, keyed_digest_of_set
from deleatur.sanitize.keystream import Keystream

__all__ = [
    "Backend",
    "Condition",
    "Cursor",
    "Denial",
    "Failed",
    "Gone",
    "HeldRows",
    "Hold",
    "Identity",
    "Inspection",
    "Keystream",
    "Locator",
    "Offer",
    "Pattern",
    "Refused",
    "Secrets",
    "Selection",
    "Step",
    "Surface",
    "Target",
    "Transient",
    "Unit",
    "Unsupported",
    "Within",
    "hookimpl",
    "keyed_digest",
    "keyed_digest_of_set",
]
