"""A data map: counted right, open until everything is attested and explained, compared, encoded."""

import tracemalloc
from collections import Counter
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from deleatur.documents.datamap import (
    Copy,
    DataMap,
    Declared,
    Difference,
    Field,
    Jurisdiction,
    People,
    Place,
    Table,
    TypeCount,
    Unread,
    decode_datamap,
    encode_datamap,
)
from deleatur.documents.plan import PublicKey
from deleatur.errors import Malformed, Refused
from deleatur.judge.activity import activity, day_of
from deleatur.judge.datamap import compare, differences, gate, left_after, open_items, part_of
from deleatur.judge.jurisdiction import code_of, jurisdictions
from deleatur.judge.people import People as Index
from deleatur.judge.people import normalised

LAW = (Jurisdiction(code="DE", reason="declared: seat"),)
DAY = date(2026, 11, 22)


def field(name: str, level: str = "internal", *types: str) -> Field:
    found = tuple(TypeCount(type=t, level="core", count=1, of=2, confidence="0.900") for t in types)
    return Field(name=name, level=level, type=types[0] if types else "other", finding=found)  # type: ignore[arg-type]


def place(name: str, *tables: Table, owner: str = "it", **more: object) -> Place:
    made = Place(id=name, url=f"file:///{name}", host="h", kind="x", identity=(("a", "b"),), owner=owner)
    return replace(made, table=tables, jurisdiction=LAW, **more)


def table(name: str, *fields: Field, records: int = 2, files: int = 0) -> Table:
    return Table(name=name, kind="table", records=records, sampled=min(records, 2), field=fields, files=files)


def datamap(*places: Place, **more: object) -> DataMap:
    return replace(
        DataMap(
            schema="deleatur/datamap/v1",
            made_at="2026-11-22T00:00:00Z",
            as_of="2026-11-22",
            people=People(rule="r", found=3, mentioned=0, complete=True),
            owner=(PublicKey(name="it", spki="eA=="), PublicKey(name="sales", spki="eQ==")),
            place=places,
        ),
        **more,
    )


PAPER = Declared(
    id="paper",
    what="three boxes",
    owner="sales",
    evidence="list.pdf",
    evidence_sha256="0" * 64,
    level="sensitive",
)


def test_a_map_comes_back_as_it_was_written() -> None:
    whole = datamap(
        place("crm", table("客户 <b>", field('e"mail\\', "sensitive", "e-mail"))),
        declared=(PAPER,),
        copy=(Copy(source="crm", to="paper", kind="export", basis="declared"),),
        difference=(
            Difference(id="d", what="w", owner="it", declared=1, found=2, explanation="two lines: ok"),
        ),
    )
    assert decode_datamap(encode_datamap(whole)) == whole


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_survives_the_file(name: str, reason: str) -> None:
    made = datamap(place("crm"), copy=(), difference=())
    made = replace(made, place=(replace(made.place[0], source=name, purpose=reason),))
    try:
        content = encode_datamap(made)
    except UnicodeEncodeError:
        assert any("\ud800" <= c <= "\udfff" for c in name + reason)
    else:
        assert decode_datamap(content) == made


def test_ten_thousand_and_five_thousand_with_1200_in_both_are_13800_people() -> None:
    index = Index(b"k" * 32)
    for n in range(10_000):
        index.add(0, [("e-mail", f"a{n}@x.example"), ("mobile-number", f"+86 154 {n:08d}")])
    for n in range(8_800, 13_800):
        index.add(1, [("mobile-number", f"154{n:08d}")])
    assert (index.count(), index.in_place(0), index.in_place(1), index.in_both(0, 1)) == (
        13_800,
        10_000,
        5_000,
        1_200,
    )
    declared = {"people": ("it", 10_000)}
    (difference,) = differences(declared, {"people": index.count()}, {}, {})
    with pytest.raises(Refused, match=r"declared 10000, found 13800.* is not explained"):
        gate(datamap(place("crm"), difference=(difference,)), {"it"})
    gate(datamap(place("crm"), difference=(replace(difference, explanation="a laptop"),)), {"it"})


def test_records_that_a_later_one_joins_are_one_person() -> None:
    index = Index(b"k" * 32)
    index.add(0, [("e-mail", "a@x.example")])
    index.add(0, [("e-mail", "b@x.example")])
    assert index.count() == 2
    index.add(1, [("e-mail", "A@X.example"), ("e-mail", "b@x.example"), ("mobile-number", "0171 2345678")])
    index.mention("mobile-number", "+49 171 2345678")
    index.mention("mobile-number", "+49 171 9999123")
    assert (index.count(), index.in_both(0, 1), index.mentioned()) == (1, 1, 1)


