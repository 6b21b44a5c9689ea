"""Draw the picture of the README from the real output of `deleatur demo`.

Rules: nothing is typed by hand but the prompt; lines that are left out leave a mark, but for progress, of
which the last line stands as in a terminal; no font and nothing else is loaded from elsewhere when the
picture is shown.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parents[1] / "docs" / "demo.svg"
WIDTH = 94  # characters; the chapter lines of the demo are as wide
CUT = "  […]"
WHOLE = 1000  # more lines than any chapter has
SHOWN = {  # chapter: how many of its first and last lines
    "a web shop closes": (WHOLE, 0),
    "the plan": (20, 6),
    "the walk": (WHOLE, 0),
    "the proof": (37, 0),
}
TITLE = re.compile(r"\d+ +(.+?) ─+")
PROGRESS = re.compile(r"([a-z]+ [\w+-]+): \d")  # what is done, and to what
STYLE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>The output of deleatur demo</title>
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", ui-monospace, Menlo, Consolas, monospace;
font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
<rect width="{width}" height="{height}" rx="8" fill="#1b1e24"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def run_demo() -> str:
    """Run the demo in a temporary folder and return what it printed, colours included."""
    with tempfile.TemporaryDirectory(prefix="deleatur-") as folder:
        run = subprocess.run(  # noqa: S603 - our own program
            [Path(sys.executable).with_name("deleatur"), "demo"],
            cwd=folder,
            env={**os.environ, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TERM": "xterm-256color"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=1800,
        )
    if run.returncode:
        raise SystemExit(f"{run.stdout}\nthe demo ended with code {run.returncode}: no picture of it")
    return run.stdout


def excerpt(output: str) -> list[Text]:
    """Return the lines of the chapters that are shown, with a mark for those that are not."""
    shown = [Text.assemble(("$ ", "green"), ("make demo", "bold"))]
    wanted = dict(SHOWN)
    for chapter in output.split("\n── ")[1:]:
        title, *lines = chapter.rstrip("\n").split("\n")
        named = TITLE.match(Text.from_ansi(title).plain)
        first, last = wanted.pop(named[1] if named else "", (0, 0))
        if not first:
            continue
        lines = last_of_progress(lines)
        shown += [Text(), Text(f"── {title}", style="bold cyan")]
        shown += [Text.from_ansi(line) for line in lines[:first]]
        if first + last < len(lines):
            shown.append(Text(CUT, style="dim"))
            shown += [Text.from_ansi(line) for line in lines[len(lines) - last :]]
    if wanted:
        sys.exit(f"picture: the demo has no chapter {', '.join(wanted)} any more; name those that it has")
    return shown


def last_of_progress(lines: list[str]) -> list[str]:
    """Leave out each line of progress that a terminal replaces by the next one."""
    kept: list[str] = []
    before = None
    for line in lines:
        about = PROGRESS.match(Text.from_ansi(line).plain)
        if about and before and about[1] == before[1]:
            kept.pop()
        kept.append(line)
        before = about
    return kept


def draw(lines: list[Text]) -> str:
    """Return the lines as an SVG picture."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(width=WIDTH, record=True, file=nowhere, force_terminal=True, highlight=False)
        for line in lines:
            console.print(line, overflow="ignore", no_wrap=True, crop=True)
        drawn = console.export_svg(code_format=STYLE, unique_id="demo", font_aspect_ratio=0.602)
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(draw(excerpt(run_demo())), encoding="utf-8")
