"""The book: the stored results, a short run and what the section's numbers should be."""

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import torch
from torch import nn

import init_bench as ib
from init_bench import datasets
from init_bench.figures import smooth
from init_bench.reproduction.book.claims import CLAIMS, RATES
from init_bench.reproduction.book.figures import FIGURES
from init_bench.reproduction.book.initial_activations import measure_initial_activations
from init_bench.reproduction.book.loss_after_update import first_noted, losses_around_updates
from init_bench.reproduction.book.pipeline import reproduce_book
from init_bench.reproduction.book.result import Book
from init_bench.reproduction.claim_verdicts import judge
from init_bench.training.engine.kept_weights import weights_kept
from init_bench.training.minibatch_indices import sample_indices
from init_bench.training.networks import network_of

STORED = Path(__file__).parents[3] / "results" / "book"
PUBLISHED_STEPS = (100, 500, 1000, 1975)
PUBLISHED_BY_INIT = {
    "normal(std=0.01)": ((2.3022, 0.0005), (2.3016, 0.0005), (2.3013, 0.0005), (2.3011, 0.0005)),
    "lecun_normal": ((2.2475, 0.013), (0.953, 0.175), (0.429, 0.022), (0.290, 0.011)),
    "he_normal": ((1.482, 0.115), (0.385, 0.013), (0.271, 0.012), (0.196, 0.008)),
}
PUBLISHED = {
    (init, step): row
    for init, rows in PUBLISHED_BY_INIT.items()
    for step, row in zip(PUBLISHED_STEPS, rows, strict=True)
}
"""Mean and sd over 10 seeds of the book's own script (NumPy, float64), 50 steps around a step."""


def _around(curves: pd.DataFrame, init: str, step: int) -> float:
    rows = curves[(curves["init"] == init) & (curves["activation"] == "relu")]
    near = rows[(rows["step"] >= step - 25) & (rows["step"] < step + 25)]
    assert len(near) == 50 * near["seed"].nunique() > 0
    return float(near["loss"].mean())


@pytest.fixture(scope="module")
def stored() -> ib.Results:
    return ib.load(STORED)


@pytest.mark.parametrize(("init", "step"), PUBLISHED, ids=str)
def test_stored_curves_agree_with_the_books_own_script(
    stored: ib.Results, init: str, step: int
) -> None:
    mean, sd = PUBLISHED[init, step]
    assert abs(_around(stored.curves, init, step) - mean) < 3 * sd + 0.01


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    inits = ["normal(std=0.01)", "lecun_normal", "he_normal"]
    grid = ib.Grid(init=inits, seed=range(5), steps=125)
    folder = tmp_path_factory.mktemp("live")
    return ib.run(grid, folder, device="cpu", progress=False).curves


@pytest.mark.slow
@pytest.mark.parametrize("init", ["normal(std=0.01)", "lecun_normal", "he_normal"])
def test_a_live_run_agrees_with_the_books_own_script(live: pd.DataFrame, init: str) -> None:
    mean, sd = PUBLISHED[init, 100]
    assert abs(_around(live, init, 100) - mean) < 3 * sd + 0.01


def test_a_live_run_agrees_with_the_stored_one(live: pd.DataFrame, stored: ib.Results) -> None:
    """To 1e-3, not to the bit: another processor may sum in another order."""
    by = ["init", "seed", "step"]
    old = stored.curves[stored.curves["activation"] == "relu"].set_index(by)["loss"]
    new = live[live["step"] < 20].set_index(by)["loss"]
    assert (old.loc[new.index] - new).abs().max() < 1e-3


def test_the_claims_that_do_not_hold_are_these(stored: ib.Results) -> None:
    """Judged here from the stored tables, whatever the stored verdicts say."""
    at_books_rate = {kind: getattr(stored, kind) for kind in ("cells", "curves", "layers")}
    frames = {kind: rows[rows["lr"] == RATES[0]] for kind, rows in at_books_rate.items()}
    frames["initial_layers"] = pd.read_parquet(STORED / "look.parquet")
    judged = judge(CLAIMS, frames).set_index("claim")
    failed = set(judged.index[judged["verdict"] != "holds"])
    learning = {"std-1-sigmoid-does-not-learn", "lecun-sigmoid-learns"}
    assert failed == {"std-1-sigmoid-gradients-vanish", *learning}
    claims = pd.read_parquet(STORED / "claims.parquet").set_index("claim")
    assert {claim.name for claim in CLAIMS} == set(claims.index)
    assert judged["verdict"].equals(claims.loc[judged.index, "verdict"])


