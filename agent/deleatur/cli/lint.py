"""`deleatur lint`: hold policies, jobs and data maps against the packs, and explain a decision."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from deleatur.cli.output import as_json_option, emit, say, table
from deleatur.documents.datamap import DataMap
from deleatur.documents.job import Job
from deleatur.documents.policy import CLASSES, PURPOSES, Pack
from deleatur.engine.packs import files_of, read_document, shipped
from deleatur.errors import Refused
from deleatur.judge.disposition import Facts, decide, earliest_erasure, tally
from deleatur.judge.explaining import in_words, reasons_in_words, source_in_words
from deleatur.judge.jurisdictions import UNKNOWN, split
from deleatur.judge.lint import (
    Decided,
    Remark,
    decide_map,
    narrowed,
    remarks_on_job,
    remarks_on_map,
    remarks_on_packs,
    start_events,
)
from deleatur.judge.periods import Suspension


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("a day is written YYYY-MM-DD") from None


def _on(_: click.Context, __: click.Parameter, value: str | None) -> date:
    return _day(value) if value else datetime.now(UTC).date()


def _events(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, date]:
    return {name: _day(day) for name, day in (_pair(value) for value in values)}


def _suspensions(_: click.Context, __: click.Parameter, values: Sequence[str]) -> tuple[Suspension, ...]:
    found = []
    for value in values:
        cause, days = _pair(value)
        first, dots, last = days.partition("..")
        if not dots:
            raise click.BadParameter("a suspension is written CAUSE=FROM..TO, or CAUSE=FROM.. while it lasts")
        found.append(Suspension(cause, _day(first), _day(last) if last else None))
    return tuple(found)


def _codes(_: click.Context, __: click.Parameter, value: str | None) -> list[str]:
    return [code.strip() for code in value.split(",")] if value else []


def _pair(value: str) -> tuple[str, str]:
    name, equals, rest = value.partition("=")
    if not equals or not name:
        raise click.BadParameter("write NAME=VALUE")
    return name, rest


@click.command("lint")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--explain", metavar="CLASS", help="Say what becomes of records of this class, and why.")
@click.option(
    "--in",
    "places",
    callback=_codes,
    metavar="LAWS",
    help="Whose law: codes by commas, CN+DE where both bind one record (default: the data map's).",
)
@click.option(
    "--purpose",
    type=click.Choice([*PURPOSES, "unknown"]),
    default="unknown",
    help="What the records were collected for.",
)
@click.option(
    "--on", "on_date", callback=_on, metavar="DAY", help="The day of the decision (default: today)."
)
@click.option(
    "--event", "events", multiple=True, callback=_events, metavar="NAME=DAY", help="What happened when."
)
@click.option("--open", "matters", multiple=True, metavar="MATTER", help="A matter that is open.")
@click.option(
    "--suspended",
    multiple=True,
    callback=_suspensions,
    metavar="CAUSE=FROM..TO",
    help="What stopped a period.",
)
@click.option("--pack", "names", multiple=True, help="Only these packs of those that ship (default: all).")
@as_json_option
@click.pass_context
def command(context: click.Context, /, **given: Any) -> None:
    """Check policies, a job.toml and a datamap.toml against the packs that ship and each other.

    Without PATH the packs themselves are checked. An error is what a rule forbids: exit code 4. A
    note is what a person should know.
    """
    documents = [read_document(path) for path in files_of(given["paths"])]
    packs = (*shipped(given["names"]), *(d for d in documents if isinstance(d, Pack)))
    if given["explain"] is not None:
        _explain(packs, given)
        return
    maps = _only_one([d for d in documents if isinstance(d, DataMap)])
    if maps is not None and given["places"]:
        maps = narrowed(maps, [code for codes in given["places"] for code in split(codes)])
    remarks = [*remarks_on_packs(packs)]
    decided: list[Decided] = []
    if maps is not None:
        remarks += remarks_on_map(maps, packs)
        decided = decide_map(maps, packs, given["on_date"])
    for job in documents:
        if isinstance(job, Job):
            remarks += remarks_on_job(job, packs, maps, given["on_date"])
    errors = sum(r.severity == "error" for r in remarks)
    show: Callable[..., None] = _as_json if given["as_json"] else _as_text
    show(remarks, decided, errors)
    if errors:
        context.exit(Refused.exit_code)


def _only_one(maps: list[DataMap]) -> DataMap | None:
    if len(maps) > 1:
        raise Refused("two data maps were given: which of them is true? name one")
    return maps[0] if maps else None


def _laws(jurisdiction: str) -> str:
    """Show up to three codes, and only the number of more."""
    codes = split(jurisdiction)
    return jurisdiction if len(codes) <= 3 else f"{len(codes)} places"


def _as_json(remarks: Sequence[Remark], decided: Sequence[Decided], errors: int) -> None:
    emit(
        {
            "errors": errors,
            "remarks": msgspec.to_builtins(remarks),
            "decided": msgspec.to_builtins(decided),
            "records": tally((d.decision, d.records) for d in decided),
        }
    )


def _as_text(remarks: Sequence[Remark], decided: Sequence[Decided], errors: int) -> None:
    for remark in remarks:
        say(f"{remark.severity}: {remark.where}: {remark.text} [{remark.kind}]")
        for source in remark.sources:
            say(f"    {source_in_words(source)}")
    if decided:
        rows = [
            (d.place, d.table, d.record_class, _laws(d.jurisdiction), str(d.records), in_words(d.decision))
            for d in decided
        ]
        table(
            rows,
            ("place", "table", "class", "law of", "records", "if its period starts now"),
        )
        total = tally((d.decision, d.records) for d in decided)
        say(", ".join(f"{name} {count}" for name, count in total.items()))
    say(f"errors: {errors}, notes: {len(remarks) - errors}")


def _explain(packs: Sequence[Pack], given: dict[str, Any]) -> None:
    name, on_date = given["explain"], given["on_date"]
    known = {name for pack in packs for name in (*CLASSES, *(c.id for c in pack.record_class))}
    if name not in known:
        raise Refused(f"no record class is called {name}; there are: {', '.join(sorted(known))}")
    assumed = not given["events"]
    events = dict.fromkeys(start_events(packs), on_date) if assumed else given["events"]
    facts = Facts(events, frozenset(given["matters"]), given["suspended"])
    places = given["places"] or [UNKNOWN]
    decisions = {place: decide(name, given["purpose"], place, facts, packs, on_date) for place in places}
    earliest = {place: earliest_erasure(decision, on_date) for place, decision in decisions.items()}
    if given["as_json"]:
        emit(
            {
                "class": name,
                "on": on_date.isoformat(),
                "assumed": assumed,
                "in": msgspec.to_builtins(decisions),
                "earliest_erasure": msgspec.to_builtins(earliest),
            }
        )
        return
    if assumed:
        say(f"No event was given, so its period is taken to start on {on_date}.")
    for place, decision in decisions.items():
        say(f"{name} in {place}: {in_words(decision)}; earliest erasure: {earliest[place] or 'not known'}")
        for line in reasons_in_words(decision):
            say(f"    {line}")
