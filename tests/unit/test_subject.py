"""Whose records are one person's: nobody else's ever, and theirs are taken, or a person is asked."""

from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.errors import Malformed
from deleatur.judge.identifiers import read_identifiers
from deleatur.judge.mentions import Mentions
from deleatur.judge.names import agreement, name_of
from deleatur.judge.roles import identifiers_in, key_text
from deleatur.judge.subject import Decision, Given, Pointer, Record, blurred, decide


def mail(address: str) -> tuple[str, str]:
    return ("e-mail", address)


def phone(number: str) -> tuple[str, str]:
    return ("mobile", number)


def person(text: str) -> frozenset[str]:
    return name_of([text])


def row(digest: str, *identifiers: tuple[str, str], name: str = "", born: str = "", **more: object) -> Record:
    certain = frozenset(i for i in identifiers if i[0] == "number")
    base = Record(
        digest=digest, identifiers=frozenset(identifiers), certain=certain, name=person(name), born=born
    )
    return replace(base, **more)


def known(*identifiers: tuple[str, str], name: str = "", **more: object) -> Given:
    certain = frozenset(i for i in identifiers if i[0] == "number")
    names = frozenset({person(name)} - {frozenset()})
    return replace(Given(identifiers=frozenset(identifiers), certain=certain, names=names), **more)


def verdicts(records: list[Record], about: Given, decided: dict[str, bool] | None = None) -> dict[str, str]:
    decisions, _ = decide(records, about, decided)
    return {r.digest: d.verdict for r, d in zip(records, decisions, strict=True)}


A1, A2, P = mail("anna@example.org"), mail("a.mueller@example.com"), phone("1701234567")
CRM = row("crm", A1, P, name="Anna Müller")
SHOP = row("shop", A2, P, name="Mueller, Anna")
CALL = row("call", P)
HUSBAND = row("husband", mail("bert@example.org"), P, name="Bert Müller")


def test_one_person_under_two_addresses_and_a_telephone_has_three_record_sets() -> None:
    assert verdicts([CRM, SHOP, CALL], known(A1, P)) == dict.fromkeys(("crm", "shop", "call"), "theirs")
    assert verdicts([CALL, SHOP, CRM], known(A2, P)) == dict.fromkeys(("crm", "shop", "call"), "theirs")


def test_what_was_found_links_only_where_a_name_or_birth_confirms_it() -> None:
    found = verdicts([CRM, SHOP, CALL], known(A1))
    assert found == {"crm": "theirs", "shop": "theirs", "call": "undecided"}
    born = [replace(CRM, name=frozenset(), born="1980-02-29"), row("other", A2, P, born="1980-02-29")]
    assert verdicts(born, known(A1)) == {"crm": "theirs", "other": "theirs"}


def test_a_family_telephone_pulls_in_nobody() -> None:
    assert verdicts([CRM, HUSBAND], known(A1)) == {"crm": "theirs", "husband": "other"}
    assert verdicts([CRM, HUSBAND, CALL], known(A1, P))["call"] == "undecided"
    assert verdicts([CRM, HUSBAND, CALL], known(P)) == dict.fromkeys(("crm", "husband", "call"), "undecided")
    named = verdicts([CRM, HUSBAND, CALL], known(P, name="Anna Müller"))
    assert named == {"crm": "theirs", "husband": "other", "call": "undecided"}


def test_a_person_decides_what_no_rule_can() -> None:
    records = [CRM, HUSBAND, CALL]
    assert verdicts(records, known(A1, P), {"call": True})["call"] == "theirs"
    assert verdicts(records, known(A1, P), {"call": False})["call"] == "other"
    assert verdicts(records, known(A1, P), {"crm": False})["crm"] == "other"


def test_a_number_of_one_person_links_unless_the_name_is_another() -> None:
    number = ("number", "M12345678")
    records = [
        row("old", number, A1, name="Anna Müller"),
        row("unnamed", number, mail("anna.schmidt@example.org")),
        row("married", number, mail("anna.schmidt@example.org"), name="Anna Schmidt"),
    ]
    assert verdicts(records[:2], known(A1, number)) == {"old": "theirs", "unnamed": "theirs"}
    asked = dict.fromkeys(("old", "unnamed", "married"), "undecided")
    assert verdicts(records, known(A1, number)) == asked  # a marriage, or a mistake: the operator knows
    assert verdicts(records, known(A1)) == asked | {"old": "theirs"}  # a seller's number is found like that
    both = known(A1, number, names=frozenset({person("Anna Müller"), person("Anna Schmidt")}))
    assert verdicts(records, both) == dict.fromkeys(asked, "theirs")


