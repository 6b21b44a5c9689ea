"""Links between pages lead somewhere, and every page can be reached from the map."""

import re
from pathlib import Path, PurePosixPath

import pytest

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def headings(page: str) -> set[str]:
    """The anchors of a page, as code hosts make them."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def links(name: str, page: str) -> list[tuple[str, str]]:
    """The local links of a page as (path from the root, anchor); code blocks are left out."""
    prose = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    found = []
    for link in LINK.findall(prose):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        parts: list[str] = []
        for part in (PurePosixPath(name).parent / path).parts if path else PurePosixPath(name).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        found.append(("/".join(parts), anchor))
    return found


def test_links_are_found_and_resolved() -> None:
    assert links("docs/a/b.md", "see [x](../c.md#d) and [y](#e)\n```\n[z](no)\n```\n") == [
        ("docs/c.md", "d"),
        ("docs/a/b.md", "e"),
    ]


def test_every_link_leads_to_a_file_and_a_heading(root: Path, pages: dict[str, str]) -> None:
    broken = []
    for name, page in pages.items():
        for path, anchor in links(name, page):
            if not (root / path).exists():
                broken.append(f"{name}: no file {path}")
            elif anchor and path in pages and anchor not in headings(pages[path]):
                broken.append(f"{name}: no heading #{anchor} in {path}")
    assert broken == []


def test_every_page_can_be_reached_from_the_map(pages: dict[str, str]) -> None:
    reached, waiting = set(), ["docs/README.md"]
    while waiting:
        name = waiting.pop()
        if name in pages and name not in reached:
            reached.add(name)
            waiting += [path for path, _ in links(name, pages[name])]
    loose = [
        name
        for name in pages
        if name.startswith("docs/") and not name.startswith(("docs/changes/", "docs/examples/"))
    ]
    assert [name for name in loose if name not in reached] == []


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", "LICENSE"])
def test_the_pages_that_a_visitor_looks_for_are_there(root: Path, name: str) -> None:
    assert (root / name).stat().st_size > 80
