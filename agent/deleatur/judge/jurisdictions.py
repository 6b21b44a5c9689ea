"""Say which law covers which place. Pure; names of authorities and laws are the packs' matter."""

from collections.abc import Collection, Iterable

from deleatur.documents.policy import Pack

UNKNOWN = "unknown"
ANY = "any"
# Where the GDPR applies: the 27 member states, and by the EEA agreement Iceland, Liechtenstein and
# Norway. From general knowledge, not checked against the treaties.
_UNION = (
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"  # ISO 3166-1
)


def split(jurisdiction: str) -> tuple[str, ...]:
    """Return the codes of `CN+DE`: several laws may bind one record, a buyer's and the bookkeeper's."""
    return tuple(jurisdiction.split("+"))


def covers(law: str, place: str) -> bool:
    """Say whether a law of `law` is binding in `place`: EU in DE, US in US-CA, any everywhere."""
    if law in (ANY, place):
        return True
    if law == "EU":
        return place.partition("-")[0] in _UNION.split()
    return "-" not in law and place.partition("-")[0] == law


def not_covered(jurisdiction: str, packs: Iterable[Pack]) -> tuple[str, ...]:
    """Return the codes that no pack speaks for; a pack for every place speaks for none of them.

    What is in here is treated as unknown: we do not know its law.
    """
    laws = {law for pack in packs for law in laws_of(pack)} - {ANY}
    return tuple(c for c in split(jurisdiction) if c == UNKNOWN or not any(covers(law, c) for law in laws))


def laws_of(pack: Pack) -> tuple[str, ...]:
    """Return the jurisdictions that a pack and its rules name."""
    return (pack.jurisdiction, *(code for rule in pack.rule for code in rule.jurisdiction))


def binding(laws: Iterable[str], jurisdiction: str, unknown: Collection[str]) -> bool:
    """Say whether one of `laws` binds a record of `jurisdiction`.

    Where a part of it is `unknown` (see `not_covered`), every law does.
    """
    return bool(unknown) or any(covers(law, code) for law in laws for code in split(jurisdiction))
