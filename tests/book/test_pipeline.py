"""The book: the stored results, a short run and what the section's numbers should be."""

from pathlib import Path

import pandas as pd
import pytest

import init_bench as ib
from init_bench.book.figures import FIGURES
from init_bench.book.initial_activations import first_look
from init_bench.book.pipeline import reproduce
from init_bench.figures import smooth

STORED = Path(__file__).parents[2] / "results" / "book"
PUBLISHED = {
    ("normal(std=0.01)", 100): (2.3022, 0.0005),
    ("normal(std=0.01)", 500): (2.3016, 0.0005),
    ("normal(std=0.01)", 1000): (2.3013, 0.0005),
    ("normal(std=0.01)", 1975): (2.3011, 0.0005),
    ("lecun_normal", 100): (2.2475, 0.013),
    ("lecun_normal", 500): (0.953, 0.175),
    ("lecun_normal", 1000): (0.429, 0.022),
    ("lecun_normal", 1975): (0.290, 0.011),
    ("he_normal", 100): (1.482, 0.115),
    ("he_normal", 500): (0.385, 0.013),
    ("he_normal", 1000): (0.271, 0.012),
    ("he_normal", 1975): (0.196, 0.008),
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


def test_stored_claims_are_those_of_the_section() -> None:
    claims = pd.read_parquet(STORED / "claims.parquet").set_index("claim")
    failed = set(claims.index[claims["verdict"] != "holds"])
    assert failed == {"std-1-sigmoid-gradients-vanish"}


def test_every_figure_is_stored_as_png_and_svg() -> None:
    found = {path.name for path in (STORED / "figures").iterdir()}
    drawn = [name for name, figure in FIGURES.items() if figure.draw]
    assert found == {f"{name}.{kind}" for name in drawn for kind in ("png", "svg")}


def test_one_figure_needs_no_training(tmp_path: Path) -> None:
    made = reproduce(tmp_path / "one", only=["6-10"], seeds=2, device="cpu", progress=False)
    assert [path.name for path in made.figures] == ["6-10.png"]
    assert made.claims["claim"].tolist() == ["std-1-sigmoid-piles-up"]
    assert list((tmp_path / "one" / "cells").iterdir()) == []
    again = reproduce(tmp_path / "one", only=["6-11"], seeds=2, device="cpu", progress=False)
    assert [path.name for path in again.figures] == ["6-11.png"]


def test_a_figure_made_alone_keeps_the_claims_of_the_others(tmp_path: Path) -> None:
    for name in ("6-10", "6-14"):
        reproduce(tmp_path / "b", only=[name], seeds=2, device="cpu", progress=False)
    assert set(pd.read_parquet(tmp_path / "b" / "claims.parquet")["figure"]) == {"6-10", "6-14"}


def test_the_same_book_twice_gives_the_same_bits(tmp_path: Path) -> None:
    options = {"seeds": 2, "steps": 6, "device": "cpu", "progress": False}
    books = [reproduce(tmp_path / name, **options) for name in "ab"]  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(books[0].claims, books[1].claims, check_exact=True)
    for path in (tmp_path / "a" / "figures").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "figures" / path.name).read_bytes()


def test_the_worked_neuron_gives_the_books_numbers(tmp_path: Path) -> None:
    claims = reproduce(tmp_path / "n", only=["neuron"], progress=False).claims.set_index("claim")
    assert claims.loc["neuron-a", "value"] == pytest.approx(0.32, abs=1e-6)
    assert claims.loc["neuron-z", "value"] == pytest.approx(0.3095, abs=1e-4)


def test_histogram_shares_add_up_to_one_where_the_range_holds_all() -> None:
    histograms, layers = first_look(range(2))
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
