"""Draw the picture of the README from the real output of `deleatur demo`.

Rules: nothing is typed by hand but the prompt; lines that are left out leave a mark; no font and
nothing else is loaded from elsewhere when the picture is shown.
"""

import os
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
SHOWN = {"1": (WHOLE, 0), "3": (12, 6), "4": (WHOLE, 0), "5": (32, 0)}  # chapter: its first and last lines
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
            check=True,
            timeout=1800,
        )
        return run.stdout


def excerpt(output: str) -> list[Text]:
    """Return the lines of the chapters that are shown, with a mark for those that are not."""
    shown = [Text.assemble(("$ ", "green"), ("make demo", "bold"))]
    for chapter in output.split("\n── ")[1:]:
        if chapter[0] not in SHOWN:
            continue
        title, *lines = chapter.rstrip("\n").split("\n")
        first, last = SHOWN[chapter[0]]
        shown += [Text(), Text(f"── {title}", style="bold cyan")]
        shown += [Text.from_ansi(line) for line in lines[:first]]
        if first + last < len(lines):
            shown.append(Text(CUT, style="dim"))
            shown += [Text.from_ansi(line) for line in lines[len(lines) - last :]]
    return shown


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