def test_what_texts_mention_takes_no_more_memory_than_the_index_does() -> None:
    tracemalloc.start()
    try:
        index = Index(b"k" * 32)
        for n in range(20_000):
            index.mention("e-mail", f"a{n}@x.example")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert index.mentioned() == 20_000
    assert held < 20_000 * 40  # bytes; as numbers in a set they would take twice as much


def test_an_index_that_is_full_says_so_and_the_gate_closes() -> None:
    index = Index(b"k" * 32, most=2)
    for n in range(3):
        index.add(0, [("e-mail", f"a{n}@x.example")])
    assert (index.count(), index.complete) == (2, False)
    bound = People(rule="r", found=2, mentioned=0, complete=False)
    with pytest.raises(Refused, match="could not all be counted"):
        gate(datamap(place("crm"), people=bound), {"it"})


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("e-mail", " Wang@Example.NET", "wang@example.net"),
        ("e-mail", "wang@example.net", "wang@example.net"),
        ("mobile-number", "+86 154-1234-5678", "15412345678"),
        ("mobile-number", "0086 15412345678", "8615412345678"),
        ("mobile-number", "+49 (0)171 2345678", "0171/2345678"),
        ("mobile-number", "+1 202-555-0123", "(202) 555 0123"),
        ("resident-id", "11010519491231002x", "11010519491231002X"),
        ("resident-id", "110105491231002", "11010519491231002X"),
        ("social-security-number", "666-12-3456", "666123456"),
    ],
)
def test_two_spellings_are_one_identifier(kind: str, one: str, other: str) -> None:
    assert normalised(kind, one) == normalised(kind, other) != ""


@pytest.mark.parametrize("value", ["000000000", "1", "-", "n/a", "", "11111111111"])
def test_what_people_write_where_they_have_no_number_joins_nobody(value: str) -> None:
    assert normalised("mobile-number", value) == normalised("tax-number", value) == ""


def test_active_dormant_and_undated_are_counted_by_the_rule() -> None:
    rule = activity("orders.ordered_on within 365 days", DAY)
    days = [DAY - timedelta(days=n % 730) for n in range(7300)]
    counts = Counter(rule.of(day.isoformat()) for day in days)
    assert counts == {True: 3660, False: 3640}
    totals = rule.totals(counts[True], counts[False], 5)
    assert (totals.all, totals.active, totals.dormant, totals.undated) == (7305, 3660, 3640, 5)
    assert totals.rule == "orders.ordered_on within 365 days of 2026-11-22"
    with pytest.raises(Refused, match="write the rule"):
        activity("orders of the last year", DAY)


@pytest.mark.parametrize(
    "value",
    ["2026-11-22", "2026/11/22 10:00", "22.11.2026", "2026年11月22日", 1795305600, 1795305600000, DAY],
)
def test_dates_are_read_in_the_forms_that_stores_have(value: object) -> None:
    assert day_of(value) == DAY


@pytest.mark.parametrize("value", ["", None, "soon", "2026-13-40", 7, True, 2.5])
def test_what_is_no_date_is_undated(value: object) -> None:
    assert day_of(value) is None


def test_a_country_that_nobody_knows_is_unknown() -> None:
    assert [code_of(c) for c in ("DE", "Deutschland", "德国", " usa ", "CN", "Atlantis", None, "")] == [
        "DE",
        "DE",
        "DE",
        "US",
        "CN",
        "unknown",
        "unknown",
        "unknown",
    ]
    by_column = jurisdictions({"c.country": Counter(DE=2, unknown=1)}, {})
    assert [(j.code, j.records) for j in by_column] == [("DE", 2), ("unknown", 1)]
    by_number = jurisdictions({}, {"c.id": Counter({"resident-id": 4})})
    assert [j.code for j in by_number] == ["CN", "unknown"]


OPEN = {
    "sales has not attested": {"declared": (PAPER,)},
    "is not explained": {"difference": (Difference(id="d", what="w", owner="it", declared=1, found=2),)},
    "crm has no owner": {"place": (place("crm", owner=""),)},
    "jurisdiction of crm is unknown": {
        "place": (replace(place("crm"), jurisdiction=(Jurisdiction(code="unknown", reason="r"),)),)
    },
    "jurisdiction of lap is unknown": {"place": (replace(place("lap"), jurisdiction=()),)},
}


