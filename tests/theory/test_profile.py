"""The expected profile: its recursion, its words, and networks measured beside it."""

import functools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.hooks.record import COLUMNS, capture
from init_bench.init import calculate_gain
from init_bench.models import mlp
from init_bench.statistics.layer_statistics import describe
from init_bench.theory import Inputs, MeanField, expected_profile
from init_bench.training.networks import build

FEATURES, WIDTH, DEPTH, SEEDS, SAMPLES, COSINE = 64, 256, 4, 10, 32, 0.3
WIDTHS = [FEATURES, *[WIDTH] * DEPTH]

ALARM = 1e-7
"""Chance that one comparison of a right profile fails; about 600 are made here."""


def batch() -> Tensor:
    """Return samples of mean square 1, each pair at the same angle."""
    own, shared = torch.eye(SAMPLES, FEATURES), torch.zeros(FEATURES)
    shared[-1] = math.sqrt(COSINE)
    return math.sqrt(FEATURES) * (math.sqrt(1 - COSINE) * own + shared)


def spec_of(name: str) -> str:
    return f"he_normal(nonlinearity='{name}')"


def measured(name: str, seed: int) -> pd.DataFrame:
    """Return what ``capture`` sees in one network, gradients of mean square 1 put in at the end."""
    model = build(lambda: mlp(FEATURES, WIDTH, WIDTH, DEPTH, name), spec_of(name), seed)
    gradient = torch.randn(SAMPLES, WIDTH, generator=stream(seed, "gradient"))
    with capture(model) as record:
        model(batch()).backward(gradient / gradient.square().mean().sqrt())
    return record.table()


@functools.cache
def beside(name: str) -> pd.DataFrame:
    """Return a row per layer, kind and seed, measured and expected numbers side by side."""
    expected = expected_profile(WIDTHS, calculate_gain(name) ** 2, name, inputs=batch())
    tables = pd.concat([measured(name, seed) for seed in range(SEEDS)])
    return tables.merge(expected, on=["layer", "index", "kind"], suffixes=("", "_expected"))


