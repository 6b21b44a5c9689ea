"""The words of a person's package, in English, German and Chinese."""

README = """\
EN  This package holds the records that we have of you: every record that the stores named in it hold,
    and nobody else's. It is not encrypted: keep it where only you can read it.
    Open index.html in a browser; it needs no network. In data/ each table stands twice: as CSV for a
    spreadsheet (UTF-8; a text that a spreadsheet would run as a formula has ' before it) and as JSON,
    exactly as stored. data/export.json says where each record came from, what for, of which kind it is,
    who else received it, and what is not in the package.
    Whether a file is as it was made:   sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt

DE  Dieses Paket enthält die Datensätze, die wir über Sie gespeichert haben: alle aus den darin genannten
    Beständen, und keine anderer Personen. Es ist nicht verschlüsselt: bewahren Sie es dort auf, wo nur
    Sie es lesen können.
    Öffnen Sie index.html in einem Browser; ein Netz wird nicht gebraucht. In data/ steht jede Tabelle
    zweimal: als CSV für eine Tabellenkalkulation (UTF-8; vor einem Text, den sie als Formel ausführen
    würde, steht ') und als JSON, genau wie gespeichert. data/export.json nennt Herkunft, Zweck, Art und
    Empfänger, und was nicht im Paket ist.
    Ob eine Datei noch so ist, wie sie war:   sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt

中文 本包含有我们保存的关于您的全部记录(来自包中所列的各数据存放处),不含他人的记录。
    本包未加密:请存放在只有您能读取的地方。
    用浏览器打开 index.html 即可阅读,无需联网。data/ 中每张表有两份:CSV 供电子表格使用
    (UTF-8;会被当作公式执行的文本前加了 '),JSON 与存储内容完全一致。data/export.json 说明
    每条记录的来源、目的、类别、接收方,以及未包含在包中的内容。
    检查文件是否未被改动:   sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt
"""
TITLE = "Your data · Ihre Daten · 您的数据"
COLLECTED = (
    "What is held, where from and what for · Was gespeichert ist, woher und wozu · 保存了什么、来源与目的"
)
ELSEWHERE = "Not in this package · Nicht in diesem Paket · 未包含在本包中"
LIMITS = "Limits · Grenzen · 限制"
RECORDS = "records · Datensätze · 条记录"
HEADS = (
    "place · Ort · 存放处",
    "table · Tabelle · 表",
    "records · Datensätze · 记录数",
    "categories · Kategorien · 类别",
    "source · Herkunft · 来源",
    "purpose · Zweck · 目的",
    "recipients, copies · Empfänger, Kopien · 接收方与副本",
    "law · Recht · 适用法律",
)
ELSEWHERE_HEADS = ("where · wo · 位置", "what · was · 内容", "count · Anzahl · 数量")
