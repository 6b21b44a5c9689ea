"""The lock files name what pyproject.toml wants, exactly, by hash, and say nothing of where it comes from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

LOCKS = ["packaging/requirements.lock", "packaging/runtime.lock"]


def pinned(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def wanted(root: Path) -> tuple[list[Requirement], list[Requirement]]:
    """What the project needs to run, and what it needs beyond that (extras, development)."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    beyond = [name for names in (*extras, project["dependency-groups"]["dev"]) for name in names]
    runtime = [Requirement(name) for name in project["project"]["dependencies"]]
    return runtime, [Requirement(name) for name in beyond if not name.startswith("deleatur")]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_with_hashes_and_names_no_index(root: Path, lock: str) -> None:
    text = (root / lock).read_text("utf-8")
    assert "://" not in text
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) >= 8
    for block in blocks:
        assert re.match(r"[a-z0-9-]+==\S+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_the_locks_hold_what_the_project_wants(root: Path) -> None:
    runtime, beyond = wanted(root)
    everything, core = (pinned((root / lock).read_text("utf-8")) for lock in LOCKS)
    for requirement in runtime + beyond:
        if requirement.marker and not requirement.marker.evaluate(dict(default_environment())):
            continue
        assert requirement.specifier.contains(everything[requirement.name]), requirement
    for requirement in runtime:
        assert core[requirement.name] == everything[requirement.name]
    assert core.items() <= everything.items()
    assert "pytest" not in core
