"""The generated tables of the reference pages are what the code says."""

import re
import subprocess
import sys
from pathlib import Path

from deleatur import errors


def test_the_generated_tables_are_what_the_code_says(root: Path) -> None:
    run = subprocess.run(
        [sys.executable, "packaging/reference.py", "check"], cwd=root, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_every_error_class_stands_in_the_table_with_its_exit_code(pages: dict[str, str]) -> None:
    table = pages["docs/reference/exit-codes.md"].partition("<!-- end -->")[0]
    rows = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", table, re.MULTILINE)}
    classes = {
        name: thing.exit_code
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, errors.DeleaturError)
    }
    assert len(classes) >= 9
    assert rows == classes


def test_a_script_is_told_what_to_do_for_every_code(pages: dict[str, str]) -> None:
    advice = pages["docs/reference/exit-codes.md"].partition("What a script should do:")[2]
    advised = {int(code) for code in re.findall(r"^\| (\d+) \|", advice, re.MULTILINE)}
    codes = {
        thing.exit_code
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, errors.DeleaturError)
    }
    assert advised == codes | {0}
