"""What two agents say to each other over one SSH channel: a line of JSON asks, a line of JSON answers.

Every question may be asked twice with one effect, so a connection may break at any moment.
Nothing is ever asked for by a path: only by the names of the documents of a job.
"""

from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.codec import decode_canonical
from deleatur.documents.place import Count, Frozen

MAX_PIECE = 4 << 20  # bytes of a file in one answer: more than two lines of a journal
MAX_MESSAGE = 8 << 20  # bytes of a line: a piece in base64 and its frame

Work = Literal["plan", "run"]
_CERTIFICATE = (
    r"certificate/(certificate\.dsse\.json|evidence\.sha256|plan\.json|journal\.jsonl|VERIFY\.txt"
    r"|targets/t[1-9][0-9]{0,3}\.txt|approvals/a[1-9][0-9]{0,2}\.dsse\.json"
    r"|keys/[A-Za-z0-9][A-Za-z0-9._-]{0,79}\.pub)"
)
_ARCHIVE = (
    r"archive/(agent\.pub|[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\.(tar\.age|json|README\.txt|sha256|sha256\.sig))"
)
_OTHER = r"plan\.json|plan\.dsse\.json|journal\.jsonl|residue-[1-9][0-9]{0,9}\.json"
Fetched = Annotated[str, Meta(pattern=rf"^({_OTHER}|{_CERTIFICATE}|{_ARCHIVE})\Z")]
Given = Annotated[str, Meta(pattern=r"^(job\.toml|approvals/approval-[0-9a-f]{16}\.dsse\.json)\Z")]


class Question(Frozen, frozen=True, tag_field="ask"):
    """Base of all questions."""


class Hello(Question, frozen=True, tag="hello"):
    """Which code answers? Asked before anything else on every connection."""


class Look(Question, frozen=True, tag="look"):
    """How far is the job?"""


class Give(Question, frozen=True, tag="give"):
    """Take a document, which is written once."""

    name: Given
    content: bytes


class Start(Question, frozen=True, tag="start"):
    """Begin work that goes on without the connection; the same `number` begins it once."""

    work: Work
    number: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    passphrase: bytes  # of the agent's key there


class Fetch(Question, frozen=True, tag="fetch"):
    """Give me a piece of a document, from `offset` on."""

    name: Fetched
    offset: Count


class Answer(Frozen, frozen=True, tag_field="answer"):
    """Base of all answers."""


class Welcome(Answer, frozen=True, tag="welcome"):
    """The code that answers."""

    version: str
    digests: tuple[str, ...]  # sha256 hex of the agent and of its plugins, as installed


class Ending(Frozen, frozen=True):
    """How the work that was begun last ended."""

    error: str = ""  # class of the error; "": none
    text: str = ""
    exit_code: Count = 0


class Standing(Answer, frozen=True, tag="standing"):
    """How far the job is, by what lies in its directory."""

    running: bool
    number: str  # of the work that was begun last; "": none
    ending: Ending | None  # None: still running, or it ended without a word
    job: str  # sha256 hex of job.toml; "": none there
    plan: str  # sha256 hex of plan.json; "": none there
    files: tuple[Fetched, ...]  # of the certificate, and reports of residue


class Piece(Answer, frozen=True, tag="piece"):
    """A piece of a document, and how long the whole is now."""

    content: bytes
    size: Count


class Objection(Answer, frozen=True, tag="objection"):
    """Why a question was not answered."""

    error: str
    text: str
    exit_code: Count


AnyQuestion = Hello | Look | Give | Start | Fetch
AnyAnswer = Welcome | Standing | Piece | Objection


def decode_question(line: bytes) -> AnyQuestion:
    """Decode a question.

    Raises:
        Malformed: it is none.
    """
    question: AnyQuestion = decode_canonical(line, AnyQuestion, limit=MAX_MESSAGE)  # type: ignore[arg-type]
    return question


def decode_answer(line: bytes) -> AnyAnswer:
    """Decode an answer.

    Raises:
        Malformed: it is none.
    """
    answer: AnyAnswer = decode_canonical(line, AnyAnswer, limit=MAX_MESSAGE)  # type: ignore[arg-type]
    return answer
