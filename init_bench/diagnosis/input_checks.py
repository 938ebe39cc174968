"""Check the inputs of a diagnosis: dense tensors of two samples or more, all finite."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from init_bench.errors import InitBenchError
from init_bench.hooks.model_call import first_argument, number_of_samples, shapes
from init_bench.hooks.nested_tensors import dense_tensors, nonfinite_in


def check_inputs(inputs: Any) -> None:
    """Refuse ``inputs`` that no layer can be judged by.

    Args:
        inputs: a tensor, a tuple of arguments or a mapping of keyword arguments.

    Raises:
        InitBenchError: the first of them is an array, a loader or a tensor that is not dense or
            has no values, or they hold a single sample or a value that is not finite.

    Example:
        >>> import torch
        >>> check_inputs(torch.ones(1, 3))
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: inputs float32 (1, 3) hold 1 sample: samples are compared, which takes two or more; pass a batch
    """  # noqa: E501 - the doctest shows the message as a user sees it
    check_dense(first_argument(inputs))
    samples = number_of_samples(inputs)
    if samples is not None and samples < 2:
        raise InitBenchError(
            f"inputs {shapes(inputs)} hold {samples} sample: samples are compared, which takes "
            f"two or more; pass a batch"
        )
    check_finite(inputs, "inputs", "no layer that gets them can be judged; clean the inputs")


def check_dense(first: Any) -> None:
    """Refuse a first argument that is an array, a loader or a tensor without statistics.

    Raises:
        InitBenchError: it is; the message says how to make a dense tensor of it.

    Example:
        >>> import torch
        >>> check_dense(torch.ones(2, 3))
    """
    if why := _no_dense_tensor(first):
        raise InitBenchError(f"inputs begin with a {type(first).__name__}: {why}")


def check_finite(values: Any, name: str, consequence: str) -> None:
    """Refuse values that are not finite, and say what follows from them.

    Raises:
        InitBenchError: a value is nan or infinite.

    Example:
        >>> import torch
        >>> check_finite(torch.ones(2, 3), "targets", "clean them")
    """
    if broken := nonfinite_in(values):
        raise InitBenchError(
            f"{name} {shapes(values)} hold nan or ±inf ({broken} of their values): {consequence}"
        )


def _no_dense_tensor(first: Any) -> str:
    """Return how to make a dense tensor of ``first``, where it is none."""
    if isinstance(first, np.ndarray):
        return "torch.from_numpy makes a tensor of it"
    if isinstance(first, DataLoader | Iterator):
        return "pass its first batch, such as inputs, targets = next(iter(loader))"
    if isinstance(first, Tensor) and first.is_meta:
        return "on the meta device it has no values; torch.randn_like(x, device='cpu') has"
    if isinstance(first, Tensor) and next(dense_tensors(first), None) is None:
        return "sparse and nested ones have no statistics; to_dense() or a padded one has"
    return ""
