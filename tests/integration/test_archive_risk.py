"""k and l in what is written: kept by suppression and a ladder, counted again, shown, or refused."""

import json
import re
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from deleatur.archive import new_identity, open_archive, records, write_archive
from deleatur.archive import risk as archive_risk
from deleatur.cli import picture
from deleatur.cli.show import read_payload
from deleatur.desensitize.risk import Classes, Failing, Risk
from deleatur.documents.job import ArchivedTable, Coarser, RiskLimit, Rule, Target
from deleatur.documents.journal import Archived, ReachedRisk
from deleatur.engine.jobs import read_plan
from deleatur.errors import Refused
from deleatur.testing.finished import planned_for
from deleatur.testing.keepers import keepers, keepers_text
from deleatur.testing.workbench import Workbench
from deleatur.trust.folder import read_statement

IDENTITY, RECIPIENT = new_identity()
RULES = {
    "born": Rule(rule="generalise", to="year"),
    "zip": Rule(rule="generalise", to="first-3"),
    "debt": Rule(rule="keep"),
    "cents": Rule(rule="keep"),
}
LADDER = (Coarser(column="born", to="decade"), Coarser(column="zip", to="first-letter"))
Row = dict[str, Any]


def write(folder: Path, rows: Sequence[Row], limit: RiskLimit, table: str = "customers") -> Archived:
    archive = ArchivedTable(table=table, columns=RULES, risk=limit)
    planned = planned_for(Target(id="crm", url="sqlite:///crm.sqlite", archive=(archive,)))
    return write_archive(
        folder,
        planned,
        {table: partial(iter, rows)},
        keepers(RECIPIENT),
        job="close-shop",
        plan_digest="ab" * 32,
        key=b"k" * 32,
        challenge=b"c" * 32,
    )


def row(year: int, area: str, debt: int, cents: int) -> Row:
    return {"born": f"{year}-05-17", "zip": f"{area}44321", "debt": debt, "cents": cents}


PEOPLE = [row(1960 + n % 4, "10", n % 3, n) for n in range(200)] + [row(1999, "80", 1, 7)]
ROWS = st.lists(
    st.builds(
        row, st.integers(1958, 1963), st.sampled_from(["10", "11", "20"]), st.integers(0, 3), st.just(1)
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=ROWS,
    k=st.integers(2, 6),
    l=st.one_of(st.none(), st.integers(2, 3)),
    share=st.sampled_from(["0", "0.1", "0.5"]),
    rungs=st.integers(0, 2),
)
def test_what_is_written_keeps_the_limit_or_nothing_is(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Row],
    k: int,
    l: int | None,  # noqa: E741
    share: str,
    rungs: int,
) -> None:
    folder = tmp_path_factory.mktemp("risk")
    limit = RiskLimit(
        quasi=("born", "zip"), k=k, sensitive="debt", l=l, suppress=share, ladder=LADDER[:rungs]
    )
    refused = ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "PART_ROWS", 7)
        try:
            archived = write(folder, rows, limit)
        except Refused as refusal:
            refused = str(refusal)
    if refused:
        assert re.fullmatch(".* over born, zip does not hold within the limits: .*", refused)
        assert list(folder.iterdir()) == []
        return
    opened = open_archive(folder / archived.file, IDENTITY)
    found = opened.tables["customers"].to_pylist()
    sizes = Counter((r["born"], r["zip"]) for r in found)
    values = {g: {r["debt"] for r in found if (r["born"], r["zip"]) == g} for g in sizes}
    assert [r["debt"] for r in found] == [r["debt"] for r in rows]
    assert min(sizes.values()) >= k
    reached = archived.tables[0].risk
    assert reached is not None
    assert (reached.k, reached.l) == (min(sizes.values()), min(map(len, values.values())))
    assert l is None or (reached.l or 0) >= l
    assert reached.suppressed == sizes[None, None] <= float(share) * len(rows) + 1e-9


