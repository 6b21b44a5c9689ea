"""Fifty and more ways in which an original gets into an archive, each caught; a clean archive passes."""

import base64
import codecs
import gzip
import io
import json
import quopri
import zlib
from collections.abc import Callable
from email.header import Header
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from pyarrow import parquet

from deleatur.archive.hidden import check_hidden
from deleatur.archive.leaks import LeakSearch
from deleatur.archive.tables import to_parquet
from deleatur.desensitize.redaction import redacted
from deleatur.documents.detection import Detector, Span, TypeInfo
from deleatur.documents.job import Rule
from deleatur.errors import Refused

KEY = bytes(range(7, 39))
NAME, LATIN = "欧阳雪梅", "Friederike Maßmann"
PHONE, CARD, RESIDENT = "+8613912345678", "4000000000000002", "110101199003071233"
MAIL, IBAN, LOGIN = "f.massmann@example.org", "DE89370400440532013000", "rose.tree.77"
ORIGINALS: dict[str, list[Any]] = {
    "name": [NAME, LATIN, "Otto Normal", "李四光"],
    "phone": [PHONE, "+49 171 3920012", "+49 171 3920013", "+8613812340000"],
    "card": [CARD, "5555555555554444", "4111111111111111", "6255555555555558"],
    "resident": [RESIDENT, None, None, "11010119901010555X"],
    "mail": ["xuemei@example.com", MAIL, "otto@example.net", "si@example.com"],
    "iban": [None, IBAN, None, None],
    "login": ["snow-plum-1988", LOGIN, "otto.normal.5", "light-four-4"],
    "born": ["1990-03-07", "1961-12-24", "1974-08-02", "1983-05-30"],
}
PROTECTED = {name: Rule(rule="drop") for name in ORIGINALS}
NOTES = ["ok", "sent", "paid in full", "returned"]


def spaced(value: str, mark: str, size: int = 4) -> str:
    return mark.join(value[n : n + size] for n in range(0, len(value), size))


def wide(value: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)


def b64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


TEXTS: dict[str, str | bytes] = {  # what a kept column would carry in one row
    "identifier in its own row's text": f"Anruf {PHONE} erledigt",
    "identifier in another row's text": "called +49 171 3920013 twice",
    "name in a sentence": f"亲爱的{NAME}您好",
    "Latin name in a sentence": f"spoke with {LATIN} today",
    "name in capitals": f"spoke with {LATIN.upper()} today",
    "name in swapped case": f"spoke with {LATIN.swapcase()} today",
    "name without its space": "user FriederikeMaßmann logged in",
    "name with dots": "user Friederike.Maßmann logged in",
    "name with underscores": "user friederike_maßmann logged in",
    "full-width digits": f"tel {wide('13912345678')} x",
    "full-width card": f"card {wide(CARD)}",
    "card with spaces": f"card {spaced(CARD, ' ')} charged",
    "card with dashes": f"card {spaced(CARD, '-')} charged",
    "phone with dots": "mobil 0171.392.0012 angerufen, +49.171.3920012",
    "IBAN in groups": f"Konto {spaced(IBAN, ' ')} belastet",
    "IBAN in small letters": f"konto {IBAN.lower()} belastet",
    "resident ID in groups": "证件 110101 19900307 1233",
    "login name in capitals": f"seen {LOGIN.upper()} at the door",
    "zero-width characters": "login r\u200bose.tree.7\u200b7 was seen",
    "numerals as words": "卡号 四零零零零零零零零零零零零零零二",
    "base64": f"payload {b64(LATIN)}",
    "base64 for URLs": f"u={base64.urlsafe_b64encode(NAME.encode()).decode().rstrip('=')}",
    "base64 twice": f"payload {b64(b64(LOGIN))}",
    "base32": f"code {base64.b32encode(LOGIN.encode()).decode()}",
    "hexadecimal": f"raw {LOGIN.encode().hex()}",
    "hexadecimal with colons": "raw " + LOGIN.encode().hex(":"),
    "hexadecimal in capitals": f"raw {NAME.encode().hex().upper()}",
    "percent code": f"/search?q={quote(NAME)}",
    "percent code of a mail address": f"/u/{quote(MAIL, safe='')}/x",
    "HTML entities": "hello " + "".join(f"&#{ord(c)};" for c in NAME),
    "HTML entities, hexadecimal": "hello " + "".join(f"&#x{ord(c):x};" for c in LATIN),
    "JSON escapes": json.dumps({"n": NAME}),
    "nested JSON": json.dumps({"a": [{"b": json.dumps({"c": NAME})}]}),
    "JSON key": json.dumps({LOGIN: 1}),
    "XML attribute": f'<p login="{LOGIN}"/>',
    "CSV in a cell": f"1;{LOGIN};x",
    "quoted-printable": quopri.encodestring(LATIN.encode()).decode(),
    "MIME header in base64": f"To: {Header(LATIN, 'utf-8').encode()}",
    "MIME header in Q code": "To: =?utf-8?q?Friederike_Ma=C3=9Fmann?=",
    "mail header in clear": f"From: Somebody <{MAIL}>",
    "file path": f"C:\\Users\\{LOGIN}\\mail.pst",
    "user of a URL": f"https://{LOGIN}:x@example.com/",
    "backwards": LOGIN[::-1] + " was here",
    "name backwards": f"<{LATIN[::-1]}>",
    "ROT13": codecs.encode(f"seen {LOGIN} here", "rot13"),
    "UTF-7": LATIN.encode("utf-7").decode(),
    "UTF-16LE": LATIN.encode("utf-16-le"),
    "UTF-16BE": b"\xfe\xff" + LATIN.encode("utf-16-be"),
    "UTF-16LE at an odd byte": b"\xff" + NAME.encode("utf-16-le"),
    "UTF-32": LATIN.encode("utf-32-le"),
    "GBK": "客户".encode("gbk") + NAME.encode("gbk"),
    "GB 18030 before other bytes": NAME.encode("gb18030") + b"\xff",
    "Latin-1": LATIN.encode("latin-1"),
    "EBCDIC": LOGIN.encode("cp037"),
    "gzip": gzip.compress(LATIN.encode() * 3),
    "zlib in the middle": b"\x00\x01" + zlib.compress(LATIN.encode() * 3),
    "gzip in base64": base64.b64encode(gzip.compress(f"name={LATIN}".encode() * 2)).decode(),
    "bytes of UTF-8 among others": b"\xff\xfe\x00" + LOGIN.encode() + b"\xff",
    "somebody else's card": "pay with 4242424242424242 please",
    "somebody else's resident ID": "身份证330114198503095176请核对",
    "somebody else's mail address": "write to nobody.else@example.net please",
    "a password": "my password is hunter2hunter2",
    "a private key": "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
    "the token key": f"k {KEY.hex()}",
    "the token key in base64": "k " + base64.b64encode(KEY).decode(),
    "the token key as bytes": b"\x01" + KEY,
}


