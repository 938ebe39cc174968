"""The book's result: what it says, draws, returns as JSON and writes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from init_bench.errors import InitBenchError
from init_bench.reproduction.book.pipeline import reproduce_book
from init_bench.reproduction.book.result import Book
from init_bench.reproduction.claim_verdicts import judge


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    folder = tmp_path_factory.mktemp("book") / "neuron"
    return reproduce_book(folder, only=["neuron"], device="cpu", progress=False)


def test_the_summary_counts_the_claims_that_hold(book: Book) -> None:
    assert book.summary == "2 of 2 claims hold."
    text = str(book)
    assert text.count("HOLDS") == 2 and "(threshold 0.315 to 0.325; 1 seed)" in text
    assert text.endswith(f"2 of 2 claims hold. Tables and figures: {book.folder}")


def test_claims_that_are_not_in_the_book_are_counted_apart(book: Book) -> None:
    ours = book.claims.assign(statement="it is 3 (not in the book)", verdict="does not hold")
    both = Book(pd.concat([book.claims, ours], ignore_index=True), book.folder)
    counted = "2 of 2 claims hold. Not in the book: 0 of 2 hold, 2 do not."
    assert both.summary == counted
    assert f"{counted} Not so: it is 3 (not in the book)" in both.report()


def test_the_figure_has_a_row_per_claim_with_its_number(book: Book) -> None:
    (ax,) = book.figure().axes
    assert [label.get_text()[:7] for label in ax.get_yticklabels()] == ["neuron:"] * 2
    assert ax.texts[0].get_text() == "0.32  (0.315 to 0.325)"
    columns = [np.asarray(line.get_xdata()).tolist() for line in ax.lines]
    assert columns == [[0], [0]], "both in the column of what holds"


def test_json_and_page_hold_the_claims(book: Book) -> None:
    read = json.loads(book.to_json())
    assert [claim["claim"] for claim in read["claims"]] == ["neuron-a", "neuron-z"]
    assert read["summary"] == book.summary
    page = book._repr_html_()
    assert book.summary in page and "<svg" in page and "tanh" in page


def test_it_saves_its_faces(book: Book, tmp_path: Path) -> None:
    names = [path.name for path in book.save(tmp_path / "faces")]
    assert sorted(names) == ["book.html", "book.json", "book.png", "report.html"]


def test_a_book_whose_training_failed_says_where_to_look(tmp_path: Path) -> None:
    failed = Book(judge([], {}), tmp_path, failures=(tmp_path / "chunk.json",))
    assert "chunk.json" in failed.summary and failed.summary in str(failed)
    assert failed.summary in failed._repr_html_()
    with pytest.raises(InitBenchError, match="no rows"):
        failed.figure()
