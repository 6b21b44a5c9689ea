"""Measure how many labelled identifiers are found: recall and precision per type and language.

    .venv/bin/python -m benchmarks.recall [--quick] [--corpus FILE] [--misses]

Without a file it reads the hard cases of the tests and chats that it makes itself. A file has one JSON
object a line: {"text": …, "language": "zh", "labels": [{"start": 3, "end": 14, "type": "mobile-number"}],
"known": ["values", "of the row"]}; a label may give "value" instead of its place.

Found: every character of the labelled value is covered, and a span of its type is there. Removed: every
character is covered, whatever the type. Precision: spans that touch a label of their own type. The last
line says `short` if structured identifiers are below 0.99 or names below 0.95; it makes the exit code 1.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import result
from benchmarks._chats import Case, Label, chats
from deleatur.desensitize.detectors import Span, spans

HARD = Path(__file__).parents[1] / "tests" / "corpus" / "hard_cases.jsonl"
LINES, QUICK = 100_000, 5_000
STRUCTURED = 0.99  # least recall, from the issue that asked for detectors
NAMES = 0.95
UNSTRUCTURED = frozenset(
    {"person-name", "postal-address", "chat-text", "search-term", "browsing-record", "other"}
)
SEED = 20261122


@dataclass
class Count:
    """What was counted for one type in one language."""

    labels: int = 0
    found: int = 0
    removed: int = 0
    spans: int = 0
    right: int = 0


@dataclass
class Tally:
    """Counts over a corpus, and the cases that went wrong."""

    counts: dict[tuple[str, str], Count] = field(default_factory=lambda: defaultdict(Count))
    misses: list[str] = field(default_factory=list)
    lines: int = 0
    seconds: float = 0.0

    def add(self, case: Case) -> None:
        """Look at one case and count."""
        before = time.process_time()
        seen = spans(case.text, known=case.known)
        self.seconds += time.process_time() - before
        self.lines += 1
        for label in case.labels:
            count = self.counts[label.type, case.language]
            count.labels += 1
            touching = [s for s in seen if s.start < label.end and label.start < s.end]
            removed = _covers(touching, label)
            found = removed and any(s.type == label.type for s in touching)
            count.removed += removed
            count.found += found
            if not found:
                self.misses.append(f"{case.id}: {label.type} {'has another type' if removed else 'missed'}")
        for span in seen:
            count = self.counts[span.type, case.language]
            right = any(
                s.type == span.type and s.start < span.end and span.start < s.end for s in case.labels
            )
            count.spans += 1
            count.right += right
            if not right:
                self.misses.append(f"{case.id}: {span.type} at {span.start}:{span.end} is not labelled")

    def recall(self, types: Iterable[str], languages: Collection[str]) -> float:
        """Return the share of labels found; 1.0 where there is none."""
        chosen = [
            c for (t, language), c in self.counts.items() if t in set(types) and language in set(languages)
        ]
        labels = sum(c.labels for c in chosen)
        return sum(c.found for c in chosen) / labels if labels else 1.0


def _covers(touching: list[Span], label: Label) -> bool:
    return all(any(s.start <= place < s.end for s in touching) for place in range(label.start, label.end))


def read(path: Path) -> Iterator[Case]:
    """Read a labelled file."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = json.loads(line)
            labels = tuple(_labels(row["text"], row.get("labels", []), f"{path.name}:{number}"))
            yield Case(
                id=row.get("id", f"line {number}"),
                language=row.get("language", "?"),
                text=row["text"],
                labels=labels,
                known=tuple(row.get("known", ())),
            )


def _labels(text: str, rows: list[dict[str, str | int]], where: str) -> Iterator[Label]:
    for row in rows:
        value = str(row.get("value", ""))
        start = int(row["start"]) if "start" in row else text.find(value)
        end = int(row["end"]) if "end" in row else start + len(value)
        if not 0 <= start < end <= len(text):
            raise SystemExit(f"{where}: a label of type {row['type']} is not in the text")
        yield Label(start, end, str(row["type"]))


def table(name: str, tally: Tally) -> None:
    """Print recall and precision per type and language."""
    print(f"{name}: {tally.lines} texts, {tally.lines / max(tally.seconds, 1e-9):,.0f} a CPU second")
    print(f"{'type':<28}{'lang':<6}{'labels':>8}{'recall':>8}{'removed':>9}{'spans':>8}{'precision':>11}")
    for (type_, language), c in sorted(tally.counts.items()):
        recall = f"{c.found / c.labels:.3f}" if c.labels else "-"
        removed = f"{c.removed / c.labels:.3f}" if c.labels else "-"
        precision = f"{c.right / c.spans:.3f}" if c.spans else "-"
        print(f"{type_:<28}{language:<6}{c.labels:>8}{recall:>8}{removed:>9}{c.spans:>8}{precision:>11}")
    print()


def judged(tally: Tally) -> tuple[float, float, float]:
    """Return the recall of structured identifiers, of Chinese names, and of names in other languages."""
    languages = {language for _, language in tally.counts}
    structured = {type_ for type_, _ in tally.counts} - UNSTRUCTURED
    return (
        tally.recall(structured, languages),
        tally.recall({"person-name"}, {"zh"}),
        tally.recall({"person-name"}, languages - {"zh"}),
    )


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} chat lines instead of {LINES}")
    parser.add_argument("--corpus", type=Path, help="a labelled file of your own instead")
    parser.add_argument("--misses", action="store_true", help="name every miss and false find, by place")
    options = parser.parse_args()
    corpora: dict[str, Iterable[Case]] = (
        {options.corpus.name: read(options.corpus)}
        if options.corpus
        else {"hard cases": read(HARD), "chats": chats(QUICK if options.quick else LINES, SEED)}
    )
    figures = []
    for name, cases in corpora.items():
        tally = Tally()
        for case in cases:
            tally.add(case)
        table(name, tally)
        if options.misses:
            print("\n".join(tally.misses))
        figures.append(judged(tally))
    structured, chinese, others = map(min, zip(*figures, strict=True))
    unit = f"of structured identifiers, names zh {chinese:.3f}, names de and en {others:.3f}"
    good = structured >= STRUCTURED and min(chinese, others) >= NAMES
    return result("recall", f"{structured:.4f}", unit, good=good)


if __name__ == "__main__":
    sys.exit(main())