def test_what_stands_beside_many_others_is_an_offices_and_leads_nowhere() -> None:
    """A clerk's address and the seller's tax number are in every record of a sale."""
    seller, clerk = ("number", "DE136695976"), mail("clerk@shop.example")
    sales = [row(f"sale{n}", mail(f"c{n}@example.org"), seller, clerk) for n in range(6)]
    found = verdicts([row("anna", A1, seller, clerk, name="Anna Müller"), *sales], known(A1))
    assert found == {"anna": "theirs"} | dict.fromkeys((s.digest for s in sales), "untouched")
    few = verdicts([row("anna", A1, clerk, name="Anna Müller"), *(sales[:2])], known(A1))
    assert set(few.values()) == {"theirs", "undecided"}  # two may be a household: a person is asked


def test_two_lifelong_numbers_are_two_people_or_a_mistake() -> None:
    one = row("one", A1, name="Anna Müller", lasting=frozenset({("resident-id", "1")}))
    other = row("two", A1, name="Anna Müller", lasting=frozenset({("resident-id", "2")}))
    stranger = row("three", A1, lasting=frozenset({("resident-id", "3")}))
    about = known(A1, lasting=frozenset({("resident-id", "1")}), name="Anna Müller")
    assert verdicts([one, other, stranger], about) == {"one": "theirs", "two": "undecided", "three": "other"}


def customer(number: str) -> tuple[str, str]:
    return ("crm/customers.id", number)


def order(digest: str, of: str, *more: Pointer, **rest: object) -> Record:
    points = (Pointer("crm/orders.customer_id", customer(of), people=True), *more)
    return row(digest, points=points, keys=frozenset({("crm/orders.id", digest)}), **rest)


def test_records_below_theirs_follow_through_any_number_of_tables() -> None:
    lines = row("line", points=(Pointer("crm/lines.order_id", ("crm/orders.id", "o1"), people=False),))
    booking = row(
        "booking", points=(Pointer("erp/bookings.order_no", ("crm/orders.id", "o1"), people=False),)
    )
    records = [
        booking,
        lines,
        order("o1", "7"),
        order("o2", "8"),
        replace(CRM, keys=frozenset({customer("7")})),
    ]
    found = verdicts(records, known(P))
    assert found == dict.fromkeys(("booking", "line", "o1", "crm"), "theirs") | {"o2": "untouched"}


def test_a_record_that_points_to_two_people_is_for_a_person_to_decide() -> None:
    clerk = Pointer("crm/orders.clerk_id", ("crm/staff.id", "3"), people=True)
    records = [replace(CRM, keys=frozenset({customer("7")})), order("o1", "7", clerk)]
    decisions, _ = decide(records, known(A1))
    assert decisions[1] == Decision("undecided", "points to somebody else too, by crm/orders.clerk_id")


def test_a_clerk_does_not_get_the_customers_that_point_to_them() -> None:
    staff = row("staff", A1, name="Anna Müller", keys=frozenset({("crm/staff.id", "3")}))
    points = (Pointer("crm/customers.clerk_id", ("crm/staff.id", "3"), people=True),)
    theirs = row("customer", mail("c@example.org"), name="Carl Groß", points=points)
    assert verdicts([staff, theirs], known(A1)) == {"staff": "theirs", "customer": "undecided"}


def test_a_column_that_does_not_tell_records_apart_is_named() -> None:
    tenant = frozenset({("crm/customers.tenant", "1")})
    records = [replace(CRM, keys=tenant), row("other", mail("b@example.org"), name="Bert Groß", keys=tenant)]
    decisions, subject = decide(records, known(A1))
    assert blurred(records, decisions, subject) == "crm/customers.tenant"
    assert blurred(records[:1], decisions[:1], subject) == ""


def test_a_letter_links_by_what_was_given_and_says_nothing_of_others() -> None:
    letter = row("letter", A1, mail("sales@shop.example"), letter=True)
    next_one = row("next", mail("carl@example.org"), mail("sales@shop.example"), letter=True)
    assert verdicts([letter, next_one], known(A1)) == {"letter": "theirs", "next": "untouched"}


