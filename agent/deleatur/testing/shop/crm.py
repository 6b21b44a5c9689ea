"""The shop's CRM: a SQLite database in WAL mode, with indexes, foreign keys and a full-text index.

It is left as such files are found: rows that were deleted long ago still stand in free pages.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from random import Random

from deleatur.testing.shop.people import Person

_SCHEMA = """
CREATE TABLE customers (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, id_number TEXT NOT NULL,
  phone TEXT NOT NULL, email TEXT NOT NULL UNIQUE, born TEXT NOT NULL, address TEXT NOT NULL,
  language TEXT NOT NULL, registered_on TEXT NOT NULL, newsletter INTEGER NOT NULL, segment TEXT NOT NULL);
CREATE TABLE products (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price_cents INTEGER NOT NULL);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),
  ordered_on TEXT NOT NULL, status TEXT NOT NULL, card TEXT NOT NULL, ship_to TEXT NOT NULL);
CREATE TABLE order_lines (
  id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders (id),
  product_id INTEGER NOT NULL REFERENCES products (id), quantity INTEGER NOT NULL);
CREATE TABLE invoices (
  id INTEGER PRIMARY KEY, number TEXT NOT NULL UNIQUE, order_id INTEGER NOT NULL REFERENCES orders (id),
  customer_id INTEGER NOT NULL REFERENCES customers (id), issued_on TEXT NOT NULL,
  billed_to TEXT NOT NULL, tax_number TEXT NOT NULL, card TEXT NOT NULL, country TEXT NOT NULL,
  currency TEXT NOT NULL, net_cents INTEGER NOT NULL, vat_cents INTEGER NOT NULL);
CREATE TABLE complaints (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),
  order_id INTEGER NOT NULL REFERENCES orders (id), opened_on TEXT NOT NULL, closed_on TEXT,
  status TEXT NOT NULL, category TEXT NOT NULL, story TEXT NOT NULL);
CREATE TABLE messages (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),
  sent_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE VIRTUAL TABLE messages_index USING fts5 (body, content='messages', content_rowid='id');
"""
_INDEXES = """
CREATE INDEX customers_by_id_number ON customers (id_number);
CREATE INDEX customers_by_name ON customers (name);
CREATE INDEX customers_by_phone ON customers (phone);
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX lines_by_order ON order_lines (order_id);
CREATE INDEX invoices_by_customer ON invoices (customer_id);
CREATE INDEX complaints_by_customer ON complaints (customer_id);
CREATE INDEX messages_by_customer ON messages (customer_id, sent_at);
"""
_NUMBER_INVOICES = """
UPDATE invoices SET number = numbered.number FROM (
  SELECT id, 'INV-' || substr(issued_on, 1, 4) || '-' || printf('%0*d', ?, row_number() OVER (
    PARTITION BY substr(issued_on, 1, 4) ORDER BY issued_on, id)) AS number FROM invoices) AS numbered
