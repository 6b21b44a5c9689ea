"""A file of secrets is for its owner only, and no message quotes it."""

import os
from pathlib import Path

import pytest

from deleatur.errors import Refused
from deleatur.secret_file import client_options, secret_text

NAME = "DELEATUR_TEST_SECRETS"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(NAME, str(tmp_path / "secrets"))
    return tmp_path / "secrets"


def written(file: Path, content: bytes, mode: int = 0o600) -> None:
    file.write_bytes(content)
    file.chmod(mode)


def refusal() -> str:
    with pytest.raises(Refused) as caught:
        client_options(NAME)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_a_name_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    assert (secret_text(NAME), client_options(NAME)) == ("", {})


def test_the_group_of_the_client_is_read(file: Path) -> None:
    written(file, "[client]\n# mine\nuser = anna\npassword = pä55#w\n".encode())
    assert client_options(NAME) == {"user": "anna", "password": "pä55#w"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o601])
def test_what_others_may_read_is_refused(file: Path, mode: int) -> None:
    written(file, b"[client]\nuser=geheim\n", mode)
    assert "run chmod 600" in refusal()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"user=geheim\n", "needs one group"),
        (b"[server]\nuser=geheim\n", "needs one group"),
        (b"[client]\nuser=geheim\nuser=geheim\n", "needs one group"),
        (b"", "needs one group"),
        (b"[client]\nuser=geheim\xff\n", "cannot be read (UnicodeDecodeError)"),
        (b"#" + bytes(1 << 20), "is larger than 1048576 bytes"),
    ],
)
def test_what_is_not_understood_is_refused_and_never_quoted(file: Path, content: bytes, told: str) -> None:
    written(file, content)
    found = refusal()
    assert told in found
    assert "geheim" not in found


def test_what_is_no_file_is_refused_and_not_waited_for(file: Path) -> None:
    assert "cannot be read (FileNotFoundError)" in refusal()
    os.mkfifo(file, 0o600)
    assert "run chmod 600" in refusal()
