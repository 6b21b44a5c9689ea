"""The techniques that deleatur knows: what each does, what it claims, and where that is written.

Backends offer techniques by id; a technique that is not here cannot be planned, run or claimed.
"""

from typing import Literal

import msgspec

from deleatur.documents.place import Compare, Frozen
from deleatur.errors import Unsupported
from deleatur.sanitize.passes import STANDARDS, Standard


class Action(Frozen, frozen=True):
    """One step of a technique and how the core judges it."""

    name: str
    compare: Compare
    lays: str = "keystream"  # see `deleatur.sanitize.passes`


class Technique(Frozen, frozen=True):
    """A named way to erase."""

    id: str
    title: str
    category: Literal["clear", "purge", "destroy", "logical-delete"]
    scope: Literal["addressable", "device-all", "logical", "key"]
    actions: tuple[Action, ...]
    source: str
    own_device: bool = False  # each target is a device of its own: several are worked on at the same time

    @property
    def stays(self) -> bool:
        """Whether the target is still there afterwards, and holds the last pattern."""
        return self.actions[-1].compare in ("pattern", "changed")

    @property
    def attested(self) -> bool:
        """Whether the device does it by itself, and says that it did."""
        return self.actions[-1].compare == "changed"


TECHNIQUES: dict[str, Technique] = {
    t.id: t
    for t in (
        Technique(
            id="overwrite-and-remove",
            title="overwrite in place with an AES-256-CTR keystream, read back, rename, truncate, unlink",
            category="clear",  # a host overwrite is Clear, never Purge: NIST SP 800-88r2 §3.1
            scope="addressable",
            actions=(
                Action(name="overwrite", compare="keystream"),
                Action(name="remove", compare="absence"),
            ),
            source="NIST SP 800-88r2, Clear: overwrite of all addressable locations of the file",
        ),
        Technique(
            id="rewrite-and-shred",
            title="delete in a copy, rebuild it without free space, swap, overwrite every old file in place",
            category="clear",
            scope="logical",
            actions=(Action(name="rewrite", compare="absence"),),
            source="measured residue table of the project, benchmarks/sqlite_residue.py; SQLite VACUUM INTO",
        ),
        Technique(
            id="rewrite-and-reclaim",
            title="delete, let the server rewrite its files and cycle its log, overwrite the blocks it frees",
            category="clear",
            scope="logical",
            actions=(Action(name="rewrite", compare="absence"),),
            source="PostgreSQL: CLUSTER, wal_recycle; benchmarks/postgresql_residue.py",
        ),
        Technique(
            id="swap-and-shred",
            title="delete, let the server rewrite its files in a prepared transaction, put the old ones "
            "aside and overwrite them after the commit, cycle its log, overwrite what else it frees",
            category="clear",
            scope="logical",
            actions=(Action(name="rewrite", compare="absence"),),
            source="PostgreSQL: PREPARE TRANSACTION, CLUSTER; benchmarks/postgresql_residue.py",
        ),
        Technique(
            id="rebuild-and-shred",
            title="delete, let the server rebuild each file that held the rows, overwrite the old ones in "
            "place, write filler until its own logs hold nothing old",
            category="clear",
            scope="logical",
            actions=(Action(name="rebuild", compare="absence"),),
            source="MariaDB documentation: InnoDB Data Scrubbing; residues measured by the project",
        ),
        Technique(
            id="reload-and-shred",
            title="delete, copy all that stays into a new data directory, compare, stop the server, put the "
            "new directory in place of the old one, overwrite every file of that where it lies",
            category="clear",
            scope="logical",
            actions=(Action(name="reload", compare="absence"),),
            source="MariaDB documentation: mariadb-dump; residues measured by the project",
        ),
        Technique(
            id="resave-and-shred",
            title="delete, let the server write its snapshot and log anew, overwrite the old ones in place",
            category="clear",
            scope="logical",
            actions=(Action(name="resave", compare="absence"),),
            source="Redis documentation: BGSAVE, BGREWRITEAOF; residues measured by the project",
        ),
        Technique(
            id="delete-rows",
            title="delete the rows through the server and reach for nothing below it",
            category="logical-delete",
            scope="logical",
            actions=(Action(name="delete", compare="absence"),),
            source="for servers whose files cannot be reached; it claims no overwrite",
        ),
        Technique(
            id="delete-versions",
            title="delete every approved version and marker, end unfinished uploads, list again until "
            "nothing of the plan is there",
            category="logical-delete",  # what the provider does with the bytes is its word
            scope="logical",
            actions=(Action(name="delete", compare="absence"),),
            source="Amazon S3 API: DeleteObjects, ListObjectVersions; docs/howto/erase-from-s3.md",
        ),
        Technique(
            id="delete-versions-bypassing-governance",
            title="as delete-versions, and versions under a retention in governance mode too, by a right to "
            "bypass it; each approval names the bucket",
            category="logical-delete",
            scope="logical",
            actions=(Action(name="delete", compare="absence"),),
            source="Amazon S3 API: DeleteObjects, x-amz-bypass-governance-retention; "
            "docs/howto/erase-from-s3.md",
        ),
        Technique(
            id="rewrite-objects",
            title="write each object anew without the rows, read it back, delete every version that holds "
            "some of them, list again until none of these is there",
            category="logical-delete",  # what the provider does with the bytes is its word
            scope="logical",
            actions=(Action(name="rewrite", compare="absence"),),
            source="Amazon S3 API: PutObject, DeleteObjects; docs/howto/erase-rows-in-objects.md",
        ),
        Technique(
            id="crypto-erase",
            title="overwrite and remove the data key of each subject; a canary under it must find no key",
            category="clear",  # by a host's overwrite of the wrapped keys, never Purge
            scope="key",
            actions=(Action(name="destroy", compare="absence"),),
            source="NIST SP 800-88r2, cryptographic erase: sanitize the keys; docs/spec/subject-keys.md",
        ),
        Technique(
            id="crypto-erase-by-token",
            title="have the token destroy the data key of each subject; a canary under it must find no key",
            category="logical-delete",  # what the token does with the bytes is its maker's word
            scope="key",
            actions=(Action(name="destroy", compare="absence"),),
            source="PKCS#11 v2.40, C_DestroyObject; NIST SP 800-88r2, cryptographic erase: sanitize the keys",
        ),
        Technique(
            id="crypto-erase-by-service",
            title="have the key service delete each key; a canary under it must find no key",
            category="logical-delete",  # what the service does with the bytes is its word
            scope="key",
            actions=(Action(name="destroy", compare="absence"),),
            source="OpenBao transit, delete key; NIST SP 800-88r2, cryptographic erase: sanitize the keys",
        ),
        Technique(
            id="forget",
            title="drop the objects from the store's own memory",
            category="logical-delete",
            scope="logical",
            actions=(Action(name="forget", compare="absence"),),
            source="reference technique of the contract suite; it claims no overwrite",
        ),
    )
}


