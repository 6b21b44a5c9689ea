"""The demo's job: close the shop, keep what open complaints need, archive what accounting needs."""

import json
from pathlib import Path
from urllib.parse import quote

_OPEN = '{ column = "status", operator = "=", value = "open" }'
_TABLES = ("messages", "complaints", "invoices", "order_lines", "orders", "customers")
_HEAD = """\
schema = "deleatur/job/v1"
name = "close-shop"
reason = "retention-expired"
authority = "Shareholders' resolution 2026-4: the shop closes; open complaints are settled first"
requested_by = "sales-operations"
without_notice = "all customers are invented, so there is nobody to tell"

[policy]
approvals = 2

[verification]
mode = "full"
needles = 50000  # values to search for: enough for every one

[custody]
retain_until = "2056-12-31"  # invoices of Chinese customers: thirty years
without_copies = "a shop for trying things out: all of it lies on one disk"

[[custody.custodian]]
name = "accounting-archive"
recipient = {recipient}

[[custody.custodian]]  # three people hold a share each, and two of them open
name = "board"
recipient = {shared}
shares = {{ needed = 2, of = 3 }}

[[custody.custodian]]  # the last four digits of cards, and nothing else
name = "reconciliation"
recipient = {apart}
shares = {{ needed = 2, of = 3 }}
part = "last-four"
"""
_MAPPED = """
[datamap]
file = {datamap}
packs = [{policy}]
"""
_ARCHIVED = """
[[target.archive]]  # accounting must keep invoices, not people
table = "invoices"
where = [{not_held}]
[target.archive.columns]
id = {{ rule = "drop" }}
number = {{ rule = "keep" }}
order_id = {{ rule = "keyed-hash" }}
customer_id = {{ rule = "keyed-hash" }}
issued_on = {{ rule = "keep" }}
billed_to = {{ rule = "drop" }}
tax_number = {{ rule = "mask" }}
card = {{ rule = "keep-last-4" }}
country = {{ rule = "keep" }}
currency = {{ rule = "keep" }}
net_cents = {{ rule = "keep" }}
vat_cents = {{ rule = "keep" }}

[[target.archive]]  # what was bought, for the books
table = "orders"
where = [{not_held}]
[target.archive.columns]
id = {{ rule = "keyed-hash" }}
customer_id = {{ rule = "keyed-hash" }}
ordered_on = {{ rule = "keep" }}
status = {{ rule = "keep" }}
card = {{ rule = "keep-last-4" }}
ship_to = {{ rule = "drop" }}

[[target.archive]]
table = "order_lines"
where = [{line_not_held}]
[target.archive.columns]
id = {{ rule = "drop" }}
order_id = {{ rule = "keyed-hash" }}
product_id = {{ rule = "keep" }}
quantity = {{ rule = "keep" }}

[[target.archive]]  # what went wrong, without who
table = "complaints"
where = [{not_held}]
[target.archive.columns]
id = {{ rule = "drop" }}
customer_id = {{ rule = "keyed-hash" }}
order_id = {{ rule = "keyed-hash" }}
opened_on = {{ rule = "generalise", to = "month" }}
closed_on = {{ rule = "generalise", to = "month" }}
status = {{ rule = "keep" }}
category = {{ rule = "keep" }}
story = {{ rule = "drop" }}
"""


def job_text(
    database: Path,
    files: Path,
    recipients: tuple[str, str, str],
    datamap: Path | None,
    policy: Path | None,
) -> str:
    """Return the job.toml that takes a shop through the whole walk."""
    mapped = ""
    if datamap is not None and policy is not None:
        mapped = _MAPPED.format(datamap=json.dumps(str(datamap)), policy=json.dumps(str(policy)))
    selections = "".join(f'\n[[target.select]]\ntable = "{table}"\n' for table in _TABLES)
    holds = "".join(_hold(table) for table in _TABLES)
    return (
        _HEAD.format(
            recipient=json.dumps(recipients[0]),
            shared=json.dumps(recipients[1]),
            apart=json.dumps(recipients[2]),
        )
        + mapped
        + f'\n[[target]]\nid = "crm"\nurl = {json.dumps(_url("sqlite", database))}\n'
        + selections
        + holds
        + _ARCHIVED.format(
            not_held=_of_complainants("customer_id", "not-within"),
            line_not_held=_of_orders("not-within"),
        )
        + f'\n[[target]]  # exports, spreadsheets, mails: none of it is the record\nid = "sales-folder"\n'
        f"url = {json.dumps(_url('file', files))}\n"
    )


def _hold(table: str) -> str:
    column = {"customers": "id", "order_lines": "order_id"}.get(table, "customer_id")
    condition = _of_complainants(column, "within")
    if table == "order_lines":
        condition = _of_orders("within")
    return (
        f'\n[[target.hold]]\nid = "open-complaint-{table.replace("_", "-")}"\n'
        f'reason = "the complaint is not settled"\ntable = "{table}"\nwhere = [{condition}]\n'
    )


def _of_orders(operator: str) -> str:
    """Return the condition that a line is (not) one of an order of a customer with an open complaint."""
    orders = f'{{ table = "orders", column = "id", where = [{_of_complainants("customer_id", "within")}] }}'
    return f'{{ column = "order_id", operator = "{operator}", within = {orders} }}'


def _of_complainants(column: str, operator: str) -> str:
    """Return the condition that `column` is (not) a customer with an open complaint."""
    inner = f'{{ table = "complaints", column = "customer_id", where = [{_OPEN}] }}'
    return f'{{ column = "{column}", operator = "{operator}", within = {inner} }}'


def _url(scheme: str, path: Path) -> str:
    return f"{scheme}://{quote(bytes(path.absolute()))}"
