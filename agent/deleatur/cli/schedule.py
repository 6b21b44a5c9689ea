"""`deleatur schedule`: the last day of each gate, counted back from the end of business."""

from datetime import UTC, date, datetime
from pathlib import Path

import click

from deleatur.cli.common import job_directory
from deleatur.cli.output import as_json_option, emit, say, table
from deleatur.documents.policy import Pack
from deleatur.errors import Refused

_file = click.Path(path_type=Path, dir_okay=False)


def _day(_: click.Context, __: click.Parameter, value: str | None) -> date:
    try:
        return date.fromisoformat(value) if value else datetime.now(UTC).date()
    except ValueError:
        raise click.BadParameter("a day is written YYYY-MM-DD") from None


@click.command("schedule")
@click.argument("end", callback=_day)
@click.option(
    "--policy", "policies", multiple=True, type=_file, help="A policy of your own, beside those that ship."
)
@click.option("--map", "datamap", type=_file, help="The data map, to see whether it is closed.")
@click.option(
    "--job", "jobs", multiple=True, type=click.Path(path_type=Path), help="A job, to see how far it is."
)
@click.option(
    "--map-days", type=click.IntRange(0, 3650), default=30, show_default=True, help="To close the map."
)
@click.option(
    "--archive-days",
    type=click.IntRange(0, 3650),
    default=14,
    show_default=True,
    help="For copies and receipts.",
)
@click.option(
    "--erase-days", type=click.IntRange(0, 3650), default=7, show_default=True, help="To erase and verify."
)
@click.option("--on", "today", callback=_day, metavar="DAY", help="The day to judge by (default: today).")
@click.option(
    "--check", is_flag=True, help="Exit code 4 if a gate is late, with one line and no table: for cron."
)
@as_json_option
def command(
    end: date,
    policies: tuple[Path, ...],
    datamap: Path | None,
    jobs: tuple[Path, ...],
    map_days: int,
    archive_days: int,
    erase_days: int,
    today: date,
    check: bool,
    as_json: bool,
) -> None:
    """Count the last days of a closing company's gates back from END, its last day of business.

    The longest notice term of the policies counts. What map and jobs show is done; a gate that is not
    done after its day is late.
    """
    from deleatur.engine.packs import read_policy, shipped
    from deleatur.engine.reached import reached
    from deleatur.judge.schedule import Days, certificate_until, schedule

    packs: list[Pack] = [*shipped(), *(read_policy(path) for path in policies)]
    days = Days(map=map_days, archive=archive_days, erase=erase_days)
    far = reached(datamap, [job_directory(job) for job in jobs])
    try:
        found = schedule(end, packs, days, reached=far, today=today)
        until = certificate_until(end, packs)
    except (OverflowError, ValueError):
        raise click.BadParameter("its schedule lies outside the calendar", param_hint="END") from None
    if as_json:
        gates = [
            {"gate": one.gate, "day": str(one.day), "what": one.what, "done": one.done, "late": one.late}
            for one in found
        ]
        emit({"end": str(end), "gates": gates, "certificate_until": str(until)})
    elif not check:
        state = {(True, False): "done", (False, True): "late"}
        table(
            [(str(one.day), one.gate, state.get((one.done, one.late), ""), one.what) for one in found],
            ("by", "gate", "", "what"),
        )
        say(f"certificates of the last day are kept until {until}, or longer where a policy asks for it")
    late = [one for one in found if one.late]
    if check and late:
        told = ", ".join(f"{one.gate} (by {one.day})" for one in late)
        raise Refused(f"late for the end on {end}: {told}; do them, or move the end")
