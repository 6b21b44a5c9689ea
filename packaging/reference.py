"""Write the generated tables of the reference pages, from the code that they describe.

A page holds `<!-- generated: NAME -->` … `<!-- end -->`; what stands between is replaced. `check`
changes nothing and fails when a page is not what the code says.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path
from types import FunctionType

import click
from policy_tables import policy_packs, record_classes

from deleatur import api, errors
from deleatur.cli.group import deleatur as command_line
from deleatur.desensitize.detectors import TYPES
from deleatur.judge.capabilities import CAPABILITIES
from deleatur.judge.limits import LIMITS
from deleatur.sanitize.techniques import TECHNIQUES
from deleatur.testing.contract import BackendContract
from deleatur.testing.rogues import BREAKS

DOCS = Path(__file__).parents[1] / "docs"
END = "<!-- end -->"


def tree(parent: type[errors.DeleaturError]) -> Iterator[type[errors.DeleaturError]]:
    """Walk the error classes, each before its children."""
    yield parent
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def exit_codes() -> str:
    """Make the table of exit codes; the first line of a class's docstring is its meaning."""
    rows = [
        "| code | error | meaning |",
        "|---|---|---|",
        "| 0 | – | Done: the certificate or answer is there. |",
    ]
    for error in sorted(tree(errors.DeleaturError), key=lambda each: each.exit_code):
        meaning = (error.__doc__ or "").splitlines()[0]
        rows.append(f"| {error.exit_code} | `{error.__name__}` | {meaning} |")
    return "\n".join(rows)


def techniques() -> str:
    """Make the table of techniques."""
    rows = ["| id | what is done | category | scope | source |", "|---|---|---|---|---|"]
    rows += [f"| `{t.id}` | {t.title} | {t.category} | {t.scope} | {t.source} |" for t in TECHNIQUES.values()]
    return "\n".join(rows)


def capabilities() -> str:
    """Make the table of media and techniques of devices."""
    rows = ["| technique | magnetic | flash | source |", "|---|---|---|---|"]
    rows += [
        f"| `{c.technique}` | {c.magnetic or '–'} | {c.flash or '–'} | {c.source} |" for c in CAPABILITIES
    ]
    return "\n".join(rows)


def limits() -> str:
    """Make the table of limits, the strongest first."""
    effects = ("cap", "exception", "boundary")
    rows = ["| id | effect | the sentence in the certificate |", "|---|---|---|"]
    for effect in effects:
        rows += [
            f"| `{name}` | {effect} | {one.text} |" for name, one in LIMITS.items() if one.effect == effect
        ]
    return "\n".join(rows)


def described(command: click.Command, context: click.Context) -> Iterator[str]:
    """Describe a command and the commands under it: usage, help, options."""
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## {context.command_path.removeprefix('deleatur ')}\n\n    {context.command_path} {usage}\n"
    yield f"{cleandoc(command.help or '')}\n"
    options = [o.get_help_record(context) for o in command.params if isinstance(o, click.Option)]
    if options:
        cells = [[cell.replace("|", r"\|") for cell in record] for record in options if record]
        yield "| option | |\n|---|---|\n" + "".join(f"| `{names}` | {text} |\n" for names, text in cells)
    if isinstance(command, click.Group):
        yield from under(command, context)


def under(group: click.Group, context: click.Context) -> Iterator[str]:
    """Describe the commands of a group, in its own order."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            yield from described(command, click.Context(command, info_name=name, parent=context))


def commands() -> str:
    """Make a part for each command, from the texts that `--help` shows."""
    context = click.Context(command_line, info_name="deleatur")
    return "\n".join(under(command_line, context)).strip()


def first_line(thing: object) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join(cleandoc(thing.__doc__ or "").partition("\n\n")[0].split())


def front_door() -> str:
    """List what a plugin may import, with what each says of itself."""
    mute = {  # values that carry no docstring of their own
        "Holding": "What a store shows of itself: a `HeldTable`, a `HeldFile` or something `NotRead`.",
        "COMMANDS": "The techniques by which a device erases itself; `erase_by_command` runs one.",
        "STANDARDS": "The named ways to overwrite a device, as data.",
        "LIFT": "The action of a step that has a drive show the sectors that it hides.",
        "LEAVE": "The action of a step that ends the state in which a drive was read after its command.",
        "MEMORY_OF": "Before a folder, in place of a path: the memory of the processes that work there.",
        "Secrets": "What `open` is given beside the target: a mapping of names to bytes.",
        "hookimpl": "Marks a function as the answer to a hook.",
    }
    rows = ["| name | what it is |", "|---|---|"]
    for name in api.__all__:
        thing = getattr(api, name)
        told = first_line(thing) if isinstance(thing, type | FunctionType) else mute[name]
        rows.append(f"| `{name}` | {told} |")
    return "\n".join(rows)


def promises() -> str:
    """Make the table of the contract's promises, each with the rogues that break it."""
    rogues: dict[str, list[str]] = {}
    for rogue, broken in BREAKS.items():
        rogues.setdefault(broken.partition("[")[0], []).append(f"{rogue.__name__}: {first_line(rogue)}")
    rows = ["| test | promise | caught with it |", "|---|---|---|"]
    for name, test in vars(BackendContract).items():
        if name.startswith("test_"):
            listable = " *" if name in BackendContract.MAY_NOT_APPLY else ""
            caught = "<br>".join(rogues.get(name, ["a control of the suite itself"]))
            rows.append(f"| `{name}`{listable} | {first_line(test)} | {caught} |")
    return "\n".join(rows)


