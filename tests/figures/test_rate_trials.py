import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from init_bench import figures
from init_bench.errors import InitBenchError

TRIALS = pd.DataFrame(
    {"lr": [0.01, 0.1, 1.0, 10.0], "outcome": ["not tried", "falls", "does not fall", "diverges"]}
)
CURVES = pd.DataFrame(
    {"lr": [0.1, 0.1, 10.0, 10.0], "step": [0, 1, 0, 1], "loss": [2.3, 1.2, 2.3, math.inf]}
)
DRAWN = {"window": (0.01, 0.1), "goal": 1.5, "curvature_rate": 0.5, "caption": "A window."}


def test_losses_rates_and_window_are_drawn() -> None:
    before, theme = (TRIALS.copy(), CURVES.copy()), mpl.rcParams["font.size"]
    figure = figures.rate_curves(TRIALS, CURVES, **DRAWN)  # type: ignore[arg-type]
    left, right = figure.axes
    drawn = {str(line.get_label()): line.get_xydata() for line in left.lines}
    assert np.array_equal(np.asarray(drawn["0.1"]), [[0, 2.3], [1, 1.2]])
    assert [text.get_text() for text in right.get_yticklabels()] == [
        "falls",
        "does not fall",
        "diverges",
        "not tried",
    ]
    assert len(right.patches) == 1
    assert figure.get_supxlabel().startswith("A window.")
    pd.testing.assert_frame_equal(TRIALS, before[0])
    pd.testing.assert_frame_equal(CURVES, before[1])
    assert mpl.rcParams["font.size"] == theme


def test_without_a_window_nothing_is_shaded() -> None:
    none = {**DRAWN, "window": (math.nan, math.nan), "curvature_rate": math.nan}
    _, right = figures.rate_curves(TRIALS, CURVES, **none).axes  # type: ignore[arg-type]
    assert not right.patches


def test_a_missing_column_is_refused() -> None:
    with pytest.raises(InitBenchError, match="outcome"):
        figures.rate_curves(TRIALS[["lr"]], CURVES, **DRAWN)  # type: ignore[arg-type]
