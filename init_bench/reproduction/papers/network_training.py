"""Train the networks of a paper: grids whose run is not kept, and the best of several rates."""

from collections.abc import Iterable, Iterator, Sequence
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from init_bench.errors import InitBenchError
from init_bench.training.grid import Grid
from init_bench.training.pipeline import run


def train(grids: Sequence[Grid]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables ``cells`` and ``layers`` of grids, trained on one thread.

    Raises:
        InitBenchError: a training run failed.
    """
    with TemporaryDirectory() as folder:
        results = run(grids, folder, device="cpu", executor="serial", progress=False)
        if results.failures:
            raise InitBenchError(f"training failed: {results.failures[0].read_text()}")
        return results.cells, results.layers


def best_rates(cells: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Yield each setting, seed and its least final loss over learning rates.

    A rate at which a run diverged does not count; where all diverged there is no value.

    Args:
        cells: a row per training run, with ``lr``, ``seed`` and ``final_loss``.
        by: columns that make a setting.
    """
    finite = cells.assign(loss=cells["final_loss"].where(np.isfinite(cells["final_loss"])))
    for key, loss in finite.groupby([*by, "seed"], sort=False)["loss"].min().items():
        yield (*_as_tuple(key), loss)


def _as_tuple(key: object) -> Iterable[object]:
    return key if isinstance(key, tuple) else (key,)
