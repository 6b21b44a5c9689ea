"""Make the statement about the certificates that processors sent, and about those that did not come.

A certificate of theirs is attested and never verified; a missing one is an exception, and leaves A0.
"""

from collections.abc import Mapping

from deleatur.documents.attested import (
    PROCESSORS_TYPE,
    AttestedProcessor,
    AttestedProcessors,
    ProcessorsStatement,
)
from deleatur.documents.certificate import STATEMENT_TYPE, Digest
from deleatur.documents.codec import encode_json
from deleatur.documents.processors import Processor, Processors
from deleatur.errors import Refused
from deleatur.judge.attesting import FileFact, entry_of, kept_until, known_key, subjects
from deleatur.judge.sentences import attested_sentence


def processors_statement(processors: Processors, files: Mapping[str, FileFact], entered_at: str) -> bytes:
    """Return the in-toto Statement that the officer signs.

    Args:
        processors: the list.
        files: what lies in the folder, by path: the list and `evidence/…`.
        entered_at: when the officer signed, RFC 3339 in UTC with `Z`, to the second.

    Raises:
        Refused: a file is missing or stands for nothing, or a day has not come yet.
        Invalid: the officer's key is none that we use.
    """
    named = {f"evidence/{p.certificate.file}" for p in processors.processor if p.certificate is not None}
    lying = {name for name in files if name.startswith("evidence/")}
    if absent := named - lying:
        raise Refused(f"not there: {', '.join(sorted(absent))}")
    if unnamed := lying - named:
        raise Refused(f"in the folder, and of no processor in the list: {', '.join(sorted(unnamed))}")
    days = [p.asked for p in processors.processor]
    about = max([*days, *(p.certificate.received for p in processors.processor if p.certificate is not None)])
    entry = entry_of(about, entered_at)
    missing = [p for p in processors.processor if p.certificate is None]
    sentences = [attested_sentence("processors-attested")]
    if missing:
        count = {"count": len(missing), "all": len(processors.processor)}
        sentences.append(attested_sentence("processors-missing", **count))
    if entry.days_late:
        sentences.append(attested_sentence("entered-late", about=entry.about, days=entry.days_late))
    predicate = AttestedProcessors(
        schema_version="deleatur/attested-processors/v1",
        id=processors.id,
        job=processors.job,
        entry=entry,
        retain_until=kept_until(about, processors.keep_years),
        officer=known_key(processors.officer),
        processors=tuple(_attested(p, files) for p in processors.processor),
        state="attested-with-exceptions" if missing else "attested",
        assurance="A0" if missing else "A1",
        sentences=tuple(sentences),
    )
    return encode_json(
        ProcessorsStatement(
            type_=STATEMENT_TYPE,
            subject=subjects(files),
            predicate_type=PROCESSORS_TYPE,
            predicate=predicate,
        )
    )


def _attested(processor: Processor, files: Mapping[str, FileFact]) -> AttestedProcessor:
    came = processor.certificate
    return AttestedProcessor(
        id=processor.id,
        name=processor.name,
        covers=processor.covers,
        asked=processor.asked,
        state="missing" if came is None else "attested",
        received=None if came is None else came.received,
        says="" if came is None else came.says,
        certificate=None if came is None else Digest(sha256=files[f"evidence/{came.file}"].sha256),
    )
