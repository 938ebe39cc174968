"""Pages with measured numbers hold those of the stored results."""

import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks import fixed_limits
from benchmarks.interleaved_timing import RESULTS

DOCS = Path(__file__).parents[2] / "docs"


def script(name: str) -> Any:
    """Return a script of the docs as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCH = script("bench_tables")


@pytest.mark.parametrize("page", BENCH.PAGES, ids=lambda page: page.name)
def test_tables_of_the_benchmark_are_those_of_its_results(
    page: Path, request: pytest.FixtureRequest
) -> None:
    text = BENCH.with_tables(page)
    if request.config.getoption("--rewrite-golden"):
        page.write_text(text, "utf-8")
    assert page.read_text("utf-8") == text, "if it should differ: pytest --rewrite-golden"


def test_the_chapter_is_written_from_the_results(request: pytest.FixtureRequest) -> None:
    page, text = DOCS / "book.md", script("book_chapter").chapter()
    if request.config.getoption("--rewrite-golden"):
        page.write_text(text, "utf-8")
    assert page.read_text("utf-8") == text, "if it should differ: pytest --rewrite-golden"


def test_the_table_of_fixed_limits_is_that_of_the_results(request: pytest.FixtureRequest) -> None:
    text = fixed_limits.with_table(
        fixed_limits.PAGE.read_text("utf-8"), pd.read_csv(RESULTS / "fixed_limits.csv")
    )
    if request.config.getoption("--rewrite-golden"):
        fixed_limits.PAGE.write_text(text, "utf-8")
    assert fixed_limits.PAGE.read_text("utf-8") == text, (
        "if it should differ: pytest --rewrite-golden"
    )
