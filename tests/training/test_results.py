"""Results: a readable summary, and the faces that every result has."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import init_bench as ib
from init_bench.errors import InitBenchError

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


def test_the_final_loss_is_said_to_average_as_many_steps_as_were_run(results: ib.Results) -> None:
    assert f"mean of the last\n{AXES['steps']} steps" in repr(results)
    more = results.cells.assign(steps=2000)
    assert "mean of the last\n50 steps" in ib.Results(more, results.store).meaning


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
    names = ["results.png", "results.html", "results.json", "report.html"]
    assert [path.name for path in paths] == names
    assert paths[0].read_bytes()[:4] == b"\x89PNG"
    assert "<table" in paths[1].read_text() and results.summary[:20] in paths[1].read_text()
    assert paths[2].read_text() == results.to_json()


def test_a_scan_reads_the_cells_steps_and_columns_asked_for(results: ib.Results) -> None:
    steps = range(5, 30, 10)
    scan = results.scan(steps=steps, columns=["key", "step", "loss"], init="he_normal", lr=0.01)
    found = scan.to_table().to_pandas().sort_values(["key", "step"], ignore_index=True)
    curves = results.curves
    wanted = curves[
        (curves["init"] == "he_normal") & (curves["lr"] == 0.01) & curves["step"].isin(steps)
    ]
    wanted = wanted[["key", "step", "loss"]].sort_values(["key", "step"], ignore_index=True)
    pd.testing.assert_frame_equal(found, wanted)
    assert len(found) == 2 * 3


def test_a_scan_of_some_cells_opens_their_files_alone(results: ib.Results, tmp_path: Path) -> None:
    shutil.copytree(results.folder, tmp_path / "run")
    for seed in (7, 8):
        ib.run(ib.Grid(seed=seed, **AXES), tmp_path / "run", device="cpu", progress=False)
    found = ib.load(tmp_path / "run", seed=8)
    for path in (tmp_path / "run" / "curves").iterdir():
        if found.cells["key"][0] not in pq.read_table(path)["key"].to_pylist():
            path.unlink()
    assert found.curves["step"].tolist() == list(range(30))


def test_mean_curves_are_the_means_over_seeds(results: ib.Results) -> None:
    found = results.mean_curves(steps=[0, 29], lr=0.01)
    curves = results.curves.astype({"loss": "float64"})
    some = curves[(curves["lr"] == 0.01) & curves["step"].isin([0, 29])]
    wanted = some.groupby(["init", "lr", "step"])["loss"].agg(["mean", "std", "size"]).reset_index()
    assert found[["init", "step"]].equals(wanted[["init", "step"]])
    assert found["cells"].tolist() == wanted["size"].tolist()
    assert found["loss"].tolist() == pytest.approx(wanted["mean"].tolist(), rel=1e-6)
    assert found["loss_sd"].tolist() == pytest.approx(wanted["std"].tolist(), rel=1e-5, abs=1e-7)


def test_load_takes_the_values_of_axes(results: ib.Results) -> None:
    some = ib.load(results.folder, init="kaiming_normal", seed=range(1, 2))
    assert some.cells[["init", "seed"]].drop_duplicates().values.tolist() == [["he_normal", 1]]
    assert set(some.curves["key"]) == set(some.layers["key"]) == set(some.cells["key"])


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"inti": "zeros"}, "unknown axis 'inti': did you mean 'init'"),
        ({"init": "ones"}, r"no cell has init='ones'\. Stored: he_normal, zeros\."),
        ({"lr": [0.01, "fast"]}, r"no cell has lr='fast'\. Stored: 0.01, 3e\+38\."),
    ],
)
def test_what_is_not_stored_is_told(
    results: ib.Results, axes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InitBenchError, match=message):
        ib.load(results.folder, **axes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"table": "curve"}, "unknown table 'curve': did you mean 'curves'"),
        ({"columns": ["los"]}, "unknown column 'los': did you mean 'loss'"),
        ({"table": "cells", "steps": [1]}, "unknown column 'step'"),
    ],
)
def test_a_bad_scan_is_told(results: ib.Results, words: dict[str, Any], message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        results.scan(**words)


def test_curves_are_read_when_they_are_used(results: ib.Results, tmp_path: Path) -> None:
    shutil.copytree(results.folder, tmp_path / "run")
    later = ib.load(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "curves")
    assert len(later.layers) and later.summary.startswith("8 cells")
    with pytest.raises(FileNotFoundError):
        _ = later.curves