def rows(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    return frame[frame["kind"] == kind]


@pytest.mark.parametrize("column", ["std", "sample_std", "unit_std"])
@pytest.mark.parametrize("kind", ["pre_activation", "activation", "gradient"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_networks_scatter_around_the_profile(name: str, kind: str, column: str) -> None:
    """Mean of the log over seeds: within Student's t, and depth/width for what 1/width leaves."""
    groups = rows(beside(name), kind).dropna(subset=f"{column}_expected").groupby("index")
    limit = float(stats.t(SEEDS - 1).isf(ALARM / 2)) / math.sqrt(SEEDS)
    for index, part in groups:
        ratio = np.log(part[column] / part[f"{column}_expected"])
        assert abs(ratio.mean()) < limit * ratio.std() + DEPTH / WIDTH, (index, ratio.mean())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_samples_come_as_close_as_expected(name: str) -> None:
    """A pair's correlation over n units scatters by 1/√n: compared where it is not lost in that."""
    frame = beside(name)
    frame = frame[frame["correlation_expected"] > 5 / math.sqrt(WIDTH)]
    limit = float(stats.t(SEEDS - 1).isf(ALARM / 2)) / math.sqrt(SEEDS)
    for index, part in frame.groupby(["index", "kind"]):
        gap = part["correlation"] - part["correlation_expected"]
        assert abs(gap.mean()) < limit * gap.std() + DEPTH / WIDTH, (index, gap.mean())


def test_the_rows_are_those_of_capture() -> None:
    expected = expected_profile(WIDTHS, 2.0, "relu")
    table = measured("relu", 0)
    keys = ["layer", "index", "kind"]
    theirs = table.loc[table["kind"] != "weight", keys].reset_index(drop=True)
    pd.testing.assert_frame_equal(expected[keys], theirs, check_dtype=False)
    assert set(expected.columns) <= set(COLUMNS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_profile_follows_the_maps(name: str) -> None:
    net = MeanField(activation=name, sigma_w2=1.3, sigma_b2=0.2)
    inputs = Inputs(second_moment=0.7, cosine=0.4)
    table = expected_profile([5] * 7, 1.3, name, inputs=inputs, sigma_b2=0.2)
    pre = rows(table, "pre_activation")
    q, covariance = 1.3 * 0.7 + 0.2, 1.3 * 0.7 * 0.4 + 0.2
    for _, row in pre.iterrows():
        assert row["std"] ** 2 == pytest.approx(q, rel=1e-9)
        assert row["unit_std"] ** 2 == pytest.approx(covariance, rel=1e-8, abs=1e-9)
        assert row["correlation"] == pytest.approx(abs(covariance) / q, rel=1e-8, abs=1e-9)
        correlation = float(net.correlation_map(covariance / q, q))
        q = float(net.length_map(q))
        covariance = correlation * q


@given(cosine=st.floats(-1, 1), samples=st.integers(1, 50), sigma_w2=st.floats(0, 5))
def test_the_spread_splits_into_samples_and_units(
    cosine: float, samples: int, sigma_w2: float
) -> None:
    inputs = Inputs(cosine=cosine, samples=max(samples, 2 if cosine < 0 else 1))
    if cosine < -1 / (inputs.samples - 1 or 1):
        return  # no such batch
    table = expected_profile([9, 9, 9], sigma_w2, "elu", inputs=inputs)
    table = table[table["kind"] != "gradient"]
    together = table["sample_std"] ** 2 + table["unit_std"] ** 2
    np.testing.assert_allclose(together, table["std"] ** 2, rtol=1e-9, atol=1e-12)


def test_one_sample_spreads_over_units_alone() -> None:
    table = expected_profile([9, 9, 9], 2.0, "relu", inputs=Inputs(samples=1))
    assert (table.loc[table["kind"] != "gradient", "sample_std"] == 0).all()


def test_the_first_layer_is_what_the_batch_says() -> None:
    """Var over samples of W x is linear in that of x, whatever their lengths and angles."""
    x = torch.rand(20, 50, generator=stream(0, "x"))
    first = expected_profile([50, 10], 1.7, "tanh", inputs=x).iloc[0]
    for column, value in describe(x).items():
        if column == "sample_std":
            assert first[column] == pytest.approx(math.sqrt(1.7) * value)
    assert first["std"] == pytest.approx(math.sqrt(1.7 * x.square().mean().item()))


def test_gradients_shrink_by_sigma_w2_and_slope() -> None:
    """relu: 1/2 a layer; a unit with n_out followers of variance σ_w²/n_in sums over those."""
    table = rows(expected_profile([7, 40, 20, 5], [9.0, 3.0, 1.5], "relu"), "gradient")
    squares = dict(zip(table["layer"], table["std"] ** 2, strict=True))
    act2 = 1.5 * 5 / 20
    act1 = act2 / 2 * 3.0 * 20 / 40
    expected = {"fc1": act1 / 2, "act1": act1, "fc2": act2 / 2, "act2": act2, "fc3": 1.0}
    assert squares == pytest.approx(expected)


def test_a_spec_is_measured_on_the_weights_it_draws() -> None:
    widths = [30, 50, 40, 10]
    model = build(lambda: mlp(30, 10, 50, 3, "relu"), "torch.default", 4)
    layer: Any = model.get_submodule("fc1")
    table = expected_profile(widths, "torch.default", "relu", seed=4)
    sigma_w2 = 30 * layer.weight.double().square().mean().item()
    expected = sigma_w2 + layer.bias.double().square().mean().item()
    assert table["std"][0] ** 2 == pytest.approx(expected)


def test_the_biases_of_a_spec_count_unless_others_are_given() -> None:
    widths, spec = [2000, 500, 500], "critical_normal(nonlinearity='tanh', sigma_b2=0.05)"
    zero = Inputs(second_moment=0.0)
    found = expected_profile(widths, spec, "tanh", inputs=zero)["std"][0] ** 2
    assert abs(found / 0.05 - 1) < 6 * math.sqrt(2 / 500)  # 6 sd of a mean of 500 squares
    assert expected_profile(widths, spec, "tanh", inputs=zero, sigma_b2=0)["std"][0] == 0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nothing_in_gives_what_phi_makes_of_nothing(name: str) -> None:
    table = expected_profile([5, 5, 5], "zeros", name)
    at_zero = ACTIVATIONS[name].module()(torch.zeros(1).double()).item()
    activation = rows(table, "activation").iloc[0]
    assert activation["mean"] == pytest.approx(at_zero, rel=1e-12)
    assert activation["sample_std"] == 0
    assert math.isnan(activation["correlation"])
    assert activation["std"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_signal_that_dies_out_keeps_its_rate(name: str) -> None:
    """Small signals see φ as a line on either side of 0: each layer multiplies them by the same.

    Where the two lines differ samples still approach each other, by less than 5 % a layer there.
    """
    table = rows(expected_profile([9] * 13, 1e-4, name, inputs=Inputs(cosine=0.5)), "activation")
    centered = ACTIVATIONS[name].module()(torch.zeros(1)).item() == 0
    for column, tolerance in (("std", 1e-4), ("sample_std", 0.05)):
        values = table[column].to_numpy()[7:]
        if centered or column == "sample_std":
            rate = values[1:] / values[:-1]
            np.testing.assert_allclose(rate, rate[-1], rtol=tolerance)
            assert values[-1] < 1e-20


@pytest.mark.slow
def test_a_signal_that_blows_up_is_a_result() -> None:
    table = rows(expected_profile([3] * 30, 1e30, "relu"), "pre_activation")
    assert table["std"].iloc[0] == pytest.approx(1e15)
    assert not math.isfinite(table["std"].iloc[-1])


def test_a_function_may_stand_for_the_activation() -> None:
    named = expected_profile([5, 5, 5], "he_normal", "tanh")
    pd.testing.assert_frame_equal(named, expected_profile([5, 5, 5], "he_normal", torch.tanh))


def test_the_global_stream_is_untouched() -> None:
    before = torch.get_rng_state()
    expected_profile([5, 5, 5], "torch.default", "tanh", inputs=torch.ones(2, 5))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("widths", "init", "message"),
    [
        ([5], 2.0, r"widths are integers from inputs to outputs.*got \[5\]"),
        ([5, 0], 2.0, r"got \[5, 0\]"),
        ([5, 2.5], 2.0, r"got \[5, 2\.5\]"),
        ([5, 5, 5], [2.0], r"2 weight layers need as many sigma_w2, got 1: \[2\.0\]"),
        ([5, 5], -2.0, "sigma_w2 must be a finite number >= 0, got -2"),
        ([5, 5], "constant(value=0.5)", r"weights of mean 0; 'constant.*' draws mean 0\.5 ± std 0"),
        ([99, 99], "uniform", "needs weights of mean 0"),
        ([5, 5], "he_norml", "unknown init 'he_norml'"),
    ],
)
def test_what_has_no_profile_is_refused(widths: Any, init: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        expected_profile(widths, init, "relu")
