"""The printed sheet of an archive: one page from which somebody outside opens it, in three languages.

Paper outlives the company: what is needed, the commands as they are typed, and room for what only
people know. Self-contained HTML, no script, no network; every indented command is run as it stands by our
own tests. It holds names and digests, no record and no key.
"""

from collections.abc import Iterator
from hashlib import sha256
from html import escape

from deleatur.archive.beside import KEY_FILE, Facts, signature_command, stem_of

_STYLE = """\
@page{size:A4;margin:11mm}
body{font:9.5pt/1.3 sans-serif;max-width:188mm;margin:0 auto;color:#000}
h1{font-size:14pt;margin:0 0 2mm}h2{font-size:10.5pt;margin:2.5mm 0 .5mm}p{margin:.5mm 0}
pre{font:9pt/1.35 monospace;margin:1mm 0 1mm 6mm;white-space:pre-wrap;overflow-wrap:anywhere}
table{border-collapse:collapse;width:188mm}td{border:1px solid #666;padding:.8mm 2mm;overflow-wrap:anywhere}
td:first-child{width:52mm}.by-hand td{height:6mm}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_TITLE = "How to open this archive · So wird dieses Archiv geöffnet · 如何打开本归档"
_NEEDED = (
    "Any Linux computer with age, tar, sha256sum and openssl; the medium with the files named below; the key "
    "file of one custodian, saved as key.txt in the same folder.",
    "Ein Linux-Rechner mit age, tar, sha256sum und openssl; der Datenträger mit den genannten Dateien; die "
    "Schlüsseldatei einer verwahrenden Stelle, als key.txt im selben Ordner.",
    "任一装有 age、tar、sha256sum、openssl 的 Linux 电脑;存有下列文件的介质;"
    "任一保管人的密钥文件,以 key.txt 保存于同一文件夹。",
)
_SHARES = (
    "If the key is shared: enough shares (words after SLIP-39) give 32 bytes; these in Bech32 with the "
    "prefix AGE-SECRET-KEY- are key.txt. Any programs for SLIP-39 and Bech32 do it.",
    "Geteilter Schlüssel: Genügend Anteile (Wörter nach SLIP-39) ergeben 32 Bytes; in Bech32 mit dem Präfix "
    "AGE-SECRET-KEY- sind sie key.txt.",
    "密钥如为分份保管:足够份额(SLIP-39 助记词)还原 32 字节,"
    "以 Bech32 编码并加前缀 AGE-SECRET-KEY- 即为 key.txt。",
)
_SAME = (
    "1. Is it the file that was sealed? Compare the last two lines with the digests on this sheet.",
    "Ist es die versiegelte Datei? Die letzten zwei Zeilen mit den Prüfsummen auf diesem Blatt vergleichen.",
    "是否为原封存文件?请将最后两行与本页的摘要核对。",
)
_OPEN = ("2. Open it.", "Öffnen.", "打开。")
_WHOLE = (
    "3. Is it whole? Every line ends in OK.",
    "Ist alles da? Jede Zeile endet auf OK.",
    "是否完整?每行应以 OK 结尾。",
)
_READ = (
    "4. Read: data/tables has each table as CSV, data/schema.json says what the columns are. On the last "
    "day destroy the keys and every copy.",
    "Lesen: data/tables enthält jede Tabelle als CSV, data/schema.json erklärt die Spalten. Am letzten Tag "
    "die Schlüssel und alle Kopien vernichten.",
    "阅读:data/tables 内各表为 CSV,data/schema.json 说明各列。到期日销毁密钥和所有副本。",
)
_BY_HAND = (
    "Where the media are · Orte der Datenträger · 介质所在",
    "Who has the keys · Wer die Schlüssel hat · 密钥持有人",
    "Whom to ask · Auskunft · 联系人",
    "Printed on, by · Gedruckt am, von · 打印日期、人员",
)


def sheet(told: Facts, pem: bytes) -> str:
    """Return the page of one archive; `pem` is the public key of the agent that sealed it."""
    stem = stem_of(told.file)
    shared = any(keeper.opens != "alone" for keeper in told.custodians)
    return "\n".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{escape(told.file)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>",
            f"<h1>{_TITLE}</h1>",
            *_table(_facts(told, pem)),
            *_said(_NEEDED),
            *(_said(_SHARES) if shared else ()),
            *_step(_SAME, f"sha256sum -c {stem}.sha256", signature_command(stem, pem), *_digests(told)),
            *_step(_OPEN, f"age -d -i key.txt {told.file} | tar x"),
            *_step(_WHOLE, f"cd {stem}", "sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt"),
            *_step(_READ, "ls data/tables"),
            *_table(((line, "") for line in _BY_HAND), "by-hand"),
            "</body>\n</html>\n",
        )
    )


def _digests(told: Facts) -> tuple[str, ...]:
    return (f"sha256sum {KEY_FILE}", f"sha256sum {told.file}")


def _facts(told: Facts, pem: bytes) -> Iterator[tuple[str, str]]:
    who = ", ".join(f"{keeper.name} ({keeper.opens})" for keeper in told.custodians)
    tables = ", ".join(f"{table.table}: {table.rows}" for table in told.tables)
    yield "Archive · Archiv · 归档", f"{told.file}, {told.size} bytes"
    yield f"SHA-256 {told.file}", told.sha256
    yield f"SHA-256 {KEY_FILE}", sha256(pem).hexdigest()
    yield "Opened by · Öffnet · 可打开者", who
    yield "Rows · Zeilen · 行数", tables
    yield "Last day · Letzter Tag · 到期日", told.retain_until


def _table(rows: Iterator[tuple[str, str]], kind: str = "facts") -> Iterator[str]:
    yield f'<table class="{kind}">'
    yield from (f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    yield "</table>"


def _step(said: tuple[str, str, str], *commands: str) -> Iterator[str]:
    first, *others = said
    yield f"<h2>{escape(first)}</h2>"
    yield from _said(("", *others))
    yield f"<pre>{escape(chr(10).join(commands))}</pre>"


def _said(said: tuple[str, ...]) -> Iterator[str]:
    for code, text in zip(("en", "de", "zh"), said, strict=True):
        if text:
            yield f'<p lang="{code}">{escape(text)}</p>'
