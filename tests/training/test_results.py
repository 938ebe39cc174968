"""Results: a readable summary, and the faces that every result has."""

import json
from pathlib import Path
from typing import Any

import pytest

import init_bench as ib

AXES: dict[str, Any] = {"width": 8, "depth": 3, "batch_size": 16, "steps": 30}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> ib.Results:
    grid = ib.Grid(
        init=["he_normal", "zeros"],
        lr=[0.01, 3e38],
        seed=range(2),
        **AXES,
    )
    folder = tmp_path_factory.mktemp("results") / "run"
    return ib.run(grid, folder, device="cpu", progress=False)


def test_results_print_a_summary_and_no_keys(results: ib.Results) -> None:
    printed = repr(results)
    diverged = (results.cells["status"] == "diverged").sum()
    assert printed.startswith(f"8 cells: {8 - diverged} trained, {diverged} diverged. Stored in ")
    assert not any(key in printed for key in results.cells["key"])
    assert "he_normal" in printed and len(printed.splitlines()) == 1 + 5 + 2 + 1
    assert "cells: " in printed and "loss_sd: " in results._repr_html_()


def test_the_table_has_a_row_per_combination_and_averages_seeds(results: ib.Results) -> None:
    table = results.table
    assert table["cells"].tolist() == [2, 2, 2, 2]
    diverged = results.cells[results.cells["status"] == "diverged"]
    assert table["diverged"].sum() == len(diverged) > 0
    he = results.cells[(results.cells["init"] == "he_normal") & (results.cells["lr"] == 0.01)]
    row = table[(table["init"] == "he_normal") & (table["lr"] == 0.01)].iloc[0]
    assert row["final_loss"] == he["final_loss"].mean()
    assert row["loss_sd"] == pytest.approx(he["final_loss"].std(), rel=1e-12)
    assert row["test_accuracy"] == he["test_accuracy"].mean()


def test_the_json_holds_every_cell_and_is_strict(results: ib.Results) -> None:
    def refuse(word: str) -> None:
        pytest.fail(f"{word} is not JSON")

    records = json.loads(results.to_json(), parse_constant=refuse)
    assert [row["key"] for row in records] == results.cells["key"].tolist()
    finite = [row["final_loss"] for row in records if row["final_loss"] is not None]
    assert finite == pytest.approx(results.cells["final_loss"].dropna().tolist(), abs=1e-12)


def test_the_figure_has_a_line_per_combination(results: ib.Results) -> None:
    (ax,) = results.figure().axes
    legend = ax.get_legend()
    assert legend is not None
    shown = {text.get_text() for text in legend.get_texts()}
    assert {"he_normal, 0.01", "zeros, 0.01"} <= shown


def test_results_are_saved_as_picture_page_and_json(results: ib.Results, tmp_path: Path) -> None:
    paths = results.save(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["results.png", "results.html", "results.json"]
    assert paths[0].read_bytes()[:4] == b"\x89PNG"
    assert "<table" in paths[1].read_text() and results.summary[:20] in paths[1].read_text()
    assert paths[2].read_text() == results.to_json()
