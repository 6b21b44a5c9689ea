"""Every vector is decoded as its header says, and the vectors are what the generator writes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deleatur.documents.attested import decode_attested, decode_bundle
from deleatur.documents.chain import links
from deleatur.documents.datamap import decode_datamap
from deleatur.documents.declared import decode_declaration
from deleatur.documents.decode import decode_job, decode_plan
from deleatur.documents.destruction import decode_destruction
from deleatur.documents.docket import decode_calendar
from deleatur.documents.event import decode_event
from deleatur.documents.hold import decode_hold
from deleatur.documents.host import decode_host
from deleatur.documents.journal import decode_entry, read_chain
from deleatur.documents.ledger import decode_ledger_entry
from deleatur.documents.order import decode_order
from deleatur.documents.policy_rules import decode_policy
from deleatur.documents.processors import decode_processors
from deleatur.documents.transfer import decode_transfer
from deleatur.documents.validation import decode_sheet, decode_validation
from deleatur.documents.vendors import decode_vendors
from deleatur.errors import Malformed
from deleatur.testing.finished import known_key
from deleatur.testing.vectors import Vector, read_vector, read_vectors, vector_text
from deleatur.trust.docket import read_docket
from deleatur.trust.dsse import decode_envelope
from deleatur.trust.folder import read_statement
from deleatur.trust.register import read_register

VECTORS = Path(__file__).parents[1] / "vectors"
SPECIFICATION = Path(__file__).parents[2] / "docs" / "spec"
REGISTER_KEYS = [known_key(name, number).public for name, number in (("legal", 70), ("finance", 71))]
DOCKET_KEYS = [known_key(name, number).public for name, number in (("legal", 70), ("audit", 72))]
DECODERS: dict[str, Callable[[Vector], object]] = {
    "job": lambda vector: decode_job(vector.document),
    "plan": lambda vector: decode_plan(vector.document),
    "journal": lambda vector: read_chain(vector.document, vector.header["plan"]),
    "ledger": lambda vector: [
        *links(vector.document.splitlines(keepends=True), vector.header["plan"], decode_ledger_entry)
    ],
    "ledger-entry": lambda vector: decode_ledger_entry(vector.document),
    "entry": lambda vector: decode_entry(vector.document),
    "datamap": lambda vector: decode_datamap(vector.document),
    "declared": lambda vector: decode_declaration(vector.document),
    "hold": lambda vector: decode_hold(vector.document),
    "register": lambda vector: read_register(vector.document, REGISTER_KEYS),
    "calendar": lambda vector: decode_calendar(vector.document),
    "docket": lambda vector: read_docket(vector.document, DOCKET_KEYS),
    "policy": lambda vector: decode_policy(vector.document),
    "vendors": lambda vector: decode_vendors(vector.document),
    "order": lambda vector: decode_order(vector.document),
    "destruction": lambda vector: decode_destruction(vector.document),
    "processors": lambda vector: decode_processors(vector.document),
    "event": lambda vector: decode_event(vector.document),
    "host": lambda vector: decode_host(vector.document),
    "transfer": lambda vector: decode_transfer(vector.document),
    "validation-sheet": lambda vector: decode_sheet(vector.document),
    "validation": lambda vector: decode_validation(vector.document),
    "attested": lambda vector: decode_attested(vector.document),
    "bundle": lambda vector: decode_bundle(vector.document),
    "statement": lambda vector: read_statement(vector.document),
    "envelope": lambda vector: decode_envelope(vector.document),
}
FOLDERS = (
    "job",
    "plan",
    "journal",
    "ledger",
    "certificate",
    "datamap",
    "declared",
    "hold",
    "docket",
    "policy",
    "vendors",
    "order",
    "destruction",
    "processors",
    "attested",
    "transfer",
    "event",
    "host",
    "validation",
)
ALL = [
    pytest.param(vector, id=f"{folder}/{vector.name}")
    for folder in FOLDERS
    for vector in read_vectors(VECTORS / folder)
]


@pytest.mark.parametrize("vector", ALL)
def test_vector_is_decoded_as_its_header_says(vector: Vector) -> None:
    decode = DECODERS[vector.header["decoder"]]
    if vector.header["expect"] == "ok":
        found = decode(vector)
        if vector.header["decoder"] == "journal":
            entries, sound = read_chain(vector.document, vector.header["plan"])
            assert (len(entries), sound) == (int(vector.header["entries"]), int(vector.header["sound"]))
        if vector.header["decoder"] == "register":
            register = read_register(vector.document, REGISTER_KEYS)
            assert (len(register.lines), register.sound) == (
                int(vector.header["entries"]),
                int(vector.header["sound"]),
            )
        assert found is not None
        return
    assert vector.header["expect"] == "malformed"
    with pytest.raises(Malformed) as caught:
        decode(vector)
    assert (caught.value.kind, caught.value.where) == (vector.header["kind"], vector.header["where"])
    assert "\n" not in str(caught.value)


def test_the_generator_writes_exactly_the_committed_vectors(tmp_path: Path) -> None:
    command = [sys.executable, str(VECTORS / "generate.py"), str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    committed = {p.relative_to(VECTORS): p.read_bytes() for f in FOLDERS for p in (VECTORS / f).iterdir()}
    written = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*.vector")}
    assert written == committed


def test_every_kind_of_failure_of_a_specification_page_has_a_vector_and_a_row() -> None:
    for folder in FOLDERS:
        page = (SPECIFICATION / f"{folder}.md").read_text()
        table = page.partition("## Kinds of failure")[2].partition("\n## ")[0]
        listed = {row.split("`")[1] for row in table.splitlines() if row.startswith("| `")}
        made = {vector.header.get("kind") for vector in read_vectors(VECTORS / folder)} - {None}
        assert listed == made, folder


def test_a_specification_page_quotes_only_vectors_that_exist() -> None:
    for folder in FOLDERS:
        words = (SPECIFICATION / f"{folder}.md").read_text().split("`")[1::2]
        quoted = [word for word in words if word.endswith(".vector")]
        assert quoted, folder
        assert [word for word in quoted if not (VECTORS / word).is_file()] == []


def test_a_vector_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    for header in ({"decoder": "job", "expect": "ok"}, {"decoder": "job", "compressed": "zlib"}):
        path = tmp_path / "x.vector"
        path.write_bytes(vector_text(header, b"a\n\nb\xff" * 9))
        assert read_vector(path) == Vector("x", header, b"a\n\nb\xff" * 9)


def test_a_vector_with_an_unknown_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.vector"
    path.write_bytes(vector_text({"decoder": "job", "expects": "ok"}, b""))
    with pytest.raises(ValueError, match="not a vector"):
        read_vector(path)
