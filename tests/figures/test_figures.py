"""Figures: the data in them, not pixels; frames and theme are left as they were."""

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from init_bench import figures
from init_bench.errors import InitBenchError
from init_bench.figures.curves import draw_losses

INITS = ("normal(std=0.01)", "lecun_normal", "torch.orthogonal")
SEEDS, STEPS, LAYERS, BINS = 3, 30, 2, 5


def product_frame(**axes: Any) -> pd.DataFrame:
    """Return a row for every combination of the axes' values."""
    rows = list(itertools.product(*axes.values()))
    return pd.DataFrame(rows, columns=list(axes))


def random(number: int) -> np.ndarray:
    return np.random.default_rng(number).uniform(0.1, 1.0, number)


def histogram_frame() -> pd.DataFrame:
    centers = (np.arange(BINS) + 0.5) / BINS
    frame = product_frame(init=INITS, layer=[1, 2], range=["book", "full"], centre=centers)
    share = random(len(frame)) / 4
    return frame.assign(activation="tanh", width=0.2, share=share, std=0.3, sample_std=0.2, seeds=3)


def loss_frame() -> pd.DataFrame:
    frame = product_frame(init=INITS, seed=range(SEEDS), step=range(STEPS))
    return frame.assign(loss=(3 * random(len(frame))).astype(np.float32))


def distinct_frame() -> pd.DataFrame:
    frame = product_frame(init=INITS, seed=range(SEEDS), step=[0, 10, 30], layer=["fc1", "fc2"])
    return frame.assign(distinct=np.round(100 * random(len(frame))))


def gradient_frame() -> pd.DataFrame:
    axes = {"init": INITS, "activation": ["relu", "tanh"], "seed": range(SEEDS)}
    frame = product_frame(**axes, depth_index=[1, 2, 3])
    return frame.assign(rms=random(len(frame)))


def spread_frame() -> pd.DataFrame:
    axes = {"init": INITS, "activation": ["relu", "tanh"], "seed": range(SEEDS)}
    frame = product_frame(**axes, layer=[1, 2, 3])
    return frame.assign(std=random(len(frame)), sample_std=random(len(frame)) / 2)


def captured_frame() -> pd.DataFrame:
    """Return tables as ``capture`` gives them, stacked: their row labels repeat."""
    layers = [("fc1", 1), ("act1", 2), ("fc2", 3), ("act2", 4), ("fc3", 5)]
    frame = product_frame(init=INITS, seed=range(SEEDS), place=layers, kind=["output", "gradient"])
    frame[["layer", "index"]] = frame["place"].tolist()
    kinds = np.where(frame["index"] % 2 == 0, "activation", "pre_activation")
    frame["kind"] = np.where(frame["kind"] == "output", kinds, "gradient")
    columns = {name: random(len(frame) + at)[: len(frame)] for at, name in enumerate(STATISTICS)}
    return frame.drop(columns="place").assign(**columns).set_index(frame.index % 10)


def expected_frame() -> pd.DataFrame:
    frame = captured_frame()
    return frame[frame["seed"] == 1].drop(columns="seed").reset_index(drop=True)


def change_frame() -> pd.DataFrame:
    layers = [("fc1", 1), ("act1", 2)]
    axes = {"width": [16, 64, 256], "seed": range(SEEDS), "step": [0, 1, 2], "place": layers}
    frame = product_frame(**axes)
    frame[["layer", "index"]] = frame["place"].tolist()
    return frame.drop(columns="place").assign(change=random(len(frame)))


def slope_frame() -> pd.DataFrame:
    frame = pd.DataFrame(
        {"layer": ["fc1", "act1"], "slope": [0.5, np.nan], "low": 0.3, "high": 0.7}
    )
    return frame.assign(verdict=["blows up", "does not move"])


def profile_frame() -> pd.DataFrame:
    frame = pd.DataFrame({"layer": ["fc1", "act1", "fc2", "pool"], "index": [1, 2, 3, 4]})
    spread = random(4)
    return frame.assign(
        step=0, nonlinear=[False, True, False, False], weight_gain=[1.0, np.nan, 0.9, np.nan],
        std=2 * spread, sample_std=spread, gradient=spread / 10,
    )  # fmt: skip


