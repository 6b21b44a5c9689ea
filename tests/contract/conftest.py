"""What the tests of the suite need: a run inside this run, and a vendor's machine."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest


class Results:
    """A pytest plugin that notes how each test of an inner run ended, and why."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            name = report.nodeid.partition("::")[2]
            self.outcomes[name] = report.outcome if report.when == "call" else "error"
            self.reasons[name] = report.longreprtext


@pytest.fixture(scope="module")
def run_inside(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Results]:
    """Return a function that runs the text of a test module in this process, or the tests named of it."""

    def run(text: str, *names: str) -> Results:
        folder = tmp_path_factory.mktemp("inside")
        module = folder / f"test_{folder.name}.py"  # a name of its own, or the last one's module is used
        module.write_text(text, encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        options = ["-p", "no:cacheprovider", "-p", "no:terminal", "--import-mode=importlib"]
        options += [f"--rootdir={folder}", f"--basetemp={folder / 'tmp'}", "-c", str(folder / "pytest.ini")]
        results = Results()
        pytest.main([*options, *([f"{module}::{n}" for n in names] or [str(module)])], plugins=[results])
        return results

    return run


class Machine:
    """A vendor's: a virtual environment below `folder` that sees ours; nothing is fetched from a network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "environment" / "bin" / "python"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", folder / "environment"], check=True, timeout=120
        )
        ours = sysconfig.get_path("purelib")
        site = next((folder / "environment" / "lib").glob("python3.*/site-packages"))
        (site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n", encoding="utf-8")

    def install(self, package: Path) -> Path:
        """Build the package's wheel as its vendor would, and install that; return the sources built."""
        source = self.folder / package.name
        shutil.copytree(package, source, ignore=shutil.ignore_patterns("__pycache__"))
        self._ours("-m", "build", "--no-isolation", "--wheel", "--outdir", self.folder / "dist", source)
        (wheel,) = (self.folder / "dist").glob("*.whl")
        pip = ("-m", "pip", "--python", self.python, "--disable-pip-version-check", "install")
        self._ours(*pip, "--no-index", "--no-deps", "--quiet", wheel)
        return source

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python with `arguments` in the environment."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        return subprocess.run(
            [self.python, "-B", *arguments],
            cwd=cwd or self.folder,
            env={**environment, "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def tested(self, source: Path) -> str:
        """Run the package's own tests against what is installed; return what they printed."""
        ended = self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", cwd=source)
        assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
        return ended.stdout

    @staticmethod
    def _ours(*arguments: str | Path) -> None:
        ended = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, timeout=300, check=False
        )
        assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]


@pytest.fixture(scope="module")
def new_machine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Machine]:
    """Return a factory of vendors' machines."""
    return lambda: Machine(tmp_path_factory.mktemp("machine"))
