"""The codec: limits before reading, messages without values, and the words of the decoders below it."""

import os
import random
import re
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deleatur.documents.codec import (
    MAX_DEPTH,
    MAX_JOB,
    MAX_JSON,
    decode_canonical,
    decode_json,
    decode_toml,
    encode_json,
    read_limited,
)
from deleatur.documents.decode import decode_job
from deleatur.documents.job import Condition, Job, Target, Within
from deleatur.documents.journal import Advanced, Erasing, Event, Unheld
from deleatur.documents.place import Identity, Sampling, Unit
from deleatur.documents.plan import Plan
from deleatur.errors import Malformed

CANARY = "Kärtchen-Zyx"


def malformed(content: bytes, kind: Any, decode: Any = decode_json) -> Malformed:
    with pytest.raises(Malformed) as caught:
        decode(content, kind)
    return caught.value


# ------------------------------------------------------------------------------------- limits


def test_a_gigabyte_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    start = time.process_time()
    with pytest.raises(Malformed) as caught:
        read_limited(path, MAX_JOB)
    assert caught.value.kind == "too-large"
    assert time.process_time() - start < 1


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(Malformed) as caught:
        read_limited(Path("/dev/zero"), MAX_JOB)
    assert caught.value.kind == "too-large"


@pytest.mark.parametrize("size", [0, 1, 4095, 4096])
def test_a_file_within_the_limit_is_read_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(os.urandom(size))
    assert read_limited(path, 4096) == path.read_bytes()


def test_a_file_one_byte_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(4097))
    with pytest.raises(Malformed, match="larger than 4096 bytes"):
        read_limited(path, 4096)


