"""The pages that describe the rules name every rule, form and option that the code has."""

from pathlib import Path
from typing import get_args, get_type_hints

from deleatur.desensitize.formats import FORMS
from deleatur.desensitize.rules import FITS
from deleatur.documents.job import Rule
from deleatur.documents.rules import OPTIONS

SPEC = Path(__file__).parents[2] / "docs" / "spec"


def test_every_rule_form_and_option_is_described() -> None:
    archive, job = ((SPEC / f"{name}.md").read_text(encoding="utf-8") for name in ("archive", "job"))
    steps = [words.removeprefix("generalise to ") for words in FITS if words.startswith("generalise to ")]
    rules = [words for words in FITS if " " not in words]
    for name in [*rules, *steps, *FORMS]:
        assert f"`{name}`" in archive, name
        assert f"`{name}`" in job, name
    for option in OPTIONS:
        assert f"`{option}`" in job, option


def test_what_a_job_may_name_is_what_the_code_does() -> None:
    hints = get_type_hints(Rule)
    forms = {form for part in get_args(hints["form"]) for form in get_args(part)}
    assert forms == FORMS.keys()
