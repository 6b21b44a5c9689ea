"""Show plans, states and certificates as pictures: a person looks at pictures rather than tables."""

import sys
from collections.abc import Iterator
from typing import TextIO
from urllib.parse import unquote

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deleatur.cli.output import console, printable, size
from deleatur.cli.wording import fill_in_words, gate_in_words, limit_text, risk_in_words, selected
from deleatur.documents.certificate import Certificate, ReidentificationRisk
from deleatur.documents.plan import Plan, PlannedTarget
from deleatur.engine.jobs import Approved
from deleatur.judge.fold import Progress

WIDTH = 30  # characters of a bar
_MOST_KEPT = 20  # files whose other holders are listed; `plan.json` has all


def _safe(text: str) -> str:
    return escape(printable(text))


def _marked(markup: str) -> Text:
    return Text.from_markup(markup, emoji=False)  # `:zap:` in a name stays what it is


def _amount(target: PlannedTarget) -> str:
    rows = target.identity.kind == "rows"
    return f"{target.size} rows" if rows else size(target.size)


def show_plan(approved: Approved, to: TextIO) -> None:
    """Show what is going to happen, and the digest that is approved."""
    plan = approved.plan
    named_roles = ", ".join(plan.policy.roles)
    head = _marked(
        f"authority  {_safe(plan.authority)}\n"
        f"reason     {_safe(plan.reason)}\n"
        f"host       {_safe(plan.host.name)}{_machine(plan)}\n"
        f"approvals  {plan.policy.approvals} of {len(plan.approvers)} keys that may approve"
        f"{f', a key of its own for each of: {named_roles}' if named_roles else ''}"
    )
    named = [*(t.limits for t in plan.targets), *(f.limits for f in plan.free_space)]
    limits = dict.fromkeys(limit_text(limit) for names in named for limit in names)
    tail = [Text(), Text("cannot be covered:")] if limits else []
    tail += [Text(f"  · {printable(limit)}") for limit in limits]
    tail += [Text(), Text("digest of this plan:"), Text(f"sha256:{approved.digest}", style="bold")]
    rests = [_marked(f"rests on   {_safe(gate_in_words(gate))}") for gate in plan.gates]
    rests += [_marked(f"fills      {_safe(fill_in_words(fill))}") for fill in plan.free_space]
    if plan.custody is not None and plan.custody.without_copies is not None:
        rests.append(_marked(f"no copies  of the archive: {_safe(plan.custody.without_copies)}"))
    picture = Group(head, *rests, *(line for target in plan.targets for line in _planned(target)), *tail)
    title = f"plan of {_safe(plan.job)}"
    console(to).print(Panel(picture, title=title, title_align="left", border_style="yellow"))


def _machine(plan: Plan) -> str:
    """Return what tells the host from others beside its name: eight digits are enough for the eye."""
    return f", machine {plan.host.machine[:8]}" if plan.host.machine else ", known [bold]by its name alone[/]"


def _planned(target: PlannedTarget) -> list[Text | Table]:
    """Say of one target what goes and what stays; a line of its own for each, so that nothing is cut."""
    rows = [("goes", f"[red]{_amount(target)}[/] in {len(target.units)} units")]
    rows += [("", _safe(selected(part))) for part in target.target.select]
    rows += [
        ("held", f"{_safe(hold.id)} ({_safe(hold.reason)}): {_safe(selected(hold))}")
        for hold in target.target.hold
    ]
    if target.held:
        rows.append(("", f"[green]{sum(u.size for u in target.held)}[/] stay"))
    if target.target.others_write:
        rows.append(("", "others write to what stays: a change there [bold]will not stop the job[/]"))
    if target.kept:
        rows.append(("left", f"blocks of [bold]{len(target.kept)} files[/] that others hold too"))
        rows += [("", _safe(f"{kept.unit}: {kept.by}")) for kept in target.kept[:_MOST_KEPT]]
    for part in target.target.archive:
        rows.append(("archived", _safe(selected(part))))
        if part.risk is not None:
            rows.append(("", _safe(risk_in_words(part.risk))))
    rows.append(("how", _safe(target.technique)))
    if target.shown is not None:
        shows = f"the drive shows {target.shown} of {target.size} bytes"
        rows.append(("", f"{shows} and is [bold]made to show all of them first[/]"))
    if target.outage:
        rows.append(("", f"others wait at most [bold]{target.outage / 1000:.1f} s[/] at one stretch"))
    lines = Table.grid(padding=(0, 2))
    lines.add_column()
    lines.add_column(overflow="fold")
    for label, text in rows:
        lines.add_row(f"  {label}", _marked(text))
    named = _marked(f"\n[bold]■ {_safe(target.id)}[/]  {_safe(target.target.url)}")
    readable = unquote(target.target.url, errors="surrogateescape")
    if readable != target.target.url:
        named.append(f"\n  that is  {printable(readable)}")
    return [named, lines]


def show_state(approved: Approved, progress: Progress, approvals: int, state: str, following: str) -> None:
    """Show how far a job is: one bar for each step."""
    plan = approved.plan
    steps = Table(box=None, pad_edge=False, show_header=False)
    sizes = {t.id: t.size for t in plan.targets}
    for step in plan.steps:
        done = progress.step(step)
        whole = sizes[step.target] or 1
        part = 1.0 if done.erased else min((done.cursor.done if done.cursor else 0) / whole, 1.0)
        filled = round(part * WIDTH)
        bar = f"[{'green' if done.erased else 'yellow'}]{'█' * filled}[/]{'·' * (WIDTH - filled)}"
        steps.add_row(step.id, _safe(f"{step.action} {step.target}"), bar, f"{part:.0%}")
    for target in plan.targets:
        verified = progress.verified.get(target.id)
        steps.add_row(
            "", _safe(f"verify {target.id}"), _safe(verified.verdict) if verified else "·" * WIDTH, ""
        )
    for waited in outages(plan, progress):
        steps.add_row("", _safe(waited), "", "")
    facts = f"approvals {approvals} of {plan.policy.approvals}   next: {following or 'nothing'}"
    title = f"{_safe(plan.job)}: {state}"
    console(sys.stdout).print(Panel(Group(steps, facts), title=title, title_align="left"))


