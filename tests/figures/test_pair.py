"""Figures of comparisons: the data in them, not pixels; frames and theme are left as they were."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from init_bench import figures
from init_bench.errors import InitBenchError

A, B = "he_normal", "torch.orthogonal"
PAIRS = {
    "a vs b": "the same bits",
    "c vs d": "the same distribution",
    "e vs f": "differs: std 2",
    "g vs h": "not compared: dirac refuses",
}
NULL = {"std ratio": 1.0, "KS distance": 0.0, "final loss": 0.0, "time": 1.0}


def table() -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for place, pair in enumerate(list(PAIRS)[:3]):
        for quantity, null in NULL.items():
            value = null + 0.1 * place
            verdict = "differs" if quantity in ("std ratio", "time") else "not told apart"
            rows.append({"quantity": quantity, "value": value, "verdict": verdict, "pair": pair})
        rows.append({"quantity": "mean loss", "value": -0.3, "verdict": "", "pair": pair})
        note = f"a: {place} of 3 seeds, b: 0 of 3"
        gone = "not told apart" if place else "none diverged"
        rows.append(
            {"quantity": "diverged", "value": 0, "verdict": gone, "note": note, "pair": pair}
        )
    frame = pd.DataFrame(rows).assign(a=A, b=B)
    frame["note"] = frame["note"].fillna("")
    return frame.assign(ci_low=frame["value"] - 0.05, ci_high=frame["value"] + 0.05)


def quantiles() -> pd.DataFrame:
    values = np.linspace(-1, 1, 20)
    sides = [
        pd.DataFrame(
            {"init": init, "shape": "square 8x8", "probability": values, "value": scale * values}
        )
        for init, scale in ((A, 1.0), (B, 2.0))
    ]
    return pd.concat(sides, ignore_index=True)


def curves() -> pd.DataFrame:
    random = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [[A, B], range(3), range(12)], names=["init", "seed", "step"]
    )
    return pd.DataFrame({"loss": random.uniform(1, 2, len(index))}, index=index).reset_index()


def outcomes(status: str = "ok") -> pd.DataFrame:
    index = pd.MultiIndex.from_product([[A, B], range(3)], names=["init", "seed"])
    losses = np.arange(6) ** 2 / 10
    frame = pd.DataFrame({"final_loss": losses, "mean_loss": 2 * losses}, index=index)
    return frame.assign(status=status).reset_index()


def pair_table() -> pd.DataFrame:
    frame = table()
    return frame[frame["pair"] == "a vs b"]


def pair_figure(**given: pd.DataFrame) -> Figure:
    frames = {"quantiles": quantiles(), "curves": curves(), "outcomes": outcomes()} | given
    return figures.pair_comparison(
        pair_table(),
        frames["quantiles"],
        frames["curves"],
        frames["outcomes"],
        title="a vs b\ndiffers: x; y",
    )


def points(ax: Axes, marker: str) -> list[tuple[float, float]]:
    lines = [line for line in ax.lines if line.get_marker() == marker]
    return [(float(x), float(y)) for line in lines for x, y in np.asarray(line.get_xydata())]


def titles(figure: Figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes]


def test_the_differences_of_every_seed_and_their_mean_are_drawn() -> None:
    ax = pair_figure().axes[3]
    final = [x for x, y in points(ax, "o") if y < 0.5]
    assert final == pytest.approx([(s**2 - (s + 3) ** 2) / 10 for s in range(3)])
    assert [x for x, _ in points(ax, "D")] == [0.0, -0.3]


def test_quantiles_of_a_stand_over_those_of_b() -> None:
    found = points(pair_figure().axes[1], ".")
    assert all(b == pytest.approx(2 * a) for b, a in found)
    assert len(found) == 20


def test_the_curves_are_the_means_over_seeds() -> None:
    ax = pair_figure().axes[2]
    mean = curves().groupby(["init", "step"])["loss"].mean()
    faint = [np.asarray(line.get_ydata()) for line in ax.lines if line.get_linewidth() == 0.5]
    assert [list(line) for line in faint] == [pytest.approx(list(mean[init])) for init in (A, B)]


def test_runs_that_diverged_are_counted_in_words_and_hide_no_curve() -> None:
    gone = outcomes()
    gone.loc[gone["init"] == B, "status"] = "diverged"
    gone.loc[gone["init"] == B, "final_loss"] = np.nan
    gone.loc[gone["init"] == B, "mean_loss"] = np.nan
    blown = curves()
    blown.loc[blown["init"] == B, "loss"] = np.float32(1e30)
    figure = pair_figure(curves=blown, outcomes=gone)
    assert figure.axes[2].get_ylim()[1] < 10
    assert any("diverged a:" in text.get_text() for text in figure.axes[3].texts)


def test_an_axis_cut_for_a_high_loss_says_so() -> None:
    high = curves()
    high.loc[high["step"] == 3, "loss"] = 1e6
    figure = pair_figure(curves=high)
    assert figure.axes[2].get_ylim()[1] == 10
    assert "not shown" in titles(figure)[2]


def test_what_was_not_drawn_or_trained_is_left_empty_with_the_reason() -> None:
    figure = pair_figure(quantiles=quantiles().iloc[:0], curves=curves().iloc[:0])
    said = [ax.texts[0].get_text() for ax in figure.axes]
    assert said == ["no weight that both can fill"] * 2 + ["not trained"] * 2


def test_equal_constants_can_be_drawn() -> None:
    flat = quantiles().assign(value=0.5)
    pair_figure(quantiles=flat).canvas.draw()


def test_the_forest_has_a_row_per_pair_at_its_value_in_the_color_of_its_verdict() -> None:
    figure = figures.forest(table(), PAIRS)
    assert [t.get_text().replace("\n", "") for t in figure.axes[0].get_yticklabels()] == list(PAIRS)
    colors = []
    for ax, (quantity, null) in zip(figure.axes, NULL.items(), strict=True):
        drawn = [line for line in ax.lines if line.get_marker() not in ("None", "", None)]
        assert [line.get_xdata()[0] for line in drawn] == pytest.approx(  # type: ignore[index]
            [null + 0.1 * place for place in range(3)]
        ), quantity
        colors.append([to_hex(line.get_color()) for line in drawn])
    assert all(row == colors[0] for row in colors)
    assert len(set(colors[0])) == 3


def test_a_number_that_tells_no_difference_is_open_in_a_pair_that_differs() -> None:
    axes = figures.forest(table(), PAIRS).axes
    faces = {
        quantity: [
            to_hex(str(line.get_markerfacecolor())) for line in ax.lines if line.get_marker() == "D"
        ]
        for ax, quantity in zip(axes, NULL, strict=True)
    }
    assert faces["KS distance"] == faces["final loss"] == ["#ffffff"]
    assert "#ffffff" not in faces["std ratio"] + faces["time"]


def test_the_forest_says_what_is_hollow_and_what_the_bars_are() -> None:
    said = " ".join(figures.forest(table(), PAIRS).get_supxlabel().split())
    assert "Hollow: this number shows no difference" in said
    assert "Bars: intervals of 99.9 % for draws, 95 % for training, 96 % for time" in said


def test_ratios_that_span_decades_are_drawn_on_a_log_axis() -> None:
    wide = table()
    wide.loc[wide["quantity"] == "time", "value"] = [0.05, 1.0, 20.0]
    axes = figures.forest(wide, PAIRS).axes
    assert [ax.get_xscale() for ax in axes] == ["linear", "linear", "linear", "log"]


def test_divergence_is_written_where_there_is_any() -> None:
    said = [text.get_text() for text in figures.forest(table(), PAIRS).axes[2].texts]
    assert said == [f"diverged a: {place} of 3 seeds, b: 0 of 3" for place in (1, 2)]


def test_frames_and_theme_are_left_as_they_were() -> None:
    frames = [pair_table(), quantiles(), curves(), outcomes(), table()]
    before, theme = [frame.copy(deep=True) for frame in frames], dict(mpl.rcParams)
    figures.pair_comparison(*frames[:4], title="")
    figures.forest(frames[4], PAIRS)
    assert all(frame.equals(old) for frame, old in zip(frames, before, strict=True))
    assert dict(mpl.rcParams) == theme


@pytest.mark.parametrize("column", ["pair", "quantity", "value", "ci_low", "ci_high", "note"])
def test_a_table_without_a_column_is_refused(column: str) -> None:
    with pytest.raises(InitBenchError, match=column):
        figures.forest(table().drop(columns=column), PAIRS)
    if column != "pair":
        with pytest.raises(InitBenchError, match=column):
            figures.pair_comparison(
                pair_table().drop(columns=column), quantiles(), curves(), outcomes(), title=""
            )
