"""Records of destruction: what may be signed, who signs it, and what is noticed afterwards."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.documents.attested import AttestedDestruction, AttestedProcessors, decode_attested
from deleatur.documents.carriers import LETTERS, TECHNIQUES, largest_area
from deleatur.documents.codec import encode_json
from deleatur.documents.destruction import decode_destruction
from deleatur.documents.vendors import decode_vendors
from deleatur.errors import DeleaturError, Invalid, Malformed, Refused
from deleatur.judge.attesting import FileFact
from deleatur.judge.destruction import destruction_statement
from deleatur.judge.sentences import ATTESTED, FORBIDDEN
from deleatur.testing.destroyed import (
    ALICE,
    AT,
    BOB,
    CAROL,
    DESTRUCTION,
    PROCESSORS,
    SHREDCO,
    VENDORS,
    write_destruction,
    write_processors,
)
from deleatur.trust.dsse import IN_TOTO, seal
from deleatur.trust.keys import SigningKey
from deleatur.trust.record import ENVELOPE, look_at_record, sign_record, verify_record

FILES = ("destruction.toml", "vendors.toml", "evidence/hall-2.mp4", "evidence/serials.jpg", ENVELOPE)
PARTIES = (SHREDCO, ALICE, BOB)
TRUSTED = [key.public for key in PARTIES]


def swapped(text: str, *changes: tuple[str, str]) -> str:
    """Change what stands exactly once."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def sign_all(folder: Path, at: str = AT, keys: tuple[SigningKey, ...] = PARTIES) -> Path:
    for key in keys:
        sign_record(folder, key, at)
    return folder


def attested(folder: Path) -> AttestedDestruction:
    said = verify_record(folder, TRUSTED, 3).statement.predicate
    assert isinstance(said, AttestedDestruction)
    return said


def refused(folder: Path, record: str = DESTRUCTION, vendors: str = VENDORS, at: str = AT) -> str:
    """Return the one line with which signing is refused; no envelope is there afterwards."""
    write_destruction(folder, record, vendors)
    with pytest.raises(Refused) as caught:
        sign_record(folder, SHREDCO, at)
    assert not (folder / ENVELOPE).exists()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4
    return str(caught.value)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sign_all(write_destruction(tmp_path_factory.mktemp("sound") / "yard"))


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "yard")
    return tmp_path / "yard"


def invalid(folder: Path, keys: list | None = None, threshold: int = 1) -> str:
    with pytest.raises(Invalid) as caught:
        verify_record(folder, keys or TRUSTED, threshold)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# signed and verified


def test_operator_and_two_witnesses_attest_what_was_destroyed(folder: Path) -> None:
    said = attested(folder)
    assert (said.state, said.assurance, said.exceptions) == ("attested", "A1", ())
    assert [key.name for key in (said.performer.key, *said.witnesses)] == ["shredco", "alice", "bob"]
    assert [c.number for c in said.performer.certificates] == ["IS 700001"]
    assert said.retain_until == "2031-11-20"
    assert (said.entry.about, said.entry.days_late) == ("2026-11-20", 0)
    assert said.evidence[0].shows == ("ZC1ABC01", "S4X7NF0M", "BOX-1")
    assert "attested, not verified" in said.sentences[0].text


def test_it_is_attested_and_never_more(folder: Path) -> None:
    said = attested(folder)
    assert said.assurance == "A1"
    for text in ATTESTED.values():
        assert not [word for word in FORBIDDEN if word in text.lower()]


def test_the_envelope_alone_verifies_without_its_evidence(folder: Path) -> None:
    alone = verify_record(folder / ENVELOPE, TRUSTED, 3)
    assert not alone.evidence
    assert verify_record(folder, TRUSTED, 3).evidence


def test_nothing_is_entered_before_it_happened_and_late_entries_say_so(tmp_path: Path) -> None:
    late = sign_all(write_destruction(tmp_path / "late"), at="2026-12-04T08:00:00Z")
    said = attested(late)
    assert (said.entry.about, said.entry.entered_at) == ("2026-11-20", "2026-12-04T08:00:00Z")
    assert said.entry.days_late == 14
    assert "Entered late" in said.sentences[-1].text
    assert "nobody attests what will be" in refused(tmp_path / "early", at="2026-11-20T10:29:59Z")