def verdict_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "step": 0,
            "layer": ["fc1", "act1", "(network)"],
            "verdict": ["nonfinite", "vanishing_gradient", "healthy"],
            "severity": ["bad", "bad", "ok"],
            "cause": ["", "fc1", ""],
        }
    )


def share_frame(layers: int = 4) -> pd.DataFrame:
    frame = product_frame(step=[0], index=range(1, layers + 1), centre=np.linspace(-4, 4, BINS))
    return frame.assign(share=random(len(frame)))


def ranking_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "init": ["he_normal", "lecun_normal", "zeros"],
            "loss": [0.1, 0.4, np.inf],
            "ci_low": [0.05, 0.3, np.inf],
            "ci_high": [0.15, 0.5, np.inf],
            "differs": [False, True, True],
        }
    )


coordinate_curves = functools.partial(figures.coordinate_curves, tolerance=0.2)

STATISTICS = ("std", "sample_std", "correlation")
Draw = Callable[..., Figure]
FIGURES: dict[str, tuple[Draw, tuple[Callable[[], pd.DataFrame], ...]]] = {
    "activation_histograms": (figures.activation_histograms, (histogram_frame,)),
    "loss_curves": (figures.loss_curves, (loss_frame,)),
    "symmetry": (figures.symmetry, (distinct_frame, loss_frame)),
    "gradients": (figures.gradients, (gradient_frame,)),
    "coordinate_curves": (coordinate_curves, (change_frame, slope_frame)),
    "depth_profile": (figures.depth_profile, (captured_frame, expected_frame)),
    "expressiveness": (figures.expressiveness, (spread_frame,)),
    "ranked_losses": (figures.ranked_losses, (ranking_frame,)),
    "diagnosis": (figures.diagnosis, (profile_frame, verdict_frame, share_frame)),
}
COLUMNS = [
    (name, position, column)
    for name, (_, makers) in FIGURES.items()
    for position, make in enumerate(makers)
    for column in make().columns
    if (name, column) != ("activation_histograms", "activation")  # said in the caption
]


@functools.cache
def drawn(name: str) -> Figure:
    """Return a figure to read: drawn once, do not change it."""
    draw, makers = FIGURES[name]
    return draw(*(make() for make in makers), caption="What it shows.")


def axes_of(figure: Figure) -> list[Axes]:
    """Return all axes, those of subfigures too, in the order they were made."""
    return list(figure.axes)


def lines_of(ax: Axes) -> dict[str, np.ndarray]:
    """Return x and y of the labeled lines that hold data."""
    lines = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in lines}


def spec_of(label: str) -> str:
    """Return the initializer's spec without the book's word behind it."""
    return label.split(" (book")[0]


def assert_lines_are(ax: Axes, expected: pd.Series) -> None:
    """Compare the labeled lines with means indexed by (init, x)."""
    lines = {spec_of(label): points for label, points in lines_of(ax).items()}
    assert list(lines) == list(INITS)
    found = {init: dict(points) for init, points in lines.items()}
    assert found == {init: pytest.approx(expected[init].to_dict()) for init in INITS}


ELSEWHERE = {
    *("smooth", "pair_comparison", "forest", "claim_verdicts", "captured_layers", "parameter_stds"),
    *("parameter_states", "rate_curves", "bench_task", "rank_diagram"),
    *("Panel", "measured_and_expected"),
}
"""Public names of the package that this file does not test, or that have a file of their own."""


def test_every_public_figure_is_tested() -> None:
    assert set(FIGURES) == set(figures.__all__) - ELSEWHERE


@pytest.mark.parametrize("name", FIGURES)
def test_the_frames_are_left_as_they_were(name: str) -> None:
    draw, makers = FIGURES[name]
    frames = [make() for make in makers]
    before = [frame.copy(deep=True) for frame in frames]
    draw(*frames, caption="")
    assert all(frame.equals(old) for frame, old in zip(frames, before, strict=True))
    assert all(list(f.columns) == list(b.columns) for f, b in zip(frames, before, strict=True))


