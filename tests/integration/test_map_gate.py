"""A job that rests on a data map: each way in which the map does not hold stops it, with one line."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.cli.wording import gate_in_words
from deleatur.documents.gates import MapGate
from deleatur.documents.place import Identity
from deleatur.engine.jobs import read_plan
from deleatur.engine.mapping import read_map
from deleatur.errors import DeleaturError, Refused
from deleatur.judge.mapped import Standing, strangers
from deleatur.trust.verification import verify

from .map_house import DECLARED, HEAD, JOB, House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def mapped(house: House) -> House:
    house.map()
    house.attest()
    return house


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(DeleaturError) as caught:
        act()
    assert isinstance(caught.value, Refused)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused_plan(house: House, job: str = JOB) -> str:
    directory = house.bench.job(job)
    told = refused(lambda: house.bench.plan(directory))
    assert not directory.plan.exists()
    assert house.untouched()
    return told


def test_a_certificate_says_on_which_map_it_rests_and_what_was_left(mapped: House) -> None:
    directory = mapped.approved()
    mapped.bench.run(directory)
    assert not mapped.untouched()
    certificate = verify(directory.certificate, [mapped.bench.agent.public], 1, None).certificate
    (condition,) = (c for c in certificate.conditions if c.gate == "datamap")
    assert condition.gate == "datamap"
    assert condition.digest.sha256 == read_plan(directory).plan.gates[0].digest
    assert [(c.name, c.count) for c in condition.counts] == [("owners", 2), ("people", 40)]
    assert "attested by its owner (owners: 2)" in condition.sentences[0].text
    assert [(e.target_id, e.sentence.id) for e in certificate.exceptions if e.type == "not-erased"] == [
        ("people", "known-copy-left")
    ]
    assert "mailbox of the data map is attested by its owner, not verified" in " ".join(
        sentence.text for sentence in certificate.known_limits
    )
    assert certificate.outcome.overall == "verified-with-exceptions"


def test_a_place_that_is_lost_is_an_exception(house: House) -> None:
    house.map(DECLARED.replace('"file:tape"', '"file:nowhere"'))
    house.attest()
    directory = house.approved()
    house.bench.run(directory)
    certificate = verify(directory.certificate, [house.bench.agent.public], 1, None).certificate
    assert ("tape", "place-lost") in {(e.target_id, e.sentence.id) for e in certificate.exceptions}


def test_an_owner_who_has_not_attested_is_named(house: House) -> None:
    house.map()
    house.attest("it")
    assert refused_plan(house) == "the data map is open: sales has not attested their part"


def test_a_difference_that_nobody_explained(house: House) -> None:
    house.map(DECLARED.replace("count = 40", "count = 41"))
    assert "difference people-people (declared 41, found 40) is not explained" in refused_plan(house)


def test_an_unknown_jurisdiction(house: House) -> None:
    house.map(DECLARED.replace('code = "CN"', 'code = "unknown"'))
    house.attest()
    assert "the jurisdiction of crm is unknown" in refused_plan(house)


def test_a_law_that_no_policy_knows_needs_a_person(house: House) -> None:
    house.map(DECLARED.replace('code = "DE"', 'code = "BR"'))
    house.attest()
    told = refused_plan(house, JOB.replace('"DE"', '"BR"'))
    assert "no pack knows the law of BR" in told


def test_a_law_that_the_map_does_not_name_cannot_be_chosen(mapped: House) -> None:
    told = refused_plan(mapped, JOB.replace('"DE"', '"US-CA"'))
    assert "datamap.laws names US-CA, and the data map does not for crm" in told


def test_a_copy_that_the_job_forgets_and_a_left_place_that_is_none(mapped: House) -> None:
    told = refused_plan(mapped, JOB.replace('leaves = ["tape"]', 'leaves = ["tap"]'))
    assert "the data map knows a copy of it in tape (backup)" in told
    assert "datamap.leaves names tap, and the data map does not" in told


def test_a_new_column_a_new_table_and_an_unmapped_place(mapped: House) -> None:
    mapped.sql("ALTER TABLE people ADD COLUMN mobile TEXT", "CREATE TABLE later (note TEXT)")
    told = refused_plan(mapped)
    assert "the column people.mobile is not in the data map" in told
    assert "the table later is not in the data map" in told
    (mapped.folder / "other").mkdir()
    with closing(sqlite3.connect(mapped.folder / "other" / "crm.sqlite")) as connection:
        connection.execute("CREATE TABLE people (mail TEXT)")
        connection.execute("INSERT INTO people VALUES ('a')")
        connection.commit()
    job = mapped.bench.job(JOB.replace("../crm.sqlite", "../other/crm.sqlite"), "unmapped")
    assert "the data map does not name this place" in refused(lambda: mapped.bench.plan(job))


def test_another_store_at_the_same_place(mapped: House) -> None:
    datamap = read_map(mapped.file)
    crm = next(place for place in datamap.place if place.id == "crm")
    there = Identity(kind=crm.kind, fields=crm.identity)
    assert strangers(datamap, [Standing("people", crm.url, there, {})]) == []
    moved = Identity(kind=crm.kind, fields=(*crm.identity[:-1], (crm.identity[-1][0], "another")))
    (told,) = strangers(datamap, [Standing("people", crm.url, moved, {})])
    assert told == "people: not the store that the data map found at this place; map it again"


def test_a_database_that_was_rebuilt_is_the_same_store(mapped: House) -> None:
    (mapped.folder / "aside.sqlite").write_bytes((mapped.folder / "crm.sqlite").read_bytes())
    (mapped.folder / "aside.sqlite").replace(mapped.folder / "crm.sqlite")
    assert mapped.approved().plan.exists()


def test_a_lowered_level_needs_two_who_see_it(mapped: House) -> None:
    text = mapped.file.read_text()
    assert text.count('level = "sensitive"') >= 1
    lowered = re.sub(r'(name = "mail"\nlevel = )"sensitive"', r'\1"internal"', text)
    assert lowered != text
    mapped.file.write_text(lowered)
    mapped.attest("it")
    directory = mapped.approved()
    (gate,) = (g for g in read_plan(directory).plan.gates if isinstance(g, MapGate))
    assert [(f.table, f.field, f.type, f.level) for f in gate.lowered] == [
        ("people", "mail", "e-mail", "internal")
    ]
    assert "levels below those of their types: people.mail (e-mail: internal)" in gate_in_words(gate)
    asked = HEAD.replace('"other"', '"subject-request"').replace("without_notice", "# without_notice")
    files = (
        asked
        + '[policy]\napprovals = 1\n[datamap]\nfile = "../datamap.toml"\nlaws = ["DE"]\nleaves = ["crm"]\n'
    )
    job = mapped.bench.job(files + '[[target]]\nid = "tape"\nurl = "file:../tape"\n', "alone")
    assert "csv-1.mail (e-mail) to internal: 2 must approve that" in refused(lambda: mapped.bench.plan(job))


def test_each_country_has_a_plan_of_its_own(house: House) -> None:
    house.sql("ALTER TABLE people ADD COLUMN country TEXT")
    house.sql(
        "UPDATE people SET country = "
        "CASE id % 3 WHEN 0 THEN 'Germany' WHEN 1 THEN 'China' ELSE 'California' END"
    )
    house.map(DECLARED.replace('{ code = "CN"', '{ code = "US-CA", reason = "shop" }, { code = "CN"'))
    house.attest()
    places = {"DE": "Germany", "CN": "China", "US-CA": "California"}
    for code, country in places.items():
        where = f'where = [{{ column = "country", operator = "=", value = "{country}" }}]\n'
        directory = house.bench.job(JOB.replace('"DE"', f'"{code}"') + where, f"job-{code}")
        house.bench.plan(directory)
        plan = read_plan(directory).plan
        house.bench.approve(directory)
        house.bench.run(directory)
        (gate,) = (g for g in plan.gates if isinstance(g, MapGate))
        assert gate.laws == (code,)
        with closing(sqlite3.connect(house.folder / "crm.sqlite")) as connection:
            left = {c for (c,) in connection.execute("SELECT DISTINCT country FROM people")}
        places_left = [*places.values()][[*places].index(code) + 1 :]
        assert left == set(places_left)


def test_what_a_policy_forbids_is_refused_before_anybody_approves(mapped: House) -> None:
    (mapped.folder / "house.toml").write_text(
        'schema = "deleatur/policy/v1"\nid = "house"\nversion = "1"\ntitle = "Ours"\njurisdiction = "any"\n'
        'date = "2026-11-22"\n[[source]]\nid = "us"\nkind = "house"\ntext = "Mail addresses need purge."\n'
        'where = "board"\ndate = "2026-11-22"\nchecked = "read"\n[[protection]]\nlevel = "sensitive"\n'
        'technique = "purge"\narchive = ["drop"]\nsources = ["us"]\n'
    )
    told = refused_plan(mapped, JOB.replace("leaves", 'packs = ["../house.toml"]\nleaves'))
    assert "rewrite-and-shred is clear; the level sensitive needs at least purge" in told
    told = refused(
        lambda: mapped.bench.plan(
            mapped.bench.job(JOB.replace("leaves", 'packs = ["../declared.toml"]\nleaves'), "no-pack")
        )
    )
    assert "declared.toml is not there" in told


@pytest.mark.parametrize("later", ["changed", "gone", "unattested", "new-column"])
def test_what_held_at_the_plan_must_hold_in_the_run(mapped: House, later: str) -> None:
    directory = mapped.approved()
    match later:
        case "changed":
            mapped.file.write_text(mapped.file.read_text() + "\n# later\n")
            wanted = "changed since the plan"
        case "gone":
            mapped.file.unlink()
            wanted = "is gone; put it back"
        case "unattested":
            for envelope in Path(f"{mapped.file}.attested").glob("sales-*"):
                envelope.unlink()
            wanted = "sales has not attested their part"
        case _:
            mapped.sql("ALTER TABLE towns ADD COLUMN mayor TEXT")
            wanted = "not the target of the plan (schema-sha256"  # the database itself tells it first
    assert wanted in refused(lambda: mapped.bench.run(directory))
    assert mapped.untouched()
    assert not directory.certificate.exists()
