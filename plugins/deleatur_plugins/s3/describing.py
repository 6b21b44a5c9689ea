"""What is written beside a version: its tags and its metadata, asked for one version at a time.

Rules kept: an answer about another version than the one that was named is no answer; a version that went
in between has nothing, and so is selected by nothing.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from deleatur_plugins.s3.connecting import NoAnswer, Session
from deleatur_plugins.s3.listing import Entry

Kind = Literal["tag", "meta"]
Described = Callable[[Entry, Kind], Mapping[str, str] | None]
_GONE = frozenset({"NoSuchVersion", "NoSuchKey", "404"})  # a HEAD has no document that could say more
_QUESTIONS: Mapping[Kind, str] = {"tag": "GetObjectTagging", "meta": "HeadObject"}


def describing(session: Session) -> Described:
    """Return who says what stands beside a version; None for a marker, an upload, or what is gone.

    Tags by their names as they are, metadata by names in lower case, as the protocol has them.
    """

    def described(entry: Entry, kind: Kind) -> Mapping[str, str] | None:
        if entry.kind not in ("object", "empty"):
            return None
        question = _QUESTIONS[kind]
        try:
            answer = session.ask(question, Key=entry.key, VersionId=entry.id)
        except NoAnswer as error:
            if error.code in _GONE:
                return None
            raise
        told = answer.get("VersionId", "")
        if told != entry.id and (told or (kind == "meta" and entry.id != "null")):
            raise NoAnswer(question, "AnswersOfAnotherVersion")
        if kind == "meta":
            return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
        return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet", ())}

    return described