@pytest.mark.parametrize("name", FIGURES)
def test_the_global_theme_is_left_as_it_was(name: str) -> None:
    before = dict(mpl.rcParams)
    drawn.__wrapped__(name)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_outside_pyplots_state(name: str) -> None:
    figure = drawn(name)
    assert type(figure) is Figure
    assert "FigureCanvasBase" in type(figure.canvas).__name__


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_rendered_without_a_warning(name: str, tmp_path: Path) -> None:
    drawn(name).savefig(tmp_path / "figure.png", dpi=40)
    assert (tmp_path / "figure.png").stat().st_size > 1000


ONE_PANEL = ("loss_curves", "ranked_losses")
"""Figures that take ``ax`` in place of ``figure``."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIGURES if name not in ONE_PANEL])
def test_a_figure_is_drawn_into_a_part_of_the_callers(name: str, tmp_path: Path) -> None:
    draw, makers = FIGURES[name]
    whole = Figure(figsize=(24, 8), layout="constrained")
    left, right = whole.subfigures(1, 2, squeeze=False)[0]
    found = draw(*(make() for make in makers), caption="What it shows.", figure=right)
    assert found is whole
    assert len(whole.axes) == len(drawn(name).axes) and not left.axes
    assert "What it shows." in right.get_supxlabel()
    whole.savefig(tmp_path / "figure.png", dpi=40)


@pytest.mark.parametrize("name", FIGURES)
def test_the_caption_is_written_below(name: str) -> None:
    figure = drawn(name)
    assert "What it shows." in figure.get_supxlabel()
    seeds = "" if name in ("diagnosis", "ranked_losses") else "3 seeds"
    assert seeds in " ".join(figure.get_supxlabel().split())


@pytest.mark.parametrize(("name", "position", "column"), COLUMNS)
def test_a_missing_column_is_named(name: str, position: int, column: str) -> None:
    draw, makers = FIGURES[name]
    frames = [make() for make in makers]
    frames[position] = frames[position].drop(columns=column)
    with pytest.raises(InitBenchError, match=rf"the frame lacks {column}; it has "):
        draw(*frames, caption="")


@pytest.mark.parametrize("name", FIGURES)
def test_a_frame_without_rows_is_refused(name: str) -> None:
    draw, makers = FIGURES[name]
    with pytest.raises(InitBenchError, match="the frame has no rows to draw"):
        draw(*(make().iloc[:0] for make in makers), caption="")


def test_the_coordinate_curves_are_the_mean_change_at_the_last_step() -> None:
    frame = change_frame().query("step == 2")
    figure = coordinate_curves(change_frame(), slope_frame(), caption="")
    lines = [dict(np.asarray(line.get_xydata())) for line in figure.axes[0].lines]
    means = frame.groupby(["index", "width"])["change"].mean()
    assert lines == [pytest.approx(means[index].to_dict()) for index in (1, 2)]


def test_each_layers_slope_stands_at_its_name_with_interval_and_verdict() -> None:
    slopes = coordinate_curves(change_frame(), slope_frame(), caption="").axes[1]
    assert [label.get_text() for label in slopes.get_yticklabels()] == ["fc1", "act1"]
    assert {name: points.tolist() for name, points in lines_of(slopes).items()} == {
        "blows up": [[0.5, 0]], "does not move": [[0, 1]],
    }  # fmt: skip
    (bar, nothing) = (bars.get_paths() for bars in slopes.collections)
    assert [np.asarray(path.vertices).tolist() for path in bar] == [
        [[0.3, 0], [0.7, 0]]
    ] and not nothing


def test_changes_that_are_all_nan_or_0_are_drawn(tmp_path: Path) -> None:
    for value in (np.nan, 0.0):
        frame = change_frame().assign(change=value)
        coordinate_curves(frame, slope_frame(), caption="").savefig(tmp_path / "figure.png")


def test_of_many_layers_only_the_means_are_drawn_and_every_slope_is_named() -> None:
    layers = [f"fc{at}" for at in range(30)]
    one = change_frame().query("layer == 'fc1'")
    rows = pd.concat([one.assign(layer=name, index=at) for at, name in enumerate(layers)])
    slopes = pd.DataFrame({"layer": layers, "slope": 9.0, "low": -99.0, "high": 99.0})
    figure = coordinate_curves(rows, slopes.assign(verdict="undecided"), caption="")
    assert not figure.axes[0].collections and len(figure.axes[0].lines) == 30
    assert len(figure.axes[1].get_yticklabels()) == 30


def steps_of(ax: Axes) -> StepPatch:
    """Return the histogram of an axes."""
    (steps,) = (patch for patch in ax.patches if isinstance(patch, StepPatch))
    return steps


def panels_of(figure: Figure) -> list[Axes]:
    """Return the axes that hold a histogram."""
    return [ax for ax in axes_of(figure) if ax.patches]


def test_the_bars_are_the_shares() -> None:
    frame = histogram_frame()
    figure = figures.activation_histograms(frame, caption="")
    expected = [
        part.sort_values("centre")["share"].tolist()
        for _, part in frame.groupby(["range", "init", "layer"], sort=False)
    ]
    found = [list(steps_of(ax).get_data()[0]) for ax in panels_of(figure)]
    # Panels come range by range; inside one a row per init, inside that a column per layer.
    by_range = frame.groupby("range", sort=False).ngroups * len(INITS) * LAYERS
    assert len(found) == by_range
    assert sorted(found) == [pytest.approx(heights) for heights in sorted(expected)]


def test_the_bars_stand_on_their_bins() -> None:
    figure = figures.activation_histograms(histogram_frame(), caption="")
    edges = [list(steps_of(ax).get_data()[1]) for ax in panels_of(figure)]
    assert edges == [pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0], abs=1e-12)] * len(edges)
    assert edges


def test_a_bar_that_is_cut_has_its_share_written_on_it() -> None:
    frame = histogram_frame().assign(share=0.01)
    frame.loc[0, "share"] = 0.87
    figure = figures.activation_histograms(frame, caption="")
    written = [text.get_text() for ax in axes_of(figure) for text in ax.texts]
    assert [text for text in written if text.endswith("%")] == ["87%"]


def test_the_loss_lines_are_the_smoothed_mean_over_seeds() -> None:
    frame = loss_frame()
    mean = frame.groupby(["init", "step"])["loss"].mean()
    smoothed = mean.groupby("init").transform(lambda part: figures.smooth(part.to_numpy(float)))
    figure = figures.loss_curves(frame, caption="")
    assert_lines_are(figure.axes[0], smoothed)


def test_the_faint_loss_lines_are_the_mean_itself() -> None:
    frame = loss_frame()
    mean = frame.groupby(["init", "step"])["loss"].mean()
    figure = figures.loss_curves(frame, caption="")
    drawn_y = [np.asarray(line.get_ydata(), dtype=float) for line in figure.axes[0].lines]
    curves = [mean[init].to_numpy(float) for init in INITS]
    shown = [any(y.shape == m.shape and np.allclose(y, m) for y in drawn_y) for m in curves]
    assert shown == [True] * len(INITS)


def test_the_loss_band_is_one_standard_deviation_over_seeds() -> None:
    frame = loss_frame().query(f"init == {INITS[0]!r}")
    by_step = frame.groupby("step")["loss"]
    mean, sd = (figures.smooth(s.to_numpy(float)) for s in (by_step.mean(), by_step.std(ddof=1)))
    figure = figures.loss_curves(frame, caption="")
    (band,) = figure.axes[0].collections
    y = np.asarray(band.get_paths()[0].vertices)[:, 1]
    expected = [(mean - sd).min(), (mean + sd).max()]
    assert [y.min(), y.max()] == pytest.approx(expected, rel=1e-5)


def test_a_curve_that_ends_early_is_drawn_as_far_as_it_goes() -> None:
    frame = loss_frame()
    frame = frame[(frame["init"] != INITS[0]) | (frame["step"] < 12)]
    lines = lines_of(figures.loss_curves(frame, caption="").axes[0])
    assert lines[INITS[0]][:, 0].tolist() == list(range(12))
    assert np.isfinite(lines[INITS[0]]).all()


def test_no_loss_that_equals_another_hides_it() -> None:
    """What is drawn later has gaps, and of two lines of one dash the gaps lie apart."""
    one = loss_frame().query(f"init == {INITS[0]!r}")
    for over, under in (("he_normal", "lecun_normal"), ("normal(std=0.01)", "lecun_normal")):
        for order in ([over, under], [under, over]):
            ax = figures.loss_curves(pd.concat([one.assign(init=i) for i in order]), caption="")
            found = {line.get_label(): line for line in ax.axes[0].lines}
            above, below = (found[figures.style.label_of(init)] for init in (over, under))
            assert above.get_zorder() > below.get_zorder()
    twins = ["normal(std=0.01)", "zeros"]
    ax = figures.loss_curves(pd.concat([one.assign(init=i) for i in twins]), caption="")
    found = {line.get_label(): line for line in ax.axes[0].lines}
    first, second = (found[init]._unscaled_dash_pattern for init in twins)  # type: ignore[attr-defined]
    assert first[1] == second[1] and first[0] != second[0]


def visible_share(hidden: Any, over: list[Any], points: int = 2600) -> float:
    """Return the share of a line's length that is not covered by lines as wide or wider."""

    def drawn(line: Any) -> np.ndarray:
        offset, dashes = line._unscaled_dash_pattern
        at = np.arange(points) / 100 + offset
        if dashes is None:
            return np.ones(points, bool)
        ends = np.cumsum(dashes)
        return np.asarray(np.searchsorted(ends, at % ends[-1], side="right") % 2 == 0)

    covering = [line for line in over if line.get_linewidth() >= hidden.get_linewidth()]
    covered = np.any([drawn(line) for line in covering], axis=0) if covering else False
    return float((drawn(hidden) & ~np.asarray(covered)).mean())