def test_every_figure_is_stored_as_png_and_svg() -> None:
    found = {path.name for path in (STORED / "figures").iterdir()}
    drawn = [name for name, figure in FIGURES.items() if figure.draw]
    assert found == {f"{name}.{kind}" for name in drawn for kind in ("png", "svg")}


class Alone(NamedTuple):
    """Two figures made one after another in one folder, without the others."""

    folder: Path
    books: list[Book]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    folder = tmp_path_factory.mktemp("alone") / "one"
    options: dict[str, Any] = {"seeds": [3, 1], "device": "cpu", "progress": False}
    return Alone(folder, [reproduce_book(folder, only=[n], **options) for n in ("6-10", "6-13")])


@pytest.mark.slow
def test_one_figure_needs_no_training(alone: Alone) -> None:
    first, second = alone.books
    assert [path.name for path in first.figures] == ["6-10.png"]
    assert first.claims["claim"].tolist() == ["std-1-sigmoid-piles-up"]
    assert list((alone.folder / "cells").iterdir()) == []
    assert [path.name for path in second.figures] == ["6-13.png"]


def test_a_figure_made_alone_keeps_the_claims_of_the_others(alone: Alone) -> None:
    claims = pd.read_parquet(alone.folder / "claims.parquet")
    assert set(claims["figure"]) == {"6-10", "6-13"}


def test_the_seeds_may_be_given_themselves(alone: Alone) -> None:
    assert alone.books[0].claims["seeds"].tolist() == [2]
    assert set(pd.read_parquet(alone.folder / "look.parquet")["seed"]) == {1, 3}


OTHER_HISTOGRAMS = {"6-11", "6-13", "6-14-tanh"}
"""Drawn by the function that draws 6-10 and 6-14, from the same table."""


@pytest.mark.slow
def test_the_same_book_twice_gives_the_same_bits(tmp_path: Path) -> None:
    options: dict[str, Any] = {"seeds": 2, "steps": 6, "device": "cpu", "progress": False}
    first = reproduce_book(tmp_path / "a", **options)
    chosen = [name for name in FIGURES if name not in OTHER_HISTOGRAMS]
    again = reproduce_book(tmp_path / "b", only=chosen, **options)
    claims = first.claims[first.claims["figure"].isin(chosen)].reset_index(drop=True)
    pd.testing.assert_frame_equal(claims, again.claims, check_exact=True)
    for path in (tmp_path / "b" / "figures").iterdir():
        assert path.read_bytes() == (tmp_path / "a" / "figures" / path.name).read_bytes()
    for name in ("histograms", "look"):
        one, other = (pd.read_parquet(tmp_path / folder / f"{name}.parquet") for folder in "ab")
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    made = {path.name for path in (tmp_path / "a" / "figures").iterdir()}
    assert made >= {f"{name}.{kind}" for name in OTHER_HISTOGRAMS for kind in ("png", "svg")}
    _check_losses_after_update(tmp_path / "a", first.claims)
    _check_rates(tmp_path / "a", first.claims)


def _check_losses_after_update(folder: Path, claims: pd.DataFrame) -> None:
    """The losses before are those of the run; table and caption give those after as well."""
    losses = pd.read_parquet(folder / "loss_after_update.parquet")
    cells = ib.load(folder).cells
    both = losses.merge(cells[cells["lr"] == RATES[0]], on=["init", "activation", "seed"])
    assert both["before"].tolist() == pytest.approx(both["final_loss"].tolist(), rel=1e-7)
    assert (both["after"] < both["before"]).all() and len(both) == 4
    he = losses[losses["init"] == "he_normal"]
    row = claims.set_index("claim").loc["he_normal-learns"]
    assert row["second_value"] == he["after"].mean()
    assert row["second_quantity"].startswith("the same after the update")
    assert f"book notes it: {he['after'].mean():.3g}" in row["note"]
    caption = (folder / "figures" / "6-15.svg").read_text()
    assert f"{he['after'].mean():.3f}" in caption and f"{he['before'].mean():.3f}" in caption