def test_the_time_of_entry_is_that_of_the_first_signature(tmp_path: Path) -> None:
    folder = write_destruction(tmp_path / "yard")
    sign_record(folder, SHREDCO, "2026-11-20T12:00:00Z")
    sign_record(folder, ALICE, "2026-11-25T12:00:00Z")
    last = sign_record(folder, BOB, "2026-11-26T12:00:00Z")
    assert last.statement.predicate.entry.entered_at == "2026-11-20T12:00:00Z"
    assert attested(folder).entry.days_late == 0


def test_whose_signature_is_missing_is_named_and_it_does_not_verify(tmp_path: Path) -> None:
    folder = write_destruction(tmp_path / "yard")
    assert [key.name for key in look_at_record(folder, AT).unsigned] == ["shredco", "alice", "bob"]
    sign_record(folder, ALICE, AT)
    found = sign_record(folder, SHREDCO, AT)
    assert [key.name for key in found.signed] == ["shredco", "alice"]
    assert [key.name for key in found.unsigned] == ["bob"]
    assert "not signed by bob" in invalid(folder)


def test_a_stranger_does_not_sign_and_nobody_signs_twice(folder: Path) -> None:
    with pytest.raises(Refused, match="neither operator nor witness"):
        sign_record(folder, CAROL, AT)
    with pytest.raises(Refused, match="signed this record already"):
        sign_record(folder, ALICE, AT)


def test_a_witness_who_stands_there_twice_is_one(tmp_path: Path) -> None:
    twice = swapped(DESTRUCTION, (BOB.public.spki, ALICE.public.spki))
    assert "one key would attest twice" in refused(tmp_path / "a", twice)
    operator = swapped(DESTRUCTION, (BOB.public.spki, SHREDCO.public.spki))
    assert "one key would attest twice" in refused(tmp_path / "b", operator)


def test_a_statement_in_which_one_key_is_two_witnesses_does_not_verify(folder: Path) -> None:
    body = verify_record(folder, TRUSTED, 3).statement
    text = encode_json(body).replace(BOB.public.spki.encode(), ALICE.public.spki.encode())
    text = text.replace(
        body.predicate.witnesses[1].key_id.encode(), body.predicate.witnesses[0].key_id.encode()
    )
    (folder / ENVELOPE).write_bytes(seal(text, IN_TOTO, [SHREDCO, ALICE]))
    assert "one key stands for two" in invalid(folder / ENVELOPE)


def test_keys_are_trusted_from_elsewhere_only(folder: Path) -> None:
    assert "0 of the 1 signatures" in invalid(folder, [CAROL.public])
    assert "1 of the 2 signatures" in invalid(folder, [ALICE.public, CAROL.public], 2)
    with pytest.raises(Refused, match="cannot be checked"):
        verify_record(folder, [ALICE.public], 2)


# changed afterwards


def test_a_swapped_video_is_noticed(folder: Path) -> None:
    (folder / "evidence" / "hall-2.mp4").write_bytes(b"another hall")
    assert "evidence/hall-2.mp4 was changed" in invalid(folder)


def test_the_next_signer_notices_a_swapped_video(tmp_path: Path) -> None:
    folder = write_destruction(tmp_path / "yard")
    sign_record(folder, SHREDCO, AT)
    (folder / "evidence" / "hall-2.mp4").write_bytes(b"another hall")
    with pytest.raises(Refused, match=r"hall-2\.mp4 was changed"):
        sign_record(folder, ALICE, AT)


@pytest.mark.parametrize("name", ["destruction.toml", "vendors.toml"])
def test_a_document_edited_after_signing_is_noticed(folder: Path, name: str) -> None:
    (folder / name).write_text((folder / name).read_text() + "# nothing but a comment\n")
    assert f"{name} was changed" in invalid(folder)


def test_evidence_that_is_gone_or_added_is_noticed(folder: Path) -> None:
    (folder / "evidence" / "serials.jpg").rename(folder / "evidence" / "later.jpg")
    assert "was not there when it was signed" in invalid(folder)
    (folder / "evidence" / "later.jpg").unlink()
    assert "evidence/serials.jpg is missing" in invalid(folder)


def test_a_statement_that_says_more_than_its_documents_is_refused(folder: Path) -> None:
    body = encode_json(verify_record(folder, TRUSTED, 3).statement)
    forged = body.replace(b'"H-5"', b'"H-7"')
    assert forged != body
    (folder / ENVELOPE).write_bytes(seal(forged, IN_TOTO, list(PARTIES)))
    assert "$.predicate.treatments[1].level" in invalid(folder)


