"""Find the one backend that a URL names, load only that, and only if its distribution is trusted.

Importing is executing, so nothing is imported that the job does not name and the agent's
settings do not allow. Two claimants of one scheme are refused, not ordered.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib.metadata import Distribution, EntryPoint, PackagePath, entry_points
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar
from urllib.parse import urlsplit

from deleatur.backend import Backend
from deleatur.documents.plan import PluginPin
from deleatur.errors import Refused, Unsupported

GROUP = "deleatur.backends"


class Contracted(Protocol):
    """A class that follows a version of its contract."""

    api: ClassVar[int]


Kind = TypeVar("Kind", bound=Contracted)


def scheme_of(url: str) -> str:
    """Return the scheme of a target's URL.

    Raises:
        Refused: the URL has none.
    """
    scheme = urlsplit(url).scheme
    if not scheme:
        raise Refused("a target's url needs a scheme, such as file:///srv/exports or sqlite:///srv/crm.db")
    return scheme


def claimants(group: str = GROUP) -> list[EntryPoint]:
    """Return every installed claim on a scheme, trusted or not, without importing any."""
    return sorted(entry_points(group=group), key=lambda e: (e.name, e.value))


def backend_class(scheme: str, trusted: Sequence[str]) -> tuple[type[Backend], PluginPin]:
    """Load the backend for `scheme` and say exactly which code it is; it may be refused as `loaded` says."""
    return loaded(GROUP, scheme, trusted, Backend)  # type: ignore[type-abstract]


def loaded(group: str, scheme: str, trusted: Sequence[str], kind: type[Kind]) -> tuple[type[Kind], PluginPin]:
    """Load the one class that claims `scheme` in a group of entry points, and say exactly which code it is.

    Raises:
        Unsupported: no installed distribution claims the scheme, or it follows another contract.
        Refused: two claim it, its distribution is not trusted, or its files were altered.
    """
    found = [e for e in claimants(group) if e.name == scheme]
    if not found:
        raise Unsupported(f"no installed plugin handles {scheme}: targets; see `deleatur plugins`")
    if len(found) > 1:
        names = ", ".join(sorted(_distribution(e).name for e in found))
        raise Refused(f"{scheme}: is claimed by {names}; uninstall all but one")
    claim = found[0]
    require_trusted(_distribution(claim), trusted)
    pin = pin_of(claim)
    found_class = claim.load()
    if not (isinstance(found_class, type) and issubclass(found_class, kind)):
        raise Unsupported(f"{claim.value} is not a deleatur.api.{kind.__name__}")
    if found_class.api != kind.api:
        raise Unsupported(f"{claim.value} follows contract {found_class.api}, this agent speaks {kind.api}")
    return found_class, pin


def require_trusted(distribution: Distribution, trusted: Sequence[str]) -> None:
    """Refuse a distribution that the agent's settings do not name.

    Raises:
        Refused: it is not on the list, or on it with another version.
    """
    for requirement in trusted:
        name, _, version = requirement.partition("==")
        if _normal(name) == _normal(distribution.name) and version in ("", distribution.version):
            return
    raise Refused(
        f"{distribution.name} {distribution.version} is installed but not trusted; "
        "add it to plugins.trusted in deleatur.toml after review"
    )


def pin_of(claim: EntryPoint) -> PluginPin:
    """Return distribution, version and digest of the code behind an entry point."""
    distribution = _distribution(claim)
    return PluginPin(
        distribution=distribution.name,
        version=distribution.version,
        record_digest=record_digest(distribution, claim.module),
        entry_point=f"{claim.name} = {claim.value}",
    )


def record_digest(distribution: Distribution, module: str) -> str:
    """Return the SHA-256 (hex) over the files of the module's top-level package, as installed.

    The lines have the form of the RECORD file of a wheel. Where the distribution's own RECORD
    lists a file with a digest, the file on disk must still have it; an editable installation
    lists none, and what lies on disk is what is pinned.

    Raises:
        Refused: a file differs from the distribution's RECORD.
    """
    package = module.partition(".")[0]
    listed = {str(f): f for f in distribution.files or () if f.hash is not None}
    lines = []
    for name, path in _sources(distribution, package, listed):
        digest = _urlsafe(path.read_bytes())
        entry = listed.get(name)
        if entry is not None and entry.hash is not None and entry.hash.value != digest:
            raise Refused(f"{name} differs from what {distribution.name} {distribution.version} installed")
        lines.append(f"{name},sha256={digest},{path.stat().st_size}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _sources(
    distribution: Distribution, package: str, listed: dict[str, PackagePath]
) -> list[tuple[str, Path]]:
    """Return name and path of every Python file of `package`, sorted by name."""
    inside = [n for n in listed if n.partition("/")[0] in (package, f"{package}.py") and n.endswith(".py")]
    if inside:
        return [(n, Path(str(distribution.locate_file(n)))) for n in sorted(inside)]
    from importlib.util import find_spec

    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise Refused(f"the files of {package} in {distribution.name} cannot be found")
    root = Path(spec.origin)
    if root.name != "__init__.py":
        return [(root.name, root)]
    files = sorted(root.parent.rglob("*.py"))
    return [(f.relative_to(root.parent.parent).as_posix(), f) for f in files]


def _urlsafe(content: bytes) -> str:
    """Return the digest as RECORD writes it (PEP 376, PEP 427)."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _distribution(claim: EntryPoint) -> Distribution:
    if claim.dist is None:
        raise Refused(f"{claim.value} belongs to no installed distribution")
    return claim.dist


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()  # PEP 503
