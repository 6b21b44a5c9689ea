"""Mail servers that cheat or break, ledgers that were edited, templates that hide: each is caught."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP
from msgspec.structs import replace

from deleatur.documents import ledger as b
from deleatur.documents.chain import digest_of_line
from deleatur.documents.decode import decode_job
from deleatur.engine.notices.folder import read_ledger
from deleatur.engine.notices.letters import Letters
from deleatur.engine.notices.sending import Server
from deleatur.errors import Malformed, Refused, Transient

from .notice_case import Case, bounce, case, letter_to, refused
from .post_office import JOB, Post, hang_up, killer

__all__ = ["case"]  # the fixture


def addressee(number: int) -> str:
    return f"canary{number}@mail.example.org"


# servers


def test_a_server_that_takes_the_envelope_and_refuses_the_letter(case: Case) -> None:
    case.post.clerk.at_content = lambda a, _s: "550 5.7.1 spam" if a == addressee(2) else None
    assert case.send() == {"told": 3, "undelivered": 1}
    case.post.clerk.at_content = lambda _a, _s: None
    assert case.send() == {}  # not by mail again: the next channel is a text message
    assert all("-phone-" in path.name for path in case.write())
    assert case.desk().state().untold == 0


def test_a_server_that_refuses_addresses_now_or_for_ever(case: Case) -> None:
    said = {addressee(1): "450 4.2.1 later", addressee(5): "550 5.1.1 unknown"}
    case.post.clerk.at_recipient = said.get
    assert case.send() == {"told": 2, "undelivered": 1, "deferred": 1}
    case.post.clerk.at_recipient = lambda _a: None
    assert case.send() == {"told": 1}
    assert case.post.clerk.to == {addressee(n): 1 for n in (1, 2, 6)}


def test_a_server_that_closes_in_the_middle_may_have_the_letter(case: Case) -> None:
    def close(address: str, server: SMTP) -> str | None:
        if address == addressee(5):
            hang_up(server)
        return None  # it took it, and nobody will know

    case.post.clerk.at_content = close
    assert case.send() == {"told": 3, "unknown": 1}
    case.post.clerk.at_content = lambda _a, _s: None
    assert case.send() == {}
    assert max(case.post.clerk.to.values()) == 1
    state = case.desk().state()
    assert (state.told, state.unreached, state.untold) == (3, 2, 1)  # 5 and 4; 3 has no mail address
    assert case.back(bounce(letter_to(case, 5), "delivered", "2.0.0"), "late.eml") == {"delivered": 1}
    assert case.desk().state().told == 4


def test_a_server_that_always_closes_is_given_up(case: Case) -> None:
    def close(_address: str, server: SMTP) -> str | None:
        hang_up(server)
        return "451 4.3.0 closed"

    case.post.clerk.at_content = close
    with pytest.raises(Transient):
        case.send()
    assert case.desk().state().told == 0


def test_a_server_that_accepts_all_and_drops_half_is_told_by_its_log(case: Case) -> None:
    assert case.send() == {"told": 4}
    dropped = [letter_to(case, n) for n in (1, 6)]
    references = [str(letter["Message-ID"])[1:41] for letter in dropped]
    case.back("reference,status,code\n" + "".join(f"{r},failed,5.4.7\n" for r in references))
    assert case.desk().state().told == 2
    assert {"1", "6"} <= set((case.folder / "notice" / "held.txt").read_text().split())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: replace_server(s, ca=None), "TLS with 127.0.0.1 fails: CERTIFICATE_VERIFY_FAILED"),
        (lambda s: replace_server(s, url=s.url.replace("smtps", "http")), "name the mail server as smtps://"),
        (lambda s: replace_server(s, url=s.url.replace("//", "//user:secret@")), "without the password"),
        (lambda s: replace_server(s, url=s.url.replace("//", "//user@")), "give the file with the password"),
        (lambda s: replace_server(s, url=s.url.rpartition(":")[0] + ":1"), "cannot be reached now"),
    ],
)
def test_servers_that_are_not_spoken_to(case: Case, change: Callable[[Server], Server], said: str) -> None:
    case.post.server = change(case.post.server)
    with pytest.raises((Refused, Transient), match=said):
        case.send()
    assert not case.post.clerk.letters


def replace_server(server: Server, **changes: object) -> Server:
    return Server(**{"url": server.url, "password_file": server.password_file, "ca": server.ca, **changes})  # type: ignore[arg-type]


def test_starttls_and_a_password(case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    post = Post(folder, implicit=False, user="shop")
    case.post.close()
    case.post = post
    (folder / "password").write_text("wrong\n")
    assert "does not accept this user and password" in refused(case.send)
    (folder / "password").write_text("secret\n")
    assert case.send() == {"told": 4}


def test_a_server_without_tls_gets_no_letter(case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    post = Post(folder, implicit=False, offers_tls=False)
    case.post.close()
    case.post = post
    assert "offers no STARTTLS, and letters do not leave in clear" in refused(case.send)
    assert not post.clerk.letters


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("after", [1, pytest.param(3, marks=pytest.mark.campaign), 4])
def test_after_a_kill_nobody_is_written_to_twice(case: Case, after: int, taken: bool) -> None:
    case.post.clerk.at_content = killer(case.folder / "pid", after, taken=taken)
    assert case.post.server.ca is not None
    command = [sys.executable, str(Path(__file__).with_name("notice_sender.py")), str(case.folder)]
    command += [case.post.server.url, str(case.post.server.ca)]
    killed = subprocess.run(command, timeout=60, check=False, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert "does not end with a seal" in refused(case.plan)
    case.post.clerk.at_content = lambda _a, _s: None
    case.bench.later(hours=1)
    assert case.send() == ({"told": 4 - after} if after < 4 else {})
    assert max(case.post.clerk.to.values()) == 1
    assert sum(case.post.clerk.to.values()) == (4 if taken else 3)
    state = case.desk().state()
    assert (state.told, state.untold) == (3, 1)  # number 3 has no mail address
    assert state.unreached == 2  # one letter of which nobody knows, and number 4


# ledgers


def lines_of(case: Case) -> list[bytes]:
    return (case.folder / "notice" / "ledger.jsonl").read_bytes().splitlines(keepends=True)


def rewrite(case: Case, lines: list[bytes]) -> None:
    (case.folder / "notice" / "ledger.jsonl").write_bytes(b"".join(lines))


def chained(case: Case, change: Callable[[b.LedgerEntry], b.LedgerEntry]) -> list[bytes]:
    """Change entries and mend the chain, as somebody would who can write the folder and has no key."""
    lines: list[bytes] = []
    for line in lines_of(case):
        entry = change(b.decode_ledger_entry(line))
        if lines:
            entry = replace(entry, previous=digest_of_line(lines[-1]))
        lines.append(b.ledger_line(entry))
    return lines


def test_an_edited_ledger_stops_everything(case: Case) -> None:
    case.told_all()
    good = lines_of(case)
    rewrite(case, [*good[:2], good[2].replace(b"email", b"phone"), *good[3:]])
    with pytest.raises(Malformed, match="the chain breaks"):
        case.plan()
    rewrite(case, [*good[:3], *good[4:]])
    with pytest.raises(Malformed, match="the chain breaks"):
        case.send()


def test_a_ledger_that_is_dated_back_with_its_chain_mended_has_no_seal(case: Case) -> None:
    case.told_all()
    rewrite(case, chained(case, lambda e: replace(e, at=e.at.replace("2026-11-22", "2026-10-01"))))
    assert "does not end with a seal by the planner or an approver" in refused(case.plan)


def test_an_entry_that_is_dated_before_the_one_above_it(case: Case) -> None:
    case.told_all()
    rewrite(case, chained(case, lambda e: replace(e, at=e.at.replace("2026", "2025")) if e.n == 3 else e))
    assert "the ledger goes back in time at line 4" in refused(case.plan)


def test_a_ledger_that_is_shorter_or_another_one_than_planned(case: Case) -> None:
    case.told_all()
    before = lines_of(case)
    case.back("reference,status\n")
    case.plan()
    case.bench.later(days=32)
    rewrite(case, before)  # sound, sealed, and without its last command
    assert "is not the one of the plan" in refused(lambda: case.run())


def test_a_lost_key_and_a_torn_line(case: Case) -> None:
    case.told_all()
    entries = read_ledger(case.desk().folder).standing.entries
    with (case.folder / "notice" / "ledger.jsonl").open("ab") as file:
        file.write(b'{"n":99,"at":')
    assert read_ledger(case.desk().folder).standing.entries == entries
    case.back("reference,status\n")
    assert len(lines_of(case)) == entries + 2  # the torn line went, a command began and ended
    (case.folder / "notice" / "notice.key").unlink()
    assert "there is no evidence of notice" in refused(case.plan)
    assert "nobody in the ledger can be told from another" in refused(case.send)


# letters

GOOD = """{{ reason }}
{% block reason %}{{ reason }}{% endblock %}
{% block erased %}{{ erased }} {{ erase_from }} {{ method }}{% endblock %}
{% block rights %}{{ export }} {{ contact }}{% endblock %}
{% block cut_off %}{{ cut_off }}{% endblock %}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{% block reason %}{{ reason }}{% endblock %}", "{{ reason }}", "lacks reason"),
        ("{{ method }}", "by magic", "lacks erased"),
        ("{{ export }}", "{# {{ export }} #}", "lacks rights"),
        ("{{ cut_off }}", "{% if false %}{{ cut_off }}{% endif %}", "lacks cut_off"),
        ("{{ cut_off }}", "", "lacks cut_off"),
        ("{{ contact }}", "{{ kontakt }}", "breaks with UndefinedError"),
        ("{{ contact }}", "{{ contact", "is not a template"),
        ("{{ contact }}", "{{ contact }}{{ ''.__class__.__mro__ }}", "breaks with SecurityError"),
        ("{{ contact }}", "{{ contact }}{% include '/etc/passwd' %}", "breaks with TypeError"),
        ("{{ contact }}", "{{ contact }}{% for i in range(9) %}{% endfor %}", "breaks with UndefinedError"),
    ],
)
def test_a_template_that_hides_a_part_or_reaches_out(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert GOOD.count(old) == 1
    (tmp_path / "own.txt").write_text(GOOD.replace(old, new))
    notice = decode_job(
        JOB.replace('language = "en"', 'language = "en"\ntemplate = "own.txt"').encode()
    ).notice
    assert notice is not None
    with pytest.raises(Refused, match=said):
        Letters(notice, tmp_path)
    (tmp_path / "own.txt").write_text(GOOD)
    assert "our shop closes" in Letters(notice, tmp_path).write("en", "Zoe").text


def test_a_template_that_hides_a_part_from_one_person_only(tmp_path: Path) -> None:
    hiding = GOOD.replace("{{ export }}", "{% if name != 'Zoe' %}{{ export }}{% endif %}")
    (tmp_path / "own.txt").write_text(hiding)
    notice = decode_job(
        JOB.replace('language = "en"', 'language = "en"\ntemplate = "own.txt"').encode()
    ).notice
    assert notice is not None
    letters = Letters(notice, tmp_path)
    letters.write("en", "Anna")
    with pytest.raises(Refused, match="lacks rights"):
        letters.write("en", "Zoe")


@pytest.mark.parametrize(
    ("language", "parts"),
    [
        (
            "en",
            ("Dear Zoe,", "because our shop closes", "not before 23 December 2026", "by 22 December 2026"),
        ),
        (
            "de",
            ("Guten Tag Zoe,", "unser Laden", "nicht vor dem 23. Dezember 2026", "bis zum 22. Dezember 2026"),
        ),
        ("zh", ("尊敬的Zoe:", "原因:本店", "不早于2026年12月23日", "请于2026年12月22日前(含当日)")),
    ],
)
def test_letters_of_ours(tmp_path: Path, language: b.Language, parts: tuple[str, ...]) -> None:
    notice = decode_job(JOB.encode()).notice
    assert notice is not None
    letter = Letters(notice, tmp_path).write(language, "Zoe")
    assert [part for part in parts if part not in letter.text] == []
    assert "2026" in letter.subject
    assert "\n" not in letter.subject


def test_names_and_addresses_are_text_and_nothing_else(case: Case) -> None:
    case.sql(
        "UPDATE customers SET name = 'Eve' || char(10) || 'Bcc: all@example.org {{ 7 * 7 }}', "
        "mail = 'canary1@mail.example.org' || char(13, 10) || 'RCPT TO:<eve@example.org>' WHERE id = 1"
    )
    case.sql("UPDATE customers SET name = '王{% if %}' WHERE id = 2")
    assert case.send() == {"told": 3, "undelivered": 1}
    assert set(case.post.clerk.to) == {addressee(n) for n in (2, 5, 6)}
    text = letter_to(case, 2).get_content()
    assert "王{% if %}" in text


def test_nothing_of_a_letter_stands_in_an_error(case: Case) -> None:
    case.post.clerk.at_recipient = lambda a: f"550 5.1.1 <{a}> unknown"
    case.send()
    content = (case.folder / "notice" / "ledger.jsonl").read_bytes()
    assert b"5.1.1" in content
    assert b"canary" not in content
    told = refused(lambda: case.back("recipient,status\ncanary77@mail.example.org,replied\n"))
    assert "canary" not in told