def test_an_expired_vendor_does_not_pass_even_if_all_have_signed(tmp_path: Path) -> None:
    """All parties collude: the statement is theirs, and the register beside it does not bear it."""
    good = sign_all(write_destruction(tmp_path / "good"))
    body = encode_json(verify_record(good, TRUSTED, 3).statement)
    vendors = swapped(VENDORS, ("2027-04-30", "2026-11-19"))
    bad = write_destruction(tmp_path / "bad", vendors=vendors)
    old, new = (hashlib.sha256(text.encode()).hexdigest().encode() for text in (VENDORS, vendors))
    (bad / ENVELOPE).write_bytes(seal(body.replace(old, new), IN_TOTO, list(PARTIES)))
    assert "was not valid on 2026-11-20" in invalid(bad)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(FILES), place=st.integers(0), bit=st.integers(0, 7))
def test_no_changed_bit_of_any_file_is_accepted(sound: Path, name: str, place: int, bit: int) -> None:
    path = sound / name
    content = path.read_bytes()
    signed = content.partition(b'"keyid"')[0]  # of an envelope; a key id is a hint, and signs nothing
    changed = bytearray(content)
    changed[place % len(signed)] ^= 1 << bit
    path.write_bytes(changed)
    try:
        with pytest.raises(Invalid):
            verify_record(sound, TRUSTED, 3)
    finally:
        path.write_bytes(content)


def test_links_and_strange_files_are_refused(folder: Path, tmp_path: Path) -> None:
    video = folder / "evidence" / "hall-2.mp4"
    video.rename(tmp_path / "elsewhere.mp4")
    video.symlink_to(tmp_path / "elsewhere.mp4")
    assert "not a plain file" in invalid(folder)
    video.unlink()
    os.mkfifo(video)
    assert "not a plain file" in invalid(folder)


