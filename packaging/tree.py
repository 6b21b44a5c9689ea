"""Check that nothing stands in the tree that must not leave the maker's desk.

Reads every file that git knows. Patterns are put together from pieces so that this file passes itself.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

EVERYWHERE = {
    "the host of a package index": r"pypi[.]|pythonhosted[.]|registry[.]npm[j]s",
    "the host of a package archive": r"(deb|security|snapshot)[.][d]ebian[.]|archive[.][u]buntu[.]",
    "a path of one machine": r"(^|[^\w.~-])/(root|work|home/[a-z]+|Users|usr/local/src)/",
    "an index option": r"--(extra-)?index-[u]rl|--find-[l]inks",
    "a private key": r"^-----BEGIN ([A-Z]+ )*PRIVATE [K]EY-----$",
}
IN_CODE = {
    "unfinished work": r"\b(TO[D]O|FIX[M]E|XX[X])\b|NotImplemented[E]rror",
    "a skipped test": r"pytest[.]skip\(|mark[.](skip|xfail)|unittest[.]skip|importor[s]kip",
    "a broad except": r"except( Exception| BaseException)?:\s*(pass)?$",
}
CODE = ("agent/", "plugins/", "tests/", "benchmarks/", "packaging/", "docs/examples/")
EXEMPT = {"packaging/tree.py", "tests/conftest.py", "tests/docs/test_skips.py"}
FORBIDDEN_FILES = {"uv.lock", "poetry.lock", "Pipfile.lock"}  # each writes index addresses into the tree


def tracked() -> list[str]:
    """List the files that git knows and that are still there."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S607
    return [name for name in listing.decode().split("\0") if name and (ROOT / name).is_file()]


def remarks(name: str, text: str) -> list[str]:
    """List what is wrong with one file, a line each."""
    rules = dict(EVERYWHERE)
    if name.startswith(CODE):
        rules |= IN_CODE
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        found += [f"{name}:{number}: {what}" for what, rule in rules.items() if re.search(rule, line)]
    return found


def main() -> int:
    """Print each remark; return 1 if there is one."""
    found = []
    for name in tracked():
        if Path(name).name in FORBIDDEN_FILES:
            found.append(f"{name}: this lock file must not be tracked")
        content = (ROOT / name).read_bytes()
        if name not in EXEMPT and b"\0" not in content[:8192]:
            found += remarks(name, content.decode("utf-8", "replace"))
    for remark in found:
        print(remark)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
