"""Files are read as what they are, in bounded memory, and what is not known is named."""

import io
import json
import zipfile
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.formats import Parsed, Unreadable, tables_of
from deleatur.testing.shop.xlsx import write_xlsx

NAMES = ("name", "Straße", "电话")
ROWS = (("Jürgen Groß", "Allee 1", "154"), ("Käthe Weiß", "Weg 2", "155"))
CHINESE = (("王芳", "北京市海淀区中关村大街", "154"), ("李娜", "上海市静安区南京西路", "155"))


def is_value(text: str) -> bool:
    return "@" in text or text == "王芳"


def read(content: bytes, suffix: str) -> list[tuple[Parsed, list[tuple[object, ...]]]]:
    return [(t, list(t.rows)) for t in tables_of(io.BytesIO(content), suffix, len(content), is_value)]


def text_of(rows: tuple[tuple[str, ...], ...], delimiter: str) -> str:
    return "".join(delimiter.join(row) + "\r\n" for row in rows)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("encoding", "shown", "rows"),
    [
        ("utf-8", "utf-8", ROWS),
        ("utf-8-sig", "utf-8-sig", CHINESE),
        ("utf-16", "utf-16", CHINESE),
        ("gb18030", "gb18030", CHINESE),
        ("cp1252", "cp1252", ROWS),
    ],
)
def test_a_dialect_is_found_out(
    encoding: str, shown: str, rows: tuple[tuple[str, ...], ...], delimiter: str
) -> None:
    names = NAMES if encoding != "cp1252" else ("name", "Straße", "phone")
    ((table, found),) = read(text_of((names, *rows), delimiter).encode(encoding), ".csv")
    assert table.columns == names
    assert found == [*rows]
    assert table.dialect.startswith(f"{shown}, ")
    assert table.dialect.endswith("with header")


def test_a_first_row_that_is_data_names_no_column() -> None:
    for first in (("王芳", "北京"), ("x", "a@example.org"), ("a", "13800138000"), ("same", "same")):
        ((table, found),) = read(text_of((first, ("y", "z")), ",").encode(), ".csv")
        assert table.columns == ("column-1", "column-2")
        assert found == [first, ("y", "z")]


def test_rows_of_another_width_lose_nothing() -> None:
    ((table, found),) = read(b"a,b\n1\n1,2\n" + b"1,2\n" * 60 + b"1,2,3,4\n", ".csv")
    assert table.columns == ("a", "b")
    assert found[0] == ("1", "")
    assert found[-1] == ("1", "2 3 4")


def test_a_cell_that_is_too_long_is_no_row() -> None:
    with pytest.raises(Unreadable, match="is no row"):
        read(b'a,b\n1,"' + b"x" * 200_000 + b'"\n', ".csv")


def test_json_lines_become_columns_and_a_key_that_is_data_does_not() -> None:
    lines = [{"who": {"mail": "a@b.c"}, "a@b.c": 1}, {"who": {"mail": "d@e.f", "tags": ["x", "y"]}}]
    ((table, found),) = read("\n".join(map(json.dumps, lines)).encode(), ".jsonl")
    assert table.columns == ("who.mail", "*", "who.tags", "(other keys)")
    assert found == [("a@b.c", 1, None, ""), ("d@e.f", None, "x y", "")]
    with pytest.raises(Unreadable, match="line 2 is no JSON"):
        read(b'{"a": 1}\nno\n', ".jsonl")


def test_lists_of_a_document_are_tables_and_the_rest_is_a_record() -> None:
    document = {"title": "x", "chat": {"messages": [{"from": "a", "text": "b"}] * 3}, "n": []}
    tables = read(json.dumps(document).encode(), ".json")
    assert [(t.part, t.columns[:-1], len(rows)) for t, rows in tables] == [
        ("chat.messages", ("from", "text"), 3),
        ("", ("title",), 1),
    ]
    with pytest.raises(Unreadable):
        read(b"[" * 100_000, ".json")
    with pytest.raises(Unreadable, match="deep"):
        read(b'{"a":' * 30 + b"1" + b"}" * 30, ".json")


def test_a_workbook_is_read_by_its_content(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "x", [("name", "city"), ("王芳", "北京"), ("李娜", "上海")])
    ((table, found),) = read((tmp_path / "x").read_bytes(), ".bin")
    assert (table.kind, table.part, table.columns) == ("xlsx", "sheet 1", ("name", "city"))
    assert found == [("王芳", "北京"), ("李娜", "上海")]


