"""The README.txt of every package: how to open it with age, tar and sha256sum alone, in three languages."""

from deleatur.documents.job import Custodian, Custody

_TEXT = """\
{title}

EN  This package holds records that must be kept, desensitized. It is a BagIt 1.0 bag (RFC 8493) in a
    tar file, encrypted with age (https://age-encryption.org/v1). Each of these custodians opens it:
    {custodians_en}
    To open it, with a custodian's key file:

        age -d -i KEYFILE {file} | tar x
        cd {bag} && sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt

    Shares are words after SLIP-39. Enough of them give 32 bytes, and these in Bech32 with the prefix
    AGE-SECRET-KEY- are the key file: `deleatur custody join`, or any program for SLIP-39 and Bech32.
    Each table is in data/tables twice, in parts: as CSV (UTF-8, first line names, empty = no value,
    "" = empty text) and as Parquet. data/schema.json says what each column is, data/rules.json what
    was done to it, data/risk.html, if there, how far rows can still be told apart.
    Keep until {until}; then destroy the keys and every copy.
    Last four digits stand in a package of their own, whose name ends in +last-four, for custodians of
    its own. Rows with the same last-four-row in tables of the same name are the same row.

DE  Dieses Paket enthält aufbewahrungspflichtige Datensätze in entpersönlichter Form. Es ist ein
    BagIt-1.0-Paket (RFC 8493) in einer tar-Datei, mit age verschlüsselt. Jede dieser Stellen öffnet es:
    {custodians_de}
    Öffnen, mit der Schlüsseldatei einer verwahrenden Stelle:

        age -d -i SCHLÜSSELDATEI {file} | tar x
        cd {bag} && sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt

    Anteile sind Wörter nach SLIP-39. Genügend viele ergeben 32 Bytes, und diese in Bech32 mit dem
    Präfix AGE-SECRET-KEY- die Schlüsseldatei: `deleatur custody join` oder jedes Programm für beides.
    Jede Tabelle steht zweimal, in Teilen, in data/tables: als CSV (UTF-8, erste Zeile Namen,
    leer = kein Wert, "" = leerer Text) und als Parquet. data/schema.json beschreibt die Spalten,
    data/rules.json, was mit ihnen geschah, data/risk.html, wenn vorhanden, wie weit sich Zeilen noch
    unterscheiden lassen. Aufbewahren bis {until}; danach die Schlüssel und alle Kopien vernichten.
    Die letzten vier Ziffern stehen in einem eigenen Paket, dessen Name auf +last-four endet, für
    eigene verwahrende Stellen. Zeilen mit gleichem last-four-row in Tabellen gleichen Namens sind
    dieselbe Zeile.

中文 本归档包保存依法须保留的记录,已作脱敏处理。格式为 tar 文件中的 BagIt 1.0(RFC 8493),
    用 age 加密。下列任一保管人均可打开:
    {custodians_zh}
    使用保管人的密钥文件打开:

        age -d -i 密钥文件 {file} | tar x
        cd {bag} && sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt

    份额为 SLIP-39 助记词;足够份额可还原 32 字节,以 Bech32 编码并加前缀 AGE-SECRET-KEY- 即为密钥文件:
    使用 `deleatur custody join`,或任何支持 SLIP-39 与 Bech32 的程序。
    每张表在 data/tables 中有两份(分段):CSV(UTF-8,首行为列名,空 = 无值,"" = 空文本)和 Parquet。
    data/schema.json 说明各列,data/rules.json 说明各列所用的规则。
    data/risk.html(如有)显示各行仍可被区分的程度。
    保存至 {until};到期后销毁密钥和所有副本。
    号码后四位单独存放于名称以 +last-four 结尾的归档包,由另行指定的保管人打开;
    同名表中 last-four-row 相同的行即为同一行。
"""
_OUTSIDE = """\
{text}
------------------------------------------------------------------------------------------------
EN  Before you open it, without any key: is it the file that was sealed, and who says so?
DE  Vor dem Öffnen, ohne Schlüssel: Ist es die versiegelte Datei, und wer sagt das?
中文 打开之前,无需密钥即可核对文件是否为原封存文件、由谁签名:

        sha256sum -c {stem}.sha256
        {verify}

EN  Compare agent.pub with the key that you were told: what lies here proves nothing about itself.
DE  agent.pub mit dem Schlüssel vergleichen, der Ihnen genannt wurde: Was hier liegt, beweist sich nicht
中文 请将 agent.pub 与另行告知的公钥核对:此处的文件不能自证。
"""
_OPENS = {
    "en": ("{name} (alone)", "{name} ({needed} of {of} shares)"),
    "de": ("{name} (allein)", "{name} ({needed} von {of} Anteilen)"),
    "zh": ("{name}(单独)", "{name}({of} 份中的 {needed} 份)"),
}


def readme(*, title: str, file: str, bag: str, custody: Custody) -> str:
    """Return the text inside the package; all arguments are names, none comes from the records."""
    who = {
        f"custodians_{language}": ", ".join(_opens(c, *forms) for c in custody.custodian)
        for language, forms in _OPENS.items()
    }
    return _TEXT.format(title=title, file=file, bag=bag, until=custody.retain_until, **who)


def readme_outside(text: str, *, stem: str, verify: str) -> str:
    """Return the text beside the package: the same, and how to check the signature first."""
    return _OUTSIDE.format(text=text, stem=stem, verify=verify)


def _opens(custodian: Custodian, alone: str, shared: str) -> str:
    if custodian.shares is None:
        return alone.format(name=custodian.name)
    return shared.format(name=custodian.name, needed=custodian.shares.needed, of=custodian.shares.of)
