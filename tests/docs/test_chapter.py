"""Pages with measured numbers hold those of the stored results."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import fixed_limits

DOCS = Path(__file__).parents[2] / "docs"


def test_the_chapter_is_written_from_the_results(request: pytest.FixtureRequest) -> None:
    spec = importlib.util.spec_from_file_location("chapter", DOCS / "scripts" / "book_chapter.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page, text = DOCS / "book.md", module.chapter()
    if request.config.getoption("--rewrite-golden"):
        page.write_text(text, "utf-8")
    assert page.read_text("utf-8") == text, "if it should differ: pytest --rewrite-golden"


def test_the_table_of_fixed_limits_is_that_of_the_results(request: pytest.FixtureRequest) -> None:
    page = fixed_limits.PAGE.read_text("utf-8")
    text = fixed_limits.with_table(page, pd.read_csv(fixed_limits.RESULTS / "fixed_limits.csv"))
    if request.config.getoption("--rewrite-golden"):
        fixed_limits.PAGE.write_text(text, "utf-8")
    assert page == text, "if it should differ: pytest --rewrite-golden"
