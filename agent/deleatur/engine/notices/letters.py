"""Put letters into words: jinja2 in its sandbox, our templates or the operator's own.

Rules kept: a letter without one of its four parts is refused, whoever wrote the template; a name
out of a store is text, never a template; a template reads no file and calls nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from deleatur.documents.job import Letter, Notice
from deleatur.documents.ledger import Language, LetterDigest
from deleatur.engine.reading import read_plain
from deleatur.errors import Refused, Unsupported
from deleatur.judge.letters import PARTS, missing_parts, require_parts, words_of

if TYPE_CHECKING:
    from jinja2 import Template

MAX_TEMPLATE = 256 << 10  # bytes
MAX_LETTER = 256 << 10  # characters


@dataclass(frozen=True)
class Written:
    """A letter to one person: the first line of the template is the subject."""

    subject: str
    text: str


class Letters:
    """The letters of a notice, by language."""

    def __init__(self, notice: Notice, folder: Path) -> None:
        """Compile the templates and see that each has the four parts.

        Raises:
            Refused: a template is missing, does not compile, or lacks a part.
            Unsupported: the extra for letters is not installed.
        """
        self._cut_off = notice.cut_off
        self._letters: Mapping[Language, Letter] = {x.language: x for x in notice.letter}
        self._names = {x.language: x.template or f"{x.language}.txt" for x in notice.letter}
        self._templates = {x.language: _compiled(x, folder) for x in notice.letter}
        for language, letter in self._letters.items():
            said = words_of(letter, notice.cut_off, "")
            # marks that stand nowhere else: a value such as "it" would be found in any text
            self._render(language, {word: f"⟨{word}⟩" for word in said})

    def write(self, language: Language, name: str) -> Written:
        """Return the letter to a person of this name ("": not known).

        Raises:
            Refused: with this name a part is missing, so the template hides it.
        """
        return self._render(language, words_of(self._letters[language], self._cut_off, name))

    def digests(self) -> tuple[LetterDigest, ...]:
        """Return what was written in each language, as the ledger and the plan name it."""
        return tuple(
            LetterDigest(
                language=language, digest=hashlib.sha256(_whole(self.write(language, ""))).hexdigest()
            )
            for language in self._letters
        )

    def _render(self, language: Language, words: Mapping[str, str]) -> Written:
        from jinja2 import TemplateError

        template, name = self._templates[language], self._names[language]
        try:
            whole = template.render(words)
            parts = {
                part: "".join(template.blocks[part](template.new_context(dict(words))))
                for part in PARTS
                if part in template.blocks
            }
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise Refused(f"{name}: the template breaks with {type(error).__name__}; mend it") from None
        subject, _, text = whole.strip().partition("\n")
        require_parts(missing_parts(words, parts, text), name)
        if len(whole) > MAX_LETTER:
            raise Refused(f"{name}: the letter is longer than {MAX_LETTER} characters; shorten it")
        return Written(subject.strip(), text.strip() + "\n")


def _compiled(letter: Letter, folder: Path) -> "Template":
    try:
        from jinja2 import StrictUndefined, TemplateSyntaxError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ModuleNotFoundError:
        raise Unsupported("letters need the extra `notices`: pip install 'deleatur[notices]'") from None
    environment = ImmutableSandboxedEnvironment(  # letters are plain text: nothing to escape
        autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.clear()  # neither `range` nor `lipsum`: a letter needs no loops
    name, content = _template(letter, folder)
    try:
        return environment.from_string(content)
    except TemplateSyntaxError as error:
        raise Refused(f"{name}: line {error.lineno} is not a template; mend it") from None


def _template(letter: Letter, folder: Path) -> tuple[str, str]:
    """Return the name and the text of a letter's template."""
    if letter.template is None:
        name = f"{letter.language}.txt"
        read = resources.files("deleatur").joinpath("letters", name).read_bytes
    else:
        name = letter.template
        read = partial(read_plain, folder / name, MAX_TEMPLATE)
    try:
        return name, read().decode("utf-8")
    except FileNotFoundError:
        raise Refused(f"the template {name} is missing") from None
    except UnicodeDecodeError:
        raise Refused(f"the template {name} is not UTF-8") from None


def _whole(letter: Written) -> bytes:
    return f"{letter.subject}\n{letter.text}".encode()
