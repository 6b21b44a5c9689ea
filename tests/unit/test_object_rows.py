"""Rows dropped inside of an object: what stays is the same, byte by byte or value by value."""

import base64
import csv
import gzip
import io
import json
import sys
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from deleatur.api import Condition, HeldRows, Selection, Target
from deleatur.errors import Refused
from deleatur_plugins.s3.inside import footer
from deleatur_plugins.s3.inside.forms import form_of
from deleatur_plugins.s3.inside.rules import Rule, Rules

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GOING, STAYING = ("anna", 'bert,\n"x"', "ü😀", "7"), ("carl", "anna ", "Anna", "dora;\r\nx", "'", "07", "")
PACKS = {"": lambda c: c, ".gz": gzip.compress, ".zst": zstd.compress}
UNPACK = {"": lambda c: c, ".gz": gzip.decompress, ".zst": zstd.decompress}


def rule(*where: Condition, held: tuple[Condition, ...] = ()) -> Rule:
    target = Target(
        id="t",
        url="s3-rows://bucket/",
        select=(Selection(table="*", where=where),),
        hold=(HeldRows(id="open", reason="x", table="*", where=held),) if held else (),
    )
    found = Rules(target, {}).rule("any")
    assert found is not None
    return found


def named(column: str = "name", values: tuple[str, ...] = GOING) -> Rule:
    return rule(Condition(column=column, operator="in", values=values))


def rewritten(name: str, content: bytes, by: Rule) -> bytes:
    return b"".join(form_of(name).rewritten(io.BytesIO(content), by))


def raws(name: str, content: bytes, by: Rule) -> list[bytes]:
    return [row.raw for row in form_of(name).rows(io.BytesIO(content), by) if row.verdict != "goes"]


def verdicts(name: str, content: bytes, by: Rule) -> list[str]:
    return list(form_of(name).verdicts(io.BytesIO(content), by))


people = st.lists(st.sampled_from(GOING + STAYING), max_size=12)


