"""Compare the tensors that two initializers draw: bits, entries, matrices, stated moments."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.comparison.measurements import DRAW_ALPHA, DRAWS, Row
from init_bench.comparison.pairs_from_names import Pair
from init_bench.comparison.stated_distribution import mean_against, stated, variance_against
from init_bench.comparison.two_sample import ks_distance, mean_ratio
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import InitSpec
from init_bench.init.tensor_inits.torch_builtin import reset_

SHAPES = {"square": (128, 128), "tall": (256, 64), "wide": (64, 256), "conv": (64, 32, 3, 3)}
"""Weights ``(n_out, n_in, *kernel)`` on which draws are compared."""


QUANTILES = 500
"""Quantiles of a distribution that a figure shows."""


BIT_SEEDS = 5
"""Generator states from which both sides draw to check whether their bits agree."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Hold the statistics of ``DRAWS`` independent weights of one initializer and shape.

    Attributes:
        entries: all entries, in ascending order.
        rms: root mean square of the entries of each draw.
        spectrum: largest singular value over the root mean square of all, each draw.
        kurtosis: mean fourth power of the entries over their squared mean square, each draw.
    """

    entries: np.ndarray
    rms: np.ndarray
    spectrum: np.ndarray
    kurtosis: np.ndarray


def distribution_rows(pairs: Iterable[Pair]) -> list[Row]:
    """Return the rows about draws of each pair, shape by shape."""
    pairs = list(pairs)
    cached_draws = functools.lru_cache(maxsize=None)(draws)
    rows = []
    for name, shape in SHAPES.items():
        setting = f"{name} {'x'.join(map(str, shape))}"
        for pair in pairs:
            rows += list(_rows(pair, setting, shape, cached_draws))
        cached_draws.cache_clear()
    return rows


def draw(spec: InitSpec, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return a weight of ``shape`` on the CPU, filled by ``spec`` from ``generator``.

    Raises:
        InitBenchError: ``spec`` cannot fill it, needs more than a tensor, or draws nan or inf.

    Example:
        >>> draw(InitSpec("ones"), (1, 2), torch.Generator())
        tensor([[1., 1.]])
    """
    weight = torch.empty(shape)
    if spec.resets_modules:
        module = module_of(shape)
        reset_(module, generator=generator)
        weight = module.get_parameter("weight").detach()
    elif spec.fills_one_layer:
        spec(weight, generator=generator)
    else:
        raise InitBenchError(f"{spec.name} fills whole networks and cannot fill a single tensor")
    if not weight.isfinite().all():
        raise InitBenchError(f"{spec} draws nan or inf into a weight of shape {shape}")
    return weight


def module_of(shape: tuple[int, ...]) -> nn.Module:
    """Return a linear or convolutional layer with an uninitialized weight of ``shape``."""
    n_out, n_in, *kernel = shape
    with torch.device("meta"):
        if kernel:
            return nn.Conv2d(n_in, n_out, (kernel[0], kernel[1])).to_empty(device="cpu")
        return nn.Linear(n_in, n_out).to_empty(device="cpu")


def draws(spec: InitSpec, shape: tuple[int, ...]) -> Draws:
    """Draw ``DRAWS`` weights of ``spec``, from streams of its own, and return their statistics.

    Raises:
        InitBenchError: as ``draw``.
    """
    purpose = f"compare/{spec}/{shape}"
    return draws_of(torch.stack([draw(spec, shape, stream(i, purpose)) for i in range(DRAWS)]))


def draws_of(weights: Tensor) -> Draws:
    """Return statistics of stacked weights of one shape."""
    values = torch.linalg.svdvals(weights.flatten(2))
    squares = weights.double().square().flatten(1)
    rms = squares.mean(dim=1).sqrt()
    scale = values.double().square().mean(dim=1).sqrt()
    return Draws(
        entries=np.sort(weights.numpy().ravel()),
        rms=rms.numpy(),
        spectrum=(values.amax(dim=1) / scale).nan_to_num(0.0).numpy(),
        kurtosis=(squares.square().mean(dim=1) / rms**4).nan_to_num(0.0).numpy(),
    )


def same_bits(pair: Pair, shape: tuple[int, ...]) -> float:
    """Return the share of generator states from which both sides draw the same bits.

    Example:
        >>> from init_bench.comparison.pairs_from_names import pairs_of
        >>> same_bits(pairs_of(["he_normal"])[0], (3, 4))
        1.0
    """
    equal = 0
    for seed in range(BIT_SEEDS):
        a, b = (draw(spec, shape, stream(seed, "compare/bits")) for spec in (pair.a, pair.b))
        equal += equal_bits(a, b)
    return equal / BIT_SEEDS


def equal_bits(a: Tensor, b: Tensor) -> bool:
    """Return whether two float32 tensors have equal bits: 0 differs from -0, nan equals nan."""
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


def quantiles(pair: Pair) -> pd.DataFrame:
    """Return quantiles of both sides' entries on the first shape that both can fill.

    Columns ``init``, ``shape``, ``probability``, ``value``; no rows where there is no such shape.
    """
    for name, shape in SHAPES.items():
        try:
            sides = {str(spec): draws(spec, shape).entries for spec in (pair.a, pair.b)}
        except InitBenchError:
            continue
        return quantile_frame(sides, f"{name} {'x'.join(map(str, shape))}")
    return quantile_frame({}, "")


def quantile_frame(sides: Mapping[str, np.ndarray], shape: str) -> pd.DataFrame:
    """Return ``QUANTILES`` quantiles of each side's entries, which are in ascending order."""
    probabilities = (np.arange(QUANTILES) + 0.5) / QUANTILES
    frames = [
        pd.DataFrame(
            {
                "init": init,
                "shape": shape,
                "probability": probabilities,
                "value": entries[(probabilities * len(entries)).astype(int)],
            }
        )
        for init, entries in sides.items()
    ]
    none = pd.DataFrame(columns=["init", "shape", "probability", "value"])
    return pd.concat(frames, ignore_index=True) if frames else none


def _rows(
    pair: Pair,
    setting: str,
    shape: tuple[int, ...],
    draws_from: Callable[[InitSpec, tuple[int, ...]], Draws],
) -> Iterator[Row]:
    row = functools.partial(Row, pair=pair, question="distribution", setting=setting)
    refusals, sides = [], []
    for spec in (pair.a, pair.b):
        try:
            sides.append(draws_from(spec, shape))
        except InitBenchError as reason:
            refusals.append(str(reason))
    if refusals:
        yield row(quantity="same bits", note="; ".join(dict.fromkeys(refusals)))
        return
    a, b = sides
    yield row(quantity="same bits", value=same_bits(pair, shape), n=BIT_SEEDS)
    yield row(quantity="KS distance", n=len(a.entries), **ks_distance(a.entries, b.entries))
    yield row(quantity="std ratio", n=DRAWS, **mean_ratio(a.rms, b.rms))
    yield row(quantity="spectrum ratio", n=DRAWS, **mean_ratio(a.spectrum, b.spectrum))
    for side, spec, drawn in (("a", pair.a, a), ("b", pair.b, b)):
        distribution = stated(spec, shape)
        if distribution is None:
            continue
        for name, test in (("mean", mean_against), ("variance", variance_against)):
            moment: dict[str, Any] = asdict(test(drawn.entries, distribution, DRAW_ALPHA))
            yield row(quantity=f"{name} of {side}", n=len(drawn.entries), **moment)
