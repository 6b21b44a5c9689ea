"""The quick road of redaction gives what the long one gives, and neither leaves what the detectors find."""

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from benchmarks._chats import chats
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.desensitize import cutting, redaction
from deleatur.desensitize.detectors import spans
from deleatur.desensitize.redaction import redacted, redacted_text
from deleatur.desensitize.sketches import sketch
from deleatur.documents.detection import Detector, Span, TypeInfo

HARD = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "corpus" / "hard_cases.jsonl").read_text("utf-8").splitlines()
]
TEXTS = [(case["text"], tuple(case.get("known", ()))) for case in HARD]
TEXTS += [(case.text, case.known) for case in chats(600, 7)]
NAMES = [
    "王芳",
    "王小明",
    "欧阳修",
    "王一一",
    "明明",
    " Anna Weiß",
    "Hannah",
    "Anna Müller",
    "Jörg Weiß",
    "Siobhan O'Connor",
    "Li",
    "Berlin",
    "a@b.cc",
    "13912345678",
]
BEFORE = [
    "手机号",
    "卡号",
    "身份证",
    "税号",
    "出生",
    "生日",
    "验证码",
    "北京市中山路",
    "京",
    "密码是",
    "我是",
    "，",
    "(",
    "：",
    ": ",
    "/",
    "-",
    "+",
    "#",
    "user:",
    "://",
    "CVV",
    "SSN ",
    "NHS ",
    "NPI号",
    "KVNR A",
    "DOB ",
    "geboren am ",
    "Steuer-ID ",
    "pesel ",
    "passport ",
    "PIN ",
    "Tel. ",
    "phone: ",
    "call me at ",
    "v",
    "version ",
    "IBAN ",
    "vat ",
    "KFZ B-AB ",
    "y ",
    "today ",
    "may ",
    "de ",
    "it ",
    "Alter: ",
    "Frau ",
    "Dear ",
    "ANNA ",
    "hannah.",
    "王 ",
    "明",
    "İ",
]
AFTER = [
    ",",
    "。",
    "岁",
    "号",
    "年",
    "的",
    "先生",
    ".",
    "x",
    "X",
    "@qq.com",
    "，谢谢",
    ")",
    "日",
    "元",
    "转12",
    "开发票",
    " thanks",
    " is mine",
    " bitte",
    ". Danke",
    " x",
    " 12",
    "-1",
    ") /0171 3920012",
    " a b c d e f",
    "  5",
    " von ",
]
SOUND = [
    "13812345678",
    "138 1234 5678",
    "+86 138-1234-5678",
    "+8613812345678",
    "110101199010105550",
    "6255555555555558",
    "4000 0000 0000 0002",
    "11010119901010550X",
    "110101-19901010-5550",
    "219-09-9999",
    "202-555-0123",
    "+1 202-555-0123",
    "23456789056",
    "23 456 789 056",
    "14 825 373 604",
    "13-992-804-579",
    "0171 3920012",
    "030 23125 123",
    "+49 30 23125 123",
    "203.0.113.7",
    "1990-03-07",
    "7.3.1990",
    "03/15/1990",
    "DE89370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "1990年3月7日",
    "wang@qq.com",
    "anna.mueller87@example.com",
    "202601234567",
    "112-1234567",
    "2026-1234567",
]


def number(random: Random) -> str:
    """Return digits in groups, often those of a sound number."""
    text = random.choice(SOUND)
    while random.random() < 0.5:
        place = random.randrange(len(text))
        text = text[:place] + random.choice("0123456789 -./") + text[place + random.randrange(2) :]
    return text


def message(seed: int) -> tuple[str, tuple[str, ...]]:
    """Return a text of numbers and names in company, and the values of its row."""
    random = Random(seed)
    known = tuple(random.sample(NAMES, random.randrange(3)))
    spelt = ["", *known, *map(str.lower, known), *(n.split()[-1] for n in known), *(n[1:] for n in known)]
    text = ""
    for _ in range(random.randrange(1, 4)):
        text += random.choice(BEFORE) + (number(random) if random.random() < 0.7 else "")
        text += random.choice(spelt) + random.choice(AFTER)
    return text, known