@given(people, st.sampled_from(sorted(PACKS)), st.booleans(), st.booleans(), st.sampled_from([",", "\t"]))
@settings(deadline=None)
def test_delimited_rows_stay_byte_by_byte(
    names: list[str], pack: str, bom: bool, open_end: bool, delimiter: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n" if bom else "\n")
    writer.writerows([["id", "name"], *([str(n), name] for n, name in enumerate(names))])
    text = out.getvalue().removesuffix("\n" if open_end else "")
    content = (b"\xef\xbb\xbf" if bom else b"") + text.encode()
    file = f"people.{'csv' if delimiter == ',' else 'tsv'}{pack}"
    new = rewritten(file, PACKS[pack](content), named())
    plain = UNPACK[pack](new)
    told = list(csv.reader(io.StringIO(plain.decode("utf-8-sig"), newline=""), delimiter=delimiter))
    assert told[1:] == [[str(n), name] for n, name in enumerate(names) if name not in GOING]
    assert raws(file, PACKS[pack](content), named()) == raws(file, new, named())
    assert "goes" not in verdicts(file, new, named())
    if not {*names} & {*GOING}:
        assert plain == content
    assert new == rewritten(file, PACKS[pack](content), named())  # a request that is sent again is the same


@given(people, st.sampled_from(sorted(PACKS)), st.booleans())
@settings(deadline=None)
def test_lines_of_json_stay_byte_by_byte(names: list[str], pack: str, ascii_only: bool) -> None:
    lines = [
        json.dumps({"who": {"name": name}, "n": n / 7}, ensure_ascii=ascii_only, indent=None).encode()
        for n, name in enumerate(names)
    ]
    content = b"\n".join(lines)
    file = f"a.jsonl{pack}"
    new = rewritten(file, PACKS[pack](content), named("who.name"))
    kept = [line for line, name in zip(lines, names, strict=True) if name not in GOING]
    assert [line for line in UNPACK[pack](new).split(b"\n") if line] == kept


columns = st.fixed_dictionaries(
    {
        "codec": st.sampled_from(["none", "snappy", "zstd", "gzip", "brotli", "lz4"]),
        "group": st.integers(1, 5),
        "dictionary": st.booleans(),
        "statistics": st.booleans(),
        "page": st.sampled_from(["1.0", "2.0"]),
        "index": st.booleans(),
    }
)


def table_of(names: list[str]) -> pa.Table:
    count = len(names)
    return pa.table(
        {
            "name": pa.array(names, pa.string()),
            "kind": pa.array(["x", "y"] * count, pa.string())[:count].dictionary_encode(),
            "moment": pa.array([10**18 + n for n in range(count)], pa.timestamp("ns", "UTC")),
            "sum": pa.array([Decimal(n) / 100 for n in range(count)], pa.decimal128(12, 2)),
            "part": pa.array([float("nan") if n % 2 else None for n in range(count)], pa.float32()),
            "in": pa.array([[{"a": n, "b": name}] for n, name in enumerate(names)], _NESTED),
            "raw": pa.array([bytes([n]) * n for n in range(count)], pa.binary()),
            "off": pa.array([None] * count, pa.null()),
        }
    )


_NESTED = pa.list_(pa.struct([("a", pa.int16()), ("b", pa.string())]))


def written(table: pa.Table, **how: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(
        table.replace_schema_metadata({"of": "a test"}),
        out,
        row_group_size=how["group"],
        compression=how["codec"],
        use_dictionary=how["dictionary"],
        write_statistics=how["statistics"],
        data_page_version=how["page"],
        write_page_index=how["index"] and how["statistics"],
    )
    return out.getvalue()


@given(people, columns, st.sampled_from(["name", "in.b"]))
@settings(deadline=None, max_examples=60)
def test_rows_of_parquet_stay_with_their_types_and_what_is_not_concerned_byte_by_byte(
    names: list[str], how: dict[str, Any], column: str
) -> None:
    table = table_of(names)
    content = written(table, **how)
    new = rewritten("a.parquet", content, named(column))
    stay = pa.array([name not in GOING for name in names], pa.bool_())
    told = parquet.read_table(io.BytesIO(new))
    assert told.schema.equals(parquet.read_schema(io.BytesIO(content)), check_metadata=True)
    assert shown(told) == shown(table.filter(stay))
    assert raws("a.parquet", content, named(column)) == raws("a.parquet", new, named(column))
    same = [n for n in range(0, len(names), how["group"]) if not {*names[n : n + how["group"]]} & {*GOING}]
    for number in same:
        for part in chunks(content, number // how["group"]):
            assert part in new
    assert new == rewritten("a.parquet", content, named(column))


def shown(table: pa.Table) -> str:
    """Return every value, moments as whole nanoseconds and numbers that are none as equals."""
    number = table.schema.get_field_index("moment")
    return repr(table.set_column(number, "moment", table["moment"].cast(pa.int64())).to_pydict())


def chunks(content: bytes, group: int) -> list[bytes]:
    """Return the bytes of each column of a row group, by pyarrow's word."""
    told = parquet.ParquetFile(io.BytesIO(content)).metadata.row_group(group)
    found = []
    for number in range(told.num_columns):
        column = told.column(number)
        start = column.dictionary_page_offset or column.data_page_offset
        found.append(content[start : start + column.total_compressed_size])
    return found


def test_a_second_engine_reads_what_was_written(tmp_path: Any) -> None:
    names = ["anna", "carl", "dora", "bert", "emil", "anna"]
    content = written(
        table_of(names), codec="zstd", group=2, dictionary=True, statistics=True, page="1.0", index=True
    )
    new = rewritten("a.parquet", content, named(values=("anna",)))
    path = tmp_path / "a.parquet"
    path.write_bytes(new)
    rows = duckdb.sql(f"SELECT name, kind, \"in\"[1].b FROM '{path}'").fetchall()
    assert rows == [
        ("carl", "y", "carl"),
        ("dora", "x", "dora"),
        ("bert", "y", "bert"),
        ("emil", "x", "emil"),
    ]
    told = parquet.ParquetFile(path).metadata
    bounds = [told.row_group(n).column(0).statistics.min for n in range(told.num_row_groups)]
    assert bounds == ["carl", "bert", "emil"]  # no bound speaks of who is gone
    assert b"anna" not in new


def test_a_footer_is_written_as_it_was_read() -> None:
    content = written(
        table_of(["a"] * 40), codec="zstd", group=2, dictionary=True, statistics=True, page="2.0", index=True
    )
    size = int.from_bytes(content[-8:-4], "little")
    tail = content[-8 - size : -8]
    assert footer.written(footer.parsed(tail)) == tail
    for end in range(0, size - 1, 7):
        with pytest.raises(Refused, match="cannot be read"):
            footer.parsed(tail[:end])


def _refused(name: str, content: bytes, by: Rule, match: str) -> None:
    with pytest.raises(Refused, match=match):
        list(form_of(name).verdicts(io.BytesIO(content), by))
    with pytest.raises(Refused, match=match):
        rewritten(name, content, by)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.csv", "name\nä\n".encode("latin-1"), "record 2 is not UTF-8"),
        ("a.csv", "name\nx\n".encode("utf-16"), "UTF-16"),
        ("a.csv", b'name\n"a"b\n', "read in two ways"),
        ("a.csv", b'name\n"a\\"b"\n', "not closed"),
        ("a.csv", b'name,n\n5" pipe,6" pipe\n', "read in two ways"),
        ("a.csv", b'name\n"open\n', "not closed"),
        ("a.csv", b"name\rx\ry", "lone carriage return"),
        ("a.csv", b"name\nx\0y\n", "null byte"),
        ("a.csv", b"name,n\nx\n", "record 2 has 1 columns, the first one 2"),
        ("a.csv", b"name;n\nx;y\n", "0 columns 'name'"),
        ("a.csv", b"name,name\nx,y\n", "2 columns 'name'"),
        ("a.csv", gzip.compress(b"name\n", mtime=0), "does not say"),
        ("a.csv.gz", b"name\nx\n", "no such thing"),
        ("a.csv.gz", gzip.compress(gzip.compress(b"name\n", mtime=0), mtime=0), "compressed again"),
        ("a.csv.gz", gzip.compress(b"name\nx\n" * 99, mtime=0)[:-9], "broken or cut off"),
        ("a.csv.gz", gzip.compress(b"name\nx\n", mtime=0) + b"rest", "broken or cut off"),
        ("a.csv.zst", zstd.compress(b"name\nx\n" * 99)[:-5], "broken or cut off"),
        ("a.jsonl", b'{"name": "x"\n', "line 1 is no JSON"),
        ("a.jsonl", b'{"name": NaN}\n', "line 1 is no JSON"),
        ("a.jsonl", b'{}\n{"name": "x", "name": "anna"}\n', "line 2 has a name twice"),
        ("a.jsonl", b'["anna"]\n', "line 1 is no object"),
        ("a.jsonl", b'{"name": {"first": "anna"}}\n', "stands a record"),
        ("a.jsonl", '{"name": "ä"}\n'.encode("latin-1"), "line 1 is not UTF-8"),
        ("a.parquet", b"PAR1 no such thing PAR1", "cannot be read"),
        ("a.parquet", b"name\nx\n" * 9, "its end does not"),
        ("a.parquet", b"PARE" + b"x" * 20 + b"PARE", "is encrypted"),
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_refused_by_name(
    name: str, content: bytes, match: str
) -> None:
    _refused(name, content, named(), match)


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.csv.bz2", "a.parquet.gz", "csv", "a.CSV"])
def test_a_name_that_says_no_form_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="ends with none of"):
        form_of(name)


def test_several_members_and_frames_are_one_file() -> None:
    one, two = b"name\nanna\n", b"carl\nbert\n"
    by = named(values=("anna", "bert"))
    for pack in (".gz", ".zst"):
        new = rewritten(f"a.csv{pack}", PACKS[pack](one) + PACKS[pack](two), by)
        assert UNPACK[pack](new) == b"name\ncarl\n"


@pytest.mark.parametrize(
    ("condition", "goes"),
    [
        (Condition(column="n", operator="<", value=10), [2, 9]),
        (Condition(column="n", operator=">=", value=10.0), [10]),
        (Condition(column="n", operator="in", values=("2", "10.0")), [2, 10]),
        (Condition(column="n", operator="=", value="9"), [9]),
        (Condition(column="n", operator="is-null"), [None]),
        (Condition(column="day", operator="<", value="2020-01-01"), [2, 9]),
        (Condition(column="yes", operator="=", value=True), [9]),
        (Condition(column="yes", operator="in", values=("true",)), [9]),
    ],
)
def test_numbers_days_and_truths_are_compared_by_their_value_in_both_typed_forms(
    condition: Condition, goes: list[int | None]
) -> None:
    records = [
        {"n": 2, "day": "2019-01-01", "yes": False},
        {"n": 9, "day": "2019-12-31", "yes": True},
        {"n": 10, "day": "2020-01-01", "yes": False},
        {"n": None, "day": None, "yes": None},
    ]
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    table = pa.Table.from_pylist(records)
    table = table.set_column(1, "day", table["day"].cast(pa.date32()))
    out = io.BytesIO()
    parquet.write_table(table, out)
    for name, content in (("a.jsonl", lines), ("a.parquet", out.getvalue())):
        told = verdicts(name, content, rule(condition))
        assert [r["n"] for r, verdict in zip(records, told, strict=True) if verdict == "goes"] == goes


@pytest.mark.parametrize(
    ("condition", "match"),
    [
        (Condition(column="n", operator="=", value=5), "a number is compared"),
        (Condition(column="n", operator="within", within=None), "needs within|not possible"),
        (Condition(column="n", operator="=", value=True), "of another kind"),
    ],
)
def test_a_value_of_another_kind_than_the_cells_is_refused(condition: Condition, match: str) -> None:
    with pytest.raises(Refused, match=match):
        verdicts("a.csv", b"n\nfive\n", rule(condition))


def test_a_held_row_stays_and_is_told_apart() -> None:
    by = rule(
        Condition(column="name", operator="not-null"),
        held=(Condition(column="name", operator="=", value="carl"),),
    )
    assert verdicts("a.csv", b"name,n\nanna,1\ncarl,2\n,3\n", by) == ["goes", "open", "stays"]
    assert rewritten("a.csv", b"name,n\nanna,1\ncarl,2\n,3\n", by) == b"name,n\ncarl,2\n,3\n"


def test_a_selection_without_a_condition_or_of_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="has no condition"):
        rule()
    with pytest.raises(Refused, match="selects nothing"):
        Rules(Target(id="t", url="s3-rows://bucket/"), {})


@pytest.mark.parametrize("plain_footer", [True, False])
def test_encrypted_parquet_is_refused(plain_footer: bool) -> None:
    """Also where only a column is encrypted, by a key that nobody here has."""
    from pyarrow.parquet import encryption

    class Client(encryption.KmsClient):  # type: ignore[misc]
        def wrap_key(self, key: bytes, _: str) -> bytes:
            return base64.b64encode(key)

        def unwrap_key(self, wrapped: bytes, _: str) -> bytes:
            return base64.b64decode(wrapped)

    how = encryption.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["name"]}, plaintext_footer=plain_footer
    )
    factory = encryption.CryptoFactory(lambda _: Client())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
    out = io.BytesIO()
    table = pa.table({"name": ["anna"], "n": [1]})
    with parquet.ParquetWriter(out, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    _refused("a.parquet", out.getvalue(), named(), "encrypted")
    _refused("a.parquet", out.getvalue(), named("n", ("1",)), "encrypted")
