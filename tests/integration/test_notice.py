"""People are told before their records go: letters, mail, files, what comes back, and the gate that asks."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deleatur.cli.group import deleatur
from deleatur.engine.bundling import bundle_job
from deleatur.engine.notices.folder import read_ledger
from deleatur.errors import Unsupported
from deleatur.trust.bundle import verify_bundle
from deleatur.trust.verification import verify

from .notice_case import Case, answer, bounce, case, letter_to, references_in, refused
from .post_office import JOB

__all__ = ["case"]  # the fixture


def test_the_whole_way(case: Case) -> None:
    assert case.send() == {"told": 4}
    assert sorted(case.post.clerk.to) == [f"canary{n}@mail.example.org" for n in (1, 2, 5, 6)]
    (path,) = case.write()
    assert path.stat().st_mode & 0o777 == 0o600
    (reference,) = references_in(path)
    state = case.desk().state()
    assert (state.told, state.unreached, state.untold) == (4, 2, 0)
    case.bench.later(days=1)
    assert case.back(f"reference,status\n{reference},delivered\n") == {"delivered": 1}
    assert (case.folder / "notice" / "held.txt").read_text() == "4\n"  # whom nothing can reach
    case.bench.later(days=31, hours=2)
    case.plan()
    case.run()
    assert case.rows() == [4, 999]
    certificate = verify(case.directory.certificate, [case.bench.agent.public], 1, None).certificate
    (condition,) = certificate.conditions
    assert condition.gate == "notice"
    assert [(c.name, c.count) for c in condition.counts] == [("told", 5), ("unreached", 0), ("replied", 0)]
    assert "(people: 5, the last at 2026-11-23T" in condition.sentences[0].text
    assert not (case.folder / "notice" / "notice.key").exists()
    for file in [*case.directory.path.rglob("*"), *(case.folder / "notice").rglob("*")]:
        if file.is_file():
            assert b"anary" not in file.read_bytes(), file
            assert b"55501" not in file.read_bytes(), file


# the days


def test_day_29_and_day_30_are_refused_and_day_31_is_allowed(case: Case) -> None:
    case.told_all()
    told = datetime.fromisoformat(read_ledger(case.desk().folder).standing.last_told)
    case.plan()
    for day in (29, 30):
        case.bench.later(seconds=(told + timedelta(days=day) - case.bench.now).total_seconds())
        told_why = refused(case.run)
        assert told_why.startswith(
            "people have 30 days and until the cut-off day: nothing may go before 2026-12-23T"
        )
        assert case.rows() == [1, 2, 3, 4, 5, 6, 999]
    case.bench.later(seconds=(told + timedelta(days=31, hours=4) - case.bench.now).total_seconds())
    case.run()
    assert case.rows() == [4, 999]


def test_a_cut_off_day_that_leaves_too_little_time_keeps_letters_back(case: Case) -> None:
    case.bench.later(days=3)
    assert "leaves people less than 30 days" in refused(case.send)
    assert not case.post.clerk.letters


def test_a_clock_that_is_set(case: Case) -> None:
    case.told_all()
    case.plan()
    case.bench.now += timedelta(days=40)  # and the host ran on for a minute only
    assert "the clock was set forward: since people were told this host ran only 0 days" in refused(case.run)
    case.bench.now -= timedelta(days=41)
    assert "the clock stands before the last entry of the ledger" in refused(case.run)
    assert "the clock stands before the last entry of the ledger" in refused(case.send)


# who was told


def test_without_evidence_nothing_is_planned(case: Case) -> None:
    assert "held.txt is missing" in refused(case.plan)
    (case.folder / "notice").mkdir()
    (case.folder / "notice" / "held.txt").touch()
    assert "there is no evidence of notice" in refused(case.plan)
    case.send()
    case.again("second")
    assert "1 people of the selection were not told" in refused(case.plan)


def test_whoever_came_after_the_letters_is_counted_and_written_to(case: Case) -> None:
    case.told_all()
    case.sql("INSERT INTO customers VALUES (7, 'Canary Late', 'canary7@mail.example.org', '', '', 'DE', 1)")
    told = refused(case.plan)
    assert told == "1 people of the selection were not told; write to them (`deleatur notice send`)"
    assert case.send() == {"told": 1}
    assert max(case.post.clerk.to.values()) == 1


def test_whoever_writes_back_on_the_last_day_is_held(case: Case) -> None:
    case.told_all()
    case.plan()
    case.bench.later(days=29, hours=15)  # 2026-12-21, and the cut-off day is the 22nd
    letter = letter_to(case, 2)
    assert case.back(answer(letter, "another.address@example.net"), "answer.eml") == {"replied": 1}
    assert (case.folder / "notice" / "held.txt").read_text() == "2\n4\n"
    case.bench.later(days=3)
    assert "a values_from file changed since the plan" in refused(case.run)
    case.again("second")
    case.plan()
    case.run()
    assert case.rows() == [2, 4, 999]
    certificate = verify(case.directory.certificate, [case.bench.agent.public], 1, None).certificate
    assert ("replied", 1) in [(c.name, c.count) for c in certificate.conditions[0].counts]


def test_a_list_that_was_emptied_lets_nobody_go_who_wrote(case: Case) -> None:
    case.told_all()
    case.back(answer(letter_to(case, 1), "canary1@mail.example.org"), "answer.eml")
    (case.folder / "notice" / "held.txt").write_text("4\n")
    assert refused(case.plan) == "1 people who wrote back are still selected; hold them and plan again"


def test_an_answer_without_a_reference_is_known_by_its_address_and_a_strange_one_stops(case: Case) -> None:
    case.send()
    mail = answer(letter_to(case, 5), "Canary Walburga <CANARY5@Mail.Example.org>", Auto_Submitted="no")
    bare = b"\n".join(line for line in mail.split(b"\n") if not line.startswith(b"In-Reply-To"))
    assert case.back(bare, "answer.eml") == {"replied": 1}
    strange = bare.replace(b"CANARY5", b"somebody")
    told = refused(lambda: case.back(strange, "strange.eml"))
    assert "is of nobody who was written to" in told
    assert "somebody" not in told
    robot = answer(letter_to(case, 1), "canary1@mail.example.org", Auto_Submitted="auto-replied")
    assert case.back(robot, "robot.eml") == {"automatic": 1}
    assert case.back("recipient,status\ncanary5@mail.example.org,settled\n") == {"settled": 1}
    assert case.desk().state().replied == 0


# nobody is told


def test_that_nobody_is_told_is_decided_by_two_and_printed(case: Case) -> None:
    head, _, rest = JOB.partition("[notice]")
    targets = rest[rest.index("[[target]]") : rest.index("[[target.hold]]")]
    case.again("untold", f'{head}without_notice = "stolen; the authority tells them"\n{targets}')
    case.bench.plan(case.directory)
    case.bench.approve(case.directory, case.bench.approvers[:1])
    assert "approv" in refused(case.run)
    assert len(case.rows()) == 7
    case.bench.approve(case.directory, case.bench.approvers[1:])
    case.run()
    assert case.rows() == [999]
    certificate = verify(case.directory.certificate, [case.bench.agent.public], 1, None).certificate
    (exception,) = [e for e in certificate.exceptions if e.type == "not-told"]
    assert exception.sentence.text == (
        "The people concerned were not told before, where policies ask for 30 days; those who approved the "
        "plan decided so, because: stolen; the authority tells them"
    )
    assert certificate.outcome.overall == "verified-with-exceptions"
    assert certificate.conditions[0].gate == "without-notice"


# what does not arrive


def test_whom_no_letter_reaches_is_held_or_an_exception(case: Case) -> None:
    case.sql("UPDATE customers SET mobile = NULL WHERE id IN (1, 6)")
    case.told_all()
    box = b"".join(
        b"From MAILER-DAEMON Sun Nov 22 09:00:00 2026\n" + part + b"\n"
        for part in (
            bounce(letter_to(case, 1)),
            bounce(letter_to(case, 2), "delayed", "4.4.1"),
            bounce(letter_to(case, 5), "delivered", "2.1.5"),
            bounce(letter_to(case, 6), "failed", "5.2.2"),
        )
    )
    assert case.back(box, "bounces.mbox") == {"undelivered": 2, "automatic": 1, "delivered": 1}
    assert (case.folder / "notice" / "held.txt").read_text() == "1\n4\n6\n"
    lenient = JOB.replace(
        'mail_from = "privacy@shop.example"', 'mail_from = "privacy@shop.example"\nundelivered = "except"'
    )
    case.again("lenient", lenient)
    case.back("reference,status\n")  # the list is written as this job says
    case.bench.later(days=32)
    case.plan()
    case.run()
    assert case.rows() == [999]
    certificate = verify(case.directory.certificate, [case.bench.agent.public], 1, None).certificate
    (exception,) = [e for e in certificate.exceptions if e.type == "not-told"]
    assert exception.sentence.text.endswith("(people: 3).")
    assert certificate.outcome.overall == "verified-with-exceptions"


def test_a_letter_that_comes_back_after_the_plan_stops_the_run(case: Case) -> None:
    lenient = JOB.replace(
        'mail_from = "privacy@shop.example"', 'mail_from = "privacy@shop.example"\nundelivered = "except"'
    )
    case.again("lenient", lenient)
    case.told_all()
    case.plan()
    case.back(bounce(letter_to(case, 1)), "bounce.eml")
    case.bench.later(days=32)
    assert "1 more letters came back since the plan; plan again" in refused(case.run)


def test_who_is_not_reached_by_mail_is_written_to_by_the_next_channel(case: Case) -> None:
    case.send()
    case.back(bounce(letter_to(case, 2)), "bounce.eml")
    (chinese_and_german,) = [case.write()]
    rows = [row for path in chinese_and_german for row in references_in(path)]
    assert len(rows) == 2  # number 2, and number 3 who has no mail address
    assert case.write() == []  # nobody is written to twice
    assert case.back("reference,status,channel\n" + "".join(f"{r},failed,phone\n" for r in rows)) == {
        "undelivered": 2
    }
    assert case.write() == []
    assert case.send() == {}
    assert (case.folder / "notice" / "held.txt").read_text() == "2\n3\n4\n"


def test_a_file_that_a_kill_left_unfinished_is_finished_or_goes(case: Case) -> None:
    case.send()
    entries = read_ledger(case.desk().folder).standing.entries
    out = case.folder / "out"
    out.mkdir()
    never = out / f"letters-{entries:08}-phone-de.part"
    never.write_text("reference,to\n")
    (path,) = case.write()
    assert not never.exists()
    path.rename(path.with_suffix(".part"))  # as if killed after the entry and before the name
    assert case.write() == []
    assert path.exists()


def test_a_log_that_says_nothing_known_is_not_entered(case: Case) -> None:
    case.send()
    entries = read_ledger(case.desk().folder).standing.entries
    for text in ("reference,status\nabc,perhaps\n", "name,phone\nx,y\n", b"\xff\xfe\x00"):
        with pytest.raises(Unsupported):
            case.back(text)
    assert "is of nobody who was written to" in refused(
        lambda: case.back(f"reference,status\n{'0' * 40},failed\n")
    )
    with pytest.raises(Unsupported):
        case.back(bounce(letter_to(case, 1), "vanished"), "odd.eml")
    assert all(case.desk().state().unreached == n for n in [1])  # number 4 only: nothing was entered
    assert read_ledger(case.desk().folder).standing.entries <= entries + 4


def test_the_ledger_goes_into_the_bundle_and_the_list_of_the_held_does_not(case: Case) -> None:
    case.told_all()
    case.bench.later(days=32)
    case.plan()
    case.run()
    maker = case.bench.agent

    def bundled(folder: Path) -> Path:
        bundle_job(case.directory, folder, added=(), key=maker, clock=case.bench.clock)
        return folder

    shown = bundled(case.folder / "shown")
    assert [path.name for path in (shown / "notices").iterdir()] == ["ledger.jsonl"]
    assert verify_bundle(shown, [maker.public], 1)
    raw = b"".join(path.read_bytes() for path in shown.rglob("*") if path.is_file())
    assert b"canary" not in raw
    ledger = case.folder / "notice" / "ledger.jsonl"
    first, rest = ledger.read_bytes().split(b"\n", 1)
    ledger.write_bytes(rest)
    assert "is not the one that the job rested on" in refused(lambda: bundled(case.folder / "again"))
    ledger.write_bytes(first + b"\n" + rest)
    assert verify_bundle(bundled(case.folder / "again"), [maker.public], 1)


def test_the_command_line_from_letters_to_status(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "passphrase").write_text("a passphrase of the tests\n")
    monkeypatch.setenv("DELEATUR_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    monkeypatch.chdir(tmp_path)
    case.again("job-of-later", JOB.replace("2026-12-22", "2126-12-22"))

    def typed(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(deleatur, [*words, "--json"])
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))

    typed("init", "--approver", "alice", "--approver", "bob")
    server = case.post.server
    sent = typed(
        "notice", "send", "job-of-later", "--smtp", server.url, "--ca", str(server.ca), "--rate", "1000"
    )
    assert (sent["outcomes"], sent["told"], sent["untold"]) == ({"told": 4}, 4, 1)
    (file,) = typed("notice", "write", "job-of-later", "--to", "out")["files"]
    log = tmp_path / "log.csv"
    log.write_text(f"reference,status\n{references_in(Path(file['file']))[0]},delivered\n")
    assert typed("notice", "import-log", "job-of-later", str(log))["outcomes"] == {"delivered": 1}
    state = typed("notice", "status", "job-of-later")
    assert (state["told"], state["unreached"], state["untold"], state["held"]) == (5, 1, 0, 1)
    assert state["opens"] == "2126-12-23T12:00:00Z"
