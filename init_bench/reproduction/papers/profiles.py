"""Compute profiles of networks before training: as measured, and as mean field expects them."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from init_bench import datasets
from init_bench.theory import expected_profile

STD, GRADIENT = "std", "gradient"
"""Quantities of the profiles."""


def initial_layers(layers: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the rows of a kind of tensor before training, with the layer's number as ``at``."""
    rows = layers[(layers["step"] == 0) & (layers["kind"] == kind)]
    number = rows["layer"].str.extract(r"^(?P<name>[a-z]+)(?P<at>\d+)$")
    return rows.assign(at=number["at"].astype(int), name=number["name"])


def start_profile(layers: pd.DataFrame, series: Mapping[str, str]) -> Iterator[tuple[object, ...]]:
    """Yield std of activations before training, and of gradients at them over the last one's.

    Args:
        layers: rows of an MLP's layers, at one learning rate.
        series: the name of the series of each initializer.
    """
    for row in initial_layers(layers, "activation").to_dict("records"):
        yield STD, series[row["init"]], row["at"], row["seed"], row["std"]
    gradients = initial_layers(layers, "gradient")
    hidden = gradients[gradients["name"] == "act"]
    last = hidden[hidden["at"] == hidden["at"].max()].set_index(["init", "seed"])["std"]
    for row in hidden.to_dict("records"):
        size = row["std"] / last[row["init"], row["seed"]]
        yield GRADIENT, series[row["init"]], row["at"], row["seed"], size


def expected_start(
    series: Mapping[str, str], hidden: Sequence[int], activation: str
) -> Iterator[tuple[object, ...]]:
    """Yield what mean field expects of ``start_profile``, for images of MNIST.

    Args:
        series: the name of the series of each initializer.
        hidden: width of each hidden layer.
        activation: name of the activation.
    """
    images = datasets.load("mnist").inputs[:2000]
    for init, name in series.items():
        widths = [images.shape[1], *hidden, 10]
        table = expected_profile(widths, init, activation, inputs=images)
        rows = table[table["layer"].str.startswith("act")].set_index("kind")["std"]
        last = rows["gradient"].iloc[-1]
        for kind, quantity, scale in (("activation", STD, 1.0), ("gradient", GRADIENT, last)):
            for at, std in enumerate(rows[kind], start=1):
                yield quantity, name, at, std / scale
