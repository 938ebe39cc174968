"""Time filling a weight, against ``torch.nn.init``. ``python -m benchmarks.initializers``"""

import argparse
import functools
import time
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.interleaved_timing import interleaved, ratios, save, summary
from init_bench import init

SHAPES = ((100, 100), (4096, 4096), (512, 512, 3, 3))
NUMBERS_PER_MEASUREMENT = 2_000_000
"""Small weights are filled often enough to be timed, large ones once."""

Fill = Callable[[Tensor], Tensor]
OURS, TORCHS = "init_bench", "torch.nn.init"


def pairs(generator: torch.Generator) -> dict[str, tuple[Fill, Fill, float]]:
    """Return our function, torch's, and the ratio to reach, by what they draw."""
    torchs, scaling = nn.init, init.variance_scaling_
    truncated = "variance_scaling truncated / trunc_normal at its defaults"
    scaled_normal = functools.partial(scaling, scale=2.0, distribution="normal")
    table: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], float]] = {
        "normal": (init.normal_, torchs.normal_, 1.0),
        "he_normal": (init.he_normal_, torchs.kaiming_normal_, 1.0),
        "he_uniform": (init.he_uniform_, torchs.kaiming_uniform_, 1.0),
        "xavier_normal": (init.xavier_normal_, torchs.xavier_normal_, 1.0),
        "xavier_uniform": (init.xavier_uniform_, torchs.xavier_uniform_, 1.0),
        "variance_scaling normal / kaiming_normal": (scaled_normal, torchs.kaiming_normal_, 1.0),
        truncated: (scaling, torchs.trunc_normal_, 2.0),
        "orthogonal": (init.orthogonal_, torchs.orthogonal_, 1.0),
    }
    draws = functools.partial(functools.partial, generator=generator)
    return {n: (draws(ours), draws(theirs), ratio) for n, (ours, theirs, ratio) in table.items()}


def microseconds(fill: Fill, weight: Tensor) -> float:
    """Return what one filling takes, in time of the processor: others on the machine cost none."""
    rounds = max(1, NUMBERS_PER_MEASUREMENT // weight.numel())
    started = time.process_time()
    for _ in range(rounds):
        fill(weight)
    return (time.process_time() - started) / rounds * 1e6


def measured(shape: tuple[int, ...], repeats: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return every time taken, and for each pair the ratio torch / ours within a repeat."""
    weight = torch.empty(shape)
    times, table = [], []
    for name, (ours, theirs, target) in pairs(torch.Generator().manual_seed(0)).items():
        both = {OURS: ours, TORCHS: theirs}
        contenders: dict[str, Callable[[], float]] = {
            label: (lambda fill=fill: microseconds(fill, weight))  # type: ignore[misc]
            for label, fill in both.items()
        }
        interleaved(contenders, 1)  # warm
        rows = interleaved(contenders, repeats)
        found, medians = ratios(rows, OURS, TORCHS), summary(rows)["median"]
        times.append(rows.assign(init=name, shape=str(shape)))
        table.append(
            {
                "init": name,
                "shape": str(shape),
                "ours_us": medians[OURS],
                "torch_us": medians[TORCHS],
                "target": target,
                "ratio": found.median(),
                "min": found.min(),
                "max": found.max(),
                "met": bool(found.median() >= target),
            }
        )
    return pd.concat(times), pd.DataFrame(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)  # time of the processor sums over threads
    found = [measured(shape, given.repeats) for shape in SHAPES]
    times, table = (pd.concat(frames) for frames in zip(*found, strict=True))
    print(table.round(2).to_string(index=False))
    print(save(times, "initializers"), save(table, "initializers-targets"))


if __name__ == "__main__":
    main()
