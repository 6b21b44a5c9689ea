"""Make CHANGELOG.md from the fragments in docs/changes, one small file per change.

A fragment is `docs/changes/NAME.KIND.md`, written for the operator in the present tense. Kinds are
the headings below; a fragment of kind `erasure` makes the next release MAJOR (docs/adr/0007).
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHANGES = ROOT / "docs" / "changes"
CHANGELOG = ROOT / "CHANGELOG.md"
MARK = "<!-- releases, newest first -->\n"
KINDS = {
    "erasure": "What gets erased, verified or claimed",
    "security": "Security",
    "added": "Added",
    "changed": "Changed",
    "fixed": "Fixed",
}


def fragments() -> dict[str, list[str]]:
    """Read the fragments by kind; exit with every complaint at once."""
    texts: dict[str, list[str]] = {kind: [] for kind in KINDS}
    complaints = []
    for path in sorted(CHANGES.iterdir()):
        if path.name == "README.md":
            continue
        parts = re.fullmatch(r"([a-z0-9-]+)\.([a-z]+)\.md", path.name)
        text = path.read_text("utf-8").strip()
        if not parts or parts[2] not in KINDS:
            complaints.append(f"{path.name}: the name must be NAME.KIND.md, KIND one of {', '.join(KINDS)}")
        elif not text or "\n\n" in text or not text.endswith("."):
            complaints.append(f"{path.name}: one paragraph of whole sentences is wanted")
        else:
            texts[parts[2]].append(" ".join(text.split()))
    if complaints:
        sys.exit("\n".join(complaints))
    return texts


def section(title: str) -> str:
    """Compose one section of the changelog."""
    blocks = [f"## {title}\n"]
    for kind, texts in fragments().items():
        if texts:
            blocks.append(f"### {KINDS[kind]}\n")
            blocks.append("".join(f"- {text}\n" for text in texts))
    return "\n".join(blocks)


def release(version: str, date: str) -> None:
    """Put the fragments into CHANGELOG.md under a version, and remove them."""
    before, mark, after = CHANGELOG.read_text("utf-8").partition(MARK)
    if not mark:
        sys.exit(f"CHANGELOG.md: the line {MARK.strip()} is missing")
    CHANGELOG.write_text(f"{before}{mark}\n{section(f'{version} – {date}')}{after}", "utf-8")
    for path in CHANGES.glob("*.*.md"):
        path.unlink()


def main(arguments: list[str]) -> None:
    """Run `check`, `show` or `release VERSION DATE`."""
    match arguments:
        case ["check"]:
            fragments()
        case ["show"]:
            print(section("Unreleased"))  # noqa: T201
        case ["release", version, date]:
            release(version, date)
        case _:
            sys.exit("usage: changelog.py check | show | release VERSION DATE")


if __name__ == "__main__":
    main(sys.argv[1:])