# the vendor and those who work there


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("2027-04-30", "2026-11-19"), "the ISO/IEC 27001 of shredco was not valid on 2026-11-20"),
        (("2024-05-01", "2026-11-21"), "the ISO/IEC 27001 of shredco was not valid on 2026-11-20"),
        (
            ('"hard-disk", "flash"]', '"hard-disk"]'),
            "the ISO/IEC 27001 of shredco has not flash in its scope",
        ),
        (('standard = "ISO/IEC 27001"', 'standard = "ISO 9001"'), "shredco holds no ISO/IEC 27001"),
        (('requires = ["ISO/IEC 27001"]', 'requires = ["ISO/IEC 27001", "R2v3"]'), "shredco holds no R2v3"),
        (("2027-01-31", "2026-11-19"), "the training of op-7 ended on 2026-11-19"),
        (('name = "op-7"', 'name = "op-8"'), "no operator op-7 of shredco"),
        (('id = "shredco"', 'id = "other"'), "no vendor called shredco"),
    ],
)
def test_what_the_register_does_not_bear_on_the_day_is_refused(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    assert reason in refused(tmp_path / "yard", vendors=swapped(VENDORS, change))


@pytest.mark.parametrize("day", ["2026-11-20", "2026-11-21"])
def test_the_last_day_of_a_certificate_still_counts(tmp_path: Path, day: str) -> None:
    vendors = swapped(VENDORS, ("2027-04-30", day))
    assert attested(sign_all(write_destruction(tmp_path / "yard", vendors=vendors))).state == "attested"


def test_we_ourselves_destroy_by_a_trained_operator_with_a_key(tmp_path: Path) -> None:
    own = swapped(
        DESTRUCTION,
        ('by = "shredco"', 'by = "ourselves"'),
        ('taker = "shredco"', 'taker = "ourselves"'),
        ('operator = "op-7"', 'operator = "carol"'),
    )
    folder = sign_all(write_destruction(tmp_path / "own", own), keys=(CAROL, ALICE, BOB))
    said = verify_record(folder, [CAROL.public, ALICE.public, BOB.public], 3).statement.predicate
    assert isinstance(said, AttestedDestruction)
    assert (said.performer.id, said.performer.certificates, said.assurance) == ("ourselves", (), "A1")
    untrained = swapped(VENDORS, ('trained_until = "2026-12-31"', 'trained_until = "2026-11-19"'))
    assert "the training of carol ended" in refused(tmp_path / "untrained", own, untrained)
    unknown = swapped(own, ('operator = "carol"', 'operator = "dave"'))
    assert "no own operator called dave" in refused(tmp_path / "unknown", unknown)


# what was done to what


def test_to_degauss_flash_is_refused_as_no_destruction(tmp_path: Path) -> None:
    line = 'technique = "disintegrate"\nserials = ["S4X7NF0M"]\nlevel = "E-5"\nparticle = "9.5"'
    degaussed = swapped(DESTRUCTION, (line, 'technique = "degauss"\nserials = ["S4X7NF0M"]'))
    assert "to degauss does not destroy flash: S4X7NF0M" in refused(tmp_path / "flash", degaussed)
    hybrid = swapped(degaussed, ('carrier = "flash"', 'carrier = "hybrid"'))
    vendors = swapped(VENDORS, ('"flash"]', '"hybrid"]'))
    assert "to degauss does not destroy hybrid" in refused(tmp_path / "hybrid", hybrid, vendors)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('level = "H-5"', 'level = "P-5"'), "hard-disk has levels H-1 to H-7, not P-5"),
        (('particle = "300"', 'particle = "320.01"'), "particles of 320.01 mm² are no H-5: at most 320 mm²"),
        (('level = "H-5"\nparticle = "300"', 'level = "H-5"'), "and no `particle` is said"),
        (('technique = "shred"', 'technique = "crush"'), "and crushing leaves none"),
        (('technique = "incinerate"', 'technique = "degauss"'), "to degauss does not destroy paper: BOX-1"),
    ],
)
def test_a_level_that_the_pieces_do_not_bear_is_refused(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    assert reason in refused(tmp_path / "yard", swapped(DESTRUCTION, change))


def test_levels_get_finer_and_every_carrier_has_a_letter_and_a_technique() -> None:
    for carrier, letter in LETTERS.items():
        areas = [largest_area(f"{letter}-{n}") for n in range(1, 8)]
        sized = [area for area in areas if area is not None]
        assert sized == sorted(sized, reverse=True)
        assert len(set(sized)) == len(sized)
        assert areas[len(areas) - len(sized) :] == sized  # no size is asked for below the first
        assert TECHNIQUES[carrier]
        assert ("degauss" in TECHNIQUES[carrier]) == (carrier in ("magnetic", "hard-disk"))


# custody


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            [('serials = ["S4X7NF0M"]', 'serials = ["S4X7NF0M", "ZZ9"]')],
            "destroyed, and on no custody list: ZZ9",
        ),
        (
            [
                (
                    'technique = "incinerate"\nserials = ["BOX-1"]',
                    'technique = "incinerate"\nserials = ["BOX-2"]',
                )
            ],
            "handed over, and neither destroyed nor declared missing: BOX-1",
        ),
        (
            [('giver = "courier"', 'giver = "driver"')],
            "the chain of custody is broken at BOX-1, S4X7NF0M, ZC1ABC01",
        ),
        ([('taker = "shredco"', 'taker = "other"')], "never handed to shredco: BOX-1, S4X7NF0M, ZC1ABC01"),
        ([("08:40:00", "09:10:00")], "handed over only after the destruction had started: BOX-1"),
        ([("07:30:00", "08:50:00")], "not in the order of their times"),
        (
            [('taker = "shredco"', 'taker = "shredco"\nserials = ["ZC1ABC01", "S4X7NF0M"]')],
            "never handed to shredco: BOX-1",
        ),
        (
            [('taker = "courier"', 'taker = "courier"\nserials = ["NO-1"]')],
            "handover 1 names NO-1, which no item is",
        ),
        ([('kind = "video"', 'kind = "paper"')], "no video and no photo shows BOX-1"),
        ([('kind = "video"', 'kind = "video"\nshows = ["NO-1"]')], "hall-2.mp4 shows NO-1, which no item is"),
        ([('file = "hall-2.mp4"', 'file = "hall-3.mp4"')], "not there: evidence/hall-3.mp4"),
        ([('file = "hall-2.mp4"', 'file = "hall-3.mp4"')], "and not in the record: evidence/hall-2.mp4"),
    ],
)
def test_a_gap_between_what_went_in_and_what_came_out_is_refused(
    tmp_path: Path, changes: list[tuple[str, str]], reason: str
) -> None:
    assert reason in refused(tmp_path / "yard", swapped(DESTRUCTION, *changes))


class Piece(NamedTuple):
    """What a record says of one piece."""

    handed: bool
    treated: bool
    missing: bool
    shown: bool


