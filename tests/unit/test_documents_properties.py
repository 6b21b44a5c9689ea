"""Properties of all documents: round trips, the torn tail, and 10^5 mutated documents."""

import json
import random
import re
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from deleatur.documents.certificate import Statement
from deleatur.documents.codec import decode_canonical, decode_json, decode_toml, encode_json
from deleatur.documents.decode import decode_job, decode_plan
from deleatur.documents.job import Job
from deleatur.documents.journal import Advanced, AnyEvent, Entry, digest_of_line, line_of, read_chain
from deleatur.documents.place import Pattern
from deleatur.documents.plan import Plan
from deleatur.errors import Malformed
from deleatur.testing.vectors import Vector, read_vectors

VECTORS = Path(__file__).parents[1] / "vectors"
DOCUMENTS = (Job, Plan, Entry, Statement)
UNHURRIED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


# ------------------------------------------------------------------- documents of every shape


@cache
def documents_of(kind: Any, fewest: int = 0) -> st.SearchStrategy[Any]:
    """Return a strategy for documents of a structure, from its own description.

    No list in them has fewer than `fewest` items.
    """
    return _values_of(inspect.type_info(kind), {}, fewest)


_LONG = re.compile(r",[0-9]{3,4}\}")  # repeats that only make a document long


def _values_of(info: Any, known: dict[type, st.SearchStrategy[Any]], fewest: int) -> st.SearchStrategy[Any]:  # noqa: C901 - one case a type
    match info:
        case inspect.StrType(pattern=str(pattern), max_length=int(largest)):
            return st.text(min_size=info.min_length or 0, max_size=min(largest, 30)).filter(
                re.compile(pattern).search
            )
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(_LONG.sub(",20}", pattern))
        case inspect.StrType():
            return st.text(min_size=info.min_length or 0, max_size=min(info.max_length or 30, 30))
        case inspect.IntType():
            largest = 2**53 - 1
            return st.integers(
                -largest if info.ge is None else info.ge, largest if info.le is None else info.le
            )
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.LiteralType():
            return st.sampled_from(info.values)
        case inspect.UnionType():
            return st.one_of(*(_values_of(t, known, fewest) for t in info.types))
        case inspect.VarTupleType():
            return st.lists(
                _values_of(info.item_type, known, fewest),
                min_size=max(info.min_length or 0, fewest),
                max_size=2,
            ).map(tuple)
        case inspect.TupleType():
            return st.tuples(*(_values_of(t, known, fewest) for t in info.item_types))
        case inspect.DictType():
            return st.dictionaries(
                _values_of(info.key_type, known, fewest),
                _values_of(info.value_type, known, fewest),
                max_size=3,
            )
        case inspect.StructType():
            if info.cls not in known:
                known[info.cls] = st.deferred(lambda: _built(info.cls, fields))
                fields = {f.name: _values_of(f.type, known, fewest) for f in info.fields}
            return known[info.cls]
    raise TypeError(f"no strategy for {info}")