def workbook(sheet: bytes, strings: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/workbook.xml", b"<workbook/>")
        file.writestr("xl/worksheets/sheet1.xml", sheet)
        if strings:
            file.writestr("xl/sharedStrings.xml", strings)
    return out.getvalue()


def test_shared_texts_gaps_and_numbers_stand_in_their_cells() -> None:
    strings = b"<sst><si><t>on</t><t>e</t></si><si><r><t>two</t></r></si></sst>"
    cells = b'<c r="A1" t="s"><v>1</v></c><c r="C1"><v>4.5</v></c><c r="D1" t="s"><v>0</v></c>'
    sheet = b"<worksheet><sheetData><row>" + cells + b"</row></sheetData></worksheet>"
    ((table, found),) = read(workbook(sheet, strings), ".xlsx")
    assert found == [("two", "", "4.5", "one")]
    assert table.columns == ("column-1", "column-2", "column-3", "column-4")
    with pytest.raises(Unreadable, match="not there"):
        read(workbook(sheet.replace(b">0<", b">9<"), strings), ".xlsx")


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet>&b;</worksheet>'
    with pytest.raises(Unreadable, match="document type"):
        read(workbook(entities), ".xlsx")
    far = b'<worksheet><sheetData><row><c r="ZZZZZ1"><v>1</v></c></row></sheetData></worksheet>'
    with pytest.raises(Unreadable, match="outside"):
        read(workbook(far), ".xlsx")
    monkeypatch.setattr("deleatur.formats.workbook._LARGEST", 1 << 20)
    with pytest.raises(Unreadable, match="MiB unpacked"):
        read(workbook(b"<worksheet>" + b" " * (2 << 20) + b"</worksheet>"), ".xlsx")
    with pytest.raises(Unreadable, match="no XML"):
        read(workbook(b"<worksheet><row></worksheet>"), ".xlsx")


def mail(name: str = "") -> bytes:
    message = EmailMessage()
    message["From"] = "Wang <wang@example.net>"
    message["To"] = "sales@example.com"
    message["Subject"] = "Größe"
    message.set_content("您好,电话 154\n")
    message.add_alternative("<p>您好&amp;</p>", subtype="html")
    if name:
        message.add_attachment(b"name,city\nx,y\n", maintype="text", subtype="csv", filename=name)
    return message.as_bytes()


def test_a_mail_gives_its_parts_and_its_attachments() -> None:
    (first, rows), (second, inner) = read(mail("a.csv"), ".eml")
    assert first.columns == ("from", "to", "subject", "body", "attachments")
    assert not first.linked
    sender, to, subject, body, count = rows[0]
    assert (sender, to, subject, count) == ("Wang <wang@example.net>", "sales@example.com", "Größe", "1")
    assert "电话 154" in str(body)
    assert "您好&" in str(body)
    assert "<p>" not in str(body)
    assert (second.part, second.columns, inner) == ("attachment", ("name", "city"), [("x", "y")])


def test_a_mailbox_gives_every_mail() -> None:
    box = b"".join(b"From x Mon Nov  3 09:00:00 2025\n" + mail("b.csv" * n) + b"\n" for n in (0, 1))
    (first, rows), (second, inner) = read(box, ".mbox")
    assert (first.kind, len(rows), second.kind, inner) == ("mail", 2, "csv", [("x", "y")])


def test_cards_are_records() -> None:
    cards = (
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:王芳\r\nitem1.TEL;TYPE=CELL:+86154\r\nTEL:155\r\nEMAIL:a@b.c\r\n"
        "ADR:;;Weg 1;Köln\r\nNOTE:a long\r\n  line\r\nX-THING:z\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E7=8E=8B=\r\n=E8=8A=B3\r\nEND:VCARD\r\n"
    )
    ((table, (first, second)),) = read(cards.encode(), ".txt")
    card = dict(zip(table.columns, first, strict=True))
    assert (card["fn"], card["tel"], card["tel-2"], card["note"]) == ("王芳", "+86154", "155", "a long line")
    assert (card["adr"], card["other"]) == ("Weg 1 Köln", "z")
    assert dict(zip(table.columns, second, strict=True))["n"] == "王芳"


def test_parquet_gives_its_columns_and_types(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"name": ["x", None], "a@b.c": [1, 2]}), tmp_path / "t")
    content = (tmp_path / "t").read_bytes()
    ((table, found),) = read(content, ".dat")
    assert (table.columns, table.stored_as) == (("name", "column-2"), ("string", "int64"))
    assert found == [("x", 1), (None, 2)]
    with pytest.raises(Unreadable, match="damaged"):
        read(content[:-20] + b"x" * 20, ".parquet")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"SQLite format 3\0" + bytes(100), "SQLite database"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not read here"),
        (b"PK\3\4" + bytes(50), "no workbook"),
    ],
)
def test_what_is_not_known_is_named(content: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(content, ".csv")


def test_other_text_is_read_line_by_line() -> None:
    ((table, found),) = read("eins\n\nzwei\n".encode("utf-16"), ".md")
    assert (table.kind, table.linked, found) == ("text", False, [("eins",), ("zwei",)])
    assert read(b"", ".txt") == []


def samples() -> dict[str, bytes]:
    cell = b'<row><c r="A1"><v>1</v></c></row>'
    card = b"BEGIN:VCARD\nN;ENCODING=QUOTED-PRINTABLE:=E7=8E=\n=8B\nEND:VCARD\n"
    return {
        ".xlsx": workbook(b"<worksheet><sheetData>" + cell + b"</sheetData></worksheet>"),
        ".csv": 'a;"b"\n1;"x\n2"\n王;芳\n'.encode("gb18030"),
        ".json": b'{"a": [{"b": 1}], "c": {"d": "\\ud800"}}',
        ".jsonl": b'{"a": 1}\n[2]\n"x"\n',
        ".eml": mail("a.json"),
        ".mbox": b"From x\n" + mail("a.csv"),
        ".vcf": card,
        ".txt": "text\n".encode("utf-16"),
    }


@pytest.mark.parametrize("suffix", samples())
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_by_name(suffix: str, data: st.DataObject) -> None:
    content = bytearray(samples()[suffix])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        content = content or bytearray(b" ")
    with suppress(Unreadable):
        for table, rows in read(bytes(content), suffix):
            assert all(len(row) == len(table.columns) for row in rows)