def written(pieces: list[Piece]) -> str:
    """Write a record of disks of which each of these things is so or not."""
    head = DESTRUCTION[: DESTRUCTION.index("[[item]]")]
    witnesses = DESTRUCTION[DESTRUCTION.index("[[witness]]") :]
    serials = [f"Z{n}" for n in range(len(pieces))]
    items = "".join(f'[[item]]\nserial = "{s}"\ncarrier = "hard-disk"\nwhat = "a disk"\n' for s in serials)
    lists = {
        name: json.dumps([s for s, piece in zip(serials, pieces, strict=True) if getattr(piece, name)])
        for name in Piece._fields
    }
    parts = [head, items]
    for name, words in (
        ("handed", '[[handover]]\nat = "2026-11-20T08:00:00Z"\ngiver = "it"\ntaker = "shredco"\nserials = '),
        ("treated", '[[treatment]]\ntechnique = "incinerate"\nserials = '),
        ("shown", '[[evidence]]\nfile = "hall-2.mp4"\nkind = "video"\nshows = '),
    ):
        parts.append(f"{words}{lists[name]}\n" if lists[name] != "[]" else "")
    gone = [s for s, piece in zip(serials, pieces, strict=True) if piece.missing]
    parts += [f'[[missing]]\nserial = "{s}"\nreason = "not there"\n' for s in gone]
    parts.append('[[evidence]]\nfile = "serials.jpg"\nkind = "paper"\n')
    return "".join([*parts, witnesses])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.builds(Piece, *[st.sampled_from([True, True, True, False])] * 4), min_size=1, max_size=6))
def test_whatever_went_in_came_out_or_is_missing_and_was_shown(pieces: list[Piece]) -> None:
    whole = all(
        piece.handed and piece.treated != piece.missing and (piece.shown or not piece.treated)
        for piece in pieces
    )
    names = ["destruction.toml", "vendors.toml", "evidence/serials.jpg"]
    names += ["evidence/hall-2.mp4"] if any(piece.shown for piece in pieces) else []
    files = dict.fromkeys(names, FileFact("aa" * 32, 1))
    try:
        record = decode_destruction(written(pieces).encode())
        body = destruction_statement(record, decode_vendors(VENDORS.encode()), files, AT)
    except Malformed:
        happened = [any(piece.handed for piece in pieces), any(piece.treated for piece in pieces)]
        assert not all(happened)  # where nothing was handed over, or destroyed, there is no record
    except Refused:
        assert not whole
    else:
        assert whole
        said = decode_attested(body).predicate
        assert isinstance(said, AttestedDestruction)
        assert len(said.exceptions) == sum(piece.missing for piece in pieces)


