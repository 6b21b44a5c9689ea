"""Import what came back of letters into the ledger: who was reached, who was not, who wrote.

Rules kept: an import is entered whole or not at all; who wrote and matches nobody stops it, for
that person would not be held; addresses are compared in memory and never written down.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deleatur.documents import ledger as b
from deleatur.documents.ledger import CHANNELS, Channel
from deleatur.engine.notices.desk import Desk
from deleatur.engine.notices.sending import REFERENCE
from deleatur.engine.reading import read_plain
from deleatur.errors import Refused, Unsupported
from deleatur.formats.replies import LARGEST, CameBack, read_log
from deleatur.judge.notice import NOTHING, Standing
from deleatur.trust.keys import SigningKey

Found = tuple[CameBack, tuple[str, ...]]  # and the subjects that it is about


def import_log(desk: Desk, key: SigningKey, paths: Iterable[Path]) -> Counter[str]:
    """Enter what files, or the files of folders, say; count what was entered, by its kind.

    Raises:
        Refused: an answer matches nobody, or a log names a letter that did not leave.
        Unsupported: a file, or a line of one, cannot be read.
    """
    came = [(name, item) for path in paths for name, item in _read(path)]
    with desk.ledger(key) as ledger:
        known = _Known(desk, ledger.standing)
        found = [(item, known.subjects(name, item)) for name, item in came]
        for event in [*_events(found, ledger.standing)]:
            ledger.enter(event)
    return Counter(
        item.answer if subjects or item.answer == "automatic" else "of other mail" for item, subjects in found
    )


def _read(path: Path) -> Iterator[tuple[str, CameBack]]:
    """Yield what each file says; a file is named by its number only, its name may be somebody's."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    for file in files:
        name = f"the file with inode {file.lstat().st_ino}" if path.is_dir() else path.name
        try:
            for item in read_log(read_plain(file, LARGEST)):
                yield name, item
        except FileNotFoundError:
            raise Refused(f"{path} is not there") from None
        except Unsupported as error:
            raise Unsupported(f"{name}: {error}") from None


class _Known:
    """Tells who is meant: by the reference of a letter, else by an address of the stores."""

    def __init__(self, desk: Desk, standing: Standing) -> None:
        self._desk = desk
        self._standing = standing
        self._references = {subject[:REFERENCE]: subject for subject in standing.subjects}
        self._addresses: dict[str, set[str]] | None = None

    def subjects(self, name: str, item: CameBack) -> tuple[str, ...]:
        """Return the subjects that an item is about; none: it is about another letter than ours.

        Raises:
            Refused: a person wrote, or a line of a log names one, and nobody is known so.
        """
        if item.answer == "automatic":
            return ()
        named = {self._references[r] for r in item.references if r in self._references}
        if not named and item.address:
            named = self._by_address().get(_folded(item.address), set())
        if not named and (item.answer == "replied" or item.references):
            raise Refused(
                f"{name}: number {item.number} is of nobody who was written to; find out who it is and name "
                "that person's reference in a CSV log, or take it out"
            )
        return tuple(sorted(named))

    def _by_address(self) -> dict[str, set[str]]:
        if self._addresses is None:
            self._addresses = {}
            for person in self._desk.people():
                for _, contact in person.contacts:
                    self._addresses.setdefault(_folded(contact), set()).add(person.digest)
        return self._addresses


def _folded(address: str) -> str:
    """Return an address for comparison: a mailbox in small letters, a number without its separators."""
    text = address.strip().casefold()
    return text if "@" in text else "".join(c for c in text if c.isalnum() or c == "+")


def _events(found: Iterable[Found], standing: Standing) -> Iterator[b.AnyHappened]:
    """Yield the entries of an import; of what is said twice about a letter the last word counts."""
    wrote: dict[str, bool] = {}  # and whether the matter is still open
    said: dict[tuple[str, Channel], tuple[str, str]] = {}
    for item, subjects in found:
        for subject in subjects:
            if item.answer in ("replied", "settled"):
                wrote[subject] = item.answer == "replied"
            else:
                said[subject, _channel(item, subject, standing)] = (item.answer, item.status)
    for part in _parts([subject for subject, still in wrote.items() if still]):
        yield b.Replied(subjects=part)
    for part in _parts([subject for subject, still in wrote.items() if not still]):
        yield b.Settled(subjects=part)
    groups: dict[tuple[str, str, Channel], list[str]] = {}
    for (subject, channel), (answer, status) in said.items():
        groups.setdefault((answer, status, channel), []).append(subject)
    for (answer, status, channel), whose in groups.items():
        for part in _parts(whose):
            if answer == "delivered":
                yield b.Delivered(channel=channel, subjects=part)
            else:
                yield b.Undelivered(channel=channel, status=status, subjects=part)


def _parts(subjects: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(subjects), b.MOST_SUBJECTS):
        yield tuple(subjects[start : start + b.MOST_SUBJECTS])


def _channel(item: CameBack, subject: str, standing: Standing) -> Channel:
    """Return the channel of the letter that a log is about: the one it names, else the last that was used."""
    used = [c for c in CHANNELS if standing.state(subject, c) != NOTHING]
    fits = [c for c in used if item.channel in ("", c)]
    if not fits:
        raise Refused(f"number {item.number} of a log is about a letter that did not leave; correct the log")
    return fits[-1]
