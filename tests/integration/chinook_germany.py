"""One country leaves Chinook, whatever the store: the job, the rows that go, and where a value stands."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from deleatur.testing.keepers import keepers_text

Spell = Callable[[str], str]
_DROPPED = (
    "FirstName", "LastName", "Company", "Address", "City", "State", "PostalCode", "Phone", "Fax", "Email",
)  # fmt: skip


def as_it_is(name: str) -> str:
    """Spell a name as Chinook does."""
    return name


def snake(name: str) -> str:
    """Spell a name as Chinook does for PostgreSQL."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def going(spell: Spell = as_it_is) -> dict[str, str]:
    """Return what the rows that go meet, by table."""
    customer, invoice, line = map(spell, ("CustomerId", "InvoiceId", "InvoiceLine"))
    german = f"{spell('Country')} = 'Germany'"
    theirs = f"{customer} IN (SELECT {customer} FROM {spell('Customer')} WHERE {german})"
    lines = f"{invoice} IN (SELECT {invoice} FROM {spell('Invoice')} WHERE {theirs})"
    return {spell("Customer"): german, spell("Invoice"): theirs, line: lines}


def personal(spell: Spell = as_it_is) -> str:
    """Return the query of the values that name who goes."""
    columns = ", ".join(map(spell, ("FirstName", "LastName", "Address", "Phone", "Email")))
    return f"SELECT {columns} FROM {spell('Customer')} WHERE {spell('Country')} = 'Germany'"


def alone(rows: Iterable[Iterable[str | None]], stays: str) -> list[bytes]:
    """Return the values of rows that do not also stand in what stays."""
    values = {value for row in rows for value in row if value}
    left = sorted(value.encode() for value in values if value not in stays)
    assert len(left) >= len(values) - 3, "only a first name or two may be shared with who stays"
    return left


def found(content: bytes, values: list[bytes]) -> list[bytes]:
    """Return the values that stand in some bytes."""
    return [value for value in values if value in content]


def every_file(folder: Path) -> bytes:
    """Return what stands in all files of a tree."""
    return b"\n".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())


def job_text(url: str, recipient: str, *, spell: Spell = as_it_is, device: bool = True) -> str:
    """Return the job: the country's lines, invoices and customers go, the latter two are archived."""
    customer, invoice, line = map(spell, ("Customer", "Invoice", "InvoiceLine"))
    german = f'{{ column = "{spell("Country")}", operator = "=", value = "Germany" }}'

    def within(column: str, table: str, where: str) -> str:
        inner = f'{{ table = "{table}", column = "{spell(column)}", where = [{where}] }}'
        return f'{{ column = "{spell(column)}", operator = "within", within = {inner} }}'

    theirs = within("CustomerId", customer, german)
    dropped = "\n".join(f'{spell(name)} = {{ rule = "drop" }}' for name in _DROPPED)
    return f"""
schema = "deleatur/job/v1"
name = "leave-germany"
reason = "contract-end"
authority = "board decision 7 of 2026"
requested_by = "legal"

[verification]
device = {str(device).lower()}

{keepers_text(recipient)}
[[target]]
id = "chinook"
url = "{url}"

[[target.select]]
table = "{line}"
where = [{within("InvoiceId", invoice, theirs)}]
[[target.select]]
table = "{invoice}"
where = [{theirs}]
[[target.select]]
table = "{customer}"
where = [{german}]

[[target.archive]]
table = "{invoice}"
where = [{theirs}]
[target.archive.columns]
{spell("InvoiceId")} = {{ rule = "keep" }}
{spell("CustomerId")} = {{ rule = "keyed-hash", domain = "customer" }}
{spell("InvoiceDate")} = {{ rule = "generalise", to = "month" }}
{spell("BillingAddress")} = {{ rule = "drop" }}
{spell("BillingCity")} = {{ rule = "drop" }}
{spell("BillingState")} = {{ rule = "null" }}
{spell("BillingCountry")} = {{ rule = "keep" }}
{spell("BillingPostalCode")} = {{ rule = "mask" }}
{spell("Total")} = {{ rule = "keep" }}

[[target.archive]]
table = "{customer}"
where = [{german}]
[target.archive.columns]
{spell("CustomerId")} = {{ rule = "keyed-hash", domain = "customer" }}
{spell("Country")} = {{ rule = "keep" }}
{spell("SupportRepId")} = {{ rule = "keep" }}
{dropped}
"""