@pytest.mark.parametrize(
    "inits",
    [
        ("lecun_normal", "my_init"),  # both solid
        ("lecun_normal", "normal(std=0.01)", "zeros"),  # a solid line and two of one dash
        ("lecun_normal", "he_normal", "normal(std=0.01)", "normal(std=1)"),
    ],
)
def test_of_equal_losses_every_line_is_seen(inits: tuple[str, ...]) -> None:
    one = loss_frame().query(f"init == {INITS[0]!r}")
    solid = {"my_init": {"color": "#000000", "linestyle": "-", "marker": "v"}}
    ax = Figure().subplots()
    draw_losses(ax, pd.concat([one.assign(init=init) for init in inits]), solid)
    labels = [figures.style.label_of(init) for init in inits]
    lines = [line for line in ax.lines if line.get_label() in labels]
    assert len(lines) == len(inits)
    for line in lines:
        over = [other for other in lines if other.get_zorder() > line.get_zorder()]
        assert visible_share(line, over) > 0.1


def test_markers_of_equal_losses_stand_apart() -> None:
    one = loss_frame().query(f"init == {INITS[0]!r}")
    frame = pd.concat([one.assign(init=init) for init in ("lecun_normal", "he_normal")])
    ax = figures.loss_curves(frame, caption="").axes[0]
    starts = [line.get_markevery()[0] for line in ax.lines if line.get_markevery()]  # type: ignore[index]
    assert len(set(starts)) == 2


