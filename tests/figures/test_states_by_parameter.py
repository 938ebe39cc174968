"""The panel of an audit: a marker per parameter with a number, by state; nothing else changes."""

import math

import numpy as np
import pandas as pd
import pytest

from init_bench import figures
from init_bench.errors import InitBenchError


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "parameter": list("abcd"),
            "state": ["fresh", "other", "fresh", "not judged"],
            "std": [0.02, 0.05, 0.0, math.nan],
        }
    )


def test_each_state_is_a_line_of_its_parameters_in_order() -> None:
    frame = table()
    before = frame.copy(deep=True)
    ax = figures.parameter_states(frame, "std", "std", caption="What it shows.").axes[0]
    points = {str(line.get_label()): np.asarray(line.get_xydata()) for line in ax.lines}
    assert points["other"].tolist() == [[1, 0.05]]
    assert points["fresh"][:, 0].tolist() == [0, 2]
    assert points["fresh"][1, 1] == ax.get_ylim()[0], "zero lies on the edge"
    assert not len(points["not judged"])
    pd.testing.assert_frame_equal(frame, before)


def test_a_frame_without_the_column_is_refused() -> None:
    with pytest.raises(InitBenchError, match="lacks norm"):
        figures.parameter_states(table(), "norm", "norm", caption="")
