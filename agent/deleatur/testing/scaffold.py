"""Write a vendor's complete package: a working backend, its tests, its entry point.

The package is the one in docs/examples/deleatur-acme, under another name. What is written is a
start that keeps the contract, so whatever breaks a promise afterwards shows in its own tests.
"""

import keyword
import re
from importlib.resources import files
from pathlib import Path

from deleatur.engine.registry import claimants
from deleatur.errors import Refused

NAME = re.compile(r"[a-z][a-z0-9]{1,29}")  # a URL scheme (RFC 3986 §3.1), a module and a class at once
FILES = {  # where it goes, and its template
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "src/deleatur_acme/__init__.py": "__init__.py.txt",
    "src/deleatur_acme/backend.py": "backend.py.txt",
    "src/deleatur_acme/py.typed": "py.typed.txt",
    "tests/test_contract.py": "test_contract.py.txt",
}


def write_package(name: str, folder: Path) -> list[Path]:
    """Write the package deleatur-`name` into a new folder of that name below `folder`.

    Returns the files, in the order in which a person would read them.

    Raises:
        Refused: the name cannot be a scheme and a module, an installed plugin claims it, or the
            folder is there already; nothing was written.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise Refused(f"{name[:40]!r} cannot name a plugin; take 2 to 30 of a-z and 0-9, a letter first")
    if any(claim.name == name for claim in claimants()):
        raise Refused(f"{name}: is claimed by an installed plugin already; choose another name")
    package = folder / f"deleatur-{name}"
    try:
        package.mkdir(parents=True)
    except FileExistsError:
        raise Refused(f"{package} is there already; remove it or choose another folder") from None
    return [_write(package / _renamed(place, name), template, name) for place, template in FILES.items()]


def _write(path: Path, template: str, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = files("deleatur.testing").joinpath("template", template).read_text(encoding="utf-8")
    path.write_text(_renamed(text, name), encoding="utf-8")
    return path


def _renamed(text: str, name: str) -> str:
    return text.replace("acme", name).replace("Acme", name.capitalize())
