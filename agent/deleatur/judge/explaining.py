"""Say a decision in words, rule by rule, with the sources and how far they were checked. Pure."""

from collections.abc import Iterator
from datetime import date

from deleatur.documents.policy import Source
from deleatur.judge.disposition import Decision, OpenEnd, Reason

_STATES = {
    "verified": "compared with the official text",
    "read": "read in a secondary source",
    "known-not-checked": "from general knowledge, not checked",
}
_ENDS: dict[OpenEnd, str] = {
    "matter-closed": "until the matter is closed",
    "event-known": "until the day that starts its period is known",
    "decided": "until a person decides",
    "suspension-ended": "at least until the suspension is over",
    "permanent": "for ever",
}
_EFFECTS = {
    "decides": "decides",
    "agrees": "agrees",
    "outweighed": "is outweighed",
    "ended": "has ended",
    "not-yet": "does not speak",
    "not-in-force": "is not in force",
}


def in_words(decision: Decision) -> str:
    """Return what becomes of the record: `archive it until 2034-12-31`."""
    words = said(decision.disposition, decision.until)
    return f"{words}; a person must look first" if decision.review else words


def said(disposition: str, until: date | OpenEnd | None) -> str:
    """Return a disposition and its end in words."""
    match until:
        case None:
            return "erase it now" if disposition == "erase-now" else disposition
        case date():
            return f"{disposition} it until {until}"
    return f"{disposition} it {_ENDS[until]}"


def reasons_in_words(decision: Decision) -> Iterator[str]:
    """Yield one line for each reason, and under it the sources of those that speak."""
    for reason in decision.reasons:
        yield f"{reason_name(reason)} {_EFFECTS[reason.effect]}: {reason.text}"
        if reason.effect not in ("not-yet", "not-in-force"):
            for source in reason.sources:
                yield f"    {source_in_words(source)}"


def reason_name(reason: Reason) -> str:
    """Return `pack version, rule`, or the rule of deleatur's own that spoke."""
    return f"{reason.pack}, {reason.rule}" if reason.pack else f"deleatur, {reason.rule}"


def source_in_words(source: Source) -> str:
    """Return what a source says, where, and how far that was checked."""
    return f"{source.text} ({state_in_words(source)}: {source.where})"


def state_in_words(source: Source) -> str:
    """Return how far a source was checked, and when; a house rule is nobody's law."""
    state = "a rule of our own, no law" if source.kind == "house" else _STATES[source.checked]
    return f"{state}, {source.date}"
