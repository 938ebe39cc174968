"""Figures of several panels are drawn into a part of the caller's figure."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from init_bench import figures
from tests.figures import test_bench_panels as bench
from tests.figures import test_pair as pair
from tests.figures import test_rate_trials as rates
from tests.figures import test_theory_lines as theory

CLAIM = {
    "figure": "6-15",
    "statement": "He learns",
    "value": 0.2,
    "ci_low": 0.1,
    "ci_high": 0.3,
    "threshold": "<= 0.5",
    "verdict": "holds",
}
DIFFERENCE = {
    "pair": "a vs b",
    "quantity": "final loss",
    "value": 0.2,
    "ci_low": 0.1,
    "ci_high": 0.3,
    "verdict": "differs",
    "note": "",
}
CAPTURED = pd.DataFrame(
    [("fc1", 1, "pre_activation", 0.5, 0.4), ("act1", 2, "activation", 0.3, 0.2)],
    columns=["layer", "index", "kind", "std", "sample_std"],
)
FIGURES: Mapping[str, Callable[..., Figure]] = {
    "bench_task": lambda **given: figures.bench_task(
        bench.ARMS, bench.CURVES, order=["a", "b"], use=["a"], shown=["a"], caption="", **given
    ),
    "rank_diagram": lambda **given: figures.rank_diagram(
        pd.Series({"a": 1.0, "b": 1.5}), critical_difference=1.0, caption="", **given
    ),
    "claim_verdicts": lambda **given: figures.claim_verdicts(
        pd.DataFrame([CLAIM]), caption="", **given
    ),
    "captured_layers": lambda **given: figures.captured_layers(CAPTURED, caption="", **given),
    "forest": lambda **given: figures.forest(
        pd.DataFrame([DIFFERENCE]), {"a vs b": "differs"}, **given
    ),
    "pair_comparison": lambda **given: figures.pair_comparison(
        pair.pair_table(), pair.quantiles(), pair.curves(), pair.outcomes(), title="", **given
    ),
    "rate_curves": lambda **given: figures.rate_curves(
        rates.TRIALS, rates.CURVES, **{**rates.DRAWN, **given}
    ),
    "measured_and_expected": lambda **given: figures.measured_and_expected(
        theory.MEASURED, theory.EXPECTED, [theory.PANEL], caption="", **given
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_into_a_part_of_the_callers(name: str) -> None:
    alone = FIGURES[name]()
    whole = Figure(figsize=(24, 8), layout="constrained")
    parts: Any = whole.subfigures(1, 2)
    left, right = parts
    assert FIGURES[name](figure=right) is whole
    assert len(right.axes) == len(alone.axes) > 0 and not left.axes
