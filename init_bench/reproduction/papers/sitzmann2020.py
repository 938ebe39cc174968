"""Recheck Sitzmann et al. 2020: what the pre-activations of a SIREN settle at.

Read of the paper:
    nothing of its text: recalled from later papers that restate its start and theorem. The biases
    are those of the authors' code.

Setting:
    8 sine layers of 512 units, ω₀ = 30, 1000 points of [-1, 1]².

Not rechecked:
    fitting images, sounds and shapes.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from init_bench.figures import Panel
from init_bench.hooks.random_streams import stream
from init_bench.init import initialize
from init_bench.reproduction.claim_verdicts import NOT_IN_PAPER, Claim
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.quantities import farthest_ratio, ratio, value_of
from init_bench.theory import sine_length

OMEGA, COORDINATES, LAYERS = 30.0, 2, 8


STD, DISTANCE, DENSITY = "std", "distance to arcsine", "density"


PLAIN, BIASED = "no biases", "biases U(±1/√n)"


BINS = 40


def measure(seeds: Sequence[int], *, width: int = 512, samples: int = 1000) -> Tables:
    """Return the spread of pre-activations by layer, and the distribution of activations."""
    measured = [row for seed in seeds for row in _rows(seed, width, samples)]
    q = q_biased = sine_length()
    bias = OMEGA**2 / (3 * width)
    for _ in range(200):
        q_biased = -math.expm1(-2 * q_biased) + bias
    deep = range(3, LAYERS + 1)
    expected = [(STD, PLAIN, layer, math.sqrt(q)) for layer in deep]
    expected += [(STD, BIASED, layer, math.sqrt(q_biased)) for layer in deep]
    edges = np.linspace(-1, 1, BINS + 1)
    for low, high in pairwise(edges):
        arcsine = (math.asin(high) - math.asin(low)) / (math.pi * (high - low))
        expected.append((DENSITY, f"layer {LAYERS}", (low + high) / 2, arcsine))
    return tables(measured, expected)


def _rows(seed: int, width: int, samples: int) -> Iterator[tuple[object, ...]]:
    for series in (PLAIN, BIASED):
        for layer, a in enumerate(_pre_activations(series, seed, width, samples), start=1):
            yield STD, series, layer, seed, a.std().item()
            if series == PLAIN:
                z = a.sin().flatten().double().sort().values.numpy()
                yield DISTANCE, series, layer, seed, _distance(z)
                if layer == LAYERS:
                    density, edges = np.histogram(z, bins=BINS, range=(-1, 1), density=True)
                    for at, value in zip((edges[:-1] + edges[1:]) / 2, density, strict=True):
                        yield DENSITY, f"layer {layer}", at, seed, value


def _pre_activations(series: str, seed: int, width: int, samples: int) -> Iterator[Tensor]:
    """Yield ω₀ (W x + b) of each hidden layer, for coordinates spread over [-1, 1]²."""
    widths = [COORDINATES, *[width] * LAYERS]
    model = nn.Sequential(*(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths)))
    initialize(model, f"siren(w0={OMEGA})", seed=seed)
    x = 2 * torch.rand(samples, COORDINATES, generator=stream(seed, "sitzmann2020")) - 1
    with torch.no_grad():
        for linear in model:
            bias = linear.bias if series == BIASED else None
            a = OMEGA * nn.functional.linear(x, linear.weight, bias)  # type: ignore[arg-type]
            yield a
            x = a.sin()


def _distance(ordered: np.ndarray) -> float:
    """Return Kolmogorov's distance between values in order and the arcsine distribution."""
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    return float(np.abs(share - 0.5 - np.arcsin(ordered) / math.pi).max())


_STD = f"std over units and inputs of the pre-activations of layer {LAYERS}"


PICTURES = {
    "siren": Picture(
        (
            Panel(
                STD,
                "layer",
                "std of pre-activations",
                log_y=True,
                mark_y=(1.0, "standard normal"),
            ),
            Panel(
                DENSITY,
                "activation",
                "density",
                title="Activations of the last layer",
                low_y=0.0,
            ),
            Panel(DISTANCE, "layer", "Kolmogorov distance to arcsine", low_y=0.0),
        ),
        "Left: spread of pre-activations; dashed: the fixed points, 0.8926 without biases. "
        "Middle: distribution of activations; dashed: the arcsine distribution. Right: how far "
        "it is from it.",
        claims=(
            Claim(
                "unit-normal",
                "pre-activations are standard normal: std 1",
                f"{_STD}, no biases",
                value_of(STD, PLAIN),
                low=0.95,
                high=1.05,
                note="the fixed point of q = 1 - exp(-2q) has std 0.8926: E[sin²] is 0.398 "
                "there, not the arcsine's 1/2 that the derivation takes",
            ),
            Claim(
                "fixed-point",
                f"they settle at std 0.8926 {NOT_IN_PAPER}",
                f"{_STD}, relative distance from 0.8926, largest from layer 3 on",
                farthest_ratio(STD, PLAIN),
                frame="ratio",
                high=0.05,
            ),
            Claim(
                "level-through-depth",
                "the distribution of activations stays the same through depth",
                f"std of pre-activations, layer {LAYERS} over layer 4",
                ratio(value_of(STD, PLAIN), value_of(STD, PLAIN, 4)),
                low=0.95,
                high=1.05,
                note="layer 1 spans many periods and is arcsine; from layer 3 on another "
                "distribution is kept",
            ),
            Claim(
                "arcsine",
                "activations are arcsine distributed, about",
                f"Kolmogorov distance of layer {LAYERS}'s activations to arcsine",
                value_of(DISTANCE, PLAIN),
                high=0.1,
            ),
            Claim(
                "biases-add-nothing",
                "biases U(±1/√n) change little (the derivation leaves them out)",
                f"{_STD}, with the authors' biases",
                value_of(STD, BIASED),
                high=1.05,
                note="ω₀ multiplies the biases too: they add ω₀²/(3n) to the variance",
            ),
        ),
    )
}


EXPERIMENT = Experiment(measure, PICTURES, seeds=10, quick={"width": 64, "samples": 200})
