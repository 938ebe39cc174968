"""The figure of a diagnosis: the data in it, what is marked, and what can be read."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from init_bench import figures
from init_bench.diagnosis.rules.menu import verdict_marks
from init_bench.figures.depth_panels import NAMED_LAYERS
from tests.figures.test_figures import profile_frame, share_frame, verdict_frame

MARKS = verdict_marks()


def drawn(profile: pd.DataFrame | None = None, verdicts: pd.DataFrame | None = None) -> Figure:
    profile = profile_frame() if profile is None else profile
    verdicts = verdict_frame() if verdicts is None else verdicts
    steps = [share_frame(len(part)).assign(step=step) for step, part in profile.groupby("step")]
    return figures.diagnosis(profile, verdicts, pd.concat(steps), caption="", marks=MARKS)


def cells_of(ax: Axes) -> np.ndarray:
    """Return what a strip holds; nan where a layer has no shares."""
    (image,) = ax.images
    cells = image.get_array()
    assert cells is not None
    return np.ma.filled(cells, np.nan)


def points_of(ax: Axes) -> set[tuple[float, float]]:
    return {tuple(point) for line in ax.lines for point in np.asarray(line.get_xydata())}


def deep(layers: int, at_fault: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the profile of a deep network and verdicts on it and the layers of these places."""
    profile = pd.concat([profile_frame().head(1)] * layers, ignore_index=True)
    names = [f"fc{at}" for at in range(1, layers + 1)]
    layer = ["(network)", *(names[at - 1] for at in at_fault)]
    faults = pd.DataFrame({"step": 0, "layer": layer}).assign(verdict="saturated")
    faults = faults.assign(severity="bad", cause="")
    return profile.assign(layer=names, index=range(1, layers + 1)), faults


def named(figure: Figure) -> dict[str, tuple[float, float, float]]:
    """Return the layers named below the figure and the colors of their names."""
    (ax,) = (ax for ax in figure.axes if ax.get_xlabel().startswith("layer"))
    labels = ax.get_xticklabels()
    return {label.get_text(): to_rgb(label.get_color()) for label in labels}


def test_each_layers_spread_and_gradient_is_drawn() -> None:
    profile = profile_frame()
    signal, _, gradient = drawn(profile).axes
    for ax, column in ((signal, "sample_std"), (signal, "std"), (gradient, "gradient")):
        known = profile[profile["layer"] != "pool"] if column == "std" else profile
        assert set(zip(known["index"], known[column], strict=True)) <= points_of(ax)


def test_a_zero_is_drawn_at_the_foot_and_that_is_said() -> None:
    profile = profile_frame()
    assert "drawn there" not in said_below(drawn(profile))
    zero = profile.assign(sample_std=profile["sample_std"].where(profile["index"] > 1, 0.0))
    assert "below 1e-12, 0 too, is drawn there" in said_below(drawn(zero))


def test_a_function_is_said_to_be_called_by_the_module_before_the_colon() -> None:
    words = "called in the forward of the module before the colon, or of the model"
    profile = profile_frame()
    assert words not in said_below(drawn(profile))
    assert words in said_below(drawn(profile.replace({"layer": {"act1": ":relu"}})))