def search(
    rules: dict[str, Rule], originals: dict[str, list[Any]], detectors: tuple[Detector, ...] = ()
) -> LeakSearch:
    found = LeakSearch({"people": rules}, KEY, detectors)
    found.learn("people", {name: pa.array(values) for name, values in originals.items()})
    found.settle()
    return found


def kept(values: list[Any], rule: str = "keep") -> tuple[dict[str, Rule], dict[str, list[Any]], pa.Table]:
    rules = {**PROTECTED, "note": Rule(rule=rule)}
    return rules, {**ORIGINALS, "note": values}, pa.table({"note": values})


@pytest.mark.parametrize("kind", TEXTS)
def test_each_kind_is_caught_in_a_kept_column_and_named_by_column_alone(kind: str) -> None:
    value = TEXTS[kind]
    others = [note if isinstance(value, str) else note.encode() for note in NOTES[1:]]
    rules, originals, table = kept([value, *others])
    with pytest.raises(Refused, match=r"archive: column people\.note would carry") as refusal:
        search(rules, originals).clear("people", {n: pa.array(v) for n, v in originals.items()}, table)
    for values in ORIGINALS.values():
        assert not any(v in str(refusal.value) for v in values if v)


@pytest.mark.parametrize(
    "kind", [kind for kind, value in TEXTS.items() if isinstance(value, str) and "else" not in kind]
)
def test_in_redacted_text_it_gives_way(kind: str) -> None:
    rules, originals, _ = kept([TEXTS[kind], *NOTES[1:]], "redact")
    table = pa.table({"note": redacted(pa.array(originals["note"]), ())})
    cleared = search(rules, originals).clear("people", {n: pa.array(v) for n, v in originals.items()}, table)
    again, other, _ = kept(cleared.column("note").to_pylist())
    search(again, other).clear("people", {n: pa.array(v) for n, v in other.items()}, cleared)


