"""Predict the statistics of every layer of an MLP by mean field theory."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from init_bench.activations.moments import GaussianMoments, Phi
from init_bench.theory.inputs import Inputs
from init_bench.theory.mean_field import MeanField
from init_bench.theory.weights import layers_of

COLUMNS = ("layer", "index", "kind", "mean", "std", "sample_std", "unit_std", "correlation")
"""Columns of ``expected_profile``, which mean what they do in ``capture``'s table."""


_CONSTANT = 1e-14
"""Up to this variance, as a share of mean², outputs are constant over units: no correlation."""


def expected_profile(
    widths: Sequence[int],
    init: str | float | Sequence[float],
    activation: Phi,
    *,
    inputs: Inputs | Tensor = Inputs(),  # noqa: B008 - frozen
    sigma_b2: float | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the statistics that mean field predicts for every layer of an MLP, as ``capture``.

    The network is ``models.mlp``'s: fc1, act1, fc2, …, the last without φ. With q the mean square
    of a layer's pre-activations and q_ab their mean product for two samples,

    - pre_activation: std² = q, sample_std² = q - q_ab, unit_std² = q_ab;
    - activation: the same of E[φ(a)²] and E[φ(a)φ(b)], E[φ(a)]² taken off;
    - gradient: std of ∂loss/∂output as a multiple of its value at the logits;
    - correlation: \\|covariance over units\\| / variance over units, of two samples.

    Of B samples, a share 1/B of pairs are a sample with itself; sample_std and unit_std count
    them as ``capture`` does. What is left out shrinks with the width n: numbers of one network
    scatter by about 1/√n around these.

    Args:
        widths: inputs, hidden units of each layer, outputs.
        init: σ_w² (fan_in times the weights' variance) of all layers, one for each, or a spec: it
            is then measured on the weights, and σ_b² on the biases, that ``initialize`` draws
            with ``seed``.
        activation: φ: a name on the menu, an ``Activation``, or an elementwise function of a
            tensor.
        inputs: the batch itself, or its moments.
        sigma_b2: variance of the biases: default 0, or what a spec gives them.
        seed: of a spec's weights.

    Returns:
        A row per layer and kind, with the columns ``COLUMNS``, in order of execution. A signal
        that overflows is inf, then nan.

    Raises:
        InitBenchError: ``widths`` are fewer than two, ``init`` does not fit them or draws weights
            whose mean is not 0, φ is unknown, or a variance is negative.

    Source:
        Poole et al., Exponential expressivity in deep neural networks through transient chaos,
        2016 (signal); Schoenholz et al., Deep information propagation, 2017 (gradient).

    Example:
        >>> table = expected_profile([784, 100, 100, 10], 2.0, "relu")
        >>> table.loc[table["kind"] == "pre_activation", "std"].round(6).tolist()
        [1.414214, 1.414214, 1.414214]
    """
    batch = Inputs.of(inputs) if isinstance(inputs, Tensor) else inputs
    return profile_of(layers_of(widths, init, activation, sigma_b2, seed), widths, batch)


def profile_of(layers: Sequence[MeanField], widths: Sequence[int], batch: Inputs) -> pd.DataFrame:
    """Return the predicted profile of weight layers, given their variances."""
    with np.errstate(over="ignore", invalid="ignore"):  # a signal that blows up is a result
        signal = list(_propagated(layers, batch))
        lengths = [variance for _, variance, _ in signal[::2]]
        slopes = [_slope_moment(*pair) for pair in zip(layers, lengths, strict=True)]
    rows = [_signal_row(at, moments, batch.samples) for at, moments in enumerate(signal, start=1)]
    frame = pd.DataFrame([*rows, *_gradient_rows(layers, slopes, widths)], columns=list(COLUMNS))
    return frame.sort_values("index", kind="stable", ignore_index=True)


Moments = tuple[float, float, float]
"""Of a layer's output: mean and variance over units, and by how much the covariance of two
samples is less than that variance."""


def _propagated(layers: Sequence[MeanField], batch: Inputs) -> Iterator[Moments]:
    """Yield the moments of fc1, act1, fc2, … up to the logits."""
    moment, apart = batch.second_moment, batch.second_moment * (1 - batch.cosine)
    for number, layer in enumerate(layers, start=1):
        q, d = layer.sigma_w2 * moment + layer.sigma_b2, layer.sigma_w2 * apart
        yield 0.0, q, d
        if number < len(layers):
            mean, variance, apart = _through(layer.nonlinearity, q, d)
            moment = variance + mean**2
            yield mean, variance, apart


def _through(phi: GaussianMoments, q: float, d: float) -> Moments:
    """Return the moments of φ(a) for those of a."""
    if not math.isfinite(q):
        return math.nan, math.nan, math.nan
    return float(phi.mean(q)), phi.variance(q) if q > 0 else 0.0, phi.spread(q, d)


def _slope_moment(layer: MeanField, q: float) -> float:
    return float(layer.nonlinearity.slope_moment(q)) if math.isfinite(q) else math.nan


def _signal_row(index: int, moments: Moments, samples: float) -> dict[str, Any]:
    mean, variance, apart = moments
    within = apart * (1 - 1 / samples)
    return {
        **_where(index),
        "kind": "pre_activation" if index % 2 else "activation",
        "mean": mean,
        "std": _root(variance),
        "sample_std": _root(within),
        "unit_std": _root(variance - within),
        "correlation": abs(1 - apart / variance) if variance > _CONSTANT * mean**2 else math.nan,
    }


def _gradient_rows(
    layers: Sequence[MeanField], slopes: Sequence[float], widths: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Yield a row for every output, from the logits back: δ = φ'(a) ⊙ Wᵀδ' layer by layer."""
    size = 1.0
    yield {**_where(2 * len(layers) - 1), "kind": "gradient", "std": size}
    for at in range(len(layers) - 2, -1, -1):
        # A unit sums over the n_out weights of variance σ_w²/n_in that leave it.
        size *= layers[at + 1].sigma_w2 * widths[at + 2] / widths[at + 1]
        yield {**_where(2 * at + 2), "kind": "gradient", "std": _root(size)}
        size *= slopes[at]
        yield {**_where(2 * at + 1), "kind": "gradient", "std": _root(size)}


def _where(index: int) -> dict[str, Any]:
    """Return name and place of the ``index``-th module of fc1, act1, fc2, …"""
    return {"layer": f"{'fc' if index % 2 else 'act'}{(index + 1) // 2}", "index": index}


def _root(square: float) -> float:
    return math.sqrt(max(square, 0.0)) if square == square else math.nan
