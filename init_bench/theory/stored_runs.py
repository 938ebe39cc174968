"""Predict the hidden layers of stored training runs at their start by mean field theory."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError
from init_bench.theory.inputs import Inputs
from init_bench.theory.mean_field import MeanField
from init_bench.theory.profile import profile_of

NEEDED = (
    *("init", "activation", "seed", "model", "norm", "width", "step"),
    *("layer", "index", "kind", "mean", "std", "sample_std"),
)
"""Columns that are read."""


CAPTURED_SAMPLES = 512
"""A run captures its layers on this many samples: a share 1/512 of pairs are one sample twice."""


OF_TRAINING = ("lr", "optimizer", "momentum", "weight_decay", "batch_size", "steps", "precision")
"""Axes that change nothing at the start."""


WITH_BIASES = ("torch.default",)
"""Initializers with random biases, whose variance is not stored."""


def expected_of_runs(layers: pd.DataFrame, axes: Sequence[str] = ("init",)) -> pd.DataFrame:
    """Return what mean field predicts for the hidden activations of MLPs before training.

    Theory starts from the measured outputs of the first layer; σ_w² of each later layer is measured
    on its weights: fan_in times their variance. Mean over seeds.

    Args:
        layers: table ``layers`` of a run.
        axes: columns that tell networks apart, beside those that are needed.

    Returns:
        The axes, ``hidden_layer`` (from 1), ``sample_std``, ``std``, ``correlation`` and
        ``gradient`` (as a multiple of that at the last hidden layer). Combinations that theory
        does not cover (other models than ``mlp``, normalization, equal weights, random biases)
        have no rows.

    Raises:
        InitBenchError: a column is missing.

    Example:
        >>> import tempfile, init_bench as ib
        >>> run = ib.run(ib.Grid(width=20, steps=1), tempfile.mkdtemp(), progress=False)
        >>> expected_of_runs(run.layers)["hidden_layer"].tolist()
        [1, 2, 3, 4]
    """
    missing = [name for name in NEEDED if name not in layers]
    if missing:
        raise InitBenchError(f"the table of layers lacks {', '.join(missing)}")
    covered = layers[
        (layers["step"] == 0)
        & (layers["model"] == "mlp")
        & (layers["norm"] == "none")
        & layers["activation"].isin(list(ACTIVATIONS))
        & ~layers["init"].isin(WITH_BIASES)
    ]
    keys = list(dict.fromkeys([*axes, "init"]))
    start = [name for name in keys if name not in OF_TRAINING]
    tables = []
    groups: Any = covered.groupby(start, sort=False)
    for values, part in groups:
        table = _expected(part)
        if table is not None:
            tables.append(table.assign(**dict(zip(start, values, strict=True))))
    if not tables:
        return pd.DataFrame()
    return covered[keys].drop_duplicates().merge(pd.concat(tables), on=start)


def _expected(part: pd.DataFrame) -> pd.DataFrame | None:
    """Return the rows of one combination, ``None`` where mean field does not cover it."""
    if part[["activation", "width"]].nunique().max() > 1:
        return None
    width, phi = int(part["width"].iloc[0]), str(part["activation"].iloc[0])
    weights = part[part["kind"] == "weight"].groupby("index")[["mean", "std"]].mean()
    first = part[part["kind"] == "pre_activation"].groupby("index")[["std", "sample_std"]].mean()
    spread = weights["std"].to_numpy()
    if len(weights) < 2 or not (np.isfinite(spread).all() and (spread > 0).all()):
        return None
    q = float(first["std"].iloc[0]) ** 2
    apart = float(first["sample_std"].iloc[0]) ** 2 / (1 - 1 / CAPTURED_SAMPLES)
    if not (math.isfinite(q) and q > 0):
        return None
    cosine = min(1.0, max(-1.0, 1 - apart / q))
    inputs = Inputs(second_moment=q, cosine=cosine, samples=CAPTURED_SAMPLES)
    variances = [1.0, *(width * spread[1:] ** 2)]
    fields = [MeanField(activation=phi, sigma_w2=float(w2)) for w2 in variances]
    return _hidden(profile_of(fields, [width] * (len(fields) + 1), inputs))


def _hidden(profile: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of hidden activations, each with its gradient relative to the last one's."""
    hidden = profile[profile["kind"] == "activation"]
    gradients = profile[profile["kind"] == "gradient"].set_index("index")["std"]
    gradient = gradients.reindex(hidden["index"]).to_numpy()
    kept = hidden[["sample_std", "std", "correlation"]].reset_index(drop=True)
    return kept.assign(gradient=gradient / gradient[-1], hidden_layer=range(1, len(kept) + 1))