@pytest.mark.parametrize("words", OPEN)
def test_each_open_item_alone_closes_the_gate_with_one_line(words: str) -> None:
    gate(datamap(place("crm")), {"it"})
    with pytest.raises(Refused, match=words) as caught:
        gate(datamap(**{"place": (place("crm"),), **OPEN[words]}), {"it"})  # type: ignore[arg-type]
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (4, False)


def test_what_is_declared_is_listed_for_ever_and_does_not_block() -> None:
    whole = datamap(place("crm"), declared=(replace(PAPER, state="lost"),))
    gate(whole, {"it", "sales"})
    assert [(i.kind, i.what, i.blocks) for i in open_items(whole, {"it", "sales"})] == [
        ("attested-only", "paper is lost by sales", False)
    ]


def test_things_not_read_are_a_difference_of_their_owner() -> None:
    (found,) = differences({}, {}, {"crm": 3, "lap": 0}, {"crm": "it", "lap": "it"})
    assert (found.id, found.owner, found.found, found.explanation) == ("unread-crm", "it", 3, "")


def test_deleting_only_the_database_leaves_the_copies() -> None:
    copies = (
        Copy(source="db", to="bucket", kind="backup", basis="declared"),
        Copy(source="laptop", to="bucket", kind="same-people", basis="found"),
    )
    whole = datamap(place("db"), place("bucket"), place("laptop"), place("other"), copy=copies)
    assert left_after(whole, ["db"]) == ("bucket", "laptop")
    assert left_after(whole, ["db", "bucket", "laptop"]) == ()
    with pytest.raises(Refused, match="no place 'nosuch'"):
        left_after(whole, ["nosuch"])


def test_a_later_map_tells_what_is_new_and_what_came_back() -> None:
    old = datamap(
        place("crm", table("customers", field("id"), field("note")), table("empty", records=0)),
        place("gone"),
        place("erased", state="erased"),
    )
    new = datamap(
        place(
            "crm",
            table(
                "customers",
                field("id"),
                field("note", "core", "bank-card"),
                field("mail", "sensitive", "e-mail"),
            ),
            table("empty", records=5),
            table("leads"),
        ),
        place("erased", table("t")),
        place("laptop"),
        copy=(Copy(source="crm", to="laptop", kind="same-people", basis="found", count=3),),
    )
    assert {(c.kind, c.what) for c in compare(old, new)} == {
        ("higher-level", "crm, customers, note: internal before, core now"),
        ("new-type", "crm, customers, note: bank-card"),
        ("new-column", "crm, customers, mail (e-mail, sensitive)"),
        ("came-back", "crm, empty: 5 records where there were none"),
        ("new-table", "crm, leads"),
        ("came-back", "erased was erased and holds records again"),
        ("new-table", "erased, t"),
        ("new-place", "place laptop"),
        ("not-mapped", "place gone is not in the later map"),
        ("new-copy", "crm and laptop: same-people"),
    }
    assert compare(new, new) == ()


def test_the_part_of_one_owner_changes_with_it_and_with_the_list_of_places() -> None:
    one, two = place("crm"), place("lap", owner="sales")
    part = part_of(datamap(one, two), "it")
    assert b'"lap"' in part
    assert b"file:///lap" not in part
    assert part_of(datamap(one, replace(two, purpose="x")), "it") == part
    assert part_of(datamap(replace(one, purpose="x"), two), "it") != part
    assert part_of(datamap(one), "it") != part
    with pytest.raises(Refused, match="belongs to sales"):
        part_of(datamap(one), "sales")


def test_a_map_that_contradicts_itself_is_refused() -> None:
    crooked = {
        "twice": datamap(place("crm"), place("crm")),
        "no place is called": datamap(
            place("crm"), copy=(Copy(source="x", to="crm", kind="flow", basis="found"),)
        ),
        "has a key in the map": datamap(place("crm", owner="nobody")),
        "more records sampled": datamap(place("crm", replace(table("t"), sampled=9))),
    }
    for words, document in crooked.items():
        with pytest.raises(Malformed, match=words):
            encode_datamap(document)


def test_no_field_of_the_map_can_hold_a_record() -> None:
    """What a map says of records is counts, types and names; free text is what people write."""
    texts = {name for name, kind in msgspec.structs.asdict(Unread(unit="inode-1", reason="r")).items()}
    assert texts == {"unit", "reason", "count"}
    assert {f.name for f in msgspec.structs.fields(TypeCount)} == {
        "type",
        "level",
        "count",
        "of",
        "confidence",
    }
