"""Recheck Balduzzi et al. 2017: how the gradients of two inputs become unlike with depth.

Read of the paper:
    the abstract; the rate 2^(-L) is recalled from secondary accounts.

Setting:
    ReLU networks of 256 units, He's weights, 64 orthogonal inputs (2016 pairs), the gradient of a
    random projection of the output with respect to the input.

Not rechecked:
    batch normalization and convolutions; that looks-linear trains 200 layers.
"""

import math
from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor

from init_bench.figures import Panel
from init_bench.hooks.random_streams import stream
from init_bench.init import he_normal_, looks_linear_
from init_bench.reproduction.claim_verdicts import (
    CORRELATIONS,
    NOT_IN_PAPER,
    SIGNED,
    Claim,
    Values,
)
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.quantities import value_of
from init_bench.theory import MeanField, gradient_correlation

DEPTHS = (1, 2, 5, 10, 20, 40)


CORRELATION = "correlation of gradients"


PLAIN, RESIDUAL, SCALED, LINEAR = (
    "plain",
    "residual, x + f(x)",
    "residual, x + f(x)/√L",
    "looks-linear",
)


HE = MeanField(activation="relu", sigma_w2=2.0)


def measure(
    seeds: Sequence[int], *, width: int = 256, inputs: int = 64, depths: Sequence[int] = DEPTHS
) -> Tables:
    """Return the mean correlation, over pairs of inputs, of the gradients at the input."""
    measured = [
        (CORRELATION, kind, depth, seed, _correlation(kind, depth, width, inputs, seed))
        for kind in (PLAIN, RESIDUAL, SCALED, LINEAR)
        for depth in depths
        for seed in seeds
    ]
    return tables(measured, [row for depth in depths for row in _expected(depth)])


def _expected(depth: int) -> Iterator[tuple[object, ...]]:
    scaled = MeanField(activation="relu", sigma_w2=2.0 / depth)
    yield CORRELATION, PLAIN, depth, gradient_correlation(HE, depth)
    yield CORRELATION, RESIDUAL, depth, gradient_correlation(HE, depth, residual=True)
    yield CORRELATION, SCALED, depth, gradient_correlation(scaled, depth, residual=True)
    yield CORRELATION, LINEAR, depth, 1.0


def _correlation(kind: str, depth: int, width: int, inputs: int, seed: int) -> float:
    """Return the mean cosine of the gradients of a random projection of the output."""
    generator = stream(seed, f"balduzzi2017/{kind}/{depth}")
    x = torch.randn(inputs, width, generator=generator)
    # Directions of independent inputs are orthogonal only on average: make them so.
    x = torch.linalg.qr(x.T)[0].T * math.sqrt(width)
    if kind == LINEAR:  # this start takes each feature twice, with both signs
        x = torch.cat([x[:, ::2], -x[:, ::2]], dim=1)
    x.requires_grad_()
    out = _output(kind, x, depth, generator)
    direction = torch.randn(width, generator=generator)
    (gradient,) = torch.autograd.grad((out @ direction).sum(), x)
    unit = gradient / gradient.norm(dim=1, keepdim=True).clamp_min(1e-30)
    together = float(unit.sum(dim=0).square().sum())
    return (together - inputs) / (inputs * (inputs - 1))


def _output(kind: str, x: Tensor, depth: int, generator: torch.Generator) -> Tensor:
    """Return the output of ``depth`` nonlinear layers or blocks."""
    draw = looks_linear_ if kind == LINEAR else he_normal_
    scale = {RESIDUAL: 1.0, SCALED: 1 / math.sqrt(depth)}.get(kind)

    def through(z: Tensor) -> Tensor:
        return z @ draw(torch.empty(z.shape[1], z.shape[1]), generator=generator).T

    if scale is None:
        x = through(x)
    for _ in range(depth):
        branch = through(x.relu())
        x = branch if scale is None else x + scale * branch
    return x


def _exponential(depth: int) -> float:
    """Return the correlation at ``depth`` of the exponential through theory's at 5 and 10."""
    c5, c10 = (gradient_correlation(HE, at) for at in (5, 10))
    return float(c10 * (c10 / c5) ** ((depth - 10) / 5))


def _over_exponential(table: pd.DataFrame) -> pd.Series:
    return value_of(CORRELATION, PLAIN, 20)(table) / _exponential(20)


def _against_one_over_depth(series: str) -> Values:
    """Return 40 c(40) / (10 c(10)) by seed: above 1 if c falls more slowly than 1/L."""
    c10, c40 = (value_of(CORRELATION, series, depth) for depth in (10, 40))
    return lambda table: 4 * c40(table) / c10(table)


_AT = "mean correlation of the gradients of independent inputs"


PICTURES = {
    "gradients": Picture(
        (Panel(CORRELATION, "nonlinear layers L", log_x=True, log_y=True, low_y=3e-4),),
        "Correlation of the gradients at two independent inputs. Dashed: mean field, for plain "
        "networks the product of κ₀. Bands: lowest to highest seed.",
        claims=(
            Claim(
                "white-noise",
                "in plain networks gradients come to resemble white noise",
                f"{_AT}, plain, 40 layers",
                value_of(CORRELATION, PLAIN, 40),
                within=CORRELATIONS,
                high=0.02,
            ),
            Claim(
                "exponential",
                "their correlation decays exponentially with depth",
                f"{_AT}, plain, 20 layers, over the exponential through depths 5 and 10",
                _over_exponential,
                within=SIGNED,
                low=0.67,
                high=1.5,
                note="Π κ₀ with He's weights falls as a power of depth: pre-activations become "
                "alike, and their ReLUs too",
            ),
            Claim(
                "halves",
                "as 2^(-L)",
                f"{_AT}, plain, 10 layers, 2^(-10) = 0.00098",
                value_of(CORRELATION, PLAIN, 10),
                within=CORRELATIONS,
                high=0.002,
            ),
            Claim(
                "theory",
                f"the correlation is Π κ₀ {NOT_IN_PAPER}",
                f"{_AT}, plain, 10 layers, measured over expected",
                value_of(CORRELATION, PLAIN, 10),
                frame="ratio",
                within=SIGNED,
                low=0.8,
                high=1.25,
            ),
            *(
                Claim(
                    f"sublinear-{name}",
                    f"skip connections are far more resistant, sublinear: {series}",
                    "40 c(40) / (10 c(10)): above 1 if it falls more slowly than 1/L",
                    _against_one_over_depth(series),
                    within=SIGNED,
                    low=1.0,
                    note=note,
                )
                for name, series, note in (
                    (
                        "residual",
                        RESIDUAL,
                        "branches as large as their input, nothing normalized",
                    ),
                    ("scaled", SCALED, ""),
                )
            ),
            Claim(
                "looks-linear",
                "the looks-linear start prevents shattering",
                f"{_AT}, looks-linear, 40 layers",
                value_of(CORRELATION, LINEAR, 40),
                within=CORRELATIONS,
                low=0.99,
            ),
        ),
    )
}


EXPERIMENT = Experiment(measure, PICTURES, seeds=10, quick={"width": 64, "inputs": 16})