def test_a_layer_that_is_a_function_is_explained() -> None:
    rename = {"act1": "block:relu"}
    coordinates = coordinate_curves(
        change_frame().replace({"layer": rename}), slope_frame().replace({"layer": rename}),
        caption="",
    )  # fmt: skip
    said = " ".join(coordinates.get_supxlabel().split())
    assert "block:relu: function relu, called in the forward of block." in said
    diagnosis = figures.diagnosis(
        profile_frame().replace({"layer": rename}), verdict_frame().replace({"layer": rename}),
        share_frame(), caption="",
    )  # fmt: skip
    assert any("block:relu: function relu" in ax.get_xlabel() for ax in diagnosis.axes)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("loss_curves", "band: ±1 standard deviation over seeds"),
        ("symmetry", "band ±1 standard deviation over seeds"),
        ("gradients", "band: lowest to highest seed"),
        ("expressiveness", "band: lowest to highest seed"),
        ("depth_profile", "band: lowest to highest seed"),
        ("coordinate_curves", "band: lowest to highest seed"),
    ],
)
def test_the_caption_says_what_a_band_is(name: str, words: str) -> None:
    assert words in " ".join(drawn(name).get_supxlabel().split())


@pytest.mark.parametrize("name", figures.__all__)
def test_every_public_function_is_documented_with_an_example(name: str) -> None:
    doc = getattr(figures, name).__doc__
    others = {"smooth": ("Source:", "Example:"), "Panel": ("Attributes:", "Example:")}
    titles = others.get(name, ("Args:", "Raises:"))
    assert all(title in doc for title in titles)
    # the figure of a diagnosis shows its example where diagnose does
    assert ">>> " in doc or name == "diagnosis"


