"""A salesperson's folder, as it grows on a laptop: exports, spreadsheets, mails, contacts, notes."""

import csv
import io
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from deleatur.testing.shop.people import Person
from deleatur.testing.shop.xlsx import write_xlsx

_COLUMNS = ("name", "id_number", "phone", "email", "card", "address")
_MAILS = 12  # customers of each country whose mails, contacts and chats were kept


def write_files(folder: Path, customers: list[Person]) -> None:
    """Write the folder; file names are in Chinese, German and English, some of them are nested."""
    for name in ("客户/聊天记录", "Umsätze/alt/Sicherung", "mail", "Kontakte"):
        (folder / name).mkdir(parents=True)
    by_country = {c: [p for p in customers if p.country == c] for c in ("CN", "DE", "US")}
    _write_csv(folder / "客户/客户名单_2025年.csv", by_country["CN"], ",", "utf-8-sig")
    _write_csv(folder / "Umsätze/Kundenliste Köln & Umgebung.csv", by_country["DE"], ";", "utf-8")
    _write_csv(folder / "us_export (final) v2.csv", by_country["US"], ",", "utf-8")
    _write_csv(folder / "Umsätze/alt/Sicherung/alle_kunden_backup.csv", customers, "\t", "utf-8")
    write_xlsx(folder / "Umsätze/Übersicht Q3.xlsx", map(_row, by_country["DE"]))
    write_xlsx(folder / "客户/重点客户.xlsx", map(_row, by_country["CN"]))
    chosen = [person for people in by_country.values() for person in people[:_MAILS]]
    for person in chosen:
        (folder / f"mail/{person.number:05d}.eml").write_bytes(_mail(person))
    cards = "".join(map(_vcard, chosen))
    (folder / "Kontakte/contacts.vcf").write_text(cards, "utf-8", newline="")
    chats = "".join(f"[{p.name}] 我的电话是{p.phone},地址{p.address}\n" for p in by_country["CN"][:_MAILS])
    (folder / "客户/聊天记录/2025-11.txt").write_text(chats, "utf-8")
    notes = "".join(f"- {p.name} zurückrufen: {p.phone}\n" for p in by_country["DE"][:_MAILS])
    (folder / "Notizen für Montag.txt").write_text(notes, "utf-8")


def _row(person: Person) -> list[str]:
    return [str(getattr(person, column)) for column in _COLUMNS]


def _write_csv(path: Path, people: list[Person], delimiter: str, encoding: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(_COLUMNS)
    writer.writerows(map(_row, people))
    path.write_text(out.getvalue(), encoding, newline="")


def _mail(person: Person) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f'"Customer {person.number}" <{person.email}>'
    mail["To"] = "sales@shop.example"
    mail["Date"] = "Mon, 03 Nov 2025 09:00:00 +0000"
    mail["Subject"] = f"Order {person.number}"
    text = f"{person.name}\n{person.address}\n{person.phone}\n\nCard: {person.card}\n"
    mail.set_content(text, charset="utf-8", cte="8bit")
    return mail.as_bytes()


def _vcard(person: Person) -> str:
    lines = (
        "BEGIN:VCARD",
        "VERSION:4.0",
        f"FN:{person.name}",
        f"TEL:{person.phone}",
        f"EMAIL:{person.email}",
        "END:VCARD",
    )
    return "".join(f"{line}\r\n" for line in lines)
