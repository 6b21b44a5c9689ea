"""Gather what a bundle of a job holds: its certificate, its records of destruction, and what it rested on."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from deleatur.documents.codec import MAX_PLAN
from deleatur.documents.datamap import MAX_DATAMAP
from deleatur.documents.decode import decode_job, decode_plan
from deleatur.documents.gates import (
    AnyGate,
    CustodyGate,
    FollowGate,
    HoldGate,
    MapGate,
    NoticeGate,
    PaperGate,
    RecordGate,
    StaffGate,
    WithoutNotice,
)
from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import JobDirectory
from deleatur.engine.mapping import SUFFIX
from deleatur.engine.reading import decoding, read_plain
from deleatur.errors import Refused
from deleatur.trust.bundle import LEDGER, VerifiedBundle, write_bundle
from deleatur.trust.keys import SigningKey
from deleatur.trust.untrusted import UntrustedFolder


def bundle_job(
    directory: JobDirectory, folder: Path, *, added: Sequence[Path], key: SigningKey, clock: Clock
) -> VerifiedBundle:
    """Write the bundle of a job and verify it.

    Args:
        directory: of the job; its certificate is there, or at least one record of destruction.
        folder: where the bundle is written.
        added: further files and folders: letters, delivery logs, consents.
        key: that signs the bundle.
        clock: tells the time.

    Raises:
        Refused: there is nothing to show, what the job rested on is gone, or two files would have one name.
        Malformed: the job or its plan does not follow its specification.
        Invalid: the certificate or a record does not verify, or there is a link.
    """
    sources: dict[str, Path] = {}
    for inside in (directory.certificate, directory.records, directory.stamps):
        if inside.is_dir():
            _add(sources, inside.name, inside)
    if not sources:
        raise Refused(f"there is neither a certificate nor a record of destruction in {directory.path}")
    if directory.certificate.is_dir():
        _add_job(sources, directory)
    for one in added:
        _add(sources, f"added/{one.name}", one)
    return write_bundle(folder, sources, key, f"{clock():%Y-%m-%dT%H:%M:%SZ}")


def _add_job(sources: dict[str, Path], directory: JobDirectory) -> None:
    """Add the job as it was asked, its planner's signature, and what its gates rested on."""
    content = directory.read_job()
    for path in (directory.job, directory.plan_signature):
        _add(sources, f"job/{path.name}", path)
    with decoding("plan.json"):
        plan = decode_plan(read_plain(directory.certificate / "plan.json", MAX_PLAN))
    with decoding("job.toml"):
        job = decode_job(content)
    if hashlib.sha256(content).hexdigest() != plan.job_digest:
        raise Refused("job.toml is not the job that was planned; put that one back")
    for gate in plan.gates:
        _add_gate(sources, gate, directory)
    for transfer in job.custody.transfer if job.custody is not None else ():
        path = directory.path / transfer.record
        _add(sources, f"transfers/{path.name}", path)
    for name in job.datamap.packs if job.datamap is not None else ():
        _add(sources, f"policy/{Path(name).name}", directory.path / name)


def _add_gate(sources: dict[str, Path], gate: AnyGate, directory: JobDirectory) -> None:
    """Add what one gate rested on."""
    match gate:
        case MapGate():
            _add_map(sources, gate)
        case HoldGate():
            for policy in gate.policies:
                _add_same(sources, "policy", Path(policy.file), policy.digest)
        case FollowGate():
            _add_same(sources, "follows", Path(gate.file), gate.digest)
        case NoticeGate():
            _add_ledger(sources, gate)
        case CustodyGate():
            _add(sources, directory.custody.name, directory.custody)
        case PaperGate():
            for paper in gate.papers:
                name = f"papers/{paper.id}/{Path(paper.file).name}"
                _add(sources, name, directory.path / paper.file)
        case RecordGate() | WithoutNotice() | StaffGate():
            return  # records lie with the others under records/; the plan itself says the rest


def _add_map(sources: dict[str, Path], gate: MapGate) -> None:
    """Add the data map that a plan rested on, with the attestations of its owners."""
    path = Path(gate.file)
    _add_same(sources, "map", path, gate.digest)
    attested = path.with_name(path.name + SUFFIX)
    if attested.is_dir():
        _add(sources, f"map/{attested.name}", attested)


def _add_ledger(sources: dict[str, Path], gate: NoticeGate) -> None:
    """Add the ledger of who was told, which names people by digests whose key is gone; no letter, no list."""
    path = Path(gate.folder)
    if UntrustedFolder(path).measure(LEDGER, lines=gate.entries).sha256 != gate.digest:
        raise Refused(f"the ledger in {path} is not the one that the job rested on; put that one back")
    _add(sources, f"notices/{LEDGER}", path / LEDGER)


def _add_same(sources: dict[str, Path], kind: str, path: Path, digest: str) -> None:
    """Add a file that a plan rested on, if it is still that file."""
    try:
        content = read_plain(path, MAX_DATAMAP)
    except FileNotFoundError:
        raise Refused(f"{path}, which the job rested on, is gone; put it back") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise Refused(f"{path} is not the file that the job rested on; put that one back")
    _add(sources, f"{kind}/{path.name}", path)


def _add(sources: dict[str, Path], name: str, path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        found = {f"{name}/{inner}": path / inner for inner in UntrustedFolder(path).names()}
    elif path.is_file() and not path.is_symlink():
        found = {name: path}
    else:
        raise Refused(f"{path} is no file and no folder; nothing was bundled")
    if any(inside in sources and not sources[inside].samefile(one) for inside, one in found.items()):
        raise Refused(f"two files would be called {name} in the bundle; rename one")
    sources |= found