WHERE numbered.id = invoices.id
"""  # by date, as accounting does: a number that is archived must not tell the order or the customer
_DIGITS, _DIGITS_OF_MANY = 5, 7  # of an invoice's number in its year: more than of any customer's number
_PRODUCTS = (
    ("紫砂茶壶 Teapot", 4900),
    ("Wanderrucksack 35 l", 8900),
    ("Cast-iron skillet", 3900),
    ("蓝牙耳机 Earbuds", 5900),
    ("Kuckucksuhr", 12900),
    ("Maple syrup 1 l", 2400),
)
_MONEY = {"CN": ("CNY", 13), "DE": ("EUR", 19), "US": ("USD", 0)}  # currency, VAT in percent of the demo
_MESSAGES = {
    "CN": (
        "您好,我是{name},手机号{phone},请问订单什么时候发货?",
        "身份证号{id_number},清关用的。收货地址:{address}",
        "付款卡号{card}扣款两次了,请核实!邮箱{email}。",
    ),
    "DE": (
        "Guten Tag, hier ist {name}. Bitte rufen Sie mich unter {phone} zurück.",
        "Meine Steuer-ID ist {id_number}, die Rechnung bitte an {address}.",
        "Die Karte {card} wurde doppelt belastet, Bestätigung an {email} erbeten.",
    ),
    "US": (
        "Hi, this is {name}, my number is {phone}. Where is my order?",
        "You asked for my SSN for customs: {id_number}. Ship it to {address} please.",
        "My card {card} was charged twice. Please confirm to {email}.",
    ),
}
_STORIES = {
    "CN": "{name}投诉:商品破损,要求退款到卡{card}。",
    "DE": "{name} reklamiert: Ware beschädigt, Erstattung auf Karte {card} verlangt.",
    "US": "{name} complains: arrived broken, wants a refund to card {card}.",
}
_OPENED = date(2023, 1, 9)
_DAYS = 1000
_SEGMENTS = ("regular", "new", "business")
_INSERTS = {  # in the order of the foreign keys
    "customers": "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "orders": "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)",
    "order_lines": "INSERT INTO order_lines VALUES (?, ?, ?, ?)",
    "invoices": "INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "messages": "INSERT INTO messages VALUES (NULL, ?, ?, ?)",
    "complaints": "INSERT INTO complaints VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
}
_Rows = dict[str, list[tuple[object, ...]]]
_FIRST_ORDER = 50_000_000  # longer than any invoice's number, so that no key stands in one
_BATCH = 10_000  # customers whose rows are in memory at once
_WRITERS = 20  # in a large shop one of so many wrote messages
_GHOSTS = 8  # customers deleted years ago, by a plain DELETE


def write_crm(
    path: Path, customers: Iterable[Person], count: int, random: Random, *, large: bool
) -> tuple[frozenset[int], frozenset[int]]:
    """Write the database; return the numbers of the held customers and of those deleted long ago.

    In a large shop every customer has three orders of one line each, and few wrote messages.
    """
    ghosts = frozenset(range(count - _GHOSTS + 1, count + 1))
    held: set[int] = set()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = OFF")
        connection.executescript(_SCHEMA)
        connection.executemany(
            "INSERT INTO products VALUES (?, ?, ?)", ((i, *p) for i, p in enumerate(_PRODUCTS, 1))
        )
        for some in batched(customers, _BATCH):
            rows: _Rows = {table: [] for table in _INSERTS}
            for person in some:
                if _add_customer(rows, person, random, large=large) == "open":
                    held.add(person.number)
            for table, insert in _INSERTS.items():
                connection.executemany(insert, rows[table])
        connection.executescript(_INDEXES)
        connection.execute(_NUMBER_INVOICES, (_DIGITS_OF_MANY if large else _DIGITS,))
        connection.execute("INSERT INTO messages_index (messages_index) VALUES ('rebuild')")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA secure_delete = OFF")
        _forget(connection, ghosts)
    return frozenset(held) - ghosts, ghosts


def batched(customers: Iterable[Person], size: int) -> Iterator[list[Person]]:
    """Yield lists of at most `size` customers."""
    iterator = iter(customers)
    while some := list(islice(iterator, size)):
        yield some


def _add_customer(rows: _Rows, person: Person, random: Random, *, large: bool) -> str:
    """Add the rows of a customer; return the state of the complaint, or ""."""
    p = person
    registered = _OPENED - timedelta(days=p.number % 700)
    rows["customers"].append(
        (
            *(p.number, p.name, p.country, p.id_number, p.phone, p.email, p.born.isoformat(), p.address),
            *(p.language, registered.isoformat(), p.number % 2, _SEGMENTS[p.number % len(_SEGMENTS)]),
        )
    )
    number_of_orders = 3 if large else random.randint(1, 3)
    orders = [_add_order(rows, person, n, random, large=large) for n in range(number_of_orders)]
    if not large or p.number % _WRITERS == 0:
        rows["messages"] += [(p.number, sent, text) for sent, text in _messages(person, random)]
    state = "open" if p.number % 23 == 5 else "closed" if p.number % 7 == 2 else ""
    if state:
        opened = _OPENED + timedelta(days=random.randrange(_DAYS))
        closed = None if state == "open" else (opened + timedelta(days=9)).isoformat()
        story = _STORIES[p.country].format(**dict(p.identifiers()))
        category = random.choice(("damaged", "late", "refund"))
        rows["complaints"].append((p.number, orders[0], opened.isoformat(), closed, state, category, story))
    return state


def _add_order(rows: _Rows, person: Person, number: int, random: Random, *, large: bool) -> int:
    on = (_OPENED + timedelta(days=random.randrange(_DAYS))).isoformat()
    order = _FIRST_ORDER + 10 * person.number + number
    status = random.choice(("paid", "shipped", "delivered"))
    rows["orders"].append((order, person.number, on, status, person.card, person.address))
    total = 0
    lines = 1 if large else random.randint(1, 3)
    for line, product in enumerate(random.sample(range(1, len(_PRODUCTS) + 1), lines)):
        quantity = random.randint(1, 4)
        total += quantity * _PRODUCTS[product - 1][1]
        rows["order_lines"].append((10 * order + line, order, product, quantity))
    currency, percent = _MONEY[person.country]
    rows["invoices"].append(
        (
            order + _FIRST_ORDER,
            f"draft {order}",
            order,
            person.number,
            on,
            f"{person.name}, {person.address}",
            person.id_number,
            person.card,
            person.country,
            currency,
            total,
            total * percent // 100,
        )
    )
    return order


def _messages(person: Person, random: Random) -> Iterator[tuple[str, str]]:
    for template in _MESSAGES[person.country]:
        day = _OPENED + timedelta(days=random.randrange(_DAYS))
        yield (
            f"{day.isoformat()}T{random.randrange(24):02d}:30:00",
            template.format(**dict(person.identifiers())),
        )


def _forget(connection: sqlite3.Connection, ghosts: frozenset[int]) -> None:
    """Delete customers as such tools do: the rows are gone, their bytes are not."""
    for statement in (
        "INSERT INTO messages_index (messages_index, rowid, body) "
        "SELECT 'delete', id, body FROM messages WHERE customer_id = ?",
        "DELETE FROM messages WHERE customer_id = ?",
        "DELETE FROM complaints WHERE customer_id = ?",
        "DELETE FROM invoices WHERE customer_id = ?",
        "DELETE FROM order_lines WHERE order_id IN (SELECT id FROM orders WHERE customer_id = ?)",
        "DELETE FROM orders WHERE customer_id = ?",
        "DELETE FROM customers WHERE id = ?",
    ):
        connection.executemany(statement, ((ghost,) for ghost in sorted(ghosts)))