MESSAGES = st.builds(message, st.integers(0, 1 << 32))


def quick(texts: Sequence[tuple[str | None, tuple[str, ...]]]) -> list[str | None]:
    most = max(len(known) for _, known in texts)
    columns = [pa.array([k[n] if n < len(k) else None for _, k in texts], pa.string()) for n in range(most)]
    return redacted(pa.array([text for text, _ in texts], pa.string()), columns).to_pylist()  # type: ignore[no-any-return]


def test_the_quick_road_gives_what_the_long_one_gives() -> None:
    assert quick(TEXTS) == [redacted_text(text, known) for text, known in TEXTS]


@settings(max_examples=300)
@given(texts=st.lists(MESSAGES, min_size=1, max_size=6), skipped=st.integers(0, 2))
def test_whatever_stands_beside_a_number_or_a_name(
    texts: list[tuple[str, tuple[str, ...]]], skipped: int
) -> None:
    rows: list[tuple[str | None, tuple[str, ...]]] = [*texts, (None, ()), ("", ())]
    for some in (rows[skipped:], [(text, known[:1]) for text, known in rows]):  # one value known, or more
        assert quick(some) == [text if text is None else redacted_text(text, known) for text, known in some]


CHARACTERS = [
    *"王芳小明修一的，。：0123０１３ -./@aAnÖüMß()\u3000\xa0İſK\n年月岁号\u200b\u0308\ue000𠮷",
    "欧阳",
]
ANY = st.lists(st.sampled_from([*CHARACTERS, *NAMES, *SOUND, "MUELLER", "weiss", "Tel. "]), max_size=12)
ANYBODY = st.sampled_from([*NAMES, "王王", "Aa", "Ñandú Ößterreich", "Jürgen Groß", "x" * 70, "ﬁ", "İpek"])


@settings(max_examples=150)
@given(rows=st.lists(st.tuples(ANY.map("".join), st.tuples(ANYBODY)), min_size=1, max_size=8))
def test_whatever_is_written_and_whoever_is_known(rows: list[tuple[str, tuple[str, ...]]]) -> None:
    """Full-width digits, numbers in pieces, what cannot be seen, letters whose small form is another."""
    assert quick(rows) == [redacted_text(text, known) for text, known in rows]


@settings(max_examples=300)
@given(texts=st.lists(MESSAGES, min_size=1, max_size=8))
def test_a_sketch_has_its_finds_where_the_text_has_them(texts: list[tuple[str, tuple[str, ...]]]) -> None:
    strings = pa.array([text for text, _ in texts], pa.string())
    for text, drawn in zip(strings.to_pylist(), sketch(strings).to_pylist(), strict=True):
        assert [s[:3] for s in spans(drawn)] == [s[:3] for s in spans(text)]


def test_a_number_that_another_may_go_on_into_is_not_drawn() -> None:
    """The first of two IBANs with a letter behind it swallows the second, which then is none."""
    text = "DE89 3704 0044 0532 0130 00xDOB DE89 3704 0044 0532 0130 00,"
    assert quick([(text, ())]) == [redacted_text(text, ())]


@pytest.mark.parametrize(
    "text",
    [
        "年+49 306 231551123 anna, Hallo",  # with a country code
        "7478783908-duy 219-09-9952 call me",  # its digits stand before a word
        "Hanna 13892345678 danke,",  # it begins with the last two letters of a word
        "Hanna 020 23120 123 ABCDE",
        "Hanna 6355555505555558 and",
    ],
)
def test_a_number_is_not_drawn_that_is_part_of_a_credit_code(text: str) -> None:
    """Each is a sound one by its check character; another number in its place is none."""
    assert "[unified-social-credit-code]" in redacted_text(text, ())
    assert quick([(text, ())]) == [redacted_text(text, ())]