def test_the_loss_of_one_seed_has_a_line() -> None:
    frame = loss_frame().query("seed == 0")
    figure = figures.loss_curves(frame, caption="")
    assert all(np.isfinite(points).all() for points in lines_of(figure.axes[0]).values())
    assert "1 seed," in " ".join(figure.get_supxlabel().split())


def test_losses_that_stay_below_chance_are_drawn_without_a_warning(tmp_path: Path) -> None:
    low = loss_frame().assign(loss=lambda frame: frame["loss"] / 10)
    figure = figures.loss_curves(low, caption="What it shows.")
    figure.savefig(tmp_path / "figure.png", dpi=40)
    assert figure.axes[0].get_position().width > 0.5


def test_symmetry_draws_the_most_distinct_units_of_any_layer() -> None:
    frame = distinct_frame()
    most = frame.groupby(["init", "seed", "step"])["distinct"].max()
    figure = figures.symmetry(frame, loss_frame(), caption="")
    assert_lines_are(figure.axes[0], most.groupby(["init", "step"]).mean())


def test_markers_of_symmetry_are_of_one_size() -> None:
    figure = figures.symmetry(distinct_frame(), loss_frame(), caption="")
    assert len({line.get_markersize() for line in figure.axes[0].lines}) == 1


@pytest.mark.parametrize(("position", "activation"), [(0, "relu"), (1, "tanh")])
@pytest.mark.parametrize(
    ("draw", "make_frame", "depth", "column"),
    [
        (figures.gradients, gradient_frame, "depth_index", "rms"),
        (figures.expressiveness, spread_frame, "layer", "sample_std"),
    ],
    ids=["gradients", "expressiveness"],
)
def test_lines_over_depth_are_the_mean_over_seeds(
    draw: Any, make_frame: Any, depth: str, column: str, position: int, activation: str
) -> None:
    frame = make_frame()
    part = frame[frame["activation"] == activation]
    ax = draw(frame, caption="").axes[position]
    assert ax.get_title() == activation
    assert_lines_are(ax, part.groupby(["init", depth])[column].mean())


def test_expressiveness_draws_the_std_faintly() -> None:
    frame = spread_frame()
    part = frame[frame["activation"] == "relu"]
    expected = part.groupby(["init", "layer"])["std"].mean()
    faint = figures.expressiveness(frame, caption="").axes[0].lines
    drawn_y = [np.asarray(line.get_ydata(), dtype=float) for line in faint]
    curves = [expected[init].to_numpy() for init in INITS]
    shown = [any(y.shape == m.shape and np.allclose(y, m) for y in drawn_y) for m in curves]
    assert shown == [True] * len(INITS)


def relative_gradients(frame: pd.DataFrame, network: list[str]) -> pd.DataFrame:
    """Return the gradient at each hidden activation over that of the same network's logits."""
    wide = frame[frame["kind"] == "gradient"].pivot(index=network, columns="layer", values="std")
    return wide[["act1", "act2"]].div(wide["fc3"], axis=0)


@pytest.mark.parametrize(("panel", "column"), [(0, "sample_std"), (1, "correlation")])
def test_the_depth_profile_draws_the_mean_over_seeds(panel: int, column: str) -> None:
    frame = captured_frame()
    frame = frame[frame["kind"] == "activation"].assign(depth=lambda f: f["index"] / 2)
    ax = figures.depth_profile(captured_frame(), caption="").axes[panel]
    lines = {label.removesuffix(", measured"): points for label, points in lines_of(ax).items()}
    for label, points in lines.items():
        part = frame[frame["init"] == spec_of(label)]
        assert dict(points) == pytest.approx(part.groupby("depth")[column].mean().to_dict())
    assert len(lines) == len(INITS)


def test_the_depth_profile_draws_gradients_relative_to_the_logits() -> None:
    expected = relative_gradients(captured_frame(), ["init", "seed"]).groupby("init").mean()
    ax = figures.depth_profile(captured_frame(), caption="").axes[2]
    for label, points in lines_of(ax).items():
        row = expected.loc[spec_of(label.removesuffix(", measured"))]
        assert points[:, 1] == pytest.approx(row.to_numpy())


