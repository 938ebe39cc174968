"""Compare the weights that two initializers draw into one network, layer by layer."""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from init_bench import datasets
from init_bench.comparison.measurements import NETWORK_DRAWS, Row
from init_bench.comparison.pairs_from_names import Pair
from init_bench.comparison.tensor_draws import (
    BIT_SEEDS,
    Draws,
    draws_of,
    equal_bits,
    quantile_frame,
)
from init_bench.comparison.two_sample import mean_ratio
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import InitSpec
from init_bench.training.cell import Cell
from init_bench.training.networks import network_of

Layers = Mapping[str, Draws]


def fills_networks(pair: Pair) -> bool:
    """Return whether a side of the pair fills whole networks and no single tensor.

    Example:
        >>> fills_networks(Pair(a=InitSpec("lsuv"), b=InitSpec("he_normal")))
        True
    """
    return not (pair.a.fills_one_layer and pair.b.fills_one_layer)


def layer_rows(pairs: Iterable[Pair], cell: Cell) -> list[Row]:
    """Return the rows about each weight of the cell's network, as both sides of a pair fill it.

    Entries of one weight may share a scale that the initializer computed, so weights are the
    units of every test.
    """
    layers_from = functools.lru_cache(maxsize=None)(functools.partial(_drawn, cell=cell))
    return [row for pair in pairs for row in _rows(pair, cell, layers_from)]


def layer_quantiles(pair: Pair, cell: Cell) -> pd.DataFrame:
    """Return quantiles of both sides' entries in the first layer, no rows where one fills none."""
    try:
        sides = {str(spec): _drawn(spec, cell=cell) for spec in (pair.a, pair.b)}
    except InitBenchError:
        return quantile_frame({}, "")
    first = next(iter(sides[str(pair.a)]))
    return quantile_frame({init: layers[first].entries for init, layers in sides.items()}, first)


def weights_of(cell: Cell) -> dict[str, Tensor]:
    """Return the initial weights of the cell's network by shape and layer, without biases.

    Raises:
        InitBenchError: the initializer cannot fill the network, or fills it with nan or inf.
    """
    network = network_of(cell, datasets.load(cell.dataset))
    weights = {}
    for name, value in network.named_parameters():
        if value.dim() > 1:
            shape = "x".join(map(str, value.shape))
            weights[f"{shape} {name.removesuffix('.weight')}"] = value.detach()
        if not value.isfinite().all():
            raise InitBenchError(f"{cell.init} fills {name!r} with nan or inf")
    return weights


def _drawn(spec: InitSpec, *, cell: Cell) -> Layers:
    """Return statistics of ``NETWORK_DRAWS`` fills of the network, from seeds of the spec's own."""
    seeds = [stream(i, f"compare/{spec}").initial_seed() for i in range(NETWORK_DRAWS)]
    fills = [weights_of(replace(cell, init=str(spec), seed=seed)) for seed in seeds]
    return {layer: draws_of(torch.stack([fill[layer] for fill in fills])) for layer in fills[0]}


def _rows(pair: Pair, cell: Cell, layers_from: Callable[[InitSpec], Layers]) -> Iterator[Row]:
    row = functools.partial(Row, pair=pair, question="distribution")
    try:
        a, b, bits = layers_from(pair.a), layers_from(pair.b), _same_bits(pair, cell)
    except InitBenchError as reason:
        yield row(setting="the network", quantity="same bits", note=str(reason))
        return
    for layer in a:
        of_layer = functools.partial(row, setting=f"layer {layer}")
        yield of_layer(quantity="same bits", value=bits[layer], n=BIT_SEEDS)
        for quantity, statistic in _STATISTICS.items():
            sides = statistic(a[layer]), statistic(b[layer])
            yield of_layer(quantity=quantity, n=NETWORK_DRAWS, **_ratio(*sides))


def _same_bits(pair: Pair, cell: Cell) -> dict[str, float]:
    """Return the share of seeds from which both sides fill each layer with the same bits."""
    equal: dict[str, float] = {}
    for seed in range(BIT_SEEDS):
        a, b = (weights_of(replace(cell, init=str(spec), seed=seed)) for spec in (pair.a, pair.b))
        for layer in a:
            equal[layer] = equal.get(layer, 0.0) + equal_bits(a[layer], b[layer]) / BIT_SEEDS
    return equal


def _ratio(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """Return the ratio of two samples; weights that are 0 on one side only differ with p = 0."""
    if not a.any() and b.all():
        return {"value": 0.0, "low": 0.0, "high": 0.0, "p": 0.0}
    if a.all() and not b.any():
        return {"value": math.inf, "low": math.inf, "high": math.inf, "p": 0.0}
    return mean_ratio(a, b)


_STATISTICS: dict[str, Callable[[Draws], np.ndarray]] = {
    "std ratio": lambda draws: draws.rms,
    "spectrum ratio": lambda draws: draws.spectrum,
    "kurtosis ratio": lambda draws: draws.kurtosis,
}
