"""Plain lines of progress, as a log has them."""

import pytest

from deleatur.cli.progress import _Lines


def test_each_phase_shows_its_begin_and_its_end_once_in_its_own_unit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = _Lines()
    for phase, done in (("rewrite", 0), ("rewrite", 7), ("rewrite", 9), ("rewrite", 9), ("overwrite", 2000)):
        lines.tell(phase, "crm", done, 9 if phase == "rewrite" else 2000)
    lines.tell("certify", "", 0, 0)
    begin, end, other, last = capsys.readouterr().err.splitlines()
    assert begin == "rewrite crm: 0 rows of 9 rows"
    assert end.startswith("rewrite crm: 9 rows of 9 rows")
    assert other == "overwrite crm: 2.0 kB of 2.0 kB"
    assert last == "certify"
