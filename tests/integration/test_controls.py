"""`deleatur controls`: each demand of the policies has live evidence, or is a gap."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from deleatur.cli.group import deleatur
from deleatur.engine.jobs import read_entries, read_plan
from deleatur.errors import Refused
from deleatur.testing.shop import POLICY

from .map_house import DECLARED, HEAD, JOB, House


def controls(job: Path) -> dict[str, dict[str, str]]:
    result = CliRunner().invoke(deleatur, ["controls", str(job), "--json"], standalone_mode=False)
    assert result.exception is None, result.exception
    answer = json.loads(result.stdout)
    assert answer["gaps"] == sum(not one["evidence"] for one in answer["controls"])
    assert all(one["sources"] for one in answer["controls"])
    return {f"{one['pack'].split()[0]}/{one['part']}": one for one in answer["controls"]}


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    (tmp_path / "shop.toml").write_text(POLICY.replace('"customers"', '"people"'))
    house.map(DECLARED)
    house.attest()
    return house


def test_every_demand_has_live_evidence_or_is_a_gap(house: House) -> None:
    directory = house.approved(JOB.replace("leaves", 'packs = ["../shop.toml"]\nleaves'))
    before = controls(directory.path)
    assert before["default/certificate"]["evidence"] == "plan.json: 10 years"
    assert before["default/protection of sensitive"]["evidence"] == "plan.json: clear"
    assert before["default/notice"]["evidence"] == ""  # nobody was told
    held = next(name for name, one in before.items() if one["control"] == "holds are asked before each step")
    assert before[held]["evidence"] == ""  # not yet
    house.bench.run(directory)
    after = controls(directory.path)
    assert after.keys() == before.keys()
    number = int(after[held]["evidence"].rpartition(" ")[2])
    entries = read_entries(directory, read_plan(directory))
    assert type(entries[number].event).__name__ in ("Unheld", "Passed")
    assert after["default/notice"]["evidence"] == ""
    assert not any(name.startswith("us-california/") for name in after)  # a law of nobody here
    shown = CliRunner().invoke(deleatur, ["controls", str(directory.path)], standalone_mode=False)
    assert "gap: default" in shown.stdout
    assert "requirement 37 of this project" in shown.stdout


def test_policies_that_changed_since_the_plan_are_not_asked(house: House) -> None:
    directory = house.approved(JOB.replace("leaves", 'packs = ["../shop.toml"]\nleaves'))
    text = (house.folder / "shop.toml").read_text()
    (house.folder / "shop.toml").write_text(text.replace('version = "1.0"', 'version = "1.1"'))
    result = CliRunner().invoke(deleatur, ["controls", str(directory.path)], standalone_mode=False)
    assert isinstance(result.exception, Refused)
    assert "not those of the plan" in str(result.exception)


def test_a_job_without_a_map_asked_no_policy(house: House) -> None:
    target = '[[target]]\nid = "people"\nurl = "sqlite:../crm.sqlite"\n[[target.select]]\ntable = "people"\n'
    directory = house.approved(HEAD + target)
    result = CliRunner().invoke(deleatur, ["controls", str(directory.path)], standalone_mode=False)
    assert "rests on no data map" in str(result.exception)
