"""Commands that print tables of ratios: what is fast is measured, never asserted in a timed test."""

from pathlib import Path


def own_peak(pid: int | str = "self") -> int:
    """Return the most memory that a process ever had, in bytes; getrusage would show its parent's.

    0 for a process that has ended, and is not waited for yet.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


def result(name: str, figure: str, unit: str, *, good: bool) -> int:
    """Print the last line of a benchmark, which machines read, and return its exit code.

    The line is `RESULT NAME FIGURE UNIT ok|short`.
    """
    print(f"RESULT {name} {figure} {unit} {'ok' if good else 'short'}")
    return 0 if good else 1
