"""A skip that nobody decided on fails the run: tests/conftest.py is tried on small test files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REASON = "the moon is full"
SKIPS = f'''
import pytest

def test_runs():
    assert True

@pytest.mark.skip(reason="{REASON}")
def test_waits():
    assert False

@pytest.mark.xfail(reason="{REASON}")
def test_hopes():
    assert False
'''
SKIPPED_WHOLE = f'import pytest\npytest.skip("{REASON}", allow_module_level=True)\n'
NEEDS_ROOT = "import pytest\n\n@pytest.mark.root\ndef test_mounts():\n    assert True\n"


def run_tests(
    root: Path, folder: Path, source: str, allowed: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    (folder / "tests").mkdir(exist_ok=True)
    shutil.copy(root / "tests" / "conftest.py", folder / "tests")
    (folder / "tests" / "test_some.py").write_text(source)
    (folder / "tests" / "allowed_skips.txt").write_text(allowed)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    root: x\n    data: x\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_a_skip_that_nobody_decided_on_fails_the_run(root: Path, tmp_path: Path) -> None:
    run = run_tests(root, tmp_path, SKIPS)
    assert run.returncode == 1
    assert "1 failed, 1 passed, 1 error" in run.stdout  # pytest counts what fails in set-up as an error
    assert f"allowed_skips.txt does not name it: Skipped: {REASON}" in run.stdout


def test_a_skip_on_the_list_passes(root: Path, tmp_path: Path) -> None:
    names = ("test_waits", "test_hopes")
    allowed = "# list\n" + "".join(f"tests/test_some.py::{name}  # decided by the test\n" for name in names)
    run = run_tests(root, tmp_path, SKIPS, allowed)
    assert run.returncode == 0
    assert "1 passed, 1 skipped, 1 xfailed" in run.stdout


def test_a_file_that_skips_itself_fails_the_run(root: Path, tmp_path: Path) -> None:
    run = run_tests(root, tmp_path, SKIPPED_WHOLE)
    assert run.returncode != 0
    assert REASON in run.stdout


def test_a_need_that_is_not_met_leaves_tests_out_by_name_but_never_in_ci(root: Path, tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    source = NEEDS_ROOT.replace("root", "data")
    at_home = run_tests(root, tmp_path, source, DELEATUR_DATA=absent, CI="")
    assert "1 deselected" in at_home.stdout
    assert "tests marked data are left out: set DELEATUR_DATA" in at_home.stdout
    in_ci = run_tests(root, tmp_path, source, DELEATUR_DATA=absent, CI="true")
    assert (in_ci.returncode, "1 passed" in in_ci.stdout) == (0, True)


@pytest.mark.parametrize("parts", [1, 3])
def test_the_parts_of_a_campaign_make_the_whole(root: Path, tmp_path: Path, parts: int) -> None:
    source = (
        "import pytest\n\n@pytest.mark.parametrize('n', range(40))\ndef test_one(n):\n    assert n >= 0\n"
    )
    run_tests(root, tmp_path, source)
    seen: list[str] = []
    for part in range(1, parts + 1):
        listing = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "no:cacheprovider",
                "-q",
                "--co",
                "--part",
                f"{part}/{parts}",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        seen += [line for line in listing.stdout.splitlines() if "::" in line]
    assert len(seen) == len(set(seen)) == 40


def test_every_line_of_the_list_gives_a_reason(root: Path) -> None:
    for line in (root / "tests" / "allowed_skips.txt").read_text("utf-8").splitlines():
        assert not line or line.startswith("#") or "  # " in line, line
