"""How fast does each fill a weight? Measured in turn, so that a busy machine slows both."""

import functools
import inspect
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch

from init_bench.comparison.draws import draw, module_of
from init_bench.comparison.pairs import Pair
from init_bench.comparison.rows import FILLS, TURNS, Row
from init_bench.errors import InitBenchError
from init_bench.init import INITS, InitSpec
from init_bench.init.builtin import DEFAULT, TORCH_INITS
from init_bench.randomness import stream

SHAPES = ((512, 512), (128, 64, 3, 3))
"""Weights that are timed: the first that both sides can fill."""


def speed_rows(pairs: Iterable[Pair]) -> list[Row]:
    """Return a row per pair: time of a fill of ``a`` over that of ``b``."""
    return [_row(pair) for pair in pairs]


def _row(pair: Pair) -> Row:
    """Return the ratio on the first shape that both can fill, or why there is none."""
    reasons = []
    for shape in SHAPES:
        try:
            times = _times(pair, shape)
        except InitBenchError as reason:
            reasons.append(str(reason))
            continue
        ratios = [a / b for a, b in times]
        medians = [statistics.median(side) * 1e6 for side in zip(*times, strict=True)]
        return Row(
            pair=pair,
            question="speed",
            setting="x".join(map(str, shape)),
            quantity="time",
            value=statistics.median(ratios),
            low=min(ratios),
            high=max(ratios),
            n=TURNS,
            note=f"medians {medians[0]:.4g} and {medians[1]:.4g} microseconds",
        )
    note = "; ".join(dict.fromkeys(reasons))
    return Row(pair=pair, question="speed", setting="", quantity="time", note=note)


def _times(pair: Pair, shape: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return seconds of a fill of each side by turn, one unmeasured turn ahead.

    Who goes first alternates: what the first leaves in the caches helps the second.
    """
    fills = [_fill(spec, shape) for spec in (pair.a, pair.b)]
    times = []
    with torch.random.fork_rng(devices=[]):  # torch's sparse_ and reset_parameters draw from it
        for turn in range(TURNS + 1):
            first = turn % 2
            seconds = {side: _seconds(fills[side]) for side in (first, 1 - first)}
            times.append((seconds[0], seconds[1]))
    return times[1:]


def _fill(spec: InitSpec, shape: tuple[int, ...]) -> Callable[[], object]:
    """Return what fills a weight of ``shape``, tried once; of torch's functions the bare one."""
    draw(spec, shape, stream(0, "compare/time"))
    if spec.name == DEFAULT:
        module: Any = module_of(shape)
        return lambda: module.reset_parameters()
    function: Callable[..., object] = INITS[spec.name]
    if spec.name in TORCH_INITS:
        function = inspect.unwrap(function)
    arguments = dict[str, Any](spec.arguments)
    if "generator" in inspect.signature(function).parameters:
        arguments["generator"] = stream(0, "compare/time")
    return functools.partial(function, torch.empty(shape), **arguments)


def _seconds(fill: Callable[[], object]) -> float:
    """Return the median time of some fills: a hiccup of the machine is left out."""
    seconds = []
    for _ in range(FILLS):
        started = time.perf_counter()
        fill()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
