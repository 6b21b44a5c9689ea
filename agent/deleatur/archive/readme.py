"""The README.txt of every package: how to open it with age, tar and sha256sum alone, in three languages."""

from deleatur.documents.job import Custodian

_TEXT = """\
{title}

EN  This package holds records that must be kept, desensitized. It is a BagIt 1.0 bag (RFC 8493) in a
    tar file, encrypted with age (https://age-encryption.org/v1) to the custodian {custodian}.
    To open it, with the custodian's key file:

        age -d -i KEYFILE {file} | tar x
        cd {bag} && sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt

    Each table is in data/tables twice, in parts: as CSV (UTF-8, first line names, empty = no value,
    "" = empty text) and as Parquet. data/schema.json says what each column is, data/rules.json what
    was done to it. Keep until {until}; then destroy the key and every copy.

DE  Dieses Paket enthält aufbewahrungspflichtige Datensätze in entpersönlichter Form. Es ist ein
    BagIt-1.0-Paket (RFC 8493) in einer tar-Datei, mit age für {custodian} verschlüsselt.
    Öffnen, mit der Schlüsseldatei der verwahrenden Stelle:

        age -d -i SCHLÜSSELDATEI {file} | tar x
        cd {bag} && sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt

    Jede Tabelle steht zweimal, in Teilen, in data/tables: als CSV (UTF-8, erste Zeile Namen,
    leer = kein Wert, "" = leerer Text) und als Parquet. data/schema.json beschreibt die Spalten,
    data/rules.json, was mit ihnen geschah. Aufbewahren bis {until}; danach den Schlüssel und alle
    Kopien vernichten.

中文 本归档包保存依法须保留的记录,已作脱敏处理。格式为 tar 文件中的 BagIt 1.0(RFC 8493),
    用 age 加密,保管人:{custodian}。使用保管人的密钥文件打开:

        age -d -i 密钥文件 {file} | tar x
        cd {bag} && sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt

    每张表在 data/tables 中有两份(分段):CSV(UTF-8,首行为列名,空 = 无值,"" = 空文本)和 Parquet。
    data/schema.json 说明各列,data/rules.json 说明各列所用的规则。
    保存至 {until};到期后销毁密钥和所有副本。
"""


def readme(*, title: str, file: str, bag: str, custodian: Custodian) -> str:
    """Return the text; all four arguments are names, none comes from the records."""
    return _TEXT.format(
        title=title, file=file, bag=bag, custodian=custodian.name, until=custodian.retain_until
    )