def ending(ends: type[errors.DeleaturError] | str | None) -> str:
    """Show how a cheat ends: the error with its exit code, or what the certificate says."""
    if ends is None:
        return "–"
    return f"0, {ends}" if isinstance(ends, str) else f"{ends.exit_code} `{ends.__name__}`"


def sabotage() -> str:
    """Make the tables of all cheats that tests/integration/test_sabotage.py plays."""
    sys.path.insert(0, str(DOCS.parent))
    from tests.integration.sabotage_cheats import BACKENDS
    from tests.integration.sabotage_table import TABLE

    parts = []
    for title, cheats in TABLE.items():
        heads = " | ".join(BACKENDS)
        rows = [f"### {title}", "", f"| cheat | when | {heads} | caught by |", "|---" * 7 + "|"]
        moments: dict[tuple[str, str, str], list[str]] = {}
        for cheat in cheats:
            cells = " | ".join(ending(cheat.ends.get(backend)) for backend in BACKENDS)
            moments.setdefault((cheat.name, cells, cheat.caught_by), []).append(cheat.when)
        rows += [f"| {n} | {'; '.join(when)} | {cells} | {by} |" for (n, cells, by), when in moments.items()]
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def forgeries() -> str:
    """Make the table of all forgeries that tests/integration/test_sabotage_certificate.py plays."""
    sys.path.insert(0, str(DOCS.parent))
    from tests.integration.sabotage_papers import FORGERIES

    rows = ["| forgery | the verifier says | caught by |", "|---|---|---|"]
    rows += [f"| {f.name} | {ending(f.ends)} | {f.caught_by} |" for f in FORGERIES]
    return "\n".join(rows)


def detectors() -> str:
    """Make the table of the types of personal data."""
    rows = ["| type | what it is | level | form |", "|---|---|---|---|"]
    rows += [f"| `{name}` | {t.title} | {t.level} | {t.source} |" for name, t in TYPES.items()]
    return "\n".join(rows)


def requirement_states() -> str:
    """Count the requirements by how far they are shown."""
    page = (DOCS / "reference" / "requirements.md").read_text("utf-8")
    lines = [line.split(" | ") for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    counted = Counter(cells[4].strip() for cells in lines)
    states = ("tested", "partly", "not yet", "outside")
    return f"**{', '.join(f'{counted[state]} {state}' for state in states)}.**"


TABLES: dict[str, Callable[[], str]] = {
    "capabilities": capabilities,
    "commands": commands,
    "detectors": detectors,
    "exit-codes": exit_codes,
    "forgeries": forgeries,
    "front-door": front_door,
    "limits": limits,
    "policy-packs": policy_packs,
    "promises": promises,
    "record-classes": record_classes,
    "requirement-states": requirement_states,
    "sabotage": sabotage,
    "techniques": techniques,
}


def fill(page: str) -> str:
    """Return the page with every generated part made anew."""
    for name, make in TABLES.items():
        start = f"<!-- generated: {name} -->"
        before, mark, rest = page.partition(start)
        if mark:
            page = f"{before}{start}\n{make()}\n{END}{rest.partition(END)[2]}"
    return page


def main(arguments: list[str]) -> None:
    """Run `write` or `check`."""
    if arguments not in (["write"], ["check"]):
        sys.exit("usage: reference.py write | check")
    stale = []
    for path in sorted(DOCS.rglob("*.md")):
        page = path.read_text("utf-8")
        if fill(page) != page:
            stale.append(str(path.relative_to(DOCS.parent)))
            if arguments == ["write"]:
                path.write_text(fill(page), "utf-8")
    if arguments == ["check"] and stale:
        sys.exit("\n".join(f"{name}: not what the code says; run make docs" for name in stale))


if __name__ == "__main__":
    main(sys.argv[1:])