def test_a_killed_signature_leaves_the_old_envelope_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in range(1, 9):
        folder = write_destruction(tmp_path / str(call))
        sign_record(folder, SHREDCO, AT)
        before = (folder / ENVELOPE).read_bytes()
        left = [call]

        def counted(real: Callable[..., Any], left: list[int] = left) -> Callable[..., Any]:
            def cut(*given: Any, **named: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt
                return real(*given, **named)

            return cut

        with monkeypatch.context() as patched:
            for owner, name in ((os, "fsync"), (os, "fdopen"), (Path, "replace")):
                patched.setattr(owner, name, counted(getattr(owner, name)))
            with contextlib.suppress(KeyboardInterrupt):
                sign_record(folder, ALICE, AT)
        signed = [key.name for key in look_at_record(folder, AT).signed]
        assert signed in (["shredco"], ["shredco", "alice"])
        assert ((folder / ENVELOPE).read_bytes() == before) == (signed == ["shredco"])


def test_a_piece_that_is_declared_missing_is_an_exception_for_ever(tmp_path: Path) -> None:
    gone = '[[treatment]]\ntechnique = "incinerate"\nserials = ["BOX-1"]\n'
    missing = swapped(DESTRUCTION, (gone, '[[missing]]\nserial = "BOX-1"\nreason = "not in the container"\n'))
    said = attested(sign_all(write_destruction(tmp_path / "yard", missing)))
    assert said.state == "attested-with-exceptions"
    assert [one.serial for one in said.exceptions] == ["BOX-1"]
    assert "Of 3 pieces handed over, 1 were not destroyed" in said.sentences[1].text
    both = DESTRUCTION + '\n[[missing]]\nserial = "BOX-1"\nreason = "not there"\n'
    assert "both destroyed and missing: BOX-1" in refused(tmp_path / "both", both)
    strange = DESTRUCTION + '\n[[missing]]\nserial = "BOX-9"\nreason = "not there"\n'
    assert "missing, and on no custody list: BOX-9" in refused(tmp_path / "strange", strange)


def test_all_reasons_are_told_at_once(tmp_path: Path) -> None:
    vendors = swapped(VENDORS, ("2027-04-30", "2026-11-19"), ("2027-01-31", "2026-11-19"))
    record = swapped(
        DESTRUCTION, (BOB.public.spki, ALICE.public.spki), ('particle = "300"', 'particle = "999"')
    )
    told = refused(tmp_path / "yard", record, vendors)
    for reason in ("not valid on", "training of op-7", "one key would attest twice", "no H-5"):
        assert reason in told


def test_an_empty_file_shows_nothing(tmp_path: Path) -> None:
    folder = write_destruction(tmp_path / "yard")
    (folder / "evidence" / "hall-2.mp4").write_bytes(b"")
    with pytest.raises(Refused, match="empty: evidence/hall-2"):
        sign_record(folder, SHREDCO, AT)


# processors


def test_a_processors_certificate_is_attested_and_a_missing_one_an_exception(tmp_path: Path) -> None:
    folder = write_processors(tmp_path / "processors")
    sign_record(folder, CAROL, "2026-11-22T09:00:00Z")
    said = verify_record(folder, [CAROL.public], 1).statement.predicate
    assert isinstance(said, AttestedProcessors)
    assert [(p.id, p.state) for p in said.processors] == [("mailer", "attested"), ("profiler", "missing")]
    assert (said.state, said.assurance) == ("attested-with-exceptions", "A0")
    assert said.retain_until == "2029-11-18"
    texts = " ".join(sentence.text for sentence in said.sentences)
    assert "attested, not verified" in texts
    assert "Of 2 processors 1 sent no certificate" in texts
    (folder / "evidence" / "mailer.pdf").write_bytes(b"%PDF-1.7 another")
    with pytest.raises(Invalid, match=r"mailer\.pdf was changed"):
        verify_record(folder, [CAROL.public], 1)


def test_all_processors_certificates_are_still_no_more_than_attested(tmp_path: Path) -> None:
    whole = PROCESSORS.rpartition("\n[[processor]]")[0]
    folder = write_processors(tmp_path / "processors", whole)
    sign_record(folder, CAROL, "2026-11-18T09:00:00Z")
    said = verify_record(folder, [CAROL.public], 1).statement.predicate
    assert (said.state, said.assurance) == ("attested", "A1")


def test_a_certificate_that_is_not_there_or_of_nobody_is_refused(tmp_path: Path) -> None:
    folder = write_processors(tmp_path / "processors")
    (folder / "evidence" / "mailer.pdf").rename(folder / "evidence" / "other.pdf")
    with pytest.raises(Refused, match=r"not there: evidence/mailer\.pdf"):
        sign_record(folder, CAROL, AT)
    (folder / "evidence" / "mailer.pdf").write_bytes(b"x")
    with pytest.raises(Refused, match=r"of no processor in the list: evidence/other\.pdf"):
        sign_record(folder, CAROL, AT)


# the folder


def test_a_folder_is_one_record_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="there is none of them"):
        look_at_record(tmp_path / "empty", AT)
    folder = write_destruction(tmp_path / "yard")
    (folder / "processors.toml").write_text(PROCESSORS)
    with pytest.raises(Refused, match="a record holds"):
        look_at_record(folder, AT)
    (folder / "processors.toml").unlink()
    (folder / "evidence" / "a b.mp4").write_bytes(b"x")
    with pytest.raises(Refused, match="rename it"):
        look_at_record(folder, AT)


def test_what_a_killed_signature_leaves_is_no_part_of_the_record(folder: Path) -> None:
    (folder / f".{ENVELOPE}.new").write_bytes(b"{")
    assert attested(folder).state == "attested"


def test_a_malformed_document_is_told_as_such_and_never_verifies(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(Malformed) as caught:
        look_at_record(
            write_destruction(tmp_path / "bad", swapped(DESTRUCTION, ("boxes = 3\ngrams = 41500\n", ""))), AT
        )
    assert caught.value.kind == "missing-key"
    (folder / "destruction.toml").write_text("no toml")
    with pytest.raises(DeleaturError) as refused_:
        verify_record(folder, TRUSTED, 3)
    assert refused_.value.exit_code == 8
