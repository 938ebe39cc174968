"""Measure the curvature at the start, and find the weights whose size does not matter."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init.whole_model.objective import differentiating

PRODUCTS = 8
"""Hessian-vector products; each costs about two steps."""


SCALE_FREE = 1e-3
"""Largest |cosine| between a scale-free weight and its gradient; rounding leaves less."""


def largest_curvature(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> float:
    """Return the largest eigenvalue of the loss's Hessian, from below; nan where there is none.

    Formula:
        the largest eigenvalue of the tridiagonal matrix of ``PRODUCTS`` steps of Lanczos from a
        random vector. Gradient descent on a quadratic diverges above the rate 2/λ.

    Source:
        Lanczos, 1950; Golub & Van Loan, Matrix Computations, 2013, section 10.1.
    """
    try:
        with differentiating("rate_window", "twice"):
            gradients = torch.autograd.grad(loss(), parameters, create_graph=True)
            return _lanczos(gradients, parameters)
    except (InitBenchError, NotImplementedError):
        return math.nan


def _lanczos(gradients: Sequence[Tensor], parameters: Sequence[Tensor]) -> float:
    draws = stream(0, "curvature")
    vector = [torch.randn(p.shape, generator=draws).to(p) for p in parameters]
    vector = _scaled(vector, 1 / _norm(vector))
    before, beta = [torch.zeros_like(v) for v in vector], 0.0
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(PRODUCTS):
        product: Sequence[Tensor] = torch.autograd.grad(
            gradients, parameters, vector, retain_graph=True, materialize_grads=True
        )
        alpha = _dot(product, vector)
        rest = [p - alpha * v - beta * b for p, v, b in zip(product, vector, before, strict=True)]
        diagonal.append(alpha)
        beta = _norm(rest)
        if not 0 < beta < math.inf:
            break
        beside.append(beta)
        before, vector = vector, _scaled(rest, 1 / beta)
    size = len(diagonal)
    matrix = np.diag(diagonal) + np.diag(beside[: size - 1], 1) + np.diag(beside[: size - 1], -1)
    finite = bool(np.isfinite(matrix).all())
    return float(np.linalg.eigvalsh(matrix)[-1]) if finite else math.nan


def scale_free_weights(model: nn.Module, losses: Sequence[Callable[[], Tensor]]) -> pd.DataFrame:
    """Return a row per weight whose size the output does not depend on, as before normalization.

    ``norm`` is ‖W‖, ``effective_rate_per_lr`` is 1/‖W‖²: only the direction of such a weight
    matters, and a step of SGD at rate η turns it as far as η/‖W‖² would turn one of norm 1.

    Formula:
        a loss that is the same for W and αW has ⟨W, ∂loss/∂W⟩ = 0; here |cos(W, ∂loss/∂W)| is
        below ``SCALE_FREE`` for each of ``losses``.

    Source:
        van Laarhoven, L2 Regularization versus Batch and Weight Normalization, 2017.
    """
    weights = {n: p for n, p in model.named_parameters() if p.requires_grad and p.dim() > 1}
    free = set(weights)
    for loss in losses:
        with torch.enable_grad():
            gradients = torch.autograd.grad(loss(), [*weights.values()], allow_unused=True)
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
            if gradient is None or not _is_orthogonal(weight, gradient):
                free.discard(name)
    rows = [
        {"parameter": name, "norm": norm, "effective_rate_per_lr": norm**-2}
        for name, weight in weights.items()
        if name in free and (norm := float(weight.detach().norm())) > 0
    ]
    return pd.DataFrame(rows, columns=["parameter", "norm", "effective_rate_per_lr"])


def _is_orthogonal(weight: Tensor, gradient: Tensor) -> bool:
    lengths = _norm([weight]) * _norm([gradient])
    return 0 < lengths < math.inf and abs(_dot([weight], [gradient])) < SCALE_FREE * lengths


def _dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    pairs = zip(left, right, strict=True)
    return sum(float((a.detach().float() * b.detach().float()).sum()) for a, b in pairs)


def _norm(vector: Sequence[Tensor]) -> float:
    return math.sqrt(_dot(vector, vector))


def _scaled(vector: Sequence[Tensor], factor: float) -> list[Tensor]:
    return [part * factor for part in vector]