@pytest.mark.parametrize(
    "text", ["86138 0964 8448", "86139-1964-8448", "008615512345678", "0086155 1234 5678"]
)
def test_a_mobile_whose_country_code_is_glued_to_it_is_found_in_groups_too(text: str) -> None:
    """Without the plus: one whose second group began like an area code lost that find in its sketch."""
    assert redacted_text(f"{text}，谢谢", ()) == "[mobile-number]，谢谢"
    assert quick([(f"{text}，谢谢", ())]) == ["[mobile-number]，谢谢"]


def test_parts_of_a_column_and_slices_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """NULL stays NULL, wherever a slice begins and however few bytes are looked at together."""
    rows: list[str | None] = [
        None,
        "王芳 13912345678",
        None,
        "",
        "a@b.cc",
        None,
        "DE89370400440532013000",
        None,
    ]
    texts, names = pa.array(rows * 3, pa.string()), pa.array(["王芳"] * 24)
    expected = [text and redacted_text(text, ("王芳",)) for text in rows * 3]
    for part in (1, 16, 1 << 20):
        monkeypatch.setattr(redaction, "_PART", part)
        for start in (0, 1, 3, 8, 23, 24):
            assert redacted(texts[start:], [names[start:]]).to_pylist() == expected[start:]


@pytest.mark.parametrize("worth", [0, 1 << 30])
def test_row_by_row_and_sketch_by_sketch_find_the_same_of_a_name(
    worth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a name, in any case, in a mail address too, whose sketch does not show it."""
    monkeypatch.setattr(cutting, "_AT_ONCE", worth)
    said = [
        "{}, MÜLLER",
        "{}, ja",
        "{}, anna@example.com",
        "{}, x@example.com",
        "anna Müller, {}",
        "王芳, {}",
    ]
    rows = [(text.format(name), (name,)) for text in said for name in ("Anna Müller", "Jürgen Groß", "anna")]
    assert quick(rows) == [redacted_text(text, known) for text, known in rows]


def test_long_texts_do_not_stay_in_memory() -> None:
    """What is found out about short ones is remembered; long ones, such as notes, are each another one."""
    quick([("a，王芳", ("王芳",))])  # loads what the detectors need
    notes = [letter * 30_000 for letter in "abcdefgh"]
    tracemalloc.start()
    try:
        assert quick([(f"{note}，王芳", ("王芳",)) for note in notes]) == [
            f"{n}，[person-name]" for n in notes
        ]
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 30_000 < most


def test_letters_of_one_template_have_one_sketch() -> None:
    letters = ["卡号4000000000000002，谢谢", "卡号6255555555555558，谢谢", "卡号5555555555554444，谢谢"]
    assert len(set(sketch(pa.array(letters)).to_pylist())) == 1


@pytest.mark.parametrize(("text", "known"), TEXTS)
def test_nothing_stays_that_the_detectors_find(text: str, known: tuple[str, ...]) -> None:
    """What is cut out first costs no recall: all that is found with the whole text in sight is gone."""
    left = redacted_text(text, known)
    for span in spans(text, known=known):
        if span.end - span.start > 2:
            assert text[span.start : span.end] not in left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("请问王小明的快递到哪了？", "请问[person-name]的快递到哪了？"),
        ("Dear Anna Müller, thanks", "Dear [person-name], thanks"),
        ("\ue000和王小明", "\ue000和[person-name]"),  # a mark of ours in their text
        ("订单202612345678，王小明", "订单202612345678，[person-name]"),
    ],
)
def test_own_names_give_way(text: str, left: str) -> None:
    known = ("王小明", "Anna Müller")
    assert redacted_text(text, known) == left
    assert quick([(text, known)]) == [left]


def test_a_plugin_s_detector_sees_the_text_as_it_is() -> None:
    def find(text: str) -> list[Span]:
        return [Span(0, 4, "badge", None, 1.0)] if text.startswith("B-77") else []

    info = TypeInfo(title="badge of a worker", level="internal", source="ours")
    badge = Detector(type="badge", info=info, find=find)
    texts = pa.array(["B-77 Anna", "B-78 Anna", None])
    names = pa.array(["Anna", "Anna", "Anna"])
    assert redacted(texts, [names], [badge]).to_pylist() == [
        "[badge] [person-name]",
        "B-78 [person-name]",
        None,
    ]