BOMBS = {
    "dotted key": b"a." * 400_000 + b"a = 1",
    "dotted key with spaces": b"a . " * 200_000 + b"a = 1",
    "dotted key, quoted": b'"a".' * 200_000 + b"a = 1",
    "dotted key in an inline table": b"x = {" + b"a." * 400_000 + b"a = 1}",
    "dotted table": b"[" + b"a." * 400_000 + b"a]",
    "arrays": b"x = " + b"[" * 900_000,
    "inline tables": b"x = " + b"{a=" * 300_000,
    "arrays after a string with quotes": b'x = """a""""\ny = ' + b"[" * 900_000,
    "arrays after a literal with quotes": b"x = '''a'''''\ny = " + b"[" * 900_000,
    "arrays after an escaped quote": b'x = "\\""\ny = ' + b"[" * 900_000,
}
SLOW = {
    "escapes in an open string": b'x = """' + b'\\"""' * 200_000,
    "open strings": b'"' * 900_000,
    "open literals": b"'''" * 300_000,
    "backslashes": b"\\" * 900_000,
    "one long word": b"a" * 900_000,
    "hexadecimal digits": b"x = 0x" + b"f" * 900_000,
    "decimal digits": b"x = " + b"9" * 900_000,
    "underscores": b"x = " + b"1_" * 400_000 + b"1",
    "tables": b"[[target]]\n" * 90_000,
    "comments": b"#\n" * 500_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_deep_toml_bomb_is_refused_in_a_moment(bomb: str) -> None:
    start = time.process_time()
    assert malformed(BOMBS[bomb], Job, decode_toml).kind == "too-deep"
    assert time.process_time() - start < 10


@pytest.mark.parametrize("bomb", SLOW)
def test_a_toml_document_that_is_slow_to_read_is_refused_in_a_moment(bomb: str) -> None:
    start = time.process_time()
    malformed(SLOW[bomb], Job, decode_toml)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("open_", [b"[", b'{"a":', b'[{"a":', b'"[[[",['])
def test_a_deep_json_bomb_is_refused_in_a_moment(open_: bytes) -> None:
    start = time.process_time()
    content = b"[" + open_ * (MAX_JSON // len(open_) - 1)
    assert malformed(content, Job).kind == "too-deep"
    assert malformed(content, Job, decode_canonical).kind == "too-deep"
    assert time.process_time() - start < 20


def test_brackets_in_texts_and_comments_are_not_nesting() -> None:
    deep = "[{" * MAX_DEPTH
    texts = f"a = \"{deep}\"\nb = '{deep}'\nc = \"\"\"{deep}\"\"\"\nd = '''{deep}'''\n# {deep}\n"
    assert malformed(texts.encode(), Job, decode_toml).kind == "unknown-key"
    assert malformed(encode_json({"a": deep}), Job).kind == "unknown-key"


def test_nesting_is_seen_behind_every_text_and_never_inside_one() -> None:
    chance = random.Random("quotes")
    parts = ('"', "\\", '\\"', "\\\\", "'", "\n", "[" * 50, "#", "a", "\\\n")
    texts = 0
    for _ in range(20_000):
        quote = chance.choice(('"', "'", '"""', "'''"))
        line = f"x = {quote}{''.join(chance.choices(parts, k=chance.randint(0, 8)))}{quote}"
        try:
            tree = tomllib.loads(line)
        except tomllib.TOMLDecodeError:
            continue
        if set(tree) == {"x"} and isinstance(tree["x"], str):
            texts += 1
            assert malformed(line.encode(), Job, decode_toml).kind == "unknown-key", line
            deep = f'{line} # "\ny = {"[" * 50}{"]" * 50}'
            assert malformed(deep.encode(), Job, decode_toml).kind == "too-deep", line
    assert texts > 5000


@pytest.mark.parametrize(("depth", "kind"), [(MAX_DEPTH, "wrong-type"), (MAX_DEPTH + 1, "too-deep")])
def test_the_limit_of_nesting_is_exact(depth: int, kind: str) -> None:
    assert malformed(b"[" * depth + b"]" * depth, Job).kind == kind


def test_dots_of_numbers_in_a_list_are_not_a_dotted_key() -> None:
    text = b"x = [" + b"1.5," * 1000 + b"]"
    assert malformed(text, Job, decode_toml).kind == "unknown-key"


# ----------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("kind", "tree", "failure", "words"),
    [
        (
            Unit,
            {"name": "a", "size": 1, "digest": "0" * 64, "zz": 1},
            "unknown-key",
            "no key is called zz (at $)",
        ),
        (Unit, {"name": "a", "size": 1}, "missing-key", "key digest is missing (at $)"),
        (Unit, {"name": 1, "size": 1}, "wrong-type", "Expected `str`, got `int` (at $.name)"),
        (Unit, {"name": "a", "size": -1}, "bad-value", "Expected `int` >= 0 (at $.size)"),
        (
            Unit,
            {"name": "a", "size": 1, "digest": CANARY},
            "bad-value",
            "not of the form that this key has (at $.digest)",
        ),
        (Sampling, {"mode": CANARY}, "bad-value", "not one of the allowed values (at $.mode)"),
        (Erasing | Advanced, {"kind": CANARY}, "bad-value", "not one of the allowed values (at $.kind)"),
        (Erasing | Advanced, {"step": "s1"}, "missing-key", "key kind is missing (at $)"),
        (Erasing | Advanced, {"kind": 1}, "wrong-type", "Expected `str`, got `int` (at $.kind)"),
        (Erasing | Advanced, 7, "wrong-type", "Expected `object`, got `int` (at $)"),
        (Within, {"table": "", "column": "b"}, "bad-value", "Expected `str` of length >= 1 (at $.table)"),
        (
            Within,
            {"table": "a" * 4097, "column": "b"},
            "bad-value",
            "Expected `str` of length <= 4096 (at $.table)",
        ),
        (
            Identity,
            {"kind": "a", "fields": [["a"]]},
            "bad-value",
            "Expected `array` of length 2, got 1 (at $.fields[0])",
        ),
        (
            Unheld,
            {"kind": "unheld", "asked": [None]},
            "wrong-type",
            "Expected `str`, got `null` (at $.asked[0])",
        ),
        (
            Condition,
            {"column": "a", "operator": "=", "value": []},
            "wrong-type",
            "Expected `bool | int | float | str | null`, got `array` (at $.value)",
        ),
    ],
)
def test_each_fault_of_form_has_its_kind_place_and_words(
    kind: Any, tree: Any, failure: str, words: str
) -> None:
    error = malformed(encode_json(tree), kind)
    assert (error.kind, str(error)) == (failure, words)


@pytest.mark.parametrize(
    "text",
    [
        f'schema = "{CANARY}"',
        f'schema = "deleatur/job/v1"\nname = "{CANARY}"',
        f"schema = {CANARY}",
        f'schema = "{CANARY}',
        f'schema = "{CANARY}\x01"',
        f'schema = "\\{CANARY}"',
        f'schema = "a" {CANARY}',
        f"policy = '{CANARY}'",
        f'target = [{{ id = "a", url = "{CANARY}" }}]',
    ],
)
def test_no_message_quotes_a_value_of_a_job(text: str) -> None:
    error = malformed(text.encode(), Job, decode_toml)
    assert CANARY not in str(error)
    assert "K" not in str(error)


@pytest.mark.parametrize("literal", ["zyx@canary", "zyx 555 123 4567"])
def test_no_message_quotes_a_literal_that_names_a_person(literal: str) -> None:
    good = (
        (Path(__file__).parents[1] / "vectors" / "job" / "good-rows.vector").read_text().partition("\n\n")[2]
    )
    with pytest.raises(Malformed, match="use values_from") as caught:
        decode_job(good.replace('value = "Germany"', f'value = "{literal}"').encode())
    assert "zyx" not in str(caught.value)
    assert caught.value.kind == "personal"


def test_no_message_quotes_a_character_of_broken_json() -> None:
    for text in (
        f"{CANARY}",
        f'{{"a": {CANARY}}}',
        f'"{CANARY}',
        f'"{CANARY}\x01"',
        f'"{CANARY}\\K"',
        '"\\ud8K"',
    ):
        assert "K" not in str(malformed(text.encode(), Job))


def test_a_key_is_shown_cut_and_printable() -> None:
    error = malformed(encode_json({"\u202e\n\x1b[31m" + "x" * 500: 1}), Job)
    assert str(error) == "no key is called ???[31m" + "x" * 72 + "… (at $)"
    error = malformed(b'{"a\\n":1,"a\\n":2}', Job)
    assert str(error) == "key a? stands twice (at $)"


def test_all_faults_between_fields_are_named_at_once() -> None:
    text = b"""
        schema = "deleatur/job/v1"
        name = "a"
        reason = "other"
        authority = "x@y"
        requested_by = "b"
        policy = { approvals = 1 }
        [[target]]
        id = "a"
        url = "sqlite:///a"
        archive = [{ table = "T", columns = { c = { rule = "generalise" } } }]
        [[target]]
        id = "a"
        url = "b"
    """
    error = malformed(text, None, lambda content, _: decode_job(content))
    for words in ("an address names a person", "this id stands twice", "not a URL", "generalise needs `to`"):
        assert words in str(error)
    for words in ("an archive needs custodians", "one approval is enough for files"):
        assert words in str(error)
    assert (error.kind, error.where) == ("personal", "$.authority")


# ---------------------------------------------------------------------------------- canonical


def test_a_text_that_is_not_unicode_is_refused_when_written() -> None:
    with pytest.raises(Malformed) as caught:
        encode_json(Target(id="a", url="file:///\udcff"))
    assert caught.value.kind == "encoding"


def test_the_canonical_decoder_names_the_same_fault_as_the_careful_one() -> None:
    event = Advanced(step="s1", position="p", done=1)
    text = encode_json(event)
    assert decode_canonical(text, Advanced) == event
    for bad in (b"", b"{", text.replace(b":1,", b":true,"), text.replace(b"p", b"\xff"), b"[" * 5000):
        careful, canonical = malformed(bad, Advanced), malformed(bad, Advanced, decode_canonical)
        assert (str(careful), careful.kind) == (str(canonical), canonical.kind)


def test_a_plan_too_large_to_look_for_the_fault_is_refused_without_building_a_tree() -> None:
    content = b'{"schema":NaN,"x":[' + b"[]," * (MAX_JSON // 3) + b"[]]}"
    start = time.process_time()
    assert malformed(content, Plan, decode_canonical).kind == "not-canonical"
    assert time.process_time() - start < 1


def test_every_kind_of_event_has_a_tag_that_is_its_name() -> None:
    assert {e.__struct_config__.tag for e in Event.__subclasses__()} == {
        re.sub(r"(?<!^)(?=[A-Z])", "-", e.__name__).lower() for e in Event.__subclasses__()
    }
