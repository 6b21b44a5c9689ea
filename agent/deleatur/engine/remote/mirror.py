"""The journal of another host, fetched as it grows and chained here to what was fetched before.

What was seen once stays: a host that shows another past, or less of it, is refused.
"""

from deleatur.documents.chain import digest_of_line, links
from deleatur.documents.journal import Entry, decode_entry, read_chain
from deleatur.engine.directory import JobDirectory
from deleatur.engine.lines import DurableLines
from deleatur.engine.reading import MAX_JOURNAL, decoding, read_journal
from deleatur.engine.remote.far import Far
from deleatur.errors import DeleaturError, Malformed, Refused


class Mirror:
    """The fetched journal of one job."""

    def __init__(self, directory: JobDirectory, plan_digest: str) -> None:
        """Open it, and cut off what a full disk or a crash here tore.

        Raises:
            Malformed: what lies here is no journal of this plan.
        """
        self._name = directory.journal.name
        self._lines = DurableLines(directory.journal)
        try:
            content = read_journal(directory.journal)
            with decoding(self._name):
                self.entries, self.size = read_chain(content, plan_digest)
            self._lines.cut(self.size)
        except (DeleaturError, OSError):
            self.close()
            raise
        self._last = content[: self.size][content.rfind(b"\n", 0, max(self.size - 1, 0)) + 1 :]
        self._anchor = digest_of_line(self._last) if self._last else plan_digest

    def pull(self, far: Far) -> list[Entry]:
        """Fetch what is new and return its entries, which are on disk here then.

        Raises:
            Refused: the host shows another journal than it showed before.
            OSError: the disk here is full or broken; the next opening cuts off what was torn.
        """
        pulled: list[Entry] = []
        while new := self._new(far):
            pulled += new
        return pulled

    def _new(self, far: Far) -> list[Entry]:
        piece = far.piece(self._name, self.size - len(self._last))
        if not piece.content.startswith(self._last):
            raise Refused(
                f"{far.name} shows another journal than the {len(self.entries)} entries that it showed "
                "before; what was fetched stays here: find out who changed it"
            )
        lines = [text + b"\n" for text in piece.content[len(self._last) :].split(b"\n")[:-1]]
        if not lines:
            return []
        try:
            entries = list(links(lines, self._anchor, decode_entry, first=len(self.entries)))
        except Malformed as error:
            raise Refused(
                f"the journal that {far.name} shows is not the successor of what it showed before: {error}"
            ) from None
        new = b"".join(lines)
        if self.size + len(new) > MAX_JOURNAL:
            raise Refused(f"{far.name} shows a journal of more than {MAX_JOURNAL} bytes; it is not taken")
        self._lines.append(new)
        self.entries += entries
        self.size += len(new)
        self._last, self._anchor = lines[-1], digest_of_line(lines[-1])
        return entries

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
