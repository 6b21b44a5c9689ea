"""Golden transcripts of the command line: what a person types, sees, and which code it ends with.

In `*.txt`, a line `$ …` is typed into a shell; what follows is its standard output, then its standard
error with `2> ` before each line, then `=> CODE`. What differs from run to run stands as a placeholder
such as <sha256>. `python tests/transcripts/test_transcripts.py` writes the transcripts anew; read the
difference before you keep it.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent
PLACEHOLDERS = (
    (r"SHA256:[A-Za-z0-9+/]{10,43}(…|\b)", "<key>"),
    (r"\b[0-9a-f]{64}\b", "<sha256>"),
    (r"\b[0-9a-f]{32}\b", "<id>"),
    (r"approval-[0-9a-f]{16}", "approval-<key>"),
    (r"inode-\d+", "inode-<number>"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>"),
    (r"\d{4}-\d\d-\d\d", "<day>"),
    (r"\w+-\w+\.tar\.age|\w+\.tar\.age", "<archive>"),
    (r"\b\d{4,} days\b", "<number> days"),
    (r'"days_late": \d{4,}', '"days_late": <number>'),
    (r", [0-9.]+ [kMGT]?B/s(, \d+ s left)?", ""),
    (r"(│ host       )[^│\n]*│", r"\1<host> │"),
    (r" +│$", " │"),
    (r"─{3,}", "───"),
    # they depend on the file system and on who runs it; a long one goes on in the next line
    (r"(│   · [^\n]*│\n(│ [^ │\n][^\n]*│\n)*)+", "│   · <limits> │\n"),
    (r"(^\w+ [\w-]+: (\d+ (rows|values|letters)\b|[^\n]*B)[^\n]*\n)+", "<progress>\n"),
)


def commands(transcript: str) -> list[str]:
    """Return the lines that are typed."""
    return [line[2:] for line in transcript.splitlines() if line.startswith("$ ")]


def head(transcript: str) -> str:
    """Return the comment at the beginning."""
    return transcript.partition("\n$ ")[0]


def replaced(said: str, folder: Path) -> str:
    """Return what was said, with a placeholder for everything that differs from run to run."""
    said = said.replace(str(folder), "<here>")
    for pattern, placeholder in PLACEHOLDERS:
        said = re.sub(pattern, placeholder, said, flags=re.MULTILINE)
    return said


def played(transcript: str, folder: Path) -> str:
    """Type every command of a transcript in `folder` and return the transcript as it is now."""
    environment = {
        "PATH": f"{PROGRAMS}:/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "COLUMNS": "200",
        "DELEATUR_PASSPHRASE_FILE": str(folder / "passphrase"),
    }
    (folder / "passphrase").write_text("a passphrase of the tests\n")
    parts = [head(transcript)]
    for line in commands(transcript):
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder,
            env=environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        err = replaced(done.stderr.decode(), folder)
        said = replaced(done.stdout.decode(), folder) + re.sub(r"^(?=.)", "2> ", err, flags=re.MULTILINE)
        parts.append(f"$ {line}\n{said}=> {done.returncode}")
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.txt")))
def test_the_command_line_answers_as_written(name: str, tmp_path: Path) -> None:
    written = (HERE / f"{name}.txt").read_text("utf-8")
    assert played(written, tmp_path) == written


def test_every_documented_exit_code_but_residue_is_in_a_transcript() -> None:
    codes = {
        line[3:]
        for path in HERE.glob("*.txt")
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("=> ")
    }
    assert codes >= {"0", "2", "3", "4", "5", "8"}


def main() -> None:
    """Write every transcript anew."""
    for path in sorted(HERE.glob("*.txt")):
        with tempfile.TemporaryDirectory() as folder:
            path.write_text(played(path.read_text("utf-8"), Path(os.path.realpath(folder))), "utf-8")


if __name__ == "__main__":
    main()
