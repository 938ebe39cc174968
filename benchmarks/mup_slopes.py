"""Measure slopes of the change of each layer's output over width and depth."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import stdtrit
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.mup_networks import GPT, ViT, perceptron
from init_bench import coord_check
from init_bench.diagnosis.coordinate_result import sweep_of
from init_bench.diagnosis.width_slopes import IN_BLOCK, slopes_of
from init_bench.hooks.random_streams import stream
from init_bench.statistics.intervals import t_interval

WIDTHS = ((64, 128, 256), (256, 512, 1024), (512, 1024, 2048))
DEPTHS = ((2, 4, 8), (8, 16, 32))
"""Sizes that a row's slopes are fitted to; the fit with a term of 1/size takes all of them."""


MUP = "mup(base_width=64, start='lecun_normal', zero_readout=True)"
COMPLETEP = "completep(base_width=64, base_depth=2, start='lecun_normal', zero_readout=True)"
EQUIVALENT = 0.05
"""A slope whose 95 % interval is within this of 0 is told as equivalent to 0."""


Factory = Callable[..., nn.Module]
Batch = tuple[Tensor, Tensor]


def measured(seeds: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each network, with torch's default and with the law."""
    networks = _networks()
    for name, (factory, batch) in networks.items():
        for init in ("torch.default", MUP):
            yield list(_checked(name, factory, batch, init, seeds, None))
    for init in ("torch.default", COMPLETEP):
        yield list(_checked("GPT", GPT, networks["GPT"][1], init, seeds, _all(DEPTHS)))


def _networks() -> dict[str, tuple[Factory, Batch]]:
    draws = stream(0, "mup")
    x, y = torch.randn(32, 64, generator=draws), torch.randint(10, (32,), generator=draws)
    images, classes = torch.randn(8, 1, 28, 28, generator=draws), y[:8]
    tokens = torch.randint(50, (8, 9), generator=draws)
    return {
        "MLP": (perceptron, (x, y)),
        "GPT": (partial(GPT, depth=1), (tokens[:, :-1], tokens[:, 1:])),
        "ViT": (partial(ViT, depth=1), (images, classes)),
    }


def _all(sweeps: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return tuple(sorted({size for sizes in sweeps for size in sizes}))


def _checked(
    name: str,
    factory: Factory,
    batch: Batch,
    init: str,
    seeds: int,
    depths: tuple[int, ...] | None,
) -> Iterator[dict[str, Any]]:
    check = coord_check(
        factory,
        (64,) if depths else _all(WIDTHS),
        batch,
        loss_fn=_cross_entropy,
        optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=1e-3),
        seeds=seeds,
        steps=4,
        depths=depths,
        init=init,
    )
    over = "depth" if depths else "width"
    common: dict[str, Any] = {"network": name, "init": init, "over": over}
    for sizes in DEPTHS if depths else WIDTHS:
        part = check.changes[check.changes[over].isin(sizes)]
        slopes = slopes_of(sweep_of(part, over), over)
        judged = slopes[slopes["verdict"] != IN_BLOCK]
        columns = ["layer", "slope", "ci_low", "ci_high", "verdict"]
        rows = judged[columns].to_dict("records")
        for row in _with_claims(rows, seeds):
            yield {"what": "slope", **common, "sizes": f"{sizes}", **row}
    kept = set(check.slopes.loc[check.slopes["verdict"] != IN_BLOCK, "layer"])
    fitted = limit_slopes(sweep_of(check.changes, over), over)
    for row in _with_claims([row for row in fitted if row["layer"] in kept], seeds):
        yield {"what": "limit", **common, "sizes": f"{_all(DEPTHS if depths else WIDTHS)}", **row}


def _with_claims(rows: list[dict[Any, Any]], seeds: int) -> Iterator[dict[str, Any]]:
    """Say of each layer whether its interval holds 0, all layers at once, and is within ±0.05."""
    widening = stdtrit(seeds - 1, 1 - 0.025 / len(rows)) / stdtrit(seeds - 1, 0.975)
    for row in rows:
        half = row["ci_high"] - row["slope"]
        within = -EQUIVALENT <= row["ci_low"] and row["ci_high"] <= EQUIVALENT
        yield {**row, "holds_0": abs(row["slope"]) <= widening * half, "equivalent_to_0": within}


def limit_slopes(changes: pd.DataFrame, over: str) -> list[dict[str, Any]]:
    """Fit log change = c + s log size + b / size to each layer and seed; return s by layer.

    The term b / size takes what a finite network adds, so that s is the slope of large ones.
    """
    last = changes[changes["step"] == changes["step"].max()]
    found = []
    for layer, part in last.groupby("layer", sort=False):
        change = part.pivot(index="seed", columns=over, values="change")
        size = change.columns.to_numpy(float)
        terms = np.stack([np.ones_like(size), np.log(size), size.min() / size], axis=1)
        slopes = np.linalg.lstsq(terms, np.log(change.to_numpy()).T, rcond=None)[0][1]
        slope, low, high = t_interval(slopes)
        found.append({"layer": layer, "slope": slope, "ci_low": low, "ci_high": high})
    return found


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())