@pytest.mark.parametrize(("panel", "column"), [(0, "sample_std"), (1, "correlation"), (2, "std")])
def test_theory_is_dashed_beside_measured(panel: int, column: str) -> None:
    theory = expected_frame()
    ax = figures.depth_profile(captured_frame(), theory, caption="").axes[panel]
    dashed = [np.asarray(line.get_ydata()) for line in ax.lines if line.get_color() == "black"]
    rows = theory[theory["kind"] == "activation"]
    expected = [part[column].to_numpy() for _, part in rows.groupby("init", sort=False)]
    if column == "std":
        expected = list(relative_gradients(theory, ["init"]).loc[list(INITS)].to_numpy())
    assert [pytest.approx(y) for y in dashed] == expected
    assert [line.get_linestyle() for line in ax.lines if line.get_color() == "black"] == ["--"] * 3


def test_a_profile_without_gradients_or_theory_is_drawn(tmp_path: Path) -> None:
    frame = captured_frame().query("kind != 'gradient'")
    figure = figures.depth_profile(frame, caption="")
    figure.savefig(tmp_path / "figure.png", dpi=40)
    assert len(lines_of(figure.axes[0])) == len(INITS)
    assert "Dashed" not in figure.get_supxlabel()


@pytest.mark.parametrize("name", ["loss_curves", "gradients", "expressiveness"])
def test_the_books_word_stands_beside_ours(name: str) -> None:
    labels = [label for ax in drawn(name).axes for label in lines_of(ax)]
    assert 'lecun_normal (book: "Xavier")' in labels


@pytest.mark.parametrize("name", ["loss_curves", "gradients", "expressiveness"])
def test_initializers_are_told_apart_without_color(name: str) -> None:
    lines = [
        line for line in drawn(name).axes[0].lines if not str(line.get_label()).startswith("_")
    ]
    looks = {(str(line.get_marker()), str(line.get_linestyle())) for line in lines}
    assert len({marker for marker, _ in looks}) == len(INITS)


@pytest.mark.parametrize("steps", [1, 5, 11, 200])
def test_smoothing_keeps_length_and_a_constant(steps: int) -> None:
    assert figures.smooth(np.full(steps, 2.5)) == pytest.approx(np.full(steps, 2.5))


def test_smoothing_is_the_books() -> None:
    curve = random(40)
    window = np.kaiser(11, 2)
    padded = np.r_[curve[10:0:-1], curve, curve[-2:-12:-1]]
    expected = np.convolve(padded, window / window.sum(), mode="valid")[5:-5]
    assert figures.smooth(curve) == pytest.approx(expected)


def test_a_ranking_has_a_hollow_marker_for_what_is_worse_and_none_for_what_diverged() -> None:
    (ax,) = figures.ranked_losses(ranking_frame(), caption="").axes
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    assert [tuple(np.ravel(line.get_xydata())) for line in marks] == [(0.1, 0), (0.4, 1)]
    assert [line.get_markerfacecolor() == "none" for line in marks] == [False, True]
    assert [text.get_text() for text in ax.get_yticklabels()] == ranking_frame()["init"].tolist()


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("loss_curves", lambda: FIGURES["loss_curves"][1][0]()),
        ("ranked_losses", lambda: FIGURES["ranked_losses"][1][0]()),
        (
            "parameter_stds",
            lambda: pd.DataFrame({"parameter": ["w"], "std_nominal": [0.1], "std_measured": [0.1]}),
        ),
        (
            "parameter_states",
            lambda: pd.DataFrame({"parameter": ["w"], "state": ["fresh"], "std": [0.1]}),
        ),
    ],
)
def test_a_figure_of_one_panel_is_drawn_into_the_callers(
    name: str, frame: Callable[[], pd.DataFrame]
) -> None:
    mine = Figure()
    parts: Any = mine.subfigures(1, 2)
    left, right = parts
    ax = right.subplots()
    words = ("std", "std") if name == "parameter_states" else ()
    found = getattr(figures, name)(frame(), *words, caption="Not mine.", ax=ax)
    assert found is mine and ax.lines and not left.axes
    assert mine.get_supxlabel() == "" and not right.get_supxlabel()
