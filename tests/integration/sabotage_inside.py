"""Rows of the sabotage table: the documents, keys, samples and journal of a job."""

import shutil

from deleatur.errors import Failed, Invalid, Malformed, Refused, Residue

from .sabotage_acts import (
    all_erased,
    another_jobs_plan,
    another_plugin,
    approval,
    approve_another_plan,
    approve_as_a_stranger,
    approve_twice_with_one_key,
    at_the_end,
    certified,
    change_a_line,
    change_approval,
    edit_plan,
    erased,
    forge,
    lines,
    linked,
    plan_for_himself,
    plant_a_certificate,
    removing,
    spool_of_another_job,
    started,
    touch_job,
    verified,
)
from .sabotage_cheats import UNVERIFIED, VERIFIED, Cheat, every

AGREED = (
    Cheat(
        "plan.json is removed",
        "before running",
        lambda world: world.job.plan.unlink(),
        every(Refused),
        "no plan, no run",
    ),
    Cheat(
        "plan.json loses its last byte",
        "before running",
        lambda world: world.job.plan.write_bytes(world.job.plan.read_bytes()[:-1]),
        every(Malformed),
        "the one canonical form",
    ),
    *(
        Cheat(
            f"plan.json: {what}",
            when,
            edit_plan(change),
            every(Refused, rows=Malformed) if what == "a step less" else every(Refused),
            "approvals are signatures over the plan's bytes; a target without a step is malformed",
        )
        for when in ("before running", "killed at advanced")
        for what, change in (
            ("another authority", lambda plan: plan.update(authority="another")),
            ("one approval is enough", lambda plan: plan["policy"].update(approvals=1)),
            ("a step less", lambda plan: plan["steps"].pop()),
            ("another seed", lambda plan: plan["targets"][0]["sampling"].update(seed="00" * 32)),
        )
    ),
    Cheat(
        "plan.json accepts a stranger's keys, and the stranger approves",
        "before running",
        plan_for_himself,
        every(Refused),
        "the agent's settings name who may approve",
    ),
    Cheat(
        "job.toml is changed", "before running", touch_job, every(Refused), "its digest stands in the plan"
    ),
    Cheat(
        "job.toml is changed",
        "killed at advanced",
        touch_job,
        every(Refused),
        "its digest stands in the plan",
    ),
    Cheat(
        "an approval is copied under a second name",
        "before running",
        lambda world: shutil.copy(approval(world, 0), approval(world, 1)),
        every(Refused),
        "distinct public keys are counted, never files, names or key ids",
    ),
    Cheat(
        "one key approves twice",
        "before running",
        approve_twice_with_one_key,
        every(Refused),
        "distinct public keys are counted",
    ),
    Cheat(
        "a stranger approves under an approver's name",
        "before running",
        approve_as_a_stranger,
        every(Refused),
        "keys count, names do not",
    ),
    Cheat(
        "an approval of another plan is put there",
        "before running",
        approve_another_plan,
        every(Refused),
        "an approval names the plan's digest",
    ),
    Cheat(
        "plan and approvals of another job are put there",
        "before running",
        another_jobs_plan,
        every(Refused),
        "job.toml's digest stands in the plan",
    ),
    Cheat(
        "an approval is changed",
        "before running",
        change_approval,
        every(Refused),
        "its signature does not verify",
    ),
    Cheat(
        "an approval is removed",
        "killed at advanced",
        lambda world: approval(world, 0).unlink(),
        every(Refused),
        "approvals are counted at every start",
    ),
    Cheat(
        "another version of the plugin is installed",
        "before running",
        another_plugin,
        every(Refused),
        "the plan pins distribution, version and digest",
    ),
    Cheat(
        "another version of the plugin is installed",
        "killed at advanced",
        another_plugin,
        every(Refused),
        "the plan pins distribution, version and digest",
    ),
)

