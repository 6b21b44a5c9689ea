"""What becomes of a record: the golden table of the packs, and what no combination of facts can do."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.documents.policy import CLASSES, DispositionRule, Pack, Retention, Source
from deleatur.engine.packs import shipped
from deleatur.judge.disposition import Facts, decide, earliest_erasure, tally
from deleatur.judge.jurisdictions import covers, not_covered
from deleatur.judge.periods import Suspension

PACKS = shipped()
TODAY = date(2026, 11, 22)
EVENTS = [
    "issued",
    "completed",
    "closed",
    "destroyed",
    "account-closed",
    "service-stopped",
    "erasure-requested",
]
MATTERS = ["open-order", "court-order", "dispute", "nobody-knows-it"]
LAWS = ["CN", "DE", "FR", "US-CA", "US", "BR", "unknown", "CN+DE", "DE+unknown"]
DAYS = st.dates(date(1990, 1, 1), date(2040, 12, 31))


def law(name: str, kind: str = "law") -> Source:
    return Source(id=name, kind=kind, text="x", where="x", date="2026-01-01", checked="read")  # type: ignore[arg-type]


def pack(name: str, *rules: DispositionRule, jurisdiction: str = "any", kind: str = "law") -> Pack:
    return Pack(
        schema="deleatur/policy/v1",
        id=name,
        version="1",
        title="x",
        jurisdiction=jurisdiction,
        date="2026-01-01",
        source=(law("s", kind),),
        rule=rules,
    )


def erase(name: str, *after: str) -> DispositionRule:
    return DispositionRule(
        id=name, classes=("order",), disposition="erase-now", why="x", sources=("s",), after=after
    )


def keep(name: str, years: int) -> DispositionRule:
    return DispositionRule(
        id=name,
        classes=("order",),
        disposition="archive",
        why="x",
        sources=("s",),
        retention=Retention(start="issued", years=years),
    )


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    paused = st.builds(
        lambda start, length: Suspension("tax-assessment-open", start, start + timedelta(days=length)),
        DAYS,
        st.integers(0, 3000),
    )
    return Facts(
        events=draw(st.dictionaries(st.sampled_from(EVENTS), DAYS)),
        matters=frozenset(draw(st.sets(st.sampled_from(MATTERS), max_size=1))),
        suspensions=tuple(draw(st.lists(paused, max_size=2))),
    )


@pytest.mark.parametrize(
    ("record_class", "law_of", "issued", "until"),
    [
        ("tax-return", "CN", "2020-05-05", "2030-12-31"),  # China, tax: 10 years
        ("order", "CN", "2020-05-05", "2030-12-31"),  # the tax rule outlives the three years of e-commerce
        ("voucher", "CN", "2020-05-05", "2050-12-31"),  # China, accounting archive: 30 years
        ("book", "CN", "2020-02-29", "2050-12-31"),
        ("annual-report", "CN", "1999-05-05", "permanent"),
        ("destroyed-records-list", "CN", "1999-05-05", "permanent"),
        ("voucher", "DE", "2020-05-05", "2028-12-31"),  # Germany, voucher: 8 years
        ("invoice", "DE", "2018-01-01", "2026-12-31"),
        ("book", "DE", "2020-05-05", "2030-12-31"),  # Germany, book: 10 years
        ("business-letter", "DE", "2022-05-05", "2028-12-31"),  # Germany, letter: 6 years
        ("voucher", "CN+DE", "2020-05-05", "2050-12-31"),
        ("voucher", "unknown", "2020-05-05", "2050-12-31"),
        ("voucher", "BR", "2020-05-05", "2050-12-31"),
    ],
)
def test_the_golden_table(record_class: str, law_of: str, issued: str, until: str) -> None:
    known = Facts(events={"issued": date.fromisoformat(issued), "completed": date.fromisoformat(issued)})
    decision = decide(record_class, "unknown", law_of, known, PACKS, TODAY)
    assert (decision.disposition, str(decision.until)) == ("archive", until)


def test_a_request_of_a_consumer_is_kept_for_24_months() -> None:
    known = Facts(events={"closed": date(2025, 1, 31)})
    assert decide("privacy-request", "unknown", "US-CA", known, PACKS, TODAY).until == date(2027, 1, 31)


@pytest.mark.parametrize("record_class", ["browsing-record", "search-term", "chat", "payment-secret"])
@pytest.mark.parametrize("law_of", LAWS)
def test_the_four_classes_go_at_once_without_any_policy_of_the_operator(
    record_class: str, law_of: str
) -> None:
    decision = decide(record_class, "unknown", law_of, Facts(), PACKS, TODAY)
    assert (decision.disposition, decision.until) == ("erase-now", None)


def test_the_day_after_the_end_it_may_go_and_not_before() -> None:
    known = Facts(events={"issued": date(2018, 1, 1)})
    last, after = date(2026, 12, 31), date(2027, 1, 1)
    assert decide("invoice", "unknown", "DE", known, PACKS, last).disposition == "archive"
    assert decide("invoice", "unknown", "DE", known, PACKS, after).disposition == "erase-now"


def test_an_open_assessment_defers_the_end_of_the_tax_period() -> None:
    paused = Suspension("tax-assessment-open", date(2026, 1, 1), None)
    known = Facts(events={"issued": date(2018, 1, 1)}, suspensions=(paused,))
    assert decide("invoice", "unknown", "DE", known, PACKS, date(2030, 1, 1)).until == "suspension-ended"
    known = replace(known, suspensions=(replace(paused, end=date(2031, 3, 3)),))
    assert decide("invoice", "unknown", "DE", known, PACKS, date(2030, 1, 1)).until == date(2031, 3, 3)


def test_an_unknown_cause_of_a_suspension_goes_to_a_person() -> None:
    known = Facts(events={"issued": date(2010, 1, 1)}, suspensions=(Suspension("typo", TODAY, None),))
    decision = decide("invoice", "unknown", "DE", known, PACKS, TODAY)
    assert decision.review
    assert any(r.rule == "unknown-cause" for r in decision.reasons)


def test_chat_of_a_dispute_stays_and_other_chat_goes() -> None:
    disputed = decide("chat", "unknown", "CN", Facts(matters=frozenset({"dispute"})), PACKS, TODAY)
    assert (disputed.disposition, disputed.until) == ("hold", "matter-closed")
    assert {r.rule for r in disputed.reasons if r.effect == "outweighed"} >= {"four-classes-at-once"}
    assert decide("chat", "unknown", "CN", Facts(), PACKS, TODAY).disposition == "erase-now"


def test_an_open_matter_that_no_rule_names_holds_too() -> None:
    decision = decide("chat", "unknown", "CN", Facts(matters=frozenset({"typo"})), PACKS, TODAY)
    assert decision.disposition == "hold"


def test_an_account_goes_only_once_something_ended_it() -> None:
    assert decide("account", "unknown", "DE", Facts(), PACKS, TODAY).until == "decided"
    closed = Facts(events={"account-closed": TODAY})
    assert decide("account", "unknown", "DE", closed, PACKS, TODAY).disposition == "erase-now"
    tomorrow = Facts(events={"account-closed": TODAY + timedelta(days=1)})
    assert decide("account", "unknown", "DE", tomorrow, PACKS, TODAY).disposition == "hold"


def test_what_no_rule_names_is_held_for_a_person() -> None:
    decision = decide("contract", "unknown", "DE", Facts(), PACKS, TODAY)
    assert (decision.disposition, decision.until, decision.review) == ("hold", "decided", True)


def test_a_day_that_is_not_known_holds() -> None:
    decision = decide("voucher", "unknown", "DE", Facts(), PACKS, TODAY)
    assert (decision.disposition, decision.until, decision.review) == ("hold", "event-known", True)


def test_a_law_that_keeps_outweighs_one_that_erases_and_a_wish_does_not() -> None:
    known = Facts(events={"issued": TODAY})
    law_keeps = [pack("a", erase("e")), pack("b", keep("k", 5))]
    assert decide("order", "tax", "DE", known, law_keeps, TODAY).disposition == "archive"
    wish = decide(
        "order", "tax", "DE", known, [pack("a", erase("e")), pack("b", keep("k", 5), kind="house")], TODAY
    )
    assert wish.disposition == "erase-now"
    both = [pack("a", erase("e"), kind="house"), pack("b", keep("k", 5), kind="house")]
    assert decide("order", "tax", "DE", known, both, TODAY).disposition == "archive"


def test_a_wish_that_a_law_outweighs_is_shown_to_a_person() -> None:
    known = Facts(events={"issued": TODAY})
    packs = [
        pack("a", erase("e"), jurisdiction="DE"),
        pack("b", keep("k", 5), kind="house", jurisdiction="DE"),
    ]
    decision = decide("order", "tax", "DE", known, packs, TODAY)
    assert decision.review
    assert [(r.rule, r.effect) for r in decision.reasons] == [("e", "decides"), ("k", "outweighed")]


def test_a_retention_that_ended_does_not_erase_what_waits_for_its_trigger() -> None:
    packs = [pack("a", keep("k", 1), erase("e", "account-closed"), jurisdiction="DE")]
    known = Facts(events={"issued": date(2000, 1, 1)})
    assert decide("order", "tax", "DE", known, packs, TODAY).until == "decided"


def test_a_purpose_that_is_not_known_silences_no_rule() -> None:
    taxed = replace_rule(keep("k", 5), purpose=("tax",))
    packs = [pack("a", taxed, erase("e"), jurisdiction="DE")]
    found = {
        purpose: decide("order", purpose, "DE", Facts(events={"issued": TODAY}), packs, TODAY).disposition
        for purpose in ("tax", "unknown", "typo", "marketing")
    }
    assert found == {"tax": "archive", "unknown": "archive", "typo": "archive", "marketing": "erase-now"}


def test_a_rule_does_not_speak_before_it_is_in_force() -> None:
    early = replace_rule(keep("k", 5), in_force="2027-01-01")
    decision = decide("order", "tax", "DE", Facts(events={"issued": TODAY}), [pack("a", early)], TODAY)
    assert decision.disposition == "hold"
    assert ("k", "not-in-force") in {(r.rule, r.effect) for r in decision.reasons}


def replace_rule(rule: DispositionRule, **changed: object) -> DispositionRule:
    fields = {name: getattr(rule, name) for name in rule.__struct_fields__}
    return DispositionRule(**(fields | changed))


@pytest.mark.parametrize(
    ("law_name", "place", "expected"),
    [
        ("EU", "DE", True),
        ("EU", "CH", False),
        ("EU", "NO", True),
        ("US", "US-CA", True),
        ("US-CA", "US", False),
        ("US-CA", "US-NY", False),
        ("any", "unknown", True),
        ("CN", "CN", True),
        ("EU", "EU", True),
        ("C", "CN", False),
    ],
)
def test_which_law_covers_which_place(law_name: str, place: str, expected: bool) -> None:
    assert covers(law_name, place) is expected


def test_a_country_without_a_pack_is_unknown() -> None:
    assert [not_covered(code, PACKS) for code in ("DE", "BR", "US", "US-CA", "CN+BR")] == [
        (),
        ("BR",),
        ("US",),
        (),
        ("BR",),
    ]


@settings(max_examples=120)
@given(st.sampled_from([*CLASSES, "x-unheard-of"]), st.sampled_from(LAWS), facts(), DAYS)
def test_every_record_has_one_disposition_and_every_reason_is_listed(
    record_class: str, law_of: str, known: Facts, on_date: date
) -> None:
    decision = decide(record_class, "unknown", law_of, known, PACKS, on_date)
    assert decision.disposition in ("erase-now", "hold", "archive")
    assert (decision.until is None) == (decision.disposition == "erase-now")
    assert any(
        r.effect == "decides" and (r.disposition, r.until) == (decision.disposition, decision.until)
        for r in decision.reasons
    )
    assert all(r.sources for r in decision.reasons if r.pack)
    if decision.disposition == "erase-now":
        assert not known.matters
    if not_covered(law_of, PACKS):
        assert decision.review


@settings(max_examples=120)
@given(st.sampled_from(sorted(CLASSES)), st.sampled_from(LAWS), facts(), DAYS, st.sampled_from(MATTERS))
def test_one_matter_more_never_leads_to_an_earlier_erasure(
    record_class: str, law_of: str, known: Facts, on_date: date, matter: str
) -> None:
    before = decide(record_class, "unknown", law_of, known, PACKS, on_date)
    held = decide(
        record_class, "unknown", law_of, replace(known, matters=known.matters | {matter}), PACKS, on_date
    )
    assert held.disposition == "hold"
    assert earliest_erasure(held, on_date) is None
    assert before.reasons  # released again, the record is decided as before, by the same rules
    assert {(r.pack, r.rule) for r in before.reasons if r.pack} == {
        (r.pack, r.rule) for r in held.reasons if r.pack
    }


@settings(max_examples=120)
@given(st.sampled_from(sorted(CLASSES)), st.sampled_from(LAWS), facts(), DAYS, DAYS, st.integers(0, 3000))
def test_one_suspension_more_never_leads_to_an_earlier_erasure(
    record_class: str, law_of: str, known: Facts, on_date: date, start: date, length: int
) -> None:
    more = Suspension("tax-assessment-open", start, start + timedelta(days=length))
    before = earliest_erasure(decide(record_class, "unknown", law_of, known, PACKS, on_date), on_date)
    paused = replace(known, suspensions=(*known.suspensions, more))
    after = earliest_erasure(decide(record_class, "unknown", law_of, paused, PACKS, on_date), on_date)
    assert after is None or (before is not None and after >= before)


@settings(max_examples=100)
@given(
    st.sampled_from(["DE", "unknown"]),
    st.dictionaries(st.just("issued"), DAYS, min_size=1),
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.integers(1, 30),
)
def test_one_law_more_that_keeps_never_leads_to_an_earlier_erasure(
    law_of: str, events: dict[str, date], years: list[int], more: int
) -> None:
    packs = [pack(f"p{n}", keep("k", y), erase("e")) for n, y in enumerate(years)]
    before = earliest_erasure(decide("order", "tax", law_of, Facts(events), packs, TODAY), TODAY)
    longer = [*packs, pack("more", keep("k", more))]
    after = earliest_erasure(decide("order", "tax", law_of, Facts(events), longer, TODAY), TODAY)
    assert before is not None
    assert after is not None
    assert after >= before


@settings(max_examples=100)
@given(st.sampled_from(sorted(CLASSES)), st.sampled_from(LAWS), facts())
def test_an_unknown_law_is_never_laxer_than_a_known_one_that_keeps(
    record_class: str, law_of: str, known: Facts
) -> None:
    one = decide(record_class, "unknown", law_of, known, PACKS, TODAY)
    strictest = decide(record_class, "unknown", "unknown", known, PACKS, TODAY)
    if one.disposition == "archive" and strictest.disposition == "archive":
        first, last = earliest_erasure(one, TODAY), earliest_erasure(strictest, TODAY)
        assert last is None or (first is not None and last >= first)
    assert not (one.disposition == "archive" and strictest.disposition == "erase-now")


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(sorted(CLASSES)), facts(), st.integers(0, 10**9)), max_size=20))
def test_the_counts_add_up_to_what_came_in(records: list[tuple[str, Facts, int]]) -> None:
    decided = [(decide(c, "unknown", "CN", f, PACKS, TODAY), n) for c, f, n in records]
    assert sum(tally(decided).values()) == sum(n for _, _, n in records)


def test_an_end_beyond_the_calendar_is_kept_for_ever() -> None:
    known = Facts(events={"issued": date(9995, 1, 1)})
    assert decide("voucher", "unknown", "DE", known, PACKS, TODAY).until == "permanent"
