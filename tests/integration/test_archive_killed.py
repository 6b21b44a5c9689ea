"""A process killed while it archives: nothing in clear on the disk, no half package, and again is right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "王小明 Müller-Lüdenscheid"
SCRIPT = """
import json, os, sys
from pathlib import Path
from deleatur.archive import new_identity, write_archive
from deleatur.documents.codec import decode_json
from deleatur.testing.keepers import keepers
from deleatur.documents.plan import PlannedTarget

folder, stop = Path(sys.argv[1]), int(sys.argv[2])
opened, calls, KEYS = [], 0, {"key": bytes(range(32)), "challenge": bytes(32)}

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

sys.addaudithook(audit)
for name in ("write", "fsync", "rename", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
planned = decode_json(Path(sys.argv[3]).read_bytes(), PlannedTarget)
rows = [{"id": n, "name": f"{sys.argv[4]} {n}"} for n in range(2000)]
custody = keepers(new_identity()[1])
records = {"t": lambda: iter(rows)}
archived = write_archive(folder, planned, records, custody, job="j", plan_digest="0", **KEYS)
print(json.dumps({"calls": calls, "opened": opened, "file": archived.file, "sha256": archived.sha256}))
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
    "technique": "rewrite",
    "limits": [],
    "surfaces": [],
    "sampling": {"mode": "full", "count": 1, "seed": "0" * 64},
    "plugin": {"distribution": "d", "version": "1", "record_digest": "0" * 64, "entry_point": "e"},
}


def run(folder: Path, stop: int) -> subprocess.CompletedProcess[str]:
    planned = folder.parent / "planned.json"
    planned.write_text(json.dumps(PLANNED))
    command = [sys.executable, "-c", SCRIPT, str(folder), str(stop), str(planned), SECRET]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    done = run(tmp_path_factory.mktemp("whole") / "archive", 0)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_the_partial_file_is_the_only_one_opened_for_writing(whole: dict[str, object]) -> None:
    opened = whole["opened"]
    assert isinstance(opened, list)
    assert [Path(path).name for path in opened] == [".j-crm.tar.age.partial"]


def test_killed_before_and_after_every_write_flush_and_rename(
    whole: dict[str, object], tmp_path: Path
) -> None:
    calls = whole["calls"]
    assert isinstance(calls, int)
    assert calls >= 12  # mkdir, one write or more, three flushes, rename: before and after each
    for stop in range(1, calls + 1):
        folder = tmp_path / f"{stop}" / "archive"
        folder.parent.mkdir()
        assert run(folder, stop).returncode == 9
        left = {path.name: path.read_bytes() for path in folder.glob("*")}
        left |= {path.name: path.read_bytes() for path in folder.glob(".*")}
        assert left.keys() <= {".j-crm.tar.age.partial", "j-crm.tar.age"}
        for content in left.values():
            assert b"age-encryption.org/v1".startswith(content[:21])
            assert SECRET.encode() not in content
            assert b"PAR1" not in content[:64]
        if stop in {1, calls // 2, calls}:  # the states in between differ by bytes of the partial file only
            again = run(folder, 0)
            assert again.returncode == 0, again.stderr
            assert [path.name for path in folder.iterdir()] == ["j-crm.tar.age"]
