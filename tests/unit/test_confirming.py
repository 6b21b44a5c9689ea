"""A disk is approved only by who types how its serial ends."""

import msgspec
import pytest
from click.testing import CliRunner

from deleatur.cli.approve import confirm_devices
from deleatur.documents.codec import encode_json
from deleatur.documents.place import Identity
from deleatur.errors import Refused
from deleatur.judge.confirming import marks, unconfirmed
from deleatur.testing.finished import APPROVERS, finished
from deleatur.trust.approval import approvals_that_count, approve

AT = "2026-03-01T09:00:00Z"
JOB = finished()


def identity(serial: str) -> Identity:
    """Return what a disk is known by."""
    return Identity(kind="block-device", fields=(("model", "M"), ("serial", serial), ("size", "1")))


def of_disks(*serials: str):
    """Return a plan whose targets are disks."""
    one = JOB.plan.targets[0]
    targets = tuple(
        msgspec.structs.replace(one, id=f"disk{n}", identity=identity(serial))
        for n, serial in enumerate(serials)
    )
    return msgspec.structs.replace(JOB.plan, targets=targets)


def test_a_plan_without_disks_asks_for_nothing():
    assert marks(JOB.plan) == {}
    assert confirm_devices(JOB.plan, (), at_terminal=False) == {}


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("CD34", True),
        ("cd34", True),
        ("B2CD34", True),
        ("D34", False),
        ("", False),
        ("CD35", False),
        ("A1B2", False),
    ],
)
def test_the_end_of_the_serial_is_what_counts(typed, right):
    assert (unconfirmed(of_disks("A1B2CD34"), {"disk0": typed}) == ()) is right


def test_all_of_a_short_serial_is_typed():
    assert unconfirmed(of_disks("7"), {"disk0": "7"}) == ()
    assert unconfirmed(of_disks("7"), {"disk0": ""}) == ("disk0",)


def test_an_approval_that_does_not_say_the_serial_does_not_count():
    plan = of_disks("A1B2CD34", "A1B2CD35")
    content = encode_json(plan)
    right = {"disk0": "CD34", "disk1": "CD35"}
    good = [approve(content, key, AT, right) for key in APPROVERS]
    assert len(approvals_that_count(plan, content, good)) == 2
    for typed in ({}, {"disk0": "CD34"}, {"disk0": "CD35", "disk1": "CD34"}):
        with pytest.raises(Refused, match="serial of disk"):
            approvals_that_count(plan, content, [approve(content, key, AT, typed) for key in APPROVERS])


def test_scripts_name_each_disk_by_its_own_ending():
    plan = of_disks("A1B2CD34", "B1B2CD34", "X999")
    right = ("a1b2cd34", "b1b2cd34", "X999")
    assert confirm_devices(plan, right, at_terminal=False) == dict(
        zip(("disk0", "disk1", "disk2"), right, strict=True)
    )
    for wrong in (("CD34",), right[:2], (*right, "ZZZZ"), ()):
        with pytest.raises(Refused):
            confirm_devices(plan, wrong, at_terminal=False)


def test_a_person_is_asked_for_each_disk():
    plan = of_disks("A1B2CD34", "X999")
    with CliRunner().isolation(input="CD34\nX999\n"):
        assert confirm_devices(plan, (), at_terminal=True) == {"disk0": "CD34", "disk1": "X999"}
    with CliRunner().isolation(input="CD34\nX998\n"), pytest.raises(Refused, match="right one"):
        confirm_devices(plan, (), at_terminal=True)


def test_a_bypassed_retention_is_approved_only_by_who_names_the_bucket():
    one = JOB.plan.targets[0]
    bucket = Identity(kind="objects", fields=(("bucket", "exports-2019"), ("path", "s3:x/exports-2019")))
    planned = [
        msgspec.structs.replace(
            JOB.plan, targets=(msgspec.structs.replace(one, id="b", identity=bucket, technique=technique),)
        )
        for technique in ("delete-versions-bypassing-governance", "delete-versions")
    ]
    assert unconfirmed(planned[0], {}) == ("b",)
    assert unconfirmed(planned[0], {"b": "2018"}) == ("b",)
    assert unconfirmed(planned[0], {"b": "-2019"}) == ()
    assert unconfirmed(planned[1], {}) == ()
    assert confirm_devices(planned[0], ("exports-2019",), at_terminal=False) == {"b": "exports-2019"}
    with pytest.raises(Refused, match="have a serial or name that ends"):
        confirm_devices(planned[0], ("imports",), at_terminal=False)