def outages(plan: Plan, progress: Progress) -> Iterator[str]:
    """Say of each target on which others wait how long they were to wait at most, and how long they did."""
    for target in plan.targets:
        measured = max(progress.step(s).outage for s in plan.steps if s.target == target.id)
        if target.outage:
            yield (
                f"others waited {measured / 1000:.1f} s at one stretch on {target.id} "
                f"(planned: at most {target.outage / 1000:.1f} s)"
            )


_COLOURS = {"verified": "green", "verified-with-exceptions": "yellow", "executed-unverified": "red"}


def show_certificate(certificate: Certificate) -> None:
    """Show a certificate: what went, how it is known, and what is not covered."""
    overall = certificate.outcome.overall
    console(sys.stdout).print(
        Panel(
            Group(
                _head(certificate),
                *_conditions(certificate),
                _outcomes(certificate),
                _evidence(certificate),
                _limits(certificate),
            ),
            title=f"certificate of erasure {_safe(certificate.certificate_id)}",
            subtitle=f"{overall}; shown, not checked: use `deleatur verify`",
            title_align="left",
            border_style=_COLOURS[overall],
        )
    )


def _head(certificate: Certificate) -> Text:
    plan = certificate.plan
    in_roles = ", ".join(f"{r.role} {r.key_id[:19]}…" for r in certificate.approvals.roles)
    approvers = ", ".join(f"{k.name} {k.key_id[:19]}…" for k in certificate.approvals.keys)
    return _marked(
        f"job        {_safe(plan.job)}: {_safe(plan.authority)}\n"
        f"issued     {_safe(certificate.issued_at)}, kept until {_safe(certificate.retain_until)}\n"
        f"planned    by {_safe(certificate.planner.name)} {_safe(certificate.planner.key_id[:19])}…\n"
        f"approved   by {_safe(approvers)} (threshold {certificate.approvals.threshold})"
        f"{f', as {in_roles}' if in_roles else ''}"
    )


def _conditions(certificate: Certificate) -> list[Text]:
    """Show what the job rested on."""
    sentences = [s for condition in certificate.conditions for s in condition.sentences]
    return [Text(f"rests on   {printable(sentence.text)}") for sentence in sentences]


def _outcomes(certificate: Certificate) -> Group:
    names = {t.id: t for t in certificate.targets}
    lines: list[Text] = []
    for outcome in certificate.outcome.per_target:
        target = names[outcome.target_id]
        colour = _COLOURS[outcome.state]
        amount = f"{target.size} rows" if target.kind == "rows" else size(target.size)
        lines.append(
            _marked(
                f"\n[bold {colour}]■ {_safe(outcome.assurance):<15}[/] {_safe(outcome.target_id)}: "
                f"{amount} in {target.units} units, {outcome.state}; {target.held} units held"
            )
        )
        lines += [Text(f"  {printable(c.text)}") for c in outcome.claims]
    for space in certificate.free_space:
        lines.append(
            _marked(
                f"\n[bold]■ free space[/]      {_safe(space.id)}: {size(space.written)} of "
                f"{_safe(space.file_system)} overwritten and read back, {size(space.left)} left"
            )
        )
        lines += [Text(f"  {printable(c.text)}") for c in space.claims]
    return Group(*lines)


def _evidence(certificate: Certificate) -> Table:
    seen = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title="\nsampled values, before and after", title_justify="left"
    )
    for head in ("target", "surface", "values seen before", "hits after", "bytes read after"):
        seen.add_column(head, overflow="fold")
    for verification in certificate.verification:
        total = verification.needles.count or 1
        for surface in verification.surfaces:
            if surface.reach != "scannable" or not (surface.bytes_before or surface.bytes_after):
                continue
            filled = round(surface.values_seen_before / total * 10)
            seen.add_row(
                _safe(verification.target_id),
                _safe(surface.name),
                f"[red]{'█' * filled}[/]{'·' * (10 - filled)} {surface.values_seen_before}",
                f"[green]{surface.hits_after}[/]",
                size(surface.bytes_after + surface.bytes_at_compare),
            )
    return seen


def _limits(certificate: Certificate) -> Group:
    lines = [Text("not covered:")]
    lines += [Text(f"  · {printable(e.sentence.text)}") for e in certificate.exceptions]
    lines += [Text(f"  · {printable(s.text)}") for s in certificate.known_limits]
    lines.append(Text(f"  · {printable(certificate.copies_not_covered.text)}"))
    for archive in certificate.archives:
        lines += [Text(printable(f"  · {t.table}: {_reached(t.risk)}")) for t in archive.tables if t.risk]
        tables = ", ".join(f"{t.table} ({t.rows} rows)" for t in archive.tables)
        who = ", ".join(f"{c.name} ({c.opens})" for c in archive.custodians)
        lines.append(
            Text(printable(f"kept: {tables} in {archive.file}, for {who} until {archive.retain_until}"))
        )
    return Group(*lines)


def _reached(risk: ReidentificationRisk) -> str:
    diversity = "" if risk.sensitive is None else f", l = {risk.l} of {risk.sensitive}"
    coarser = f", {', '.join(risk.generalised)}" if risk.generalised else ""
    return f"k = {risk.k} over {', '.join(risk.quasi_identifiers)}{diversity}{coarser}. {risk.sentence.text}"