def _built(kind: type, fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Build structures of a kind; a pattern has either a key or bytes that repeat."""
    if kind is not Pattern:
        return st.builds(kind, **fields)
    keys, cycles = fields["key"].filter(bool), fields["cycle"].filter(bool)
    streams = st.builds(Pattern, kind=st.just("aes-256-ctr"), key=keys)
    return st.one_of(streams, st.builds(Pattern, kind=st.just("bytes"), cycle=cycles))


def toml_of(document: Any) -> str:
    """Write a document as TOML, every table inline."""
    tree = msgspec.to_builtins(document)
    return "".join(f"{_quoted(k)} = {_inline(v)}\n" for k, v in tree.items() if v is not None)


def _inline(value: Any) -> str:
    match value:
        case dict():
            inside = (f"{_quoted(k)} = {_inline(v)}" for k, v in value.items() if v is not None)
            return "{ " + ", ".join(inside) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case str():
            return _quoted(value)
        case bool():
            return str(value).lower()
        case _:
            return repr(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# -------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_decoding_what_was_encoded_gives_the_same_document(kind: type) -> None:
    @UNHURRIED
    @given(documents_of(kind))
    def check(document: Any) -> None:
        content = encode_json(document)
        assert decode_json(content, kind) == document
        assert encode_json(decode_json(content, kind)) == content
        assert decode_canonical(content, kind) == document
        assert content.count(b"\n") == 1

    check()


@UNHURRIED
@given(documents_of(Job))
def test_a_job_comes_back_from_toml(job: Job) -> None:
    decoded = decode_toml(toml_of(job).encode(), Job)
    assert decoded == job
    assert encode_json(decoded) == encode_json(job)  # 1, 1.0 and true are equal, and not the same


# ---------------------------------------------------------------------------------- the chain

PLAN_DIGEST = "ab" * 32


def chain(events: list[AnyEvent]) -> list[bytes]:
    lines: list[bytes] = []
    for n, event in enumerate(events):
        previous = digest_of_line(lines[-1]) if lines else PLAN_DIGEST
        entry = Entry(n=n, at="2026-01-02T03:04:05.678Z", previous=previous, event=event)
        lines.append(line_of(entry))
    return lines


@UNHURRIED
@given(st.lists(documents_of(AnyEvent), max_size=6))
def test_a_chain_reads_back_as_it_was_written(events: list[AnyEvent]) -> None:
    content = b"".join(chain(events))
    entries, sound = read_chain(content, PLAN_DIGEST)
    assert [entry.event for entry in entries] == events
    assert sound == len(content)


@settings(UNHURRIED, max_examples=10)
@given(st.lists(documents_of(AnyEvent), min_size=1, max_size=4))
def test_a_tail_torn_at_any_byte_never_happened(events: list[AnyEvent]) -> None:
    lines = chain(events)
    content = b"".join(lines)
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line))
    for cut in range(len(content) + 1):
        whole = max(n for n, end in enumerate(ends) if end <= cut)
        entries, sound = read_chain(content[:cut], PLAN_DIGEST)
        assert (len(entries), sound) == (whole, ends[whole])


def test_every_single_flipped_bit_of_a_line_that_is_followed_by_another_breaks_the_chain() -> None:
    lines = chain([Advanced(step="s1", position="p", done=n) for n in range(3)])
    first = len(lines[0])
    content = bytearray(b"".join(lines))
    for place in range(first):
        for bit in range(8):
            content[place] ^= 1 << bit
            with pytest.raises(Malformed) as caught:
                read_chain(bytes(content), PLAN_DIGEST)
            assert caught.value.kind == "broken-chain"
            content[place] ^= 1 << bit


@UNHURRIED
@given(st.permutations(range(5)).filter(lambda order: order != list(range(5))))
def test_no_other_order_of_the_lines_is_sound(order: list[int]) -> None:
    lines = chain([Advanced(step="s1", position="p", done=n) for n in range(5)])
    with pytest.raises(Malformed, match="chain breaks"):
        read_chain(b"".join(lines[n] for n in order), PLAN_DIGEST)


# -------------------------------------------------------------------- 10^5 mutated documents

MUTANTS = 100_000  # in all
SHARDS = 5  # of each decoder, for parallel runs
SLOWEST = 5.0  # seconds for one document
LONGEST = 20_000  # characters of one message, which is one line

SCALAR = re.compile(rb'"[^"\n]{0,200}"|\btrue\b|\bfalse\b|\bnull\b|-?\b[0-9][0-9.eE+-]*\b|\[\]|\{\}')
PAIR = re.compile(rb'"[a-z_]{1,30}":(?:"[^"\n]{0,200}"|[0-9]+|true|false|null)|(?m:^[a-z_]+ = .*\n)')
SWAPS = (
    *(b"true", b"null", b"1", b"-1", b"1.0", b"1e999", b"-0", b"NaN", b"nan", b"inf", b"Infinity"),
    *(b"9007199254740992", b"9" * 30, b"9" * 4400, b"0x" + b"f" * 100, b"1979-05-27", b"07:32:00"),
    *(b'""', b'"\\ud800"', b'"\\u0000"', b"'''", b'"""', b'"' + b"x" * 5000 + b'"', b'"\xff"', b'"a\\n"'),
    *(
        b"[]",
        b"{}",
        b"[[]]",
        b"[{}]",
        b"[null]",
        b"{'a'=1}",
        b"[" * 60,
        b'{"a":' * 60,
        b"a." * 60,
        b"#",
        b"\n",
    ),
)