def _of_device(standard: Standard) -> Technique:
    """Return the technique that overwrites a whole device by a standard; its last pass is read back."""
    last = len(standard.passes)
    return Technique(
        id=standard.id,
        title=f"overwrite every addressable sector: {standard.title}",
        category="clear",  # a host overwrite is Clear, never Purge: NIST SP 800-88r2 §3.1.1
        scope="addressable",
        actions=tuple(
            Action(name=f"pass-{n}", compare="pattern" if n == last else "none", lays=lays)
            for n, lays in enumerate(standard.passes, start=1)
        ),
        own_device=True,
        source=f"{standard.issuer}, {standard.year} ({standard.status}); {standard.source}",
    )


TECHNIQUES |= {standard.id: _of_device(standard) for standard in STANDARDS}


def _by_command(id_: str, title: str, category: Literal["clear", "purge"], source: str) -> Technique:
    """Return a technique that a device carries out itself; markers written before must have changed."""
    actions = (Action(name="mark", compare="marked"), Action(name="command", compare="changed"))
    return Technique(
        id=id_,
        title=f"write markers, {title}, read that every marker has changed",
        category=category,
        scope="device-all",
        actions=actions,
        own_device=True,
        source=source,
    )


def _verified(kind: str, title: str) -> Technique:
    """Return the sanitize that is read back in the state that NVMe has for it, before that is left."""
    plain = _by_command(f"nvme-sanitize-{kind}-verified", title, "purge", _VERIFICATION)
    return msgspec.structs.replace(
        plain,
        title=f"write markers, {title}, read in its media verification state that every marker has changed, "
        "leave that state, read once more",
        actions=(*plain.actions, Action(name=LEAVE, compare="changed")),
    )


