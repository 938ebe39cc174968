"""Measure five layers at random weights before any training: the book's first experiment."""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.hooks.random_streams import stream
from init_bench.hooks.record import capture
from init_bench.models import mlp
from init_bench.training.networks import build

SAMPLES, UNITS, LAYERS, BINS = 1000, 100, 5, 30


PAIRS = (
    ("normal(std=1)", "sigmoid"),
    *(
        (init, activation)
        for activation in ("sigmoid", "relu", "tanh")
        for init in ("normal(std=0.01)", "lecun_normal", "he_normal")
    ),
)
"""Initializer and activation of every histogram of the section, and of its exercise."""


def measure_initial_activations(seeds: Iterable[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return histograms and layer statistics of five layers of 100 units on N(0, 1) input.

    1000 samples pass five layers of 100 units without bias. Each seed draws its own weights and
    samples; the samples of a seed are the same for all initializers.

    Returns:
        histograms: ``init, activation, layer, range, centre, width, share, std, sample_std,
        seeds``; share is the mean over seeds of the share of the layer's activations in the bin.
        layers: ``init, activation, seed, layer`` and the statistics of ``capture``.

    Source:
        Saito, Deep Learning from Scratch, 2016, sec. 6.2.2, ``weight_init_activation_histogram``.
    """
    seeds = list(seeds)
    pairs = [_measure(init, activation, seeds) for init, activation in PAIRS]
    layers = pd.concat([frame for _, frame in pairs], ignore_index=True)
    histograms = pd.concat([frame for frame, _ in pairs], ignore_index=True)
    spreads = layers.groupby(["init", "activation", "layer"])[["std", "sample_std"]].mean()
    return histograms.join(spreads, on=["init", "activation", "layer"]), layers


def _measure(init: str, activation: str, seeds: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return histograms and layer statistics of one initializer with one activation."""
    measured = [_activations(init, activation, seed) for seed in seeds]
    layers = pd.concat(
        [frame.assign(seed=seed) for seed, (frame, _) in zip(seeds, measured, strict=True)]
    )
    by_layer = zip(*(outputs for _, outputs in measured), strict=True)
    histograms = pd.concat(
        [
            _histogram(values, span).assign(layer=layer, range=name)
            for layer, values in enumerate(by_layer, start=1)
            for name, span in _spans(layers, activation)
        ]
    )
    return (
        histograms.assign(init=init, activation=activation, seeds=len(seeds)),
        layers.assign(init=init, activation=activation),
    )


def _activations(init: str, activation: str, seed: int) -> tuple[pd.DataFrame, list[Tensor]]:
    """Return the statistics and the values of the five activation layers."""

    def factory() -> nn.Module:
        return mlp(UNITS, UNITS, UNITS, LAYERS + 1, activation)[:-1]

    network = build(factory, init, seed)
    x = torch.randn((SAMPLES, UNITS), generator=stream(seed, "first_look"))
    with torch.no_grad(), capture(network, keep=True) as record:
        network(x)
    table = record.table()
    table = table[table["kind"] == "activation"].copy()
    table["layer"] = table["layer"].str.removeprefix("act").astype(int)
    return table, [record[f"act{layer}"] for layer in range(1, LAYERS + 1)]


def _spans(layers: pd.DataFrame, activation: str) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield the book's range and, if values lie outside of it, the full one."""
    yield "book", (0.0, 1.0)
    bounds = ACTIVATIONS[activation].bounds
    if bounds != (0.0, 1.0):
        largest = float(layers[["min", "max"]].abs().to_numpy().max())
        top = bounds[1] if bounds else max(largest, math.ulp(1.0))
        yield "full", (-top, top)


def _histogram(values: Sequence[Tensor], span: tuple[float, float]) -> pd.DataFrame:
    """Return bin centers and the share of all values in each, mean over seeds."""
    edges = np.linspace(*span, BINS + 1)
    if span[0] == -span[1]:
        edges[BINS // 2] = 0.0  # else rounding may put a ReLU's zeros into the bin below 0
    counts = [np.histogram(seed.numpy(), bins=edges)[0] for seed in values]
    width = (span[1] - span[0]) / BINS
    centers = span[0] + width * (np.arange(BINS) + 0.5)
    share = np.mean(counts, axis=0) / values[0].numel()
    return pd.DataFrame({"centre": centers, "width": width, "share": share})