def good(folder: str, decoder: str) -> list[Vector]:
    return [
        v
        for v in read_vectors(VECTORS / folder)
        if v.header["decoder"] == decoder and v.header["expect"] == "ok"
    ]


def statements() -> list[bytes]:
    """Return statements of certificates in which no list is empty, the same in each run."""
    made: list[bytes] = []

    @settings(UNHURRIED, max_examples=5, derandomize=True, database=None, phases=[Phase.generate])
    @given(documents_of(Statement, fewest=1))
    def make(document: Statement) -> None:
        made.append(encode_json(document))

    make()
    return made


@cache
def seeds(decoder: str) -> list[bytes]:
    if decoder == "certificate":
        return statements()
    return [vector.document for vector in good(decoder, decoder)]


@cache
def plan_digest() -> str:
    return good("journal", "journal")[0].header["plan"]


FUZZED: dict[str, Callable[[bytes], object]] = {
    "job": decode_job,
    "plan": decode_plan,
    "journal": lambda content: read_chain(content, plan_digest()),
    "certificate": lambda content: decode_json(content, Statement),
}


def mutant(chance: random.Random, pool: list[bytes]) -> bytes:
    """Return a document of `pool` after one to three mutations."""
    content = chance.choice(pool)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        content = chance.choice(MUTATIONS)(chance, content, pool)
    return content


def flip(chance: random.Random, content: bytes, pool: list[bytes]) -> bytes:
    if not content:
        return content
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]


def insert(chance: random.Random, content: bytes, pool: list[bytes]) -> bytes:
    at = chance.randint(0, len(content))
    return content[:at] + chance.choice((chance.randbytes(chance.randint(1, 9)), *SWAPS)) + content[at:]


def splice(chance: random.Random, content: bytes, pool: list[bytes]) -> bytes:
    other = chance.choice(pool)
    start, end = sorted(chance.choices(range(len(other) + 1), k=2))
    left, right = sorted(chance.choices(range(len(content) + 1), k=2))
    return content[:left] + other[start:end] + content[right:]


def double(chance: random.Random, content: bytes, pool: list[bytes]) -> bytes:
    pairs = list(PAIR.finditer(content))
    if not pairs:
        return content + content
    pair = chance.choice(pairs)
    comma = b"" if pair.group().endswith(b"\n") else b","
    return content[: pair.start()] + pair.group() + comma + content[pair.start() :]


def swap(chance: random.Random, content: bytes, pool: list[bytes]) -> bytes:
    scalars = list(SCALAR.finditer(content))
    if not scalars:
        return content + chance.choice(SWAPS)
    scalar = chance.choice(scalars)
    return content[: scalar.start()] + chance.choice(SWAPS) + content[scalar.end() :]


def cut(chance: random.Random, content: bytes, pool: list[bytes]) -> bytes:
    return content[: chance.randint(0, len(content))]


MUTATIONS = (flip, insert, splice, double, swap, swap, cut)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("decoder", FUZZED)
def test_a_mutated_document_is_decoded_or_malformed(decoder: str, shard: int) -> None:
    chance = random.Random(f"{decoder} {shard}")
    decode, pool = FUZZED[decoder], seeds(decoder)
    refused = unfit = 0
    slowest = 0.0
    count = MUTANTS // len(FUZZED) // SHARDS
    for _ in range(count):
        content = mutant(chance, pool)
        start = time.process_time()
        try:
            decode(content)
        except Malformed as error:
            refused += 1
            unfit += not error.kind or not str(error).isprintable() or len(str(error)) > LONGEST
        slowest = max(slowest, time.process_time() - start)
    assert unfit == 0
    assert slowest < SLOWEST
    assert 0.3 * count < refused < count  # the mutations bite, and some do no harm