def said_below(figure: Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def test_the_strip_holds_the_shares_a_column_for_each_layer() -> None:
    strip = drawn().axes[1]
    expected = share_frame().pivot(index="centre", columns="index", values="share")
    assert cells_of(strip) == pytest.approx(expected.to_numpy())
    left, right, bottom, top = strip.images[0].get_extent()
    assert (left, right) == (0.5, 4.5) and bottom < -4 < 4 < top


def test_a_layer_that_is_not_finite_stands_out_of_the_strip() -> None:
    shares = share_frame()
    shares.loc[shares["index"] == 2, "share"] = np.nan
    figure = figures.diagnosis(profile_frame(), verdict_frame(), shares, caption="", marks=MARKS)
    strip = figure.axes[1]
    assert np.isnan(cells_of(strip)).any(axis=0).tolist() == [False, True, False, False]
    assert "dark red" in strip.get_title() and "dark red" not in drawn().axes[1].get_title()
    assert tuple(strip.images[0].cmap.get_bad()[:3]) == to_rgb(MARKS["nonfinite"][0])


def test_what_starts_is_full_and_what_follows_is_hollow() -> None:
    signal, _, gradient = drawn().axes
    (start,), (follower,) = signal.collections, gradient.collections
    assert start.get_label() == "nonfinite" and np.asarray(start.get_facecolor())[0, 3] == 1
    assert follower.get_label() == "vanishing_gradient"
    assert np.asarray(follower.get_facecolor()).size == 0 or (
        np.asarray(follower.get_facecolor())[0, 3] == 0
    )


def test_what_is_to_be_watched_is_not_taken_for_a_fault() -> None:
    verdicts = verdict_frame().assign(severity="watch", cause="")
    figure = drawn(verdicts=verdicts)
    (mark,) = figure.axes[0].collections
    assert mark.get_label() == "watch: nonfinite"
    assert not figure.axes[1].patches


def test_where_a_fault_starts_every_panel_is_shaded_in_its_color() -> None:
    for ax in drawn().axes:
        (shade,) = ax.patches
        box = shade.get_window_extent().transformed(ax.transData.inverted())
        assert (box.x0, box.x1) == pytest.approx((0.5, 1.5))
        assert to_rgb(shade.get_facecolor()) == to_rgb(MARKS["nonfinite"][0])


@pytest.mark.slow
def test_legends_stand_beside_the_panels() -> None:
    figure = drawn()
    figure.draw_without_rendering()
    legends = [(ax, legend) for ax in figure.axes if (legend := ax.get_legend())]
    assert len(legends) == 2, "of signal and gradient"
    for ax, legend in legends:
        assert legend.get_window_extent().x0 >= ax.get_window_extent().x1


def test_without_gradients_there_is_no_panel_for_them() -> None:
    with_them, without = drawn(), drawn(profile_frame().assign(gradient=np.nan))
    assert len(without.axes) == len(with_them.axes) - 1


def test_theory_is_drawn_under_what_was_measured_the_gradient_at_its_scale() -> None:
    profile = profile_frame()
    expected = pd.DataFrame(
        {"layer": ["fc1", "act1", "fc2"], "std": 1.0, "sample_std": [3.0, 2.0, 1.0],
         "gradient": [0.25, 0.5, 1.0]}
    )  # fmt: skip
    figure = figures.diagnosis(
        profile, verdict_frame(), share_frame(), expected, caption="", marks=MARKS
    )
    assert {(1, 3.0), (2, 2.0), (3, 1.0)} <= points_of(figure.axes[0])
    assert figure.axes[0].get_legend_handles_labels()[1].count("theory (mean field)") == 1
    last = profile["gradient"].iloc[2]
    assert {(1, last / 4), (2, last / 2), (3, last)} <= points_of(figure.axes[2])


def test_of_several_steps_first_and_last_are_drawn() -> None:
    looks = [profile_frame().assign(step=step) for step in (0, 5, 9)]
    for factor, look in enumerate(looks, start=1):
        look["sample_std"] *= factor
    figure = drawn(pd.concat(looks, ignore_index=True))
    signal = figure.axes[0]
    spread = profile_frame()["sample_std"].iloc[0]
    heights = {y for x, y in points_of(signal) if x == 1}
    assert heights == {spread, 3 * spread}
    assert [len(ax.patches) for ax in figure.axes] == [1, 1, 0, 1], "the fault is of step 0 alone"
    assert "nonlinearities, step 9" in signal.get_legend_handles_labels()[1]
    assert [len(ax.images) for ax in figure.axes] == [0, 1, 1, 0]


@pytest.mark.parametrize("layers", [5, 150])
def test_no_more_layers_are_named_than_can_be_read(layers: int) -> None:
    found = named(drawn(*deep(layers, [])))
    assert min(layers, 20) <= len(found) <= NAMED_LAYERS


@pytest.mark.parametrize(("layers", "said"), [(5, False), (150, True)])
def test_a_long_axis_says_how_many_layers_it_names(layers: int, said: bool) -> None:
    figure = drawn(*deep(layers, []))
    label = figure.axes[-1].get_xlabel() or " ".join(ax.get_xlabel() for ax in figure.axes)
    assert (f"{len(named(figure))} of {layers} are named" in label) is said


@pytest.mark.slow
def test_layers_at_fault_are_named_in_their_color_whatever_else_is() -> None:
    color = to_rgb(MARKS["saturated"][0])
    for at_fault in ([2], [70, 77, 149], list(range(1, 151, 2))):
        found = named(drawn(*deep(150, at_fault)))
        assert {name for name, of in found.items() if of == color} == {f"fc{n}" for n in at_fault}


@pytest.mark.slow
def test_names_leave_each_other_room_where_everything_is_at_fault() -> None:
    figure = drawn(*deep(400, list(range(1, 401))))
    figure.draw_without_rendering()
    (ax,) = (ax for ax in figure.axes if ax.get_xlabel().startswith("layer"))
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert len(boxes) > 80 and "fc1" in named(figure)
    gaps = np.diff([box.x0 for box in boxes])
    assert gaps.min() > 5 * figure.dpi / 72


def test_a_step_may_run_other_layers_than_the_first() -> None:
    looks = [profile_frame(), profile_frame().iloc[[0, 1, 3]].assign(step=4)]
    figure = drawn(pd.concat(looks, ignore_index=True))
    assert [cells_of(ax).shape[1] for ax in figure.axes[1:3]] == [4, 3]


def test_a_verdict_without_a_mark_gets_a_spare_one() -> None:
    verdicts = verdict_frame().replace("nonfinite", "unheard_of")
    figure = figures.diagnosis(profile_frame(), verdicts, share_frame(), caption="")
    (mark,) = figure.axes[0].collections
    assert mark.get_label() == "unheard_of" and len(mark.get_facecolor()) == 1


def test_the_caption_says_what_full_and_hollow_marks_are() -> None:
    assert "Hollow marker: it follows from another layer's fault" in said_below(drawn())
    none = verdict_frame().assign(layer="(network)")
    assert "Hollow" not in said_below(drawn(verdicts=none))
