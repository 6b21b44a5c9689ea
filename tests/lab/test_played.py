"""The tests of guest/ pass there, on drives that QEMU cannot play and the laboratory does."""

import pytest

from .guest_run import GUEST, Results, chosen_files, run_in_guest

pytestmark = [pytest.mark.root, pytest.mark.lab]
FILES = sorted(path.name for path in GUEST.glob("test_*.py") if "played" in path.name)


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return run_in_guest(chosen_files(request), tmp_path_factory.mktemp("drives"))


@pytest.mark.parametrize("file", FILES)
def test_file(results: Results, file: str) -> None:
    results.check(file)
