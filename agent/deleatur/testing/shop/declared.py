"""What the shop's people say of their stores, and of which class its records are."""

import json

POLICY = """\
schema = "deleatur/policy/v1"
id = "shop"
version = "1.0"
title = "Of which class the shop's records are"
jurisdiction = "any"
date = "2026-11-22"
records = [
  { table = "customers", record_class = "account", purpose = "contract" },
  { table = "orders", record_class = "order", purpose = "contract" },
  { table = "order_lines", record_class = "order", purpose = "contract" },
  { table = "invoices", record_class = "invoice" },
  { table = "complaints", record_class = "complaint" },
  { table = "messages", record_class = "chat" },
  { table = "messages_index", record_class = "chat" },
]
"""
_LAWS = """[
  { code = "CN", reason = "customers live there" },
  { code = "DE", reason = "customers live there" },
  { code = "US-CA", reason = "customers live there" },
]"""


def declaration_text(
    database_url: str, folder_url: str, owners: dict[str, str], people: int, evidence: str
) -> str:
    """Return a declared.toml: owners by name and file of their key, both stores, and a mailbox."""
    it, sales = owners
    named = "".join(f"[[owner]]\nname = {json.dumps(n)}\nkey = {json.dumps(k)}\n" for n, k in owners.items())
    return f"""\
schema = "deleatur/declared/v1"
people = {{ count = {people}, owner = "{it}" }}
{named}
[[place]]
url = {json.dumps(database_url)}
id = "crm"
owner = "{it}"
source = "registered and ordered in the shop"
purpose = "orders"
jurisdiction = {_LAWS}

[[place]]
url = {json.dumps(folder_url)}
id = "sales-folder"
owner = "{sales}"
source = "exported from the CRM by hand"
purpose = "sales"
jurisdiction = {_LAWS}

[[declared]]
id = "mailbox"
what = "mailbox of the sales team at its provider"
owner = "{sales}"
evidence = {json.dumps(evidence)}
level = "sensitive"
types = ["e-mail"]
"""
