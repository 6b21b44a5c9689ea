"""Rows of the sabotage table: the plugin, the storage, the target and the archive."""

from deleatur.errors import Failed, Refused, Residue

from .sabotage_acts import (
    another_archive,
    archive,
    change_archive,
    does_nothing,
    empty_archive,
    false_archive,
    false_archive_and_begun,
    forge,
    forge_and_forget,
    hands_over,
    lies_and_declares_no_surface,
    lies_in_every_answer,
    link_target,
    skips_a_unit,
)
from .sabotage_cheats import KEYSTREAM, ROWED, SAYS, UNVERIFIED, VERIFIED, Cheat, every, only

PLUGIN = (
    Cheat(
        "says that it erased, and does nothing",
        "as the plugin",
        does_nothing,
        every(Residue),
        "reading back through a fresh handle; nothing is removed that does not read back",
    ),
    Cheat(
        "leaves one unit out",
        "as the plugin",
        skips_a_unit,
        every(Residue, rows=Refused),
        "every place of the plan is read back; rows are compared with the approved ones before the swap",
        spares=False,
    ),
    Cheat(
        "does nothing and lies in every answer", "as the plugin", lies_in_every_answer, every(Residue), SAYS
    ),
    Cheat(
        "does nothing, lies in every answer and names no surface",
        "as the plugin",
        lies_and_declares_no_surface,
        every(UNVERIFIED),
        "**no claim**: the control saw nothing, so the certificate says executed and not verified",
    ),
)

STORAGE = (
    Cheat(
        "something is brought back",
        "at all-erased",
        lambda world: world.restore(),
        every(Residue, file=Refused, database=Refused),
        "verify looks at the selection; a file under the old name is another file",
    ),
    Cheat(
        "something is brought back between the two looks of verify",
        "while verifying",
        lambda world: world.restore(),
        every(Residue, file=Refused, database=Refused),
        "verify looks again after its scan",
    ),
    Cheat(
        "a copy is left on a declared surface (heap, WAL)",
        "at all-erased",
        lambda world: world.leave_copy(),
        {"memory": Residue, "rows": Residue, "database": Residue},
        SAYS,
    ),
    Cheat(
        "the same between the two looks of verify",
        "while verifying",
        lambda world: world.leave_copy(),
        {"memory": Residue, "rows": Residue, "database": Residue},
        SAYS,
    ),
    Cheat(
        "a copy is left beside the target, the job reads the device",
        "at all-erased",
        lambda world: world.copy_beside(),
        {"file": Residue, "rows": Residue, "database": Residue},
        "the block device is read raw",
        device=True,
    ),
    Cheat(
        "a copy is kept elsewhere",
        "at all-erased",
        lambda world: (world.folder / "copy").write_bytes(world.before),
        every(VERIFIED),
        "**not caught** (limit 3): the certificate says that copies elsewhere were not looked for",
    ),
    Cheat(
        "something that must stay is harmed",
        "at erasing",
        lambda world: world.harm_neighbour(),
        only(*ROWED, ends=Failed),
        "a keyed digest over all that must stay, before and after; **not caught** where the target says "
        "`others_write`, as the certificate says",
    ),
)

ARCHIVE = (
    Cheat(
        "the plugin hands over no record",
        "as the plugin",
        hands_over(0),
        only(*ROWED, ends=Refused),
        "no archive, no erase",
    ),
    Cheat(
        "the plugin hands over fewer records",
        "as the plugin",
        hands_over(1),
        only(*ROWED, ends=VERIFIED),
        "**not caught**: the certificate counts the rows, the contract suite refuses such a plugin",
    ),
    *(
        Cheat(
            f"the sealed archive is {how}",
            when,
            act,
            only(*ROWED, ends=Refused),
            "its digest is compared before each step and before the certificate",
        )
        for when in ("at controlled", "killed at advanced", "at all-erased")
        for how, act in (
            ("removed", lambda world: archive(world).unlink()),
            ("emptied", empty_archive),
            ("changed by one bit", change_archive),
            ("replaced by another sealed file", another_archive),
        )
    ),
    Cheat(
        "a forged entry calls another file the archive",
        "killed at controlled",
        forge(false_archive),
        only(*ROWED, ends=VERIFIED),
        "the run that erases archives again: the certificate is about the true archive",
    ),
    Cheat(
        "the same, and forged that the erase had begun",
        "killed at controlled",
        forge(false_archive_and_begun),
        only(*ROWED, ends=Refused),
        "the spool knows what was written, under a key that is on no disk",
    ),
    Cheat(
        "the same, and the spool removed",
        "killed at controlled",
        forge_and_forget,
        only(*ROWED, ends=UNVERIFIED),
        "**not caught** (limit 1): the certificate claims little, and the custodian misses the archive",
    ),
)

TARGET = (
    *(
        Cheat(
            "another target of the same kind is put under the name",
            when,
            lambda world: world.swap(),
            every(Refused),
            "identity and the keyed digests of the approved units, at every opening; the other one is intact",
            spares=False,
        )
        for when in ("before approving", "before running", "at controlled", "killed at advanced")
    ),
    *(
        Cheat(
            "something that nobody approved comes into the selection",
            when,
            lambda world: world.add_newcomer(),
            ends,
            "what is selected is compared with what was approved at every opening; the newcomer stays",
        )
        for when, ends in (
            ("before running", every(Refused)),
            ("at controlled", every(Refused)),
            ("killed at advanced", every(Refused)),
            ("at erased", only(*KEYSTREAM, ends=Residue)),
            ("at compared", only(*KEYSTREAM, ends=Refused)),
        )
    ),
    Cheat(
        "a symbolic link to it is put in its place",
        "before running",
        link_target,
        {"file": Refused, "rows": Refused, "database": Refused},
        "targets are opened without following links",
    ),
)
