"""What the played drives have in common: their bytes, how they mislead, and a sanitize that takes time."""

import dataclasses
import enum
import os
import time

HOTTEST, WARM = 70, 37  # degrees Celsius: from where on it is too hot, by its own word, and otherwise
TOO_MUCH, MOST = 4 << 20, 8 << 20  # bytes moved: it says that it is too hot; it keeps nothing more
STUCK_AT = 655  # of 65,536: where a real family of drives stays for days (nvme-cli issues 752, 1784, 3027)


class Mode(enum.StrEnum):
    """How a drive behaves when it is told to erase."""

    OK = "ok"
    LIE = "lie"  # it reports success and keeps everything
    STUCK = "stuck"  # it begins and never ends
    FAIL = "fail"  # it begins, reports failure and keeps everything
    FROZEN = "frozen"  # ATA: it refuses until the power has been off
    LOCKED = "locked"  # ATA: it refuses until the password is given
    CUT = "cut"  # ATA: the power goes in the midst of the first security erase, and comes back
    HOT = (
        "hot"  # it grows hot while it is written and read, and then loses what is written until it has cooled
    )


@dataclasses.dataclass
class Media:
    """The bytes of a drive, random at first, and the sanitize that runs over them."""

    size: int
    mode: Mode
    seconds: float  # how long a sanitize takes
    began: float | None = None
    failed: bool = False
    done: bool = False  # a sanitize of this drive has ended well
    moved: int = 0  # bytes, less what it has cooled for since
    _fill: bytes | None = None

    def __post_init__(self) -> None:
        self.content = bytearray(os.urandom(self.size))

    def erase(self, fill: bytes | None) -> None:
        """Put `fill` everywhere, or random bytes for None, unless the drive lies."""
        if self.mode is not Mode.LIE:
            self.content[:] = os.urandom(self.size) if fill is None else fill * (self.size // len(fill))

    def begin(self, fill: bytes | None) -> None:
        """Begin a sanitize that ends with `fill` everywhere, or with random bytes for None."""
        self.began, self.done, self.failed, self._fill = time.monotonic(), False, False, fill

    def move(self, count: int) -> bool:
        """Say whether a drive still works well, and grow hotter by so many bytes."""
        if self.mode is Mode.HOT and self.moved >= MOST:
            return False
        self.moved += count
        return True

    def celsius(self) -> int:
        """Return how hot a drive is. It cools from one question to the next."""
        hot = self.mode is Mode.HOT and self.moved >= TOO_MUCH
        if hot:
            self.moved -= TOO_MUCH // 4
        return HOTTEST if hot else WARM

    def cure(self) -> None:
        """Behave well from now on: what stands still goes on."""
        self.mode = Mode.OK

    @property
    def running(self) -> bool:
        """Whether a sanitize runs; one whose time has come ends here."""
        if self.began is None:
            return False
        if self.mode is Mode.STUCK or time.monotonic() < self.began + self.seconds:
            return True
        self.began = None
        self.failed = self.mode is Mode.FAIL
        if not self.failed:
            self.erase(self._fill)
            self.done = True
        return False

    @property
    def progress(self) -> int:
        """How far the running sanitize is, of 65,536."""
        if self.mode is Mode.STUCK or self.began is None:
            return STUCK_AT
        return min(65535, int(65536 * (time.monotonic() - self.began) / self.seconds))
