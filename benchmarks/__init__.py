"""Commands that print tables of ratios: what is fast is measured, never asserted in a timed test."""


def result(name: str, figure: str, unit: str, *, good: bool) -> int:
    """Print the last line of a benchmark, which machines read, and return its exit code.

    The line is `RESULT NAME FIGURE UNIT ok|short`.
    """
    print(f"RESULT {name} {figure} {unit} {'ok' if good else 'short'}")
    return 0 if good else 1
