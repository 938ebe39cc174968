"""Measured lines with theory over them: what is drawn, and that tables stay as they were."""

from dataclasses import replace

import pandas as pd
import pytest

from init_bench.errors import InitBenchError
from init_bench.figures import Panel, measured_and_expected

COLUMNS = ["quantity", "series", "x", "seed", "value"]
MEASURED = pd.DataFrame(
    [("std", arm, x, seed, x + seed) for arm in "ab" for x in (1, 2) for seed in (0, 2)],
    columns=COLUMNS,
)
EXPECTED = pd.DataFrame(
    [("std", "a", 2, 3.0), ("std", "a", 1, 2.0), ("other", "c", 1, 9.0)],
    columns=[name for name in COLUMNS if name != "seed"],
)
PANEL = Panel(quantity="std", x="layer", y="std", log_y=True, mark_x=(1.5, "here"))


def test_a_panel_shows_means_over_seeds_and_theory_in_order_of_x() -> None:
    figure = measured_and_expected(MEASURED, EXPECTED, [PANEL], caption="")
    (ax,) = figure.axes
    drawn = [list(map(float, line.get_ydata())) for line in ax.lines]  # type: ignore[arg-type]
    assert [2.0, 3.0] in drawn and drawn.count([2.0, 3.0]) == 3  # a, b and a's theory
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "theory"]
    assert ax.get_yscale() == "log" and "here" in [text.get_text() for text in ax.texts]


def test_a_panel_has_a_title_only_where_it_says_more_than_its_axis() -> None:
    panels = [PANEL, replace(PANEL, title="relu")]
    figure = measured_and_expected(MEASURED, EXPECTED, panels, caption="")
    assert [(ax.get_title(), ax.get_ylabel()) for ax in figure.axes] == [
        ("", "std"),
        ("relu", "std"),
    ]


def test_a_quantity_without_theory_says_nothing_of_it() -> None:
    figure = measured_and_expected(MEASURED, EXPECTED.iloc[:0], [PANEL], caption="")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_the_tables_are_left_as_they_were() -> None:
    before = MEASURED.copy(), EXPECTED.copy()
    measured_and_expected(MEASURED, EXPECTED, [PANEL], caption="")
    assert MEASURED.equals(before[0]) and EXPECTED.equals(before[1])


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InitBenchError, match="lacks seed"):
        measured_and_expected(MEASURED.drop(columns="seed"), EXPECTED, [PANEL], caption="")
