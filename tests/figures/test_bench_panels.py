"""The figures of the benchmark show the numbers of their tables."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from init_bench import InitBenchError, figures
from init_bench.figures.bench_panels import OUTCOMES

ARMS = pd.DataFrame(
    [
        {"init": init, "outcome": outcome, "value": v, "ci_low": v - 0.1, "ci_high": v + 0.2}
        for init, v in (("a", 0.5), ("b", 1.5))
        for outcome in OUTCOMES
    ]
)
CURVES = pd.DataFrame(
    [
        {"init": init, "seed": seed, "step": step, "loss": 2.0 - 0.01 * step + 0.1 * seed}
        for init in "ab"
        for seed in range(3)
        for step in range(40)
    ]
)


def test_a_task_is_drawn_with_values_intervals_and_curves() -> None:
    figure = figures.bench_task(
        ARMS, CURVES, order=["a", "b"], use=["a"], shown=["a", "b"], caption="A task."
    )
    losses, *_, curves = figure.axes
    intervals, points = losses.lines[::2], losses.lines[1::2]
    assert [np.asarray(line.get_xdata()).tolist() for line in points] == [[0.5], [1.5]]
    assert np.asarray(intervals[0].get_xdata()).tolist() == [0.4, 0.7]
    assert [line.get_markerfacecolor() for line in points] == ["#0072B2", "none"]
    steps, means = np.asarray(curves.lines[0].get_xydata()).T
    assert steps.tolist() == [5, 15, 25, 35]
    assert means == pytest.approx([2.1 - 0.01 * (step - 0.5) for step in steps])
    assert "A task." in figure.get_supxlabel()
    legend = curves.get_legend()
    assert legend and legend.get_frame_on()  # its names are read where a curve passes below


def test_where_losses_count_at_most_chances_the_figure_says_so_beside_its_curves() -> None:
    def drawn(chance: float | None) -> Figure:
        return figures.bench_task(
            ARMS, CURVES, order=["a"], use=[], shown=["a"], caption="", chance=chance
        )

    without, with_chance = drawn(None), drawn(1.25)
    assert len(with_chance.axes[3].lines) == len(without.axes[3].lines) + 1
    assert np.asarray(with_chance.axes[3].lines[-1].get_ydata()).tolist() == [1.25, 1.25]
    caption = " ".join(with_chance.get_supxlabel().split())
    assert "Loss at the end: at most chance's, 1.25 (dotted)" in caption
    assert "chance" not in without.get_supxlabel()


def test_no_band_of_losses_reaches_below_zero() -> None:
    wild = CURVES.assign(loss=np.where(CURVES["seed"] == 0, 3.0, 0.01))
    figure = figures.bench_task(ARMS, wild, order=["a"], use=[], shown=["a"], caption="")
    (band,) = figure.axes[3].collections
    lows = np.concatenate([np.asarray(path.vertices)[:, 1] for path in band.get_paths()])
    assert lows.min() == 0


def test_arms_without_an_outcome_have_no_marker_there() -> None:
    part = ARMS[(ARMS["init"] == "a") | (ARMS["outcome"] != "final_loss")]
    figure = figures.bench_task(part, CURVES, order=["a", "b"], use=[], shown=["a"], caption="")
    assert len(figure.axes[0].lines) == 2
    assert len(figure.axes[1].lines) == 4


def test_ranks_are_drawn_with_bars_over_those_that_do_not_differ() -> None:
    ranks = pd.Series({"a": 1.0, "b": 1.5, "c": 2.2, "d": 4.0})
    figure = figures.rank_diagram(ranks, critical_difference=1.0, caption="Ranks.")
    points, *bars = figure.axes[0].lines
    assert np.asarray(points.get_xdata()).tolist() == [1.0, 1.5, 2.2, 4.0]
    assert [np.asarray(bar.get_ydata()).tolist() for bar in bars] == [[0, 1], [1, 2]]
    assert "1.00 apart" in " ".join(figure.get_supxlabel().split())


def test_without_a_test_no_bar_is_drawn() -> None:
    ranks = pd.Series({"a": 1.0, "b": 2.0})
    figure = figures.rank_diagram(ranks, critical_difference=float("nan"), caption="Ranks.")
    assert len(figure.axes[0].lines) == 1


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(InitBenchError, match="no ranks"):
        figures.rank_diagram(pd.Series(dtype=float), critical_difference=1.0, caption="")