KEPT = (
    Cheat(
        "digest.key is swapped",
        "before running",
        lambda world: world.job.digest_key.write_bytes(bytes(32)),
        every(Refused),
        "no keyed digest of the plan fits any more",
    ),
    Cheat(
        "digest.key is swapped",
        "killed at advanced",
        lambda world: world.job.digest_key.write_bytes(bytes(32)),
        every(Failed, rows=Refused),
        "the digest of the sampled values is not the one of the control",
    ),
    Cheat(
        "digest.key is removed",
        "killed at advanced",
        lambda world: world.job.digest_key.unlink(),
        every(Refused),
        "nothing could be compared without it",
    ),
    *(
        Cheat(
            f"a symbolic link stands in the place of {name}",
            "killed at controlled",
            linked(name),
            every(Refused),
            "a job's names are plain files",
        )
        for name in (
            "job.toml",
            "plan.json",
            "journal.jsonl",
            "spool.bin",
            "digest.key",
            "approvals",
            "archive",
            "certificate",
        )
    ),
    Cheat(
        "the spool of sampled values is changed",
        "killed at advanced",
        lambda world: world.job.spool.write_bytes(world.job.spool.read_bytes()[:-9] + bytes(9)),
        every(Refused),
        "each record is sealed with a key that is on no disk",
    ),
    Cheat(
        "the spool of another job is put there",
        "killed at advanced",
        spool_of_another_job,
        every(Refused),
        "each record is bound to its job",
    ),
    Cheat(
        "the spool is removed before the erase",
        "killed at controlled",
        lambda world: world.job.spool.unlink(),
        every(VERIFIED),
        "harmless: the sample is taken again",
    ),
    Cheat(
        "the spool is removed after the erase began",
        "killed at advanced",
        lambda world: world.job.spool.unlink(),
        every(UNVERIFIED),
        "**no claim**: the certificate says executed and not verified",
    ),
)

JOURNAL = (
    *(
        Cheat(
            f"journal.jsonl: {what}",
            "killed at advanced",
            lines(change),
            every(Malformed),
            "each line carries the digest of the line before",
        )
        for what, change in (
            ("a line is changed", change_a_line),
            ("a line is dropped", lambda old: [*old[:2], *old[3:]]),
            ("the first line is dropped", lambda old: old[1:]),
            ("two lines are swapped", lambda old: [old[0], old[2], old[1], *old[3:]]),
            ("a line stands twice", lambda old: [*old[:2], old[1], *old[2:]]),
            ("a line of another journal is put in", lambda old: [old[0], old[-1], *old[1:]]),
        )
    ),
    Cheat(
        "journal.jsonl: its last line is cut off",
        "killed at advanced",
        lines(lambda old: old[:-1]),
        every(VERIFIED),
        "harmless: work is done twice",
    ),
    Cheat(
        "journal.jsonl: cut back to before the erase",
        "killed at advanced",
        lines(lambda old: old[:-2]),
        {"memory": Residue, "file": Refused, "rows": VERIFIED, "database": Refused},
        "units are not those of the plan; of rows nothing was changed yet, and the work is done twice",
    ),
    Cheat(
        "a whole journal is forged, up to verified and CLEAN",
        "before running",
        forge(lambda world: [*started(world), *verified(world)]),
        every(Residue),
        "the run that certifies is the run that looked",
    ),
    Cheat(
        "forged on: everything erased, verified, CLEAN",
        "killed at controlled",
        forge(verified),
        every(Residue),
        "the run that certifies is the run that looked",
    ),
    Cheat(
        "forged on: everything erased",
        "killed at controlled",
        forge(all_erased),
        every(Residue),
        "the run that certifies is the run that looked",
    ),
    Cheat(
        "forged on: overwritten and read back",
        "killed at controlled",
        forge(lambda world: erased(world, "s1")),
        every(Residue),
        "what is to be removed is read back once more by the run that removes",
    ),
    Cheat(
        "forged on: the cursor is at the end",
        "killed at controlled",
        forge(at_the_end),
        every(Residue),
        "reading back asks for every unit of the plan",
    ),
    Cheat(
        "forged on: the removal has begun",
        "killed at controlled",
        forge(removing),
        {"memory": Residue, "file": Refused, "database": Refused},
        "backends remove only what reads as overwritten; else the raw scan finds it",
    ),
    Cheat(
        "forged on: certified",
        "killed at controlled",
        forge(certified),
        every(Invalid),
        "a certificate that the journal speaks of must lie there and verify",
    ),
    Cheat(
        "the certificate of another job is laid into this one",
        "before running",
        plant_a_certificate,
        every(Invalid),
        "a certificate is adopted only if it is about this plan and rests on this journal",
    ),
)
