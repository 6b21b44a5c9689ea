"""Every decision is one page of the same form, and the list names them all."""

import re
from pathlib import Path

HEADINGS = ["Question", "Options", "Choice", "Price"]


def test_every_decision_has_its_number_status_and_headings(root: Path) -> None:
    decisions = sorted((root / "docs" / "adr").glob("0*.md"))
    assert len(decisions) >= 14
    for number, path in enumerate(decisions, start=1):
        page = path.read_text("utf-8")
        assert re.fullmatch(rf"{number:04}-[a-z0-9-]+\.md", path.name), f"{path.name}: a number is missing"
        assert page.startswith(f"# ADR {number}: "), path.name
        assert re.search(
            r"^Status: (accepted|replaced by \[ADR \d+\]\(.+\)) · \d{4}-\d\d-\d\d$", page, re.MULTILINE
        )
        assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS, path.name
        options = page.partition("## Options")[2].partition("## Choice")[0]
        assert len(re.findall(r"^\d+\. ", options, re.MULTILINE)) >= 2, (
            f"{path.name}: no choice without options"
        )


def test_the_list_names_every_decision_by_its_title(root: Path) -> None:
    folder = root / "docs" / "adr"
    listed = re.findall(r"^- \[(.+)\]\((0.+\.md)\)$", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
    titles = [
        (path.read_text("utf-8").splitlines()[0].removeprefix("# "), path.name)
        for path in sorted(folder.glob("0*.md"))
    ]
    assert listed == titles
