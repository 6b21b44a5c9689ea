"""What a plan refuses: targets that share a place."""

import pytest

from deleatur.documents.job import Job, Target
from deleatur.documents.place import Identity, Inspection, Offer, Unit
from deleatur.documents.plan import Plan, PlannedHost, PluginPin, PublicKey, Software
from deleatur.errors import Refused
from deleatur.judge.planning import Authors, Seen, planning

KEYS = tuple(PublicKey(name=name, spki=name * 40) for name in ("a", "b", "c"))
PIN = PluginPin(distribution="deleatur", version="0", record_digest="00" * 32, entry_point="x")


def plan_of(*paths: str) -> Plan:
    """Plan one target for each path that an identity names."""
    seen = [
        Seen(
            target=Target(id=f"t{number}", url=f"file:///url{number}"),
            inspection=Inspection(
                identity=Identity(kind="file", fields=(("path", path),)),
                size=1,
                units=(Unit(name="inode-1", size=1, digest="00" * 32),),
                offers=(Offer(technique="overwrite-and-remove"),),
            ),
            plugin=PIN,
            values_digest="",
        )
        for number, path in enumerate(paths, start=1)
    ]
    job = Job(
        schema="deleatur/job/v1",
        name="x",
        reason="other",
        authority="board",
        requested_by="legal",
        target=tuple(s.target for s in seen),
    )
    return planning(
        job,
        seen,
        job_digest="00" * 32,
        authors=Authors(KEYS[0], KEYS),
        host=PlannedHost(name="files-1", machine="3a" * 32),
        software=Software(agent="deleatur", version="0", python="3", record_digest="00" * 32),
        created_at="2026-11-22T12:00:00Z",
        entropy=bytes(32),
    )


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (("/srv/a", "/srv/a"), "t2 and t1 overlap"),
        (("/srv/a", "/srv/a/b/c"), "t2 and t1 overlap"),
        (("/srv/a/b", "/srv/a"), "t1 and t2 overlap"),
    ],
)
def test_targets_that_share_a_place_are_refused(paths: tuple[str, ...], said: str) -> None:
    with pytest.raises(Refused, match=said) as refusal:
        plan_of(*paths)
    assert str(refusal.value).count("overlap") == 1


def test_targets_beside_each_other_are_planned() -> None:
    assert len(plan_of("/srv/a", "/srv/ab", "/srv/b/a", "", "").targets) == 5
