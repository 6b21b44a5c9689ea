"""A process killed while it archives: nothing in clear on the disk, no half package, and again is right."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

SECRET = "王小明 Müller-Lüdenscheid"
SCRIPT = """
import json, os, sys
from pathlib import Path
import pyarrow.compute, pyarrow.csv, pyarrow.dataset, pyarrow.parquet, pyrage, rjieba  # once for all children
from deleatur.archive import new_identity, write_archive
from deleatur.documents.codec import decode_json
from deleatur.testing.keepers import keepers
from deleatur.documents.plan import PlannedTarget

root, stops = Path(sys.argv[1]), json.loads(sys.argv[2])
opened, calls, stop, KEYS = [], 0, 0, {"key": bytes(range(32)), "challenge": bytes(32)}

def audit(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            opened.append(os.fsdecode(arguments[0]))

def counted(real):
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls == stop:
            os._exit(9)
        result = real(*arguments, **named)
        calls += 1
        if calls == stop:
            os._exit(9)
        return result
    return call

planned = decode_json(Path(sys.argv[3]).read_bytes(), PlannedTarget)
rows = [{"id": n, "name": f"{sys.argv[4]} {n}"} for n in range(2000)]

def archive():
    sys.addaudithook(audit)
    for name in ("write", "fsync", "rename", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))
    records = {"t": lambda: iter(rows)}
    custody = keepers(new_identity()[1])
    folder = root / str(stop) / "archive"
    return write_archive(folder, planned, records, custody, job="j", plan_digest="0", **KEYS)

codes = {}
for stop in stops:
    child = os.fork()
    if not child:
        archive()
        os._exit(0)
    codes[stop] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
stop = 0
archived = archive() if not stops else None
file, digest = (archived.file, archived.sha256) if archived else ("", "")
print(json.dumps({"calls": calls, "opened": opened, "file": file, "sha256": digest, "codes": codes}))
"""

PLANNED = {
    "id": "crm",
    "target": {
        "id": "crm",
        "url": "sqlite:///crm.sqlite",
        "archive": [{"table": "t", "columns": {"id": {"rule": "keep"}, "name": {"rule": "mask"}}}],
    },
    "identity": {"kind": "test", "fields": []},
    "size": 1,
    "units": [],
    "held": [],
    "kept": [],
    "technique": "rewrite",
    "limits": [],
    "surfaces": [],
    "sampling": {"mode": "full", "count": 1, "seed": "0" * 64},
    "plugin": {"distribution": "d", "version": "1", "record_digest": "0" * 64, "entry_point": "e"},
}


def run(root: Path, stops: Sequence[int] = ()) -> dict[str, Any]:
    """Archive into a folder of `root` for each call to stop at, in a child each; or to the end, into 0."""
    planned = root / "planned.json"
    planned.write_text(json.dumps(PLANNED))
    for stop in stops or [0]:
        (root / str(stop)).mkdir(exist_ok=True)
    command = [sys.executable, "-c", SCRIPT, str(root), json.dumps(list(stops)), str(planned), SECRET]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("whole"))


def test_the_partial_file_is_the_only_one_opened_for_writing(whole: dict[str, Any]) -> None:
    assert [Path(path).name for path in whole["opened"]] == [".j-crm.tar.age.partial"]


def test_killed_before_and_after_every_write_flush_and_rename(whole: dict[str, Any], tmp_path: Path) -> None:
    calls = whole["calls"]
    assert calls >= 12  # mkdir, one write or more, three flushes, rename: before and after each
    stops = range(1, calls + 1)
    assert run(tmp_path, stops)["codes"] == {str(stop): 9 for stop in stops}
    for stop in stops:
        folder = tmp_path / str(stop) / "archive"
        left = {path.name: path.read_bytes() for path in folder.glob("*")}
        left |= {path.name: path.read_bytes() for path in folder.glob(".*")}
        assert left.keys() <= {".j-crm.tar.age.partial", "j-crm.tar.age"}
        for content in left.values():
            assert b"age-encryption.org/v1".startswith(content[:21])
            assert SECRET.encode() not in content
            assert b"PAR1" not in content[:64]
    for stop in (1, calls // 2, calls):  # the states in between differ by bytes of the partial file only
        (tmp_path / str(stop)).rename(tmp_path / "0")
        run(tmp_path)
        assert [path.name for path in (tmp_path / "0" / "archive").iterdir()] == ["j-crm.tar.age"]
        (tmp_path / "0").rename(tmp_path / f"{stop} again")
