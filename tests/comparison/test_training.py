"""Training of both sides: paired over seeds, divergence counted, equal starts not trained twice."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from init_bench.comparison.pairs_from_names import Pair
from init_bench.comparison.training import SKIPPED, Trained, same_start, start_of, train
from init_bench.comparison.training_setting import RunOptions, cell_of
from init_bench.init import InitSpec, parse
from init_bench.training.results import load

AXES: dict[str, Any] = {"width": 16, "depth": 3, "batch_size": 16, "steps": 60}
HE, TORCH, LECUN = (parse(name) for name in ("he_normal", "torch.kaiming_normal", "lecun_normal"))


def trained(out: Path, *pairs: Pair, seeds: int = 4, **axes: Any) -> Trained:
    options = RunOptions(looks=(tuple(range(seeds)),), out=out, device="cpu", progress=False)
    return train(pairs, AXES | axes, options)


def numbers(found: Trained, pair: Pair) -> dict[str, Any]:
    return {row.quantity: row for row in found.rows if row.pair == pair}


def test_differences_are_paired_over_seeds(tmp_path: Path) -> None:
    pair = Pair(a=HE, b=LECUN)
    rows = numbers(trained(tmp_path, pair), pair)
    stored = load(tmp_path)
    curves = stored.curves.pivot(index=["init", "seed"], columns="step", values="loss")
    losses = {
        "final loss": stored.cells.set_index(["init", "seed"])["final_loss"],
        "mean loss": curves.astype(np.float64).mean(axis=1),
    }
    for name, loss in losses.items():
        differences = loss["he_normal"] - loss["lecun_normal"]
        assert rows[name].value == pytest.approx(differences.mean(), rel=1e-12)
        interval = stats.ttest_1samp(differences, 0).confidence_interval()
        assert (rows[name].low, rows[name].high) == pytest.approx(tuple(interval), rel=1e-9)
        assert rows[name].n == 4
    assert rows["same start"].value == 0
    assert math.isnan(rows["diverged"].p), "nothing diverged, so nothing is tested"


@pytest.mark.slow
def test_seeds_are_added_only_where_no_difference_shows(tmp_path: Path) -> None:
    clear, same = Pair(a=HE, b=parse("normal(std=1)")), Pair(a=HE, b=parse("he_uniform"))
    looks = tuple(tuple(range(n)) for n in (9, 10))
    options = RunOptions(looks=looks, out=tmp_path, device="cpu", progress=False)
    found = train([clear, same], AXES, options)
    at_clear, at_same = numbers(found, clear), numbers(found, same)
    assert (at_clear["final loss"].n, at_same["final loss"].n) == (9, 10)
    assert at_clear["final loss"].setting.endswith("seeds 0 to 8, look 1 of 2")
    assert at_same["final loss"].setting.endswith("seeds 0 to 9, look 2 of 2")
    runs = found.outcomes.groupby("init")["seed"].nunique().to_dict()
    assert runs == {"he_normal": 10, "normal(std=1)": 9, "he_uniform": 10}


def test_a_single_pair_of_the_same_bits_trains_to_the_same_bits(tmp_path: Path) -> None:
    pair = Pair(a=HE, b=TORCH)
    found = trained(tmp_path, pair)
    rows = numbers(found, pair)
    assert rows["same start"].value == 1
    for name in ("final loss", "mean loss"):
        assert rows[name].value == rows[name].low == rows[name].high == 0
    a, b = (found.curves.loc[found.curves["init"] == str(s), "loss"] for s in (HE, TORCH))
    assert np.array_equal(a, b)


def test_of_several_pairs_those_that_start_equal_are_not_trained(tmp_path: Path) -> None:
    same, other = Pair(a=HE, b=TORCH), Pair(a=LECUN, b=parse("zeros"))
    found = trained(tmp_path, same, other)
    assert numbers(found, same)["final loss"].note == SKIPPED
    assert numbers(found, other)["final loss"].n == 4
    assert set(found.outcomes["init"]) == {"lecun_normal", "zeros"}


def test_nothing_is_written_where_nothing_is_trained(tmp_path: Path) -> None:
    names = ("xavier_normal", "torch.xavier_normal")
    found = trained(tmp_path, Pair(a=HE, b=TORCH), Pair(a=parse(names[0]), b=parse(names[1])))
    assert found.outcomes.empty and found.curves.empty
    assert list(tmp_path.iterdir()) == []


def test_equal_weights_with_other_biases_are_no_equal_start() -> None:
    twin = InitSpec("torch.kaiming_uniform", (("a", 5**0.5),))
    pair = Pair(a=parse("torch.default"), b=twin)
    assert same_start(pair, cell_of(AXES), range(2), start_of) == 0
    assert same_start(pair, cell_of({**AXES, "bias": False}), range(2), start_of) == 1


def test_divergence_is_counted_on_each_side_and_its_seeds_are_in_no_difference(
    tmp_path: Path,
) -> None:
    pair = Pair(a=parse("normal(std=1e30)"), b=HE)
    rows = numbers(trained(tmp_path, pair, seeds=6), pair)
    assert rows["diverged"].value == 1
    assert rows["diverged"].p == 2 / 2**6
    assert rows["diverged"].note == "a: 6 of 6 seeds, b: 0 of 6"
    for name in ("final loss", "mean loss"):
        assert math.isnan(rows[name].value) and math.isnan(rows[name].p)
        assert rows[name].n == 0
        assert rows[name].note == "no seed trained on both"


def test_both_sides_diverging_alike_is_no_difference(tmp_path: Path) -> None:
    pair = Pair(a=parse("normal(std=1e30)"), b=parse("normal(std=2e30)"))
    row = numbers(trained(tmp_path, pair), pair)["diverged"]
    assert (row.value, row.p) == (0, 1)


def test_what_cannot_fill_the_network_says_why_and_the_others_train(tmp_path: Path) -> None:
    bad, good = Pair(a=parse("torch.dirac"), b=HE), Pair(a=LECUN, b=HE)
    found = trained(tmp_path, bad, good)
    (row,) = (row for row in found.rows if row.pair == bad)
    assert "dirac_ refuses a weight" in row.note
    assert numbers(found, good)["final loss"].n == 4


def test_a_run_that_fails_is_said_and_its_file_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("init_bench.training.chunk_trainer.train_chunk", failing)
    pair = Pair(a=HE, b=LECUN)
    found = trained(tmp_path, pair)
    assert "out of memory" in numbers(found, pair)["final loss"].note
    assert found.failures[0].is_file()
    assert any(e.startswith("he_normal, seed 0: ") and "memory" in e for e in found.errors)


def test_outcomes_have_a_row_per_run(tmp_path: Path) -> None:
    found = trained(tmp_path, Pair(a=HE, b=LECUN))
    assert list(found.outcomes) == ["init", "seed", "status", "final_loss", "mean_loss"]
    assert pd.MultiIndex.from_frame(found.outcomes[["init", "seed"]]).is_unique
    assert len(found.outcomes) == 8