def test_a_voided_identifier_takes_back_what_it_brought() -> None:
    """The call came in by a telephone that only later turns out to be shared."""
    number = ("number", "M12345678")
    first = row("first", P)
    named = row("named", number, name="Anna Müller")
    found = verdicts([first, named, HUSBAND], known(P, number))
    assert found == {"first": "undecided", "named": "theirs", "husband": "other"}


@dataclass(frozen=True)
class Someone:
    number: int
    name: str
    born: str
    addresses: tuple[str, ...]
    telephone: str


FIRST = ("Anna", "Bert", "Carla", "Dirk", "Eva", "Franz", "Greta", "Hugo")


@st.composite
def companies(draw: st.DrawFn) -> tuple[list[Someone], list[tuple[int, Record]], int]:
    """People in families that share telephones; records that show any part of them; one of the people."""
    people = []
    for number in range(draw(st.integers(2, 6))):
        house = draw(st.integers(0, 2))
        name = f"{FIRST[number]} {('Müller', 'Schmidt', 'Groß')[house]}"
        addresses = tuple(f"p{number}.{n}@example.org" for n in range(draw(st.integers(1, 2))))
        people.append(Someone(number, name, f"19{50 + number}-01-01", addresses, f"17012345{house:02}"))
    records: list[tuple[int, Record]] = []
    office = {mail("clerk@shop.example"), ("number", "DE136695976")} if draw(st.booleans()) else set()
    for n in range(draw(st.integers(1, 14))):
        who = people[draw(st.integers(0, len(people) - 1))]
        shown = {mail(a) for a in who.addresses if draw(st.booleans())}
        shown |= ({phone(who.telephone)} if draw(st.booleans()) else set()) | office
        name = draw(
            st.sampled_from((who.name, who.name.split()[1], f"{who.name[0]}. {who.name.split()[1]}", ""))
        )
        record = row(
            f"r{n}",
            *shown,
            name=name,
            born=who.born if draw(st.booleans()) else "",
            keys=frozenset({("t.id", str(n))}),
        )
        records.append((who.number, record))
        for m in range(draw(st.integers(0, 2))):
            points = (Pointer("u.t_id", ("t.id", str(n)), people=True),)
            records.append((who.number, row(f"r{n}-{m}", points=points)))
    return people, draw(st.permutations(records)), draw(st.integers(0, len(people) - 1))


@given(companies(), st.booleans())
@settings(max_examples=400, deadline=None)
def test_in_any_company_nobody_elses_record_is_theirs(
    company: tuple[list[Someone], list[tuple[int, Record]], int], by_name: bool
) -> None:
    people, records, number = company
    someone = people[number]
    about = known(*map(mail, someone.addresses), name=someone.name if by_name else "")
    found = verdicts([record for _, record in records], about)
    others = {record.digest for owner, record in records if owner != number}
    assert not [d for d in others if found[d] == "theirs"]
    reached = {r.digest for owner, r in records if owner == number and r.identifiers & about.identifiers}
    assert all(found[d] in ("theirs", "undecided") for d in reached)
    if by_name:  # then nothing that carries one of the addresses is left to be asked about
        assert all(found[d] == "theirs" for d in reached)
        below = {r.digest for _, r in records if r.digest.partition("-")[0] in reached}
        assert all(found[d] == "theirs" for d in below)


@given(companies())
@settings(max_examples=400, deadline=None)
def test_a_shared_telephone_that_is_given_exports_nothing_of_others_that_shows_a_name(
    company: tuple[list[Someone], list[tuple[int, Record]], int],
) -> None:
    people, records, number = company
    someone = people[number]
    about = known(phone(someone.telephone), name=someone.name)
    found = verdicts([record for _, record in records], about)
    full = {p.number: name_of([p.name]) for p in people}
    others = [record for owner, record in records if owner != number and record.identifiers]
    assert not [r for r in others if found[r.digest] == "theirs" and r.name == full.get(_owner(records, r))]
    if any(r.name == full[_owner(records, r)] and phone(someone.telephone) in r.identifiers for r in others):
        assert not [r for r in others if found[r.digest] == "theirs"]


def _owner(records: list[tuple[int, Record]], record: Record) -> int:
    return next(owner for owner, each in records if each.digest == record.digest)