def test_rows_give_way_before_the_ladder_is_climbed_and_never_more_than_may(tmp_path: Path) -> None:
    # The lone row needs others to hide among: the smallest other group, of 50, goes with it.
    enough = RiskLimit(quasi=("born", "zip"), k=5, suppress="0.26", ladder=LADDER)
    assert write(tmp_path, PEOPLE, enough).tables[0].risk == ReachedRisk(k=50, l=None, suppressed=51, rungs=0)
    less = msgspec.structs.replace(enough, suppress="0.25")
    with pytest.raises(Refused, match="of 201 rows 201 would lose them, 50 may; drop or generalise a column"):
        write(tmp_path / "less", PEOPLE, less)
    assert not (tmp_path / "less").exists()


def test_what_cannot_be_measured_is_refused_by_table_and_column(tmp_path: Path) -> None:
    broken = [{**one, "debt": 0.5} for one in PEOPLE]
    with pytest.raises(Refused, match=r"^table customers, column debt: floats"):
        write(tmp_path, broken, RiskLimit(quasi=("born",), k=2, sensitive="debt"))
    assert list(tmp_path.iterdir()) == []


def test_report_has_counts_and_columns_and_no_value(tmp_path: Path) -> None:
    limit = RiskLimit(quasi=("born", "zip"), k=5, sensitive="debt", l=2, suppress="0.05", ladder=LADDER)
    people = [*PEOPLE, *(row(1940 + n, "80", n, 7) for n in range(5))]
    archived = write(tmp_path, people, limit)
    assert archived.tables[0].risk == ReachedRisk(k=6, l=3, suppressed=6, rungs=0)
    members = open_archive(tmp_path / archived.file, IDENTITY).members
    (report,) = json.loads(members["data/risk.json"])["tables"]
    assert (report["before"]["k"], report["before"]["unique"], report["before"]["rows_below"]) == (1, 6, 6)
    assert (report["written"]["k"], report["written"]["unique"], report["suppressed"]) == (6, 0, 6)
    assert report["before"]["worst"][0] == {"rows": 1, "groups": 6}
    assert report["before"]["sets"][0] == {"columns": ["born"], "groups": 10, "smallest": 1, "unique": 6}
    for member in ("data/risk.json", "data/risk.html"):
        assert member in members["manifest-sha256.txt"].decode()
        for value in (b"1960", b"1999", b"10443", b"104", b"804"):
            assert value not in members[member]


def test_the_ladder_is_climbed_as_far_as_needed_and_said(tmp_path: Path) -> None:
    people = [row(1960 + n, "10", n % 3, n) for n in range(10)]
    archived = write(tmp_path, people, RiskLimit(quasi=("born", "zip"), k=5, ladder=LADDER))
    assert archived.tables[0].risk == ReachedRisk(k=10, l=None, suppressed=0, rungs=1)
    opened = open_archive(tmp_path / archived.file, IDENTITY)
    assert set(opened.tables["customers"].column("born").to_pylist()) == {1960}
    rules = json.loads(opened.members["data/rules.json"])["tables"][0]["rules"]
    assert (rules["born"], rules["zip"]) == ("generalise to decade", "generalise to first-3")


def test_a_measure_that_sees_no_small_group_is_caught_in_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(self: Classes, _k: int, _l: int | None) -> Failing:
        return Failing(pa.table({"born": pa.array([], pa.int64()), "zip": pa.array([], pa.string())}), 0)

    monkeypatch.setattr(Classes, "failing", blind)
    with pytest.raises(Refused, match="counted again as written"):
        write(tmp_path, PEOPLE, RiskLimit(quasi=("born", "zip"), k=5))
    assert list(tmp_path.iterdir()) == []


def test_a_measure_that_counts_too_many_is_caught_in_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flattering(self: Classes, wanted_k: int) -> Risk:
        return msgspec.structs.replace(honest(self, wanted_k), k=60)

    honest = Classes.risk
    monkeypatch.setattr(Classes, "risk", flattering)
    with pytest.raises(Refused, match="counted again as written"):
        write(tmp_path, PEOPLE[:200], RiskLimit(quasi=("born", "zip"), k=40))
    assert list(tmp_path.iterdir()) == []


