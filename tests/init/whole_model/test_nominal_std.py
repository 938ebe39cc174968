"""The standard deviation in the report against the entries, over the menu and kinds of layers."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from init_bench.comparison.stated_distribution import stated, variance_against
from init_bench.errors import InitBenchError
from init_bench.init import INITS, initialize, parse
from init_bench.init.std_formulas import NominalStd, Size
from init_bench.init.whole_model.nominal_std import nominal_std

ALARM = 1e-9
"""Chance of a false alarm per check; fewer than 1000 are made."""

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "narrowing": lambda: nn.Linear(30, 20),
    "widening": lambda: nn.Linear(20, 30),
    "convolution": lambda: nn.Conv2d(12, 6, 3),
    "widening convolution": lambda: nn.Conv2d(6, 12, (3, 2)),
    "groups": lambda: nn.Conv1d(12, 24, 5, groups=3),
    "transposed": lambda: nn.ConvTranspose2d(6, 10, 3),
    "attention": lambda: nn.MultiheadAttention(8, 2),
    "lstm": lambda: nn.LSTM(6, 10),
    "embedding": lambda: nn.Embedding(20, 10),
    "bilinear": lambda: nn.Bilinear(4, 6, 10),
}
OWN = ("init_bench", "torch")
NAMES = [n for n, f in INITS.items() if inspect.unwrap(f).__module__.split(".")[0] in OWN]
"""All but plug-ins, which may state no nominal std."""


def spec_of(name: str) -> str:
    """Return the spec with 0.5 for every argument that the initializer cannot do without."""
    parameters = list(inspect.signature(INITS[name]).parameters.values())[1:]
    required = [p.name for p in parameters if p.default is p.empty and p.name != "generator"]
    return f"{name}({', '.join(f'{key}=0.5' for key in required)})"


def filled(spec: str, layer: str, seed: int = 0) -> tuple[Any, Tensor]:
    """Return the report's row of the first weight, and the weight."""
    model = LAYERS[layer]()
    row = next(r for r in initialize(model, spec, seed=seed).rows if len(r.shape) > 1)
    return row, model.get_parameter(row.parameter).detach().double()


def takes(name: str, layer: str) -> bool:
    try:
        filled(spec_of(name), layer)
    except InitBenchError:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_the_std_nominal_is_that_of_the_entries(name: str) -> None:
    taken = [layer for layer in LAYERS if takes(name, layer)]
    assert taken
    for layer in taken:
        assert_nominal(name, layer)


def assert_nominal(name: str, layer: str) -> None:
    """Check the nominal std of a layer's weight against its entries."""
    row, weight = filled(spec_of(name), layer)
    assert row.std_nominal is not None
    drawn = not torch.equal(weight, filled(spec_of(name), layer, seed=1)[1])
    distribution = stated(parse(spec_of(name)), (4, 4))
    rms = weight.square().mean().sqrt().item()
    if distribution is not None:
        entries = (weight.flatten() * (distribution.std() / row.std_nominal)).numpy()
        assert variance_against(entries, distribution, ALARM).p > ALARM
    elif "sparse" in name:  # the kept ones are normal
        kept = int((weight != 0).sum())
        assert row.std_nominal == pytest.approx(0.01 * math.sqrt(kept / weight.numel()))
        low, high = stats.chi2(kept).ppf([ALARM / 2, 1 - ALARM / 2]) / kept
        assert low < (rms / row.std_nominal) ** 2 < high
    elif name == "sinusoidal":  # its mean is not 0: what is stated is its root mean square
        assert row.std_nominal == pytest.approx(rms, rel=1e-5)
    elif name == "tanh_init":  # a pattern and noise
        assert row.std_nominal == pytest.approx(row.std_measured, rel=0.1)
    elif drawn:  # of orthogonal rows or columns: the lengths are exact
        assert row.std_nominal == pytest.approx(rms, rel=1e-5)
    else:
        assert row.std_nominal == pytest.approx(row.std_measured, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("gain", [-2.0, 0.5])
@pytest.mark.parametrize("name", ["orthogonal", "delta_orthogonal", "looks_linear", "identity"])
def test_a_gain_scales_the_std_nominal(name: str, gain: float) -> None:
    row, _ = filled(f"{name}(gain={gain})", "widening")
    plain, _ = filled(name, "widening")
    assert row.std_nominal == pytest.approx(abs(gain) * plain.std_nominal)
    assert row.gain == gain


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_dirac_counts_the_ones_of_its_groups(groups: int) -> None:
    row, weight = filled(f"dirac(groups={groups})", "convolution")
    assert weight.sum() == groups * (6 // groups)
    assert row.std_nominal == pytest.approx(row.std_measured, rel=1e-5)


def test_zero_wants_what_it_writes() -> None:
    for layer in LAYERS:
        row, _ = filled("zero", layer)
        assert row.std_nominal == pytest.approx(row.std_measured, rel=1e-5)


def test_an_empty_weight_has_no_nominal_std() -> None:
    empty = Size(fan_in=0, fan_out=3, rows=3, columns=0)
    assert nominal_std(parse("he_normal"), empty) == NominalStd()


@pytest.mark.parametrize(
    ("spec", "overrides", "std"),
    [
        ("siren", {}, 300**-0.5 / 3**0.5),
        ("he_normal", {"bias": "normal(std=0.1)"}, 0.1),
        ("he_normal", {"bias": "uniform(a=-1, b=1)"}, 3**-0.5),
    ],
)
def test_a_bias_that_is_drawn_states_its_std(
    spec: str, overrides: dict[str, str], std: float
) -> None:
    row = initialize(nn.Linear(300, 2000), spec, overrides=overrides).rows[1]
    assert row.parameter == "bias" and row.std_nominal == pytest.approx(std)
    assert row.std_measured == pytest.approx(std, rel=0.1)
