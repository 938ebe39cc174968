"""Recheck Pennington et al. 2017: singular values of the input-output Jacobian at the start.

Read of the paper:
    the abstract; its formulas for the variance are recalled, the edge is derived here.

Setting:
    Layers of 400 units, φ then W, at the critical point; linear, relu, and tanh at a small length.

Not rechecked:
    that isometric networks learn orders of magnitude faster, and that sigmoidal ones outperform
    ReLU ones (the paper trains 200 layers on CIFAR-10).
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from init_bench.activations.moments import GaussianMoments
from init_bench.figures import Panel
from init_bench.hooks.random_streams import stream
from init_bench.init import normal_, orthogonal_
from init_bench.reproduction.claim_verdicts import Claim
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.quantities import mean_ratio, value_of
from init_bench.theory import MeanField, jacobian_spectrum

DEPTHS = (1, 2, 4, 8, 16, 32)


NETS = {
    "linear": MeanField(activation="identity", sigma_w2=1.0),
    "relu": MeanField(activation="relu", sigma_w2=2.0),
    "tanh": MeanField(activation="tanh", sigma_w2=1.05, sigma_b2=2e-5),
}
"""Critical, tanh at a small length: there it is nearly linear."""


LARGEST, MEAN, VARIANCE = "largest s²", "mean s²", "variance s²"


def measure(seeds: Sequence[int], *, width: int = 400) -> Tables:
    """Return moments of the squared singular values, by nonlinearity, weights and depth."""
    measured, expected = [], []
    for phi, net in NETS.items():
        for weights in ("gaussian", "orthogonal"):
            series = f"{phi}, {weights}"
            for depth in DEPTHS:
                found = jacobian_spectrum(net, depth, weights=weights)
                expected += [
                    (LARGEST, series, depth, found.largest),
                    (MEAN, series, depth, found.mean),
                    (VARIANCE, series, depth, found.variance),
                ]
            measured += [row for seed in seeds for row in _rows(series, net, weights, seed, width)]
    return tables(measured, expected)


def _rows(
    series: str, net: MeanField, weights: str, seed: int, width: int
) -> Iterator[tuple[object, ...]]:
    for depth, jacobian in enumerate(_jacobians(net, weights, seed, width), start=1):
        if depth in DEPTHS:
            squares = torch.linalg.svdvals(jacobian).square()
            yield LARGEST, series, depth, seed, squares.max().item()
            yield MEAN, series, depth, seed, squares.mean().item()
            yield VARIANCE, series, depth, seed, squares.var(correction=0).item()


def _jacobians(net: MeanField, weights: str, seed: int, width: int) -> Iterator[Tensor]:
    """Yield the Jacobian of 1, 2, … layers, for an input whose length is the fixed point's."""
    generator = stream(seed, f"pennington2017/{weights}")
    moments, length = GaussianMoments(net.activation), max(net.q_star, 1e-20)
    a = length**0.5 * torch.randn(width, generator=generator, dtype=torch.float64)
    product = torch.eye(width, dtype=torch.float64)
    for _ in range(max(DEPTHS)):
        slope, z = (torch.from_numpy(f(a.numpy())) for f in (moments.slope, moments.phi))
        w = torch.empty(width, width)
        if weights == "gaussian":
            normal_(w, std=(net.sigma_w2 / width) ** 0.5, generator=generator)
        else:
            orthogonal_(w, gain=net.sigma_w2**0.5, generator=generator)
        bias = net.sigma_b2**0.5 * torch.randn(width, generator=generator, dtype=torch.float64)
        product = w.double() @ (slope[:, None] * product)
        a = w.double() @ z + bias
        yield product


_LARGEST = "largest squared singular value, 32 layers"


PICTURES = {
    "jacobian": Picture(
        (
            Panel(LARGEST, "layers", log_x=True, log_y=True),
            Panel(VARIANCE, "layers", "variance of s²", log_x=True, log_y=True, low_y=1e-3),
        ),
        "Squared singular values s² of the input-output Jacobian of 400 units at the critical "
        "point. Dashed: free probability, infinite width. Isometric is s² = 1 for all.",
        claims=(
            Claim(
                "linear-orthogonal-isometric",
                "deep linear networks are isometric with orthogonal weights",
                _LARGEST,
                value_of(LARGEST, "linear, orthogonal"),
                low=0.999,
                high=1.001,
            ),
            Claim(
                "linear-gaussian-not",
                "with Gaussian weights they are not: the largest grows with depth",
                _LARGEST,
                value_of(LARGEST, "linear, gaussian"),
                low=20.0,
            ),
            Claim(
                "relu-never",
                "ReLU networks cannot be isometric, not even with orthogonal weights",
                _LARGEST,
                value_of(LARGEST, "relu, orthogonal"),
                low=20.0,
            ),
            Claim(
                "tanh-orthogonal-isometric",
                "sigmoidal networks can: tanh with orthogonal weights",
                _LARGEST,
                value_of(LARGEST, "tanh, orthogonal"),
                high=3.0,
            ),
            Claim(
                "tanh-gaussian-not",
                "but only with orthogonal weights: tanh with Gaussian ones is not",
                _LARGEST,
                value_of(LARGEST, "tanh, gaussian"),
                low=20.0,
            ),
            Claim(
                "mean-is-chi",
                "the mean squared singular value is 1 at the critical point",
                "mean s², measured over expected, mean of all",
                mean_ratio(MEAN),
                frame="ratio",
                low=0.9,
                high=1.1,
            ),
            *(
                Claim(
                    f"edge-{phi}-{weights}",
                    f"free probability gives the edge of the spectrum: {phi}, {weights}",
                    "largest s², measured over expected, mean of six depths",
                    mean_ratio(LARGEST, f"{phi}, {weights}"),
                    frame="ratio",
                    low=0.85,
                    high=1.15,
                )
                for phi, weights in (
                    ("linear", "gaussian"),
                    ("relu", "gaussian"),
                    ("relu", "orthogonal"),
                    ("tanh", "orthogonal"),
                )
            ),
        ),
    )
}


EXPERIMENT = Experiment(measure, PICTURES, quick={"width": 60})
