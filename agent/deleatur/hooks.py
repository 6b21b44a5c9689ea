"""The cross-cutting hooks, few and tested: `find_holds` may veto, `on_event` may watch, and
`register_detectors` adds types of personal data.

A fourth needs an ADR. `find_holds` and `register_detectors` fail closed; `on_event` fails open.
"""

from collections.abc import Sequence

import pluggy

from deleatur.documents.detection import Detector
from deleatur.documents.journal import Entry
from deleatur.documents.place import Frozen
from deleatur.documents.plan import Plan

PROJECT = "deleatur"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hold(Frozen, frozen=True):
    """A reason why a job may not go on."""

    id: str
    reason: str
    target: str = ""  # "": the whole job


@hookspec
def find_holds(plan: Plan) -> list[Hold]:
    """Name every hold on what the plan erases. Asked before anything changes, before each step and at
    each cursor.

    Any hold, and any error, stops the job: a hold service that cannot be asked is a hold.
    """
    raise AssertionError(plan)  # a specification is never called


@hookspec
def on_event(entry: Entry) -> None:
    """Be told after each journal entry is on disk. An error here never stops the job."""
    raise AssertionError(entry)  # a specification is never called


@hookspec
def register_detectors() -> Sequence[Detector]:
    """Name the detectors that a plugin adds. Asked before anything is classified.

    Any error refuses: a detector that is silently left out is data that nobody sees.
    """
    raise AssertionError  # a specification is never called