def _check_rates(folder: Path, claims: pd.DataFrame) -> None:
    """The second number of the claims about sigmoid is that of the best rate."""
    cells = ib.load(folder).cells
    tried = cells[(cells["activation"] == "sigmoid") & (cells["init"] == "lecun_normal")]
    assert sorted(set(tried["lr"])) == list(RATES)
    row = claims.set_index("claim").loc["lecun-sigmoid-learns"]
    at_books_rate = tried.loc[tried["lr"] == RATES[0], "final_loss"].mean()
    assert row["value"] == pytest.approx(at_books_rate)
    least = tried.groupby("lr")["final_loss"].mean().min()
    assert row["second_value"] == pytest.approx(least) and least <= at_books_rate


def test_losses_around_updates_are_those_of_a_plain_loop() -> None:
    cell = ib.Grid(init="he_normal", width=20, depth=3, batch_size=16, steps=8, lr=0.1).cells[0]
    row = losses_around_updates([cell], torch.device("cpu")).iloc[0]
    data = datasets.load("mnist")
    model = network_of(cell, data)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before, after = [], []
    indices = sample_indices(len(data.targets), cell.seed, cell.batch_size)
    for chosen in itertools.islice(indices, cell.steps):
        x, y = data.inputs[chosen], data.targets[chosen]
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        before.append(loss.item())
        after.append(nn.functional.cross_entropy(model(x), y).item())
    assert row["before"] == pytest.approx(sum(before) / len(before), rel=1e-5)
    assert row["after"] == pytest.approx(sum(after) / len(after), rel=1e-5)
    assert row["after"] != pytest.approx(row["before"], rel=1e-2)


def test_losses_around_updates_are_the_same_from_weights_kept_by_a_run(tmp_path: Path) -> None:
    """The second of two cells starts at its weights, the first at the beginning."""
    grid = ib.Grid(init="he_normal", width=20, depth=3, batch_size=16, steps=60, seed=[0, 1])
    with weights_kept([grid.cells[1].key], first_noted(60)) as kept:
        run = ib.run(grid, tmp_path, device="cpu", progress=False)
    device = torch.device("cpu")
    found = losses_around_updates(grid.cells, device, kept.states)
    pd.testing.assert_frame_equal(found, losses_around_updates(grid.cells, device))
    assert found["before"].tolist() == pytest.approx(run.cells["final_loss"].tolist(), rel=1e-7)


def test_reproduce_is_the_old_name_of_reproduce_book(tmp_path: Path) -> None:
    with pytest.warns(FutureWarning, match="reproduce is now reproduce_book"):
        made = ib.reproduce(tmp_path, only=["neuron"], progress=False)
    assert made.claims["claim"].tolist() == ["neuron-a", "neuron-z"]


def test_the_worked_neuron_gives_the_books_numbers(tmp_path: Path) -> None:
    claims = reproduce_book(tmp_path / "n", only=["neuron"], progress=False).claims.set_index(
        "claim"
    )
    assert claims.loc["neuron-a", "value"] == pytest.approx(0.32, abs=1e-6)
    assert claims.loc["neuron-z", "value"] == pytest.approx(0.3095, abs=1e-4)


def test_histogram_shares_add_up_to_one_where_the_range_holds_all() -> None:
    histograms, layers = measure_initial_activations(range(2))
    full = histograms[(histograms["range"] == "full") | (histograms["activation"] == "sigmoid")]
    total = full.groupby(["init", "activation", "layer"])["share"].sum()
    assert total.between(1 - 1e-9, 1 + 1e-9).all()
    assert layers.groupby(["init", "activation", "seed"]).size().eq(5).all()


def test_smoothing_is_the_books() -> None:
    import numpy as np

    x = np.random.default_rng(0).normal(size=100)
    padded = np.concatenate([x[10:0:-1], x, x[-2:-12:-1]])
    window = np.kaiser(11, 2)
    expected = np.convolve(window / window.sum(), padded, mode="valid")[5:-5]
    np.testing.assert_allclose(smooth(x), expected, rtol=1e-12)
