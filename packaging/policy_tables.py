"""Make the tables of the policy packs for the reference pages, from the packs themselves."""

from deleatur.documents.policy import CLASSES, DispositionRule, Pack, Source
from deleatur.engine.packs import shipped
from deleatur.judge.explaining import state_in_words


def record_classes() -> str:
    """Make the table of the vocabulary's record classes."""
    return "\n".join(
        ["| class | what it is |", "|---|---|", *(f"| `{n}` | {m} |" for n, m in CLASSES.items())]
    )


def policy_packs() -> str:
    """Make a part for each pack that ships: its rules, its other demands and its sources."""
    return "\n\n".join(described(pack) for pack in shipped())


def described(pack: Pack) -> str:
    """Describe one pack."""
    about = f"Version {pack.version}, for {pack.jurisdiction}, looked at on {pack.date}."
    parts = [f"## {pack.id}\n\n{pack.title}. {about}"]
    if pack.rule:
        rows = [
            "| rule | classes | law of | what becomes of them | why | sources |",
            "|---|---|---|---|---|---|",
        ]
        parts.append("\n".join([*rows, *(rule_row(pack, rule) for rule in pack.rule)]))
    if demands := [*other_demands(pack)]:
        parts.append("\n".join(["| demand | sources |", "|---|---|", *demands]))
    rows = ["| source | says | where | state of checking |", "|---|---|---|---|"]
    parts.append("\n".join([*rows, *(source_row(source) for source in pack.source)]))
    return "\n\n".join(parts)


def rule_row(pack: Pack, rule: DispositionRule) -> str:
    """Describe one rule."""
    classes = ", ".join(f"`{name}`" for name in rule.classes)
    law = ", ".join(rule.jurisdiction) or pack.jurisdiction
    since = f", in force since {rule.in_force}" if rule.in_force else ""
    purpose = f", collected for {', '.join(rule.purpose)}" if rule.purpose else ""
    what = f"{classes}{purpose} | {law} | {outcome(rule)}{since}"
    return f"| `{rule.id}` | {what} | {rule.why} | {cited(rule.sources)} |"


def outcome(rule: DispositionRule) -> str:
    """Say what a rule does with its records."""
    kept = rule.retention
    if kept is None:
        if rule.disposition == "hold":
            return f"hold while open: {', '.join(rule.matters)}"
        return f"erase once one of these happened: {', '.join(rule.after)}" if rule.after else "erase now"
    if kept.years == "permanent":
        return "archive for ever"
    start = f"the end of the year of {kept.start}" if kept.begins == "end-of-calendar-year" else kept.start
    words = f"archive for {kept.years} years from {start}"
    effect = "does not end during" if kept.suspension == "defers-end" else "its clock stops during"
    return f"{words}; {effect} {', '.join(kept.suspended_by)}" if kept.suspended_by else words


def other_demands(pack: Pack) -> list[str]:
    """Describe what a pack demands beside dispositions."""
    rows = []
    if pack.notice is not None:
        rows.append(f"| people are told {pack.notice.days} days before | {cited(pack.notice.sources)} |")
    if pack.certificate is not None:
        years = pack.certificate.years
        rows.append(
            f"| the certificate is kept for at least {years} years | {cited(pack.certificate.sources)} |"
        )
    for part in pack.protection:
        allowed = ", ".join(part.archive)
        what = f"{part.level}: erased by {part.technique} or stronger; columns of an archive: {allowed}"
        rows.append(f"| {what} | {cited(part.sources)} |")
    for place in pack.residency:
        within = ", ".join(place.within) or "the same jurisdiction"
        rows.append(f"| archives of {place.jurisdiction} stay in {within} | {cited(place.sources)} |")
    for apart in pack.apart:
        what = f"{', '.join(apart.classes)} apart from {', '.join(apart.other)}"
        rows.append(f"| {what} | {cited(apart.sources)} |")
    return rows


def cited(names: tuple[str, ...]) -> str:
    """Name sources by their ids."""
    return ", ".join(f"`{name}`" for name in names)


def source_row(source: Source) -> str:
    """Describe one source."""
    return f"| `{source.id}` | {source.text} | {source.where} | {state_in_words(source)} |"
