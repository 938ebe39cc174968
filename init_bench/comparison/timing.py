"""Time how fast each side fills a weight, in alternation, so that a busy machine slows both."""

import functools
import inspect
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from init_bench import datasets
from init_bench.comparison.measurements import FILLS, NETWORK_FILLS, TURNS, Row
from init_bench.comparison.pairs_from_names import Pair
from init_bench.comparison.tensor_draws import draw, module_of
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import INITS, InitSpec
from init_bench.init.tensor_inits.torch_builtin import TORCH_INITS
from init_bench.init.whole_model.initialization import fill_weights
from init_bench.training.cell import Cell
from init_bench.training.networks import network_of, seen_by_init

SHAPES = ((512, 512), (128, 64, 3, 3))
"""Weights that are timed: the first that both sides can fill."""


@dataclass(frozen=True)
class Fill:
    """A function that fills weights once, and how often it is called in a round."""

    once: Callable[[], object]
    times: int = FILLS


def speed_rows(pairs: Iterable[Pair]) -> list[Row]:
    """Return a row per pair: time of a fill of ``a`` over that of ``b``."""
    ways = {"x".join(map(str, s)): functools.partial(_tensor_fill, shape=s) for s in SHAPES}
    return [_row(pair, ways) for pair in pairs]


def network_speed_rows(pairs: Iterable[Pair], cell: Cell) -> list[Row]:
    """Return a row per pair: time in which ``a`` fills the cell's network over that of ``b``."""
    ways = {_named(cell): functools.partial(_network_fill, cell=cell)}
    return [_row(pair, ways) for pair in pairs]


def _row(pair: Pair, ways: Mapping[str, Callable[[InitSpec], Fill]]) -> Row:
    """Return the time ratio in the first setting that both can fill, or why there is none."""
    row = functools.partial(Row, pair=pair, question="speed", quantity="time")
    reasons = []
    for setting, fill_of in ways.items():
        try:
            times = _times([fill_of(spec) for spec in (pair.a, pair.b)])
        except InitBenchError as reason:
            reasons.append(str(reason))
            continue
        ratios = sorted((a / b, a * 1e6, b * 1e6) for a, b in times)
        middle, a_time, b_time = ratios[TURNS // 2]
        # The second lowest and second highest of 9 hold the median in 96 % of cases (binomial),
        # and one round that the machine disturbed moves neither.
        return row(
            setting=setting,
            value=middle,
            low=ratios[1][0],
            high=ratios[-2][0],
            n=TURNS,
            note=f"a: {a_time:.4g} µs, b: {b_time:.4g} µs",
        )
    return row(setting="", note="; ".join(dict.fromkeys(reasons)))


def _times(fills: Sequence[Fill]) -> list[tuple[float, float]]:
    """Return seconds of a fill of each side by round, after one round that is not counted.

    Who goes first alternates: what the first leaves in the caches helps the second.
    """
    times = []
    with torch.random.fork_rng(devices=[]):  # torch's sparse_ and reset_parameters draw from it
        for turn in range(TURNS + 1):
            first = turn % 2
            seconds = {side: _seconds(fills[side]) for side in (first, 1 - first)}
            times.append((seconds[0], seconds[1]))
    return times[1:]


def _network_fill(spec: InitSpec, *, cell: Cell) -> Fill:
    """Return a function that fills the cell's network, which is built beforehand."""
    cell, data = replace(cell, init=str(spec)), datasets.load(cell.dataset)
    network, batch = network_of(cell, data), seen_by_init(cell, data)
    loss = nn.functional.cross_entropy
    return Fill(
        functools.partial(fill_weights, network, spec, batch=batch, loss=loss), NETWORK_FILLS
    )


def _named(cell: Cell) -> str:
    size = f" of width {cell.width} and depth {cell.depth}" if cell.is_mlp else ""
    return f"{cell.model}{size}"


def _tensor_fill(spec: InitSpec, *, shape: tuple[int, ...]) -> Fill:
    """Return a function that fills a weight of ``shape``; torch's own is timed unwrapped."""
    draw(spec, shape, stream(0, "compare/time"))
    if spec.resets_modules:
        module: Any = module_of(shape)
        return Fill(module.reset_parameters)
    function: Callable[..., object] = INITS[spec.name]
    if spec.name in TORCH_INITS:
        function = inspect.unwrap(function)
    arguments = dict[str, Any](spec.arguments)
    if "generator" in inspect.signature(function).parameters:
        arguments["generator"] = stream(0, "compare/time")
    return Fill(functools.partial(function, torch.empty(shape), **arguments))


def _seconds(fill: Fill) -> float:
    """Return the median time of several fills, which one slow fill does not move."""
    seconds = []
    for _ in range(fill.times):
        started = time.perf_counter()
        fill.once()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
