"""No page, no text of the program and no test's example uses a word that promises too much."""

import ast
import re
from pathlib import Path

from deleatur.judge.sentences import FORBIDDEN

LISTED = "## Words that no output uses"  # the glossary's last part quotes the words


def promises_too_much(text: str) -> list[str]:
    folded = " ".join(text.lower().split())
    return [word for word in FORBIDDEN if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", folded)]


def texts_of(source: str) -> list[tuple[int, str]]:
    """Every string of a module, with its line."""
    return [
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_the_search_finds_a_word_across_a_line_break() -> None:
    assert promises_too_much("The data is forensically\n  proven gone") == ["forensically proven"]
    assert promises_too_much("an unrecoverable disk") == ["unrecoverable"]
    assert promises_too_much("read back at T; 4 of 4 blocks") == []


def test_no_page_uses_a_forbidden_word(pages: dict[str, str]) -> None:
    found = {name: promises_too_much(page.partition(LISTED)[0]) for name, page in pages.items()}
    assert {name: words for name, words in found.items() if words} == {}


def test_no_string_of_the_program_uses_a_forbidden_word(root: Path) -> None:
    found = []
    for folder in ("agent", "plugins"):
        for path in sorted((root / folder).rglob("*.py")):
            if (
                path.name == "sentences.py"
            ):  # holds the list itself; its sentences are tested where they are made
                continue
            for line, text in texts_of(path.read_text("utf-8")):
                if text not in FORBIDDEN:  # the list itself
                    found += [f"{path.relative_to(root)}:{line}: {word}" for word in promises_too_much(text)]
    assert found == []