LEAVE = "leave"  # the action that ends the state in which a device is read after its command
_VERIFICATION = "NVM Express Base Specification 2.1 §8.1.24.3.6 (EMVS); IEEE 2883-2022, Purge"
# Categories of IEEE 2883-2022 by interface; where its maker must have meant a Purge, Clear is claimed.
TECHNIQUES |= {
    each.id: each
    for each in (
        *(
            _by_command(f"{bus}-sanitize-{kind}", f"have the {what} {title}", "purge", source)
            for bus, what, source in (
                ("nvme", "controller", "NVM Express Base Specification 2.0 §5.24; IEEE 2883-2022, Purge"),
                ("scsi", "device", "SBC-4 §5.30 SANITIZE; IEEE 2883-2022, Purge"),
                ("ata", "drive", "ACS-3 §7.36 SANITIZE; IEEE 2883-2022, Purge"),
            )
            for kind, title in (
                ("crypto", "change the key of all its data (Sanitize)"),
                ("block", "erase all its blocks (Sanitize)"),
                ("overwrite", "overwrite all its blocks with zeros (Sanitize)"),
            )
        ),
        _verified("crypto", "have the controller change the key of all its data (Sanitize)"),
        _verified("block", "have the controller erase all its blocks (Sanitize)"),
        _by_command(
            "nvme-format-crypto",
            "have the controller format with a change of key (SES 2)",
            "clear",
            "NVM Express Base Specification 2.0 §5.14; IEEE 2883-2022: Clear, possibly Purge",
        ),
        _by_command(
            "nvme-format",
            "have the controller format with an erase of user data (SES 1)",
            "clear",
            "NVM Express Base Specification 2.0 §5.14; IEEE 2883-2022, Clear",
        ),
        _by_command(
            "ata-security-erase-enhanced",
            "have the drive do an enhanced security erase",
            "clear",
            "ACS-3 §7.43 SECURITY ERASE UNIT; IEEE 2883-2022: Clear, possibly Purge",
        ),
        _by_command(
            "ata-security-erase",
            "have the drive do a security erase",
            "clear",
            "ACS-3 §7.43 SECURITY ERASE UNIT; IEEE 2883-2022, Clear",
        ),
        _by_command(
            "opal-psid-revert",
            "have the self-encrypting drive revert by the PSID of its label, with a change of key",
            "clear",
            "TCG Opal SSC: Revert; NIST SP 800-88r2 §3.2, cryptographic erase: Purge only on its conditions",
        ),
        _by_command(
            "scsi-format",
            "have the device format itself",
            "clear",
            "SBC-4 §5.4 FORMAT UNIT; IEEE 2883-2022, Clear",
        ),
    )
}


TECHNIQUES |= {
    "luks-erase": Technique(
        id="luks-erase",
        title="overwrite both headers and every key slot of a LUKS container, up to its first byte of data",
        category="clear",  # by a host's overwrite of the wrapped keys, never Purge
        scope="key",
        actions=(Action(name="overwrite-keys", compare="pattern"),),
        own_device=True,
        source="NIST SP 800-88r2 §3.2, cryptographic erase: sanitize the keys; LUKS on-disk formats 1 and 2",
    )
}


def technique(name: str) -> Technique:
    """Return the technique called `name`.

    Raises:
        Unsupported: there is no such technique.
    """
    try:
        return TECHNIQUES[name]
    except KeyError:
        raise Unsupported(f"no technique is called {name[:80]!r}; known: {', '.join(TECHNIQUES)}") from None
