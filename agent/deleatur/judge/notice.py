"""Judge whether people were told in time: fold the ledger, count the days, name every reason. Pure.

Rules kept: who is not in the ledger was not told; what left and has no outcome was not delivered;
time is the ledger's; the day of telling and the last day of the term do not count as over.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone

from deleatur.documents import ledger as b
from deleatur.documents.ledger import CHANNELS, Channel
from deleatur.errors import Refused

_LATEST = timezone(timedelta(hours=-12))  # where on Earth a day ends last
_SHIFT = {channel: 2 * n for n, channel in enumerate(CHANNELS)}  # two bits of a subject for each channel
NOTHING, HANDED, TOLD, UNDELIVERED = 0, 1, 2, 3
_REPLIED = 1 << 2 * len(CHANNELS)


@dataclass
class Standing:
    """What a ledger says."""

    subjects: dict[str, int] = field(default_factory=dict)  # by keyed digest: a state for each channel
    entries: int = 0
    last_at: str = ""
    last_told: str = ""
    cut_off: str = ""  # the latest that any letter names
    letters: tuple[b.LetterDigest, ...] = ()
    boot: str = ""  # of the command that told somebody last
    uptime: int = 0
    sealed_by: str = ""  # base64 of the key whose seal is the last entry
    head: str = ""  # digest of the line before that seal, which it signs
    signature: str = ""
    _opened: b.Opened | None = None

    def state(self, subject: str, channel: Channel) -> int:
        """Return what became of the letters to a subject by a channel."""
        return self.subjects.get(subject, 0) >> _SHIFT[channel] & 3

    def told(self, subject: str) -> bool:
        """Say whether a letter reached the subject by any channel, as far as anybody knows."""
        return any(self.state(subject, channel) == TOLD for channel in CHANNELS)

    def tried(self, subject: str) -> bool:
        """Say whether a letter to the subject left, and did not arrive or may not have."""
        return any(self.state(subject, channel) in (HANDED, UNDELIVERED) for channel in CHANNELS)

    def vain(self, subject: str, *, reachable: bool) -> bool:
        """Say whether the subject was not reached: in vain, not known, or without any address."""
        return not self.told(subject) and (self.tried(subject) or not reachable)

    def replied(self, subject: str) -> bool:
        """Say whether the subject wrote back."""
        return bool(self.subjects.get(subject, 0) & _REPLIED)

    def next_channel(self, subject: str, possible: Iterable[Channel]) -> Channel | None:
        """Return the channel to write by now; None: told, all tried, or one is not known to have failed."""
        if self.told(subject):
            return None
        for channel in possible:
            state = self.state(subject, channel)
            if state != UNDELIVERED:
                return channel if state == NOTHING else None
        return None

    def _set(self, subjects: Iterable[str], channel: Channel, state: int) -> None:
        shift = _SHIFT[channel]
        for subject in subjects:
            self.subjects[subject] = self.subjects.get(subject, 0) & ~(3 << shift) | state << shift


def take(standing: Standing, entry: b.LedgerEntry) -> None:
    """Take one more entry into account.

    Raises:
        Refused: it is dated before the one above it.
    """
    if entry.at < standing.last_at:
        raise Refused(f"the ledger goes back in time at line {entry.n + 1}: it is not as it was written")
    standing.entries, standing.last_at, standing.sealed_by = entry.n + 1, entry.at, ""
    match entry.event:
        case b.Opened() as opened:
            standing._opened = opened
            standing.letters = opened.letters or standing.letters
        case b.Handing() as event:
            standing._set(event.subjects, event.channel, HANDED)
            _promised(standing)
        case b.Told() as event:
            standing._set(event.subjects, event.channel, TOLD)
            _reached(standing, entry.at)
        case b.Delivered() as event:
            if any(standing.state(subject, event.channel) != TOLD for subject in event.subjects):
                _reached(standing, entry.at)
            standing._set(event.subjects, event.channel, TOLD)
        case b.Deferred() as event:
            standing._set(event.subjects, event.channel, NOTHING)
        case b.Undelivered() as event:
            standing._set(event.subjects, event.channel, UNDELIVERED)
        case b.Replied() as event:
            for subject in event.subjects:
                standing.subjects[subject] = standing.subjects.get(subject, 0) | _REPLIED
        case b.Settled() as event:
            for subject in event.subjects:
                standing.subjects[subject] = standing.subjects.get(subject, 0) & ~_REPLIED
        case b.Sealed() as seal:
            standing.sealed_by, standing.head, standing.signature = seal.spki, entry.previous, seal.signature


def _promised(standing: Standing) -> None:
    if standing._opened is not None:
        standing.cut_off = max(standing.cut_off, standing._opened.cut_off)


def _reached(standing: Standing, at: str) -> None:
    standing.last_told = at
    if standing._opened is not None:
        standing.boot, standing.uptime = standing._opened.boot, standing._opened.uptime


@dataclass
class Tally:
    """How the people of the selection stand in the ledger."""

    told: int = 0
    unreached: int = 0  # tried in vain, or not known to have arrived, or without any address
    untold: int = 0
    replied: int = 0

    def add(self, standing: Standing, subject: str, *, reachable: bool) -> None:
        """Count one subject whose records are going to be erased."""
        if standing.replied(subject):
            self.replied += 1
        if standing.told(subject):
            self.told += 1
        elif standing.vain(subject, reachable=reachable):
            self.unreached += 1
        else:
            self.untold += 1


def not_told(tally: Tally, *, holds_unreached: bool) -> Iterator[str]:
    """Name who of the selection keeps it from being erased, by count."""
    if tally.untold:
        yield f"{tally.untold} people of the selection were not told; write to them (`deleatur notice send`)"
    if tally.replied:
        yield f"{tally.replied} people who wrote back are still selected; hold them and plan again"
    if tally.unreached and holds_unreached:
        yield (
            f"{tally.unreached} people whom no letter reached are still selected; hold them and plan again, "
            'or say undelivered = "except" in the job'
        )


def days_over(last_told: str, days: int) -> datetime:
    """Return when a term of `days` that began with being told is over in every time zone.

    The day of being told does not count, and the term ends when its last day does (PRC Civil Code art. 201,
    203; BGB §§ 187 (1), 188 (1); Regulation 1182/71 art. 3: from general knowledge, not checked). That is
    `days` + 1 times 24 hours later at the latest, and one more where clocks are put back meanwhile.
    """
    return moment(last_told) + timedelta(days=days + 1, hours=1)


def day_over(day: str) -> datetime:
    """Return when a calendar day is over everywhere on Earth."""
    return datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), _LATEST).astimezone(UTC)


def earliest(standing: Standing, days: int, cut_off: str) -> datetime:
    """Return from when on the records of people who were told may go."""
    ends = [day_over(max(cut_off, standing.cut_off))]
    if standing.last_told:
        ends.append(days_over(standing.last_told, days))
    return max(ends)


def too_early(
    standing: Standing, now: datetime, *, days: int, after: str, boot: str, uptime: int
) -> list[str]:
    """Name why the records may not go yet.

    Args:
        standing: what the ledger says.
        now: by the clock of this host.
        days: that people have.
        after: the moment that the plan names as the earliest.
        boot: SHA-256 (hex) of the kernel's boot id.
        uptime: seconds since that boot: within one boot, no change of the clock hurries it.
    """
    if now < moment(standing.last_at):
        return ["the clock stands before the last entry of the ledger; set it right"]
    opens = max(moment(after), days_over(standing.last_told, days)) if standing.last_told else moment(after)
    if now < opens:
        return [f"people have {days} days and until the cut-off day: nothing may go before {said(opens)}"]
    passed = uptime - standing.uptime
    needed = (opens - moment(standing.last_told)).total_seconds() if standing.last_told else 0
    if boot == standing.boot and passed < needed:
        return [
            f"the clock was set forward: since people were told this host ran only {passed // 86400} days"
        ]
    return []


def cut_off_too_near(cut_off: str, now: datetime, days: int) -> bool:
    """Say whether a letter of today would name a day that comes sooner than people must have."""
    return date.fromisoformat(cut_off) < now.astimezone(UTC).date() + timedelta(days=days)


def moment(text: str) -> datetime:
    """Return the moment that a document names."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def said(when: datetime) -> str:
    """Return a moment as documents write it: UTC, whole seconds, never earlier."""
    rounded = when + timedelta(microseconds=-when.microsecond % 1_000_000)
    return rounded.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
