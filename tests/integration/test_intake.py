"""Consent withdrawn: an event opens a job within one turn, and its entry is signed and chained."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from deleatur.engine import intake as engine
from deleatur.engine.directory import JobDirectory
from deleatur.engine.docket import DocketFile
from deleatur.errors import Malformed
from deleatur.testing.workbench import Workbench
from deleatur.trust.keys import load_public

from .subject_office import Office, make_office
from .test_draft import all_rows, theirs

CALENDAR = """\
schema = "deleatur/calendar/v1"
offset = "+00:00"
first = "2026-01-01"
last = "2027-12-31"
"""
RECEIVED = "2026-11-22T08:00:00Z"


class Desk:
    """An office with a docket, a folder for events and one for jobs."""

    def __init__(self, folder: Path, office: Office) -> None:
        self.office, self.folder = office, folder
        self.events, self.jobs = folder / "events", folder / "jobs"
        self.events.mkdir()
        self.jobs.mkdir()
        (folder / "calendar.toml").write_text(CALENDAR)
        settings = 'schema = "deleatur/agent/v1"\n[keys]\nagent = "it.key"\n'
        docket = f"[docket]\nfile = '{folder}/docket.jsonl'\nkeys = ['it.pub']\n"
        docket += f"calendar = '{folder}/calendar.toml'\n"
        (office.folder / "deleatur.toml").write_text(settings + docket)
        office.run("docket", "begin", *self.signed)

    @property
    def signed(self) -> tuple[str, ...]:
        return f"--key={self.office.folder}/it.key", f"--passphrase-file={self.office.folder}/pass"

    def put(self, name: str, number: int, **changed: Any) -> Path:
        event = {
            "schema": "deleatur/event/v1",
            "id": name,
            "kind": "consent-withdrawn",
            "received": RECEIVED,
            "channel": "web form",
            "of": [f"e-mail: {self.office.customer(number)['email']}"],
        }
        path = self.events / f"{name}.json"
        path.write_text(json.dumps(event | changed))
        return path

    def turn(self) -> Result:
        words = ("intake", self.events, self.office.map, f"--jobs={self.jobs}", "--leave=laptop", "--json")
        people = ("--owner=privacy-office", "--superior=board")
        return self.office.invoke(*map(str, words), *people, *self.signed)

    def take(self, code: int = 0) -> list[dict[str, Any]]:
        result = self.turn()
        assert getattr(result.exception, "exit_code", 0) == code, result.exception
        return list(json.loads(result.stdout)["events"])

    def docket(self) -> DocketFile:
        key = load_public(self.office.folder / "it.pub")
        return DocketFile(self.folder / "docket.jsonl", (key,), self.folder / "calendar.toml")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"))


@pytest.fixture
def desk(office: Office, tmp_path: Path) -> Desk:
    return Desk(tmp_path, office)


def test_an_event_opens_a_job_within_one_turn_and_its_entry_is_chained(tmp_path: Path) -> None:
    desk = Desk(tmp_path, make_office(tmp_path / "office"))
    email = desk.office.customer(12)["email"]
    desk.put("ev-12", 12)
    (taken,) = desk.take()
    assert (taken["event"], taken["job"]) == ("ev-12", f"{desk.jobs}/ev-12")
    assert list(desk.events.iterdir()) == []  # it went into its job
    docket = desk.docket()
    matter = docket.read().matters["ev-12"].matter
    assert (matter.kind, matter.owner, matter.since) == (
        "approval",
        "privacy-office",
        "2026-11-22T08:00:00.000Z",
    )
    assert email.encode() not in docket.path.read_bytes()
    content = docket.path.read_bytes()
    docket.path.write_bytes(content.replace(b"A", b"B", 1))
    with pytest.raises(Malformed):
        docket.read()
    docket.path.write_bytes(content)

    directory = JobDirectory(desk.jobs / "ev-12")
    asked = directory.job.read_text("utf-8")
    assert email not in asked
    directory.job.write_text(asked.replace("[datamap]", '[datamap]\nlaws = ["CN"]'), "utf-8")
    before = all_rows(desk.office.shop.database)
    mine = theirs(desk.office.shop.database, 12)
    bench = Workbench(tmp_path / "bench")
    bench.plan(directory)
    bench.approve(directory)
    bench.run(directory)
    after = all_rows(desk.office.shop.database)
    assert after == {table: rows - mine.get(table, set()) for table, rows in before.items()}


def test_one_that_waits_for_approval_too_long_goes_to_the_superior(desk: Desk) -> None:
    desk.put("ev-12", 12)
    desk.take()
    late = desk.docket().standings(lambda: datetime(2026, 11, 26, 0, 1, tzinfo=UTC))
    assert [one.told for one in late] == ["board"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"of": ["e-mail: nobody@example.org"]}, "no store holds a record of this person"),
        ({"of": ["shoe-size: 44"]}, "write `type: value`"),
        ({"kind": "wants-a-pony"}, "kind"),
        ({"received": "2026-11-31T08:00:00Z"}, "no such date"),
        ({"received": "2126-11-22T08:00:00Z"}, "lies ahead"),
        ({"extra": 1}, "extra"),
    ],
)
def test_an_event_that_opens_no_job_stays_and_holds_up_no_other(
    desk: Desk, changed: dict[str, Any], told: str
) -> None:
    stays = desk.put("a-first", 12, **changed)
    desk.put("b-second", 13)
    first, second = desk.take(code=4)
    assert told in first["why"]
    assert "nobody@example.org" not in first["why"]
    assert second["job"]
    assert [*desk.events.iterdir()] == [stays]
    assert sorted(p.name for p in desk.jobs.iterdir()) == ["b-second"]


def test_a_file_that_cannot_be_read_holds_up_no_other(desk: Desk) -> None:
    (desk.events / "a-folder.json").mkdir()
    (desk.events / "a-link.json").symlink_to(desk.events / "nowhere")
    (desk.events / "a-part.json").write_text('{"schema": "deleatur/ev')
    desk.put("b-second", 13)
    *stay, second = desk.take(code=4)
    assert len(stay) == 3
    assert all(one["job"] is None and one["event"].startswith("inode-") for one in stay)
    assert second["job"]


def test_another_event_under_a_known_id_is_refused(desk: Desk) -> None:
    desk.put("ev-12", 12)
    desk.take()
    desk.put("ev-12", 13)
    (taken,) = desk.take(code=4)
    assert "is another event or job already" in taken["why"]
    (desk.jobs / "ev-14").mkdir()
    desk.put("ev-14", 14)
    assert "ev-14 is another event or job already" in desk.take(code=4)[1]["why"]
    desk.events.joinpath("ev-14.json").unlink()
    desk.put("ev-12", 12, channel="letter")
    (taken,) = desk.take(code=4)
    assert "the docket knows another matter ev-12" in taken["why"]


@pytest.mark.parametrize("killed_in", ["find_subject", "draft_job", "destroy_file"])
def test_killed_anywhere_the_next_turn_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    path = desk.put("ev-12", 12)
    content = path.read_bytes()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(engine, killed_in, killed)
        assert desk.turn().exception is not None
    assert path.read_bytes() == content
    (taken,) = desk.take()
    assert taken["job"]
    assert not path.exists()
    assert (desk.jobs / "ev-12" / "event.json").read_bytes() == content
    assert len(desk.docket().read().lines) == 2  # it began, and one matter came in
