"""Train the networks of a paper: grids whose run is not kept, and the best of several rates."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from init_bench.errors import InitBenchError
from init_bench.training.grid import Grid
from init_bench.training.pipeline import run

STD, GRADIENT = "std", "gradient"
"""Quantities of ``start_profile``."""


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


def initial_layers(layers: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the rows of a kind of tensor before training, with the layer's number as ``at``."""
    rows = layers[(layers["step"] == 0) & (layers["kind"] == kind)]
    number = rows["layer"].str.extract(r"^(?P<name>[a-z]+)(?P<at>\d+)$")
    return rows.assign(at=number["at"].astype(int), name=number["name"])


def start_profile(
    layers: pd.DataFrame, series_of: Callable[[str], str] = str
) -> Iterator[tuple[object, ...]]:
    """Yield std of activations before training, and of gradients at them over the last one's.

    Args:
        layers: rows of an MLP's layers, at one learning rate.
        series_of: the name of the series of an initializer.
    """
    for row in initial_layers(layers, "activation").to_dict("records"):
        yield STD, series_of(row["init"]), row["at"], row["seed"], row["std"]
    gradients = initial_layers(layers, "gradient")
    hidden = gradients[gradients["name"] == "act"]
    last = hidden[hidden["at"] == hidden["at"].max()].set_index(["init", "seed"])["std"]
    for row in hidden.to_dict("records"):
        size = row["std"] / last[row["init"], row["seed"]]
        yield GRADIENT, series_of(row["init"]), row["at"], row["seed"], size


def _as_tuple(key: object) -> Iterable[object]:
    return key if isinstance(key, tuple) else (key,)
