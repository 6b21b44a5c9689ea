"""The front door: everything that a plugin may import.

A plugin needs nothing else of deleatur, and what stands here changes only with `Backend.api`.
"""

from deleatur.backend import Backend, Secrets
from deleatur.devices.commanding import COMMANDS, erase_by_command
from deleatur.devices.erase_opal import revert_by_psid
from deleatur.devices.inventory import device_at, read_table
from deleatur.devices.lifting import lift_hidden
from deleatur.devices.luks import key_area
from deleatur.devices.opening import open_exclusive, opened_to_look, require_same
from deleatur.devices.temperature import cooled
from deleatur.documents.destruction import Exhibit, Item, Missing, Treatment
from deleatur.documents.detection import Detector, Span, TypeInfo
from deleatur.documents.device import Device, DeviceTable
from deleatur.documents.job import Condition, HeldRows, Selection, Target, Within
from deleatur.documents.journal import Entry
from deleatur.documents.place import (
    LIFT,
    MEMORY_OF,
    Cursor,
    Denial,
    Identity,
    Inspection,
    Kept,
    Locator,
    Offer,
    Pattern,
    Step,
    Surface,
    Unit,
)
from deleatur.documents.plan import Plan
from deleatur.documents.ranges import merged
from deleatur.errors import Failed, Gone, Refused, Transient, Unsupported
from deleatur.holding import Column, Contents, HeldFile, HeldTable, Holding, NotRead
from deleatur.hooks import Hold, hookimpl
from deleatur.judge.capabilities import offers_for, unliftable
from deleatur.judge.choosing import chosen_rows, idle_hold, refuse_forgotten_columns
from deleatur.judge.clauses import Clauses
from deleatur.judge.foreign_keys import ForeignKey, Stage, deletion_order
from deleatur.judge.interlocks import full_size, identity_of, interlocks, unreadable_until
from deleatur.judge.markers import marker_places
from deleatur.judge.sampling import drawn, positions
from deleatur.judge.selecting import (
    inner_of,
    listed_values,
    refuse_ambiguous,
    selection_named,
    without_values,
)
from deleatur.network import on_this_host, server_named, tls_context, tls_failure
from deleatur.sanitize.alone import alone, lock_bytes
from deleatur.sanitize.device import Medium, medium_of, overwrite_device
from deleatur.sanitize.digest import digest_key, keyed_digest, keyed_digest_of_set, shredding
from deleatur.sanitize.filesystem import (
    Extent,
    FileSystem,
    access_to,
    encrypted_below,
    extents,
    filesystem_of,
    generation,
    immutable,
    journals_data,
    mount_points,
    overwrites_in_place,
)
from deleatur.sanitize.free_blocks import can_flush_journal, flush_journal, settle
from deleatur.sanitize.ground import limits_of_files, opened_in_turn, surfaces_below
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.linking import HeldName, LinkShredder, nobody_has_open
from deleatur.sanitize.memory import memory_of_server
from deleatur.sanitize.needles import is_fine, is_large
from deleatur.sanitize.overwrite import (
    covered,
    exchange,
    found_again,
    overwrite_in_place,
    read_below_cache,
    remove,
    remove_directory,
)
from deleatur.sanitize.passes import STANDARDS
from deleatur.sanitize.patterns import laid
from deleatur.sanitize.placement import lies, on_device
from deleatur.sanitize.put_down import put_down
from deleatur.sanitize.reclaim import blocks_of, reclaim
from deleatur.sanitize.sharing import holders, in_words, subvolume
from deleatur.sanitize.techniques import LEAVE, technique
from deleatur.sanitize.usage import Usage, opened_here, usage, users_of
from deleatur.secret_file import client_options, secret_text
from deleatur.service import CustodyList, DestructionService, Report

__all__ = [
    "COMMANDS",
    "LEAVE",
    "LIFT",
    "MEMORY_OF",
    "STANDARDS",
    "Backend",
    "Clauses",
    "Column",
    "Condition",
    "Contents",
    "Cursor",
    "CustodyList",
    "Denial",
    "DestructionService",
    "Detector",
    "Device",
    "DeviceTable",
    "Entry",
    "Exhibit",
    "Extent",
    "Failed",
    "FileSystem",
    "ForeignKey",
    "Gone",
    "HeldFile",
    "HeldName",
    "HeldRows",
    "HeldTable",
    "Hold",
    "Holding",
    "Identity",
    "Inspection",
    "Item",
    "Kept",
    "Keystream",
    "LinkShredder",
    "Locator",
    "Medium",
    "Missing",
    "NotRead",
    "Offer",
    "Pattern",
    "Plan",
    "Refused",
    "Report",
    "Secrets",
    "Selection",
    "Span",
    "Stage",
    "Step",
    "Surface",
    "Target",
    "Transient",
    "Treatment",
    "TypeInfo",
    "Unit",
    "Unsupported",
    "Usage",
    "Within",
    "access_to",
    "alone",
    "blocks_of",
    "can_flush_journal",
    "chosen_rows",
    "client_options",
    "cooled",
    "covered",
    "deletion_order",
    "device_at",
    "digest_key",
    "drawn",
    "encrypted_below",
    "erase_by_command",
    "exchange",
    "extents",
    "filesystem_of",
    "flush_journal",
    "found_again",
    "full_size",
    "generation",
    "holders",
    "hookimpl",
    "identity_of",
    "idle_hold",
    "immutable",
    "in_words",
    "inner_of",
    "interlocks",
    "is_fine",
    "is_large",
    "journals_data",
    "key_area",
    "keyed_digest",
    "keyed_digest_of_set",
    "laid",
    "lies",
    "lift_hidden",
    "limits_of_files",
    "listed_values",
    "lock_bytes",
    "marker_places",
    "medium_of",
    "memory_of_server",
    "merged",
    "mount_points",
    "nobody_has_open",
    "offers_for",
    "on_device",
    "on_this_host",
    "open_exclusive",
    "opened_here",
    "opened_in_turn",
    "opened_to_look",
    "overwrite_device",
    "overwrite_in_place",
    "overwrites_in_place",
    "positions",
    "put_down",
    "read_below_cache",
    "read_table",
    "reclaim",
    "refuse_ambiguous",
    "refuse_forgotten_columns",
    "remove",
    "remove_directory",
    "require_same",
    "revert_by_psid",
    "secret_text",
    "selection_named",
    "server_named",
    "settle",
    "shredding",
    "subvolume",
    "surfaces_below",
    "technique",
    "tls_context",
    "tls_failure",
    "unliftable",
    "unreadable_until",
    "usage",
    "users_of",
    "without_values",
]
