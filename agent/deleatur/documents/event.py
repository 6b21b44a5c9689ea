"""An event that asks for the erase of one person, in a file that a program writes (docs/spec/event.md).

It names the person, so it lives as short as can be: from who received it into the job that it opens.
"""

from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.codec import decode_json
from deleatur.documents.place import Frozen, Moment, Name, Text
from deleatur.documents.rules import personal_text, raise_all, real_date

MAX_EVENT = 1 << 16  # bytes


class Event(Frozen, frozen=True):
    """The whole event."""

    schema: Literal["deleatur/event/v1"]
    id: Name  # of the request, for ever
    kind: Literal["consent-withdrawn", "erasure-asked"]
    received: Moment  # by whoever took it from the person
    channel: Text  # "web form", "letter 12": where it can be looked up
    of: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=100)]  # `type: value`, as for `draft`


def decode_event(content: bytes) -> Event:
    """Decode an event.

    Raises:
        Malformed: what docs/spec/event.md forbids; no message quotes a value.
    """
    event = decode_json(content, Event, limit=MAX_EVENT)
    raise_all([*real_date(event.received[:10], "$.received"), *personal_text(event.channel, "$.channel")])
    return event
