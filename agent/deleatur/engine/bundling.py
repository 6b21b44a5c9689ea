"""Gather what a bundle of a job holds: its certificate, its records of destruction, and what is named."""

from collections.abc import Sequence
from pathlib import Path

from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import JobDirectory
from deleatur.engine.mapping import SUFFIX
from deleatur.errors import Refused
from deleatur.trust.bundle import VerifiedBundle, write_bundle
from deleatur.trust.keys import SigningKey
from deleatur.trust.untrusted import UntrustedFolder


def bundle_job(
    directory: JobDirectory,
    folder: Path,
    *,
    maps: Sequence[Path],
    policies: Sequence[Path],
    notices: Sequence[Path],
    key: SigningKey,
    clock: Clock,
) -> VerifiedBundle:
    """Write the bundle of a job and verify it.

    Args:
        directory: of the job; its certificate is there, or at least one record of destruction.
        folder: where the bundle is written.
        maps: data maps; the attestations beside each go with it.
        policies: policy files.
        notices: files or folders: letters, delivery logs.
        key: that signs the bundle.
        clock: tells the time.

    Raises:
        Refused: there is nothing to show, two files would have one name, or one is not there.
        Invalid: the certificate or a record does not verify, or there is a link.
    """
    sources: dict[str, Path] = {}
    for inside in (directory.certificate, directory.records):
        if inside.is_dir():
            _add(sources, inside.name, inside)
    if not sources:
        raise Refused(f"there is neither a certificate nor a record of destruction in {directory.path}")
    if directory.plan_signature.is_file():
        sources[f"job/{directory.plan_signature.name}"] = directory.plan_signature
    for one in maps:
        _add(sources, f"map/{one.name}", one)
        attested = one.with_name(one.name + SUFFIX)
        if attested.is_dir():
            _add(sources, f"map/{attested.name}", attested)
    for kind, named in (("policy", policies), ("notices", notices)):
        for one in named:
            _add(sources, f"{kind}/{one.name}", one)
    at = f"{clock():%Y-%m-%dT%H:%M:%SZ}"
    return write_bundle(folder, sources, key, at)


def _add(sources: dict[str, Path], name: str, path: Path) -> None:
    if path.is_dir():
        found = {f"{name}/{inner}": path / inner for inner in UntrustedFolder(path).names()}
    elif path.is_file() and not path.is_symlink():
        found = {name: path}
    else:
        raise Refused(f"{path} is no file and no folder")
    if sources.keys() & found.keys():
        raise Refused(f"two files would be called {name} in the bundle; rename one")
    sources |= found
