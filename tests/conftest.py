"""What every test shares: needs that are met or named, and no skip that nobody decided on.

A skipped or expectedly failing test counts as failed unless `tests/allowed_skips.txt` names it.
Tests whose need is not met (`root`, `data`) are left out and the summary says so; with CI=true
nothing is left out.
"""

import os
import resource
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("DELEATUR_DATA", ROOT.parent / "shared" / "data"))
NEEDS = {
    "root": (os.geteuid() == 0, "run as root"),
    "data": (DATA.is_dir(), "set DELEATUR_DATA to the folder with chinook.sqlite"),
}
CI = os.environ.get("CI") == "true"

# In the background of a shell the suite is started so that it ignores Ctrl-C, and what it starts would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# In CI a property is tried on the same examples each time, so that a change is judged by what it changed;
# at a desk, and in the campaign, on new ones. A loaded machine is slow, not wrong: no deadline an example.
settings.register_profile(
    "house", deadline=None, derandomize=CI, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


@pytest.fixture(autouse=True, scope="session")
def core_limit() -> Iterator[None]:
    """Let what hardens itself in a process of tests lower its core limit, but not for good.

    Without CAP_SYS_RESOURCE the hard limit is never raised again, and tests of core dumps come later.
    """
    lower, (soft, hard) = resource.setrlimit, resource.getrlimit(resource.RLIMIT_CORE)

    def lower_for_now(which: int, limits: tuple[int, int]) -> None:
        lower(which, (limits[0], hard) if which == resource.RLIMIT_CORE else limits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "setrlimit", lower_for_now)
        yield
    lower(resource.RLIMIT_CORE, (soft, hard))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--part", default="1/1", help="run part K of N of the chosen tests, as K/N")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for need, (met, cure) in NEEDS.items():
        if not met and not CI:
            terminalreporter.write_line(f"tests marked {need} are left out: {cure}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unmet = set() if CI else {need for need, (met, _) in NEEDS.items() if not met}
    part, parts = (int(number) for number in config.getoption("--part").split("/"))
    if not 1 <= part <= parts:
        raise pytest.UsageError(f"--part {part}/{parts}: the first number must lie in 1..{parts}")
    kept, left_out = [], []
    for item in items:
        chosen = zlib.crc32(item.nodeid.encode()) % parts == part - 1
        needed = {marker.name for marker in item.iter_markers()}
        (kept if chosen and not needed & unmet else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def allowed_skips() -> set[str]:
    """Read the ids of the tests that may be skipped; each line is `ID  # reason`."""
    lines = (Path(__file__).parent / "allowed_skips.txt").read_text("utf-8").splitlines()
    return {line.split("  # ")[0].strip() for line in lines if line.strip() and not line.startswith("#")}


def forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that nobody decided on into a failure."""
    if report.outcome == "skipped" and report.nodeid not in allowed_skips():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = (
            f"{report.nodeid} was skipped and tests/allowed_skips.txt does not name it: {reason}"
        )
        vars(report).pop("wasxfail", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    forbid_skip(report)
    return report


@pytest.fixture(autouse=True)
def descriptors_are_closed() -> Iterator[None]:
    """Fail a test that leaves open what a later one would run out of (`select` ends at 1,024)."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    left = len(os.listdir("/proc/self/fd")) - before
    assert left < 64, f"{left} descriptors were left open"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the sample databases; tests that use it are marked `data`."""
    return DATA


@pytest.fixture
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a file open is not asked here, 20 times a trial: that takes longer than all the rest."""
    from deleatur.sanitize.usage import Usage

    for module in ("duckdb.backend", "file.survey", "sqlite.backend", "sqlite.files", "sqlite.rewriting"):
        monkeypatch.setattr(f"deleatur_plugins.{module}.usage", lambda: Usage(users={}, unseen=0))
