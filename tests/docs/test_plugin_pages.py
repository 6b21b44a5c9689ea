"""The pages for vendors name what exists: hooks of the suite, fields, groups, modules, commands."""

import importlib
import inspect
import re

import msgspec

from deleatur import hooks as specifications
from deleatur.backend import Backend
from deleatur.engine import hooks, registry
from deleatur.testing.contract import BackendContract
from deleatur.testing.trial import Planted

REFERENCE = "docs/reference/plugins.md"
HOWTO = "docs/howto/write-a-plugin.md"


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first header cell is `heading`."""
    table = page.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_method_of_a_backend_is_described(pages: dict[str, str]) -> None:
    described = {row[0].strip("`") for row in rows(pages[REFERENCE], "method")}
    methods = {n for n, m in vars(Backend).items() if callable(m) or isinstance(m, classmethod)}
    assert described == {name for name in methods if not name.startswith("_")}


def test_the_hooks_of_the_suite_are_those_that_a_vendor_can_write(pages: dict[str, str]) -> None:
    table = pages[REFERENCE].partition("Some tests need a hook")[2]
    described = {(row[0].strip("`"), row[2].strip("`")) for row in rows(table, "hook")}
    hooks_of_suite = {
        name: list(inspect.signature(method).parameters)[1]
        for name, method in vars(BackendContract).items()
        if inspect.isfunction(method) and not name.startswith(("test_", "_"))
    }
    assert {name for name, _ in described} == {f"{name}({given})" for name, given in hooks_of_suite.items()}
    assert {test for _, test in described} <= BackendContract.MAY_NOT_APPLY


def test_every_field_of_a_planted_target_is_named(pages: dict[str, str]) -> None:
    paragraph = pages[REFERENCE].partition("`Planted` says what was planted:")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", paragraph)) == set(Planted.__dataclass_fields__)


def test_the_groups_and_hooks_are_those_of_the_agent(pages: dict[str, str]) -> None:
    page = pages[REFERENCE]
    assert f"`{registry.GROUP}`" in page
    assert f"`{hooks.GROUP}`" in page
    described = {row[0].strip("`") for row in rows(page.partition("## Hooks")[2], "hook")}
    assert described == {
        f"{name}({', '.join(inspect.signature(function).parameters)})"
        for name, function in vars(specifications).items()
        if inspect.isfunction(function) and hasattr(function, f"{specifications.PROJECT}_spec")
    }


def test_the_modules_and_their_names_exist(pages: dict[str, str]) -> None:
    for module, told in rows(pages[REFERENCE], "module"):
        loaded = importlib.import_module(module.strip("`"))
        names = re.findall(r"`(\w+)`", told)
        assert names
        assert not [name for name in names if not hasattr(loaded, name)]


def test_the_how_to_shows_settings_that_decode(pages: dict[str, str]) -> None:
    from deleatur.documents.agent import Plugins

    for page in (pages[HOWTO], pages["docs/examples/deleatur-acme/README.md"]):
        (shown,) = re.findall(r"```toml\n\[plugins\]\n(trusted = .*)\n```", page)
        names = tuple(re.findall(r'"([^"]+)"', shown))
        plugins = msgspec.convert({"trusted": names}, Plugins)
        assert plugins.trusted == names
        assert names[0] == "deleatur"
