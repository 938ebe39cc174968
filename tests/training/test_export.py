"""Test that an exported run is read back by the tool that it is for."""

from pathlib import Path

import pandas as pd
import pytest

import init_bench as ib
from init_bench.training.results import Results
from tests.cli.in_process import init_bench

EventAccumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
).EventAccumulator
HParamsPluginData = pytest.importorskip(
    "tensorboard.plugins.hparams.plugin_data_pb2"
).HParamsPluginData


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return two cells: one diverges."""
    grid = ib.Grid(init=["he_normal", "normal(std=100)"], width=4, depth=2, steps=6, lr=10.0)
    return ib.run(grid, tmp_path / "run", device="cpu", progress=False)


def test_csv_holds_every_row_and_value(results: Results, tmp_path: Path) -> None:
    paths = ib.export(results, tmp_path / "csv")
    cells, curves, layers, histograms = map(pd.read_csv, paths)
    assert len(cells) == 2 and len(layers) == len(results.layers)
    merged = curves.merge(results.curves, on=["key", "step"])
    assert len(merged) == len(results.curves)
    assert merged["loss_x"].astype("float32").equals(merged["loss_y"])
    assert histograms["count"].sum() == results.histograms["count"].sum() > 0


def test_tensorboard_reads_scalars_and_hyperparameters_back(
    results: Results, tmp_path: Path
) -> None:
    folders = ib.export(results, tmp_path / "events", format="tensorboard")
    assert {path.name for path in folders} == {"init=he_normal", "init=normal(std=100)"}
    for cell, folder in zip(results.cells.to_dict("records"), folders, strict=True):
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        loss = results.curves[results.curves["key"] == cell["key"]]
        finite = loss[loss["loss"].abs() < float("inf")]
        read = [(one.step, one.value) for one in events.Scalars("loss")]
        assert read == list(zip(finite["step"], finite["loss"], strict=True))
        stds = events.Scalars("weight/fc1/std")
        assert [one.step for one in stds] == results.layers["step"].unique().tolist()
        metadata = events.summary_metadata["_hparams_/session_start_info"]
        _assert_histograms(folder, results.histograms[results.histograms["key"] == cell["key"]])
        start = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
        assert start.hparams["init"].string_value == cell["init"]
        assert start.hparams["lr"].number_value == cell["lr"]


def _assert_histograms(folder: Path, bins: pd.DataFrame) -> None:
    events = EventAccumulator(str(folder), size_guidance={"histograms": 0}).Reload()
    counted = bins[(bins["kind"] == "activation") & (bins["layer"] == "act1")]
    numbers = counted.groupby("step")["count"].sum()
    read = {one.step: one.histogram_value.num for one in events.Histograms("activation/act1")}
    assert read == numbers[numbers > 0].to_dict()


def test_histograms_beside_a_run_are_exported(results: Results, tmp_path: Path) -> None:
    bins = pd.DataFrame({"centre": [0.25, 0.75], "width": 0.5, "share": [0.9, 0.1], "layer": 1})
    beside = bins.assign(range="all", init="he_normal", activation="relu")
    beside.to_parquet(results.folder / "histograms.parquet")
    *_, folder = ib.export(results.folder, tmp_path / "events", format="tensorboard")
    events = EventAccumulator(str(folder), size_guidance={"histograms": 0}).Reload()
    (histogram,) = (one.histogram_value for one in events.Histograms("activation/layer 1"))
    assert histogram.bucket_limit[-2:] == [0.5, 1.0]
    assert histogram.num == 1000 and histogram.sum == pytest.approx(1000 * 0.3)


def test_the_command_exports_in_one_format(results: Results) -> None:
    folder = str(results.folder)
    done = init_bench("export", folder, "--csv", cwd=results.folder)
    assert done.stdout == f"4 files in {folder}/csv\n", done.stderr
    assert (results.folder / "csv" / "curves.csv").is_file()
    both = init_bench("export", folder, "--csv", "--tensorboard", cwd=results.folder)
    assert both.returncode == 2 and "one of --tensorboard and --csv" in both.stderr
    none = init_bench("export", folder + "/csv", "--csv", cwd=results.folder)
    assert none.returncode == 2 and "holds no run" in none.stderr


def test_an_unknown_format_is_refused(results: Results) -> None:
    with pytest.raises(ib.InitBenchError, match="did you mean 'tensorboard'"):
        ib.export(results, format="tensorbord")