def test_suppression_that_does_nothing_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = RiskLimit(quasi=("born",), k=5, suppress="0.5")
    write(tmp_path, PEOPLE, limit)
    monkeypatch.setattr(archive_risk, "suppress", lambda part, failing: (part, failing.rows))
    with pytest.raises(Refused, match="counted again as written"):
        write(tmp_path / "again", PEOPLE, limit)
    assert list((tmp_path / "again").iterdir()) == []


def test_a_browser_shows_the_plots_and_a_hostile_name_stays_inert(tmp_path: Path) -> None:
    hostile = "<script>document.title='run'</script>"
    limit = RiskLimit(quasi=("born", "zip"), k=5, suppress="0.5")
    archived = write(tmp_path, PEOPLE, limit, hostile)
    page = tmp_path / "risk.html"
    page.write_bytes(open_archive(tmp_path / archived.file, IDENTITY).members["data/risk.html"])
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    flags += [f"--user-data-dir={tmp_path}/profile", "--proxy-server=127.0.0.1:9", "--dump-dom"]
    run = subprocess.run(["chromium", *flags, page.as_uri()], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.count('<figure class="sizes">') == run.stdout.count('<figure class="unique">') == 2
    assert run.stdout.count("<svg") == 4
    assert 'class="low"' in run.stdout
    assert "<title>Re-identification risk" in run.stdout
    assert "<script" not in run.stdout
    assert "&lt;script&gt;" in run.stdout
    assert "CONSOLE" not in run.stderr
    for outside in ("http:", "https:", "src=", "url("):
        assert outside not in page.read_text(encoding="utf-8")


JOB = """\
schema = "deleatur/job/v1"
name = "close-shop"
reason = "retention-expired"
authority = "a test"
requested_by = "tester"

{custody}
[[target]]
id = "crm"
url = "sqlite://{database}"

[[target.select]]
table = "customers"

[[target.archive]]
table = "customers"
risk = {{ quasi = ["born"], k = {k}, sensitive = "debt", suppress = "0.02" }}

[target.archive.columns]
born = {{ rule = "generalise", to = "year" }}
zip = {{ rule = "drop" }}
debt = {{ rule = "keep" }}
cents = {{ rule = "keep" }}
"""


def shop(folder: Path, k: int) -> str:
    database = folder / "crm.sqlite"
    people = [*PEOPLE, *(row(1940 + n, "80", n, 7) for n in range(3))]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE customers (born TEXT, zip TEXT, debt INTEGER, cents INTEGER)")
        connection.executemany("INSERT INTO customers VALUES (:born, :zip, :debt, :cents)", people)
    return JOB.format(custody=keepers_text(RECIPIENT), database=database, k=k)


def test_approvers_see_what_may_go_and_the_certificate_says_what_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Workbench(tmp_path)
    directory = bench.whole(shop(tmp_path, 4))
    shown = Console(record=True, width=300)
    monkeypatch.setattr(picture, "console", lambda _to: shown)
    with (tmp_path / "shown").open("w") as to:
        picture.show_plan(read_plan(directory), to)
    text = shown.export_text()
    assert "at least 4 rows agree in born" in text
    assert "erased without being archived where it does not: these columns of up to 2 % of the rows" in text
    certificate = read_statement(read_payload(directory.certificate))
    picture.show_certificate(certificate)
    (archive,) = certificate.archives
    risk = archive.tables[0].risk
    assert risk is not None
    assert (risk.k, risk.wanted_k, risk.l, risk.suppressed_rows, archive.tables[0].rows) == (4, 4, 3, 4, 204)
    text = shown.export_text()
    assert "customers: k = 4 over born, l = 3 of debt. By 20" in text
    assert "the groups had been counted in what was written." in text
    assert "nothing in it keeps them (rows: 4)" in text


def test_a_job_whose_archive_cannot_keep_k_erases_nothing(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    directory = bench.job(shop(tmp_path, 60))
    before = (tmp_path / "crm.sqlite").read_bytes()
    bench.plan(directory)
    bench.approve(directory)
    with pytest.raises(Refused, match="k = 60 over born does not hold") as refusal:
        bench.run(directory)
    assert refusal.value.exit_code == 4
    assert (tmp_path / "crm.sqlite").read_bytes() == before
    assert not list(directory.archive.glob("*")) + list(directory.archive.glob(".*"))
