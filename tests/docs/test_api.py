"""Every public name has its place on the page of the API, and says what its user must know."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import init_bench as ib

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
DOCUMENTED = set(re.findall(r"^::: (\S+)$", PAGE, flags=re.MULTILINE))


def public_names(module: ModuleType) -> list[str]:
    """Return what a module says is public, or else what it defines without an underscore."""
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    return list(getattr(module, "__all__", own))


@pytest.mark.parametrize("name", ib.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    value = getattr(ib, name)
    module = isinstance(value, ModuleType)
    names = [f"{name}.{inner}" for inner in public_names(value)] if module else [name]
    missing = {f"init_bench.{name}" for name in names} - DOCUMENTED
    assert not missing, f"add to docs/api.md: {missing}"


def own_objects(kind: Any) -> Iterator[tuple[str, Any]]:
    """Yield our public functions or classes by name, without old names kept for a release."""
    modules = {name: value for name in ib.__all__ if inspect.ismodule(value := getattr(ib, name))}
    prefixes = {"": ib} | {f"{name}.": module for name, module in modules.items()}
    for prefix, module in prefixes.items():
        for name in public_names(module):
            value = getattr(module, name)
            ours = getattr(value, "__module__", "").startswith("init_bench")
            old = ours and (name == "reproduce" or (value.__doc__ or "").startswith("Deprecated"))
            if kind(value) and ours and not old:
                yield prefix + name, value


WITHOUT_FIELDS = {"Cell", "InitBenchError", "init.Init", "init.NetworkInit"}
"""A cell has the axes of ``Grid``, which lists them; the others have none."""


NEVER_RAISE = {"init.ones_", "init.zeros_", "figures.smooth"}


def test_every_public_function_shows_an_example_and_says_what_it_raises() -> None:
    functions = dict(own_objects(inspect.isroutine))
    assert len(functions) > 60
    docs = {name: inspect.getdoc(value) or "" for name, value in functions.items()}
    assert not [name for name, doc in docs.items() if ">>> " not in doc]
    asked = {name for name, value in functions.items() if inspect.signature(value).parameters}
    assert {name for name in asked if "Raises:" not in docs[name]} == NEVER_RAISE


def test_every_public_class_lists_its_attributes_or_arguments() -> None:
    classes = dict(own_objects(inspect.isclass))
    told = re.compile("Attributes:|Args:")
    assert len(classes) > 15
    untold = {name for name, value in classes.items() if not told.search(value.__doc__ or "")}
    assert untold == WITHOUT_FIELDS