@given(companies(), st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_records_changes_nothing(
    company: tuple[list[Someone], list[tuple[int, Record]], int], random: Random
) -> None:
    people, records, number = company
    about = known(*map(mail, people[number].addresses))
    plain = [record for _, record in records]
    mixed = plain[:]
    random.shuffle(mixed)
    assert verdicts(plain, about) == verdicts(mixed, about)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (["Anna", "Müller"], ["Frau Dr. Mueller, Anna M."], "same"),
        (["Anna Müller"], ["A. Müller"], "compatible"),
        (["Anna Müller"], ["Müller"], "compatible"),
        (["Anna Müller"], ["Bert Müller"], "different"),
        (["Anna Müller"], ["Anna Schmidt"], "different"),
        (["王小明"], ["小明", "王"], "same"),
        (["王小明"], ["王小红"], "different"),
        (["王小明"], ["小明"], "compatible"),
        (["Anna Müller"], [""], "compatible"),
        (["Anna Müller"], ["Anna Müller", "Tom Clerk"], "compatible"),  # two names: nobody knows whose row
        (["Siobhán O'Connor"], ["SIOBHAN O'CONNOR"], "same"),
    ],
)
def test_names_agree_only_when_enough_is_written(one: list[str], other: list[str], expected: str) -> None:
    assert agreement(name_of(one), name_of(other)) == agreement(name_of(other), name_of(one)) == expected


def test_a_value_is_an_identifier_only_as_a_whole() -> None:
    assert [*identifiers_in("e-mail", "Anna <Anna@Example.org>; b@x.de")] == [
        mail("anna@example.org"),
        mail("b@x.de"),
    ]
    assert [*identifiers_in("mobile-number", "+49 170 1234567")] == [P]
    assert [*identifiers_in("mobile-number", "0170/1234567")] == [P]
    for text in ("call me: 0170 1234567!", "n/a", "see a@x.de there", None, b"a@x.de", 1.5, True):
        assert [*identifiers_in("e-mail", text), *identifiers_in("mobile-number", text)] == []


@pytest.mark.parametrize(
    ("value", "text"), [(17, "17"), (17.0, "17"), (" 17 ", "17"), (None, ""), (b"17", "")]
)
def test_keys_of_files_and_databases_are_compared_as_text(value: object, text: str) -> None:
    assert key_text(value) == text


def test_identifiers_are_read_from_lines_and_never_quoted() -> None:
    lines = "# request 12\ne-mail: Anna@Example.org\n\nperson-name: Anna Müller\ndate-of-birth: 29.02.1980\n"
    lines += "resident-id: 110105194912310025\ncrm/customers.id: 17\n"
    about = read_identifiers(lines.encode())
    assert mail("anna@example.org") in about.identifiers
    assert about.certain == {("number", "110105194912310025")}
    assert about.lasting == {("resident-id", "110105194912310025")}
    assert (about.names, about.born) == ({person("Anna Müller")}, {"1980-02-29"})
    assert about.keys == {customer("17")}
    bad = (
        "e-mail: anna",
        "mail: a@x.de",
        "a@x.de",
        "person-name: Anna Müller",
        "",
        "landline-number: 0221 1234",
    )
    for text in bad:
        with pytest.raises(Malformed) as caught:
            read_identifiers(text.encode())
        assert not text or text.partition(": ")[2] not in str(caught.value) or ": " not in text
        assert "a@x.de" not in str(caught.value)
    with pytest.raises(Malformed, match="UTF-8"):
        read_identifiers(b"e-mail: \xff@x.de")


def test_mentions_are_seen_in_other_spellings_and_not_in_other_words() -> None:
    sought = Mentions({mail("anna@example.org"), phone("1701234567")}, [["Anna", "Müller"], ["王小明"]])
    for text in (
        "write to ANNA@example.org",
        "0170/123 45 67 calls back",
        "Müller, Anna",
        "die Anna  Müller".replace("  ", " "),
        "客户王小明投诉",
        "ＡＮＮＡ＠ｅｘａｍｐｌｅ．ｏｒｇ",
    ):
        assert sought.within([1, None, text])
    for text in ("Anna", "Müller", "joanna@example.org", "anna@example.org.uk", "Hanna Müllers", "017012345"):
        assert not sought.within([text])
    assert not sought.within(["Anna Müller"], known={"Anna Müller"})