DOCUMENTS: dict[str, str] = {
    "README": f"Archive of the customers of {LATIN}",
    "BagIt tag file": f"External-Description: export for {PHONE}\n",
    "lineage": json.dumps({"source": f"/home/{LOGIN}"}),
    "risk report": f"worst group: born 1990, card {CARD}",
    "column name": f'{{"name": "{LATIN}"}}',
    "column name of a shape": '{"name": "4242424242424242"}',
    "token key in the rules": json.dumps({"key": KEY.hex()}),
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_each_document_of_the_package_is_looked_at(kind: str) -> None:
    rules, originals, _ = kept(NOTES)
    with pytest.raises(Refused, match=r"archive: data/x.json would carry"):
        search(rules, originals).check_document("data/x.json", DOCUMENTS[kind].encode())


def described(table: pa.Table) -> bytes:
    return to_parquet(table.replace_schema_metadata({"comment": LATIN}))


def described_field(table: pa.Table) -> bytes:
    field = pa.field("note", pa.string(), metadata={"comment": LATIN})
    return to_parquet(table.cast(pa.schema([field])))


def unused_word(table: pa.Table) -> bytes:
    words = pa.DictionaryArray.from_arrays([1, 1, 1, 1], [LATIN, "ok"])
    out = io.BytesIO()
    parquet.write_table(pa.table({"note": words}), out, store_schema=False)
    return out.getvalue()


def statistics_of_others(table: pa.Table) -> bytes:
    """Return a file whose statistics name a value that its rows do not have."""
    out = io.BytesIO()
    parquet.write_table(
        pa.table({"note": ["zz-otto", "zz-otto", "zz-otto", "zz-otto"]}),
        out,
        use_dictionary=False,
        compression="none",
    )
    content = out.getvalue()
    return content.replace(b"\x07\x00\x00\x00zz-otto", b"\x07\x00\x00\x00zz-okay")  # as rows stand there


@pytest.mark.parametrize("plant", [described, described_field, unused_word, statistics_of_others])
def test_a_parquet_file_holds_no_more_than_its_rows(plant: Callable[[pa.Table], bytes]) -> None:
    table = pa.table({"note": ["ok", "ok", "ok", "ok"]})
    check_hidden("people", to_parquet(table), table)
    with pytest.raises(Refused):
        check_hidden("people", plant(table), table)


def test_a_date_of_birth_in_three_columns_is_caught() -> None:
    days = [tuple(map(int, str(value).split("-"))) for value in ORIGINALS["born"]]
    columns = {name: [day[n] for day in days] for n, name in enumerate(("y", "m", "d"))}
    rules = {**PROTECTED, **dict.fromkeys(columns, Rule(rule="keep"))}
    originals = {**ORIGINALS, **{n: list(map(str, v)) for n, v in columns.items()}}
    arrays = {n: pa.array(v) for n, v in originals.items()}
    with pytest.raises(Refused, match="columns y, m, d of people together are the protected dates of born"):
        search(rules, originals).clear("people", arrays, pa.table(columns))
    generalised = pa.table({**columns, "d": [1, 1, 1, 1]})
    search(rules, originals).clear("people", arrays, generalised)


def test_a_plugin_s_type_is_caught() -> None:
    def find(text: str) -> list[Span]:
        place = text.find("ACME-")
        return [Span(place, place + 9, "acme-member", None, 1.0)] if place >= 0 else []

    detector = Detector(
        type="acme-member", info=TypeInfo(title="member", level="core", source="ours"), find=find
    )
    rules, originals, table = kept(["member ACME-1234 called twice", *NOTES[1:]])
    arrays = {n: pa.array(v) for n, v in originals.items()}
    search(rules, originals).clear("people", arrays, table)
    with pytest.raises(Refused, match="acme-member"):
        search(rules, originals, (detector,)).clear("people", arrays, table)


def test_a_clean_archive_passes() -> None:
    clean = [
        "paid in full",
        "Order 2026-0042 shipped, 3 parcels",
        "七天内退货",
        "see §12 (b); total 1.234,56 €",
    ]
    rules, originals, table = kept(clean)
    found = search(rules, originals)
    assert found.clear("people", {n: pa.array(v) for n, v in originals.items()}, table).equals(table)
    found.check_document("README.txt", b"Open with age, tar and sha256sum. Retention until 2036-12-31.")
    assert found.report().found == 0


def test_what_is_random_names_nobody() -> None:
    clean = [
        "13812345678" + "ab" * 16,
        "order 13812345-1381-4234-8567-138123456789 sent",
        "to age1" + "q13812345678" * 4,
        "x",
    ]
    rules, originals, table = kept(clean)
    found = search(rules, originals)
    found.clear("people", {n: pa.array(v) for n, v in originals.items()}, table)
    found.check_document("challenge.txt", ("13812345678" + "0f" * 20).encode())
    found.check_document("data/leak-scan.json", b'{\n "searched": 13812345678,\n "found": 0\n}')


NUMBERS = [
    "624128",
    "1000017",
    "100000010",
    "205612",
    "20561231",
]  # of customers: a million of them, of six to nine digits


def test_the_number_of_a_customer_stands_in_a_digest_or_a_day_by_chance_and_nowhere_else() -> None:
    digest = f"e{'a'.join(NUMBERS[:2])}b" + "0f" * 24
    found = search({"id": Rule(rule="keyed-hash")}, {"id": NUMBERS})
    found.check_document("challenge.txt", digest.encode())
    found.check_document("bag-info.txt", f"Deleatur-Plan-SHA256: {digest}\n".encode())
    found.check_document("README.txt", b"Keep until 2056-12-31; then destroy the keys and every copy.")
    hidden = f"x{NUMBERS[2]}a" + "0f" * 20
    for text in (f"customer {NUMBERS[0]}", "till 2056-12-31, 205612", f"{digest} {NUMBERS[1]}", hidden):
        with pytest.raises(Refused, match=r"README.txt would carry an original value of people\.id"):
            found.check_document("README.txt", text.encode())


def test_there_are_fifty_kinds() -> None:
    assert len(TEXTS) + len(DOCUMENTS) + 5 >= 50
