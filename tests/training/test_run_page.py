"""The page of a run: its answer, whatever the run holds."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.figures.page import Page
from init_bench.training.manifest import manifest
from init_bench.training.run_facts import command_of, facts_of
from init_bench.training.run_page import page_of_run
from init_bench.training.store import Store

SMALL: dict[str, Any] = {"width": 8, "depth": 3, "batch_size": 16, "steps": 10}


def trained(folder: Path, **axes: Any) -> ib.Results:
    return ib.run(ib.Grid(**{**SMALL, **axes}), folder, device="cpu", progress=False)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> ib.Results:
    folder = tmp_path_factory.mktemp("run") / "run"
    return trained(folder, init=["he_normal", "zeros"], lr=[0.1, 3e38], seed=range(2))


def kinds(page: Page) -> list[str]:
    return [section.kind for section in page.sections]


@pytest.mark.slow
def test_the_answer_ranks_the_combinations_and_counts_what_diverged(several: ib.Results) -> None:
    page = page_of_run(several)
    best = several.table.sort_values("final_loss").iloc[0]
    assert page.answer.startswith(f"{best['init']} with lr {best['lr']:g} ends with the lowest")
    diverged = (several.cells["status"] == "diverged").sum()
    assert f"{diverged} of 8 runs diverged." in page.answer
    assert page.title == "Training runs by init and lr"
    assert kinds(page) == ["curves", "heat_map", "depth", "spread", "histograms", "table", "table"]


def test_a_run_in_progress_says_how_much_is_done(several: ib.Results, tmp_path: Path) -> None:
    results = trained(tmp_path / "run", init="he_normal")
    path = results.folder / "manifest.json"
    stated = json.loads(path.read_text())
    stated["grid"][0]["seed"] = [0, 1, 2]
    path.write_text(json.dumps(stated))
    assert "1 of 3 cells are done" in page_of_run(ib.load(results.folder)).answer
    assert "not finished" not in page_of_run(several).answer


@pytest.mark.slow
def test_chance_is_drawn_where_the_classes_are_known_and_r2_is_not_called_accuracy(
    several: ib.Results, tmp_path: Path
) -> None:
    values = {"model": "siren", "dataset": "mnist_pixels"}
    regression = trained(tmp_path / "run", **values, init=["siren", "zeros"], lr=[0.1, 0.01])
    for results, chance in ((several, math.log(10)), (regression, None)):
        curves, heat_map = page_of_run(results).sections[:2]
        assert curves.data and heat_map.data
        assert curves.data["chance"] == chance
        assert ("R²" in heat_map.data["metrics"][1][1]) == (chance is None)
        axes = results.figure().axes[0]
        assert any("chance" in text.get_text() for text in axes.texts) == (chance is not None)


def test_a_run_of_which_nothing_is_stored_yet_has_a_page(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    store.open(manifest([ib.Grid(**SMALL)], torch.device("cpu"), {}))
    page = page_of_run(ib.load(tmp_path / "run"))
    assert "0 of 1 cells" in page.answer and page.sections == []


@pytest.mark.parametrize(("lr", "said"), [(0.1, "ends at a loss of"), (3e38, "The only run")])
def test_one_run_has_a_page_even_if_it_diverged(tmp_path: Path, lr: float, said: str) -> None:
    results = trained(tmp_path / "run", lr=lr)
    assert said in page_of_run(results).answer
    assert "he_normal" in results.report()


def test_a_run_that_varies_another_axis_alone_has_colors_for_it(tmp_path: Path) -> None:
    results = trained(tmp_path / "run", lr=[0.01, 0.1])
    expected = ib.theory.expected_of_runs(results.layers, results.axes)
    data = page_of_run(results, expected=expected).sections[0].data
    assert data is not None and data["axes"]["names"] == ["lr"]
    assert len(expected) == 2 * 2, "two rates, two hidden layers"


def test_a_damaged_manifest_is_said(tmp_path: Path) -> None:
    results = trained(tmp_path / "run")
    (results.folder / "manifest.json").write_text("{")
    (note,) = page_of_run(ib.load(results.folder)).notes
    assert "cannot be read" in note


def test_seeds_versions_and_the_command_are_told(several: ib.Results) -> None:
    facts = facts_of(several.cells, several.manifest)
    assert facts["seeds"] == "0, 1" and "torch" in facts["versions"]
    assert "width 8" in facts["the same in all"] and facts["lr"] == "0.1, 3e+38"
    assert command_of(["/a/b/train.py", "x"]) == "python train.py x"
    assert command_of([]) == ""


def test_the_advice_for_a_damaged_copy_trains_the_whole_grid_in_the_copy(tmp_path: Path) -> None:
    copy = trained(tmp_path / "copy").folder
    stored = json.loads((copy / "manifest.json").read_text())
    stored["command"] = ["init-bench", "run", "a.toml", "--out", "old", "--shard", "1/3"]
    (copy / "manifest.json").write_text(json.dumps(stored))
    assert page_of_run(ib.load(copy)).command == "init-bench run a.toml --out old"
    next((copy / "curves").iterdir()).unlink()
    with pytest.raises(InitBenchError) as refused:
        ib.load(copy)
    assert f"run init-bench run a.toml --out {copy} again" in str(refused.value)


@pytest.mark.parametrize(
    ("optimizers", "is_listed"), [(["sgd", "adam"], False), (["sgd", "momentum"], True)]
)
def test_only_settings_that_an_optimizer_reads_are_listed(
    tmp_path: Path, optimizers: list[str], is_listed: bool
) -> None:
    results = trained(tmp_path / "run", optimizer=optimizers)
    fixed = facts_of(results.cells, results.manifest)["the same in all"]
    assert ("momentum" in fixed) == is_listed and "lr 0.01" in fixed


def test_theory_stands_beside_the_measurement_where_it_covers_the_network(
    several: ib.Results,
) -> None:
    expected = ib.theory.expected_of_runs(several.layers, several.axes)
    assert set(expected["init"]) == {"he_normal"}, "zero weights have no mean field"
    section = page_of_run(several, expected=expected).sections[2]
    assert section.data is not None
    of_theory = [line for line in section.data["lines"] if "theory" in line]
    assert {line["step"] for line in of_theory} == {0}
    first = of_theory[0]
    assert first["theory"]["gradient"][-1] == 1.0 == first["gradient"][0][-1]


def test_saving_writes_the_page_beside_the_other_files(several: ib.Results, tmp_path: Path) -> None:
    names = {path.name for path in several.save(tmp_path)}
    assert names == {"results.png", "results.html", "results.json", "report.html"}
    page = (tmp_path / "report.html").read_text()
    assert several.summary not in page and "he_normal" in page


def test_a_run_too_large_for_a_page_is_refused_with_a_way_out(
    several: ib.Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("init_bench.training.run_page.MOST_CELLS", 7)
    with pytest.raises(InitBenchError, match=r"8 cells are too many.*load\(folder"):
        several.report()


def test_every_grid_of_a_folder_and_the_command_of_each_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, axes in (("a", {"lr": 0.1, "seed": [0, 1]}), ("b", {"lr": 0.2}), ("a", {"lr": 0.3})):
        monkeypatch.setattr("sys.argv", ["init-bench", "run", f"{name}.toml"])
        results = trained(tmp_path / "run", **axes)
    page = page_of_run(results)
    assert page.command == "init-bench run a.toml\ninit-bench run b.toml"
    grids = [page.facts[f"grid {number}"] for number in (1, 2, 3)]
    assert grids == ["lr 0.1; seed 0, 1", "lr 0.2; seed 0", "lr 0.3; seed 0"]


def test_many_grids_are_counted(several: ib.Results) -> None:
    grids = [{"lr": [rate]} for rate in range(23)]
    facts = facts_of(several.cells, {"grid": grids})
    assert (facts["grid 20"], facts["more grids"]) == ("lr 19", "3, in manifest.json")
    assert "grid 1" not in facts_of(several.cells, several.manifest)
