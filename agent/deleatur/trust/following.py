"""Follow a certificate through those of the jobs that went on with what it left on hold.

Rule: each is verified with its evidence first, by the same keys, and each names the one before by digest.
"""

from collections.abc import Sequence

from deleatur.documents.plan import Plan
from deleatur.errors import Refused
from deleatur.judge.following import Left, left_after, left_by
from deleatur.trust.verification import Verification


def follow(first: Verification, later: Sequence[Verification]) -> tuple[Left, ...]:
    """Return what is still left of what the first job left on hold, after those that went on, in order.

    Raises:
        Invalid: one does not go on with the certificate before it, or says more than it can.
        Refused: one was looked at without its evidence.
    """
    left = left_by(_plan(first))
    for one, then in zip((first, *later), later, strict=False):
        earlier = (_plan(one), one.certificate, one.sha256)
        left = left_after(left, earlier, (_plan(then), then.certificate))
    return left


def _plan(verified: Verification) -> Plan:
    if verified.plan is None:
        raise Refused("only whole certificates can be followed; name their folders")
    return verified.plan
