"""Every public name has its place on the page of the API."""

import re
from pathlib import Path
from types import ModuleType

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
