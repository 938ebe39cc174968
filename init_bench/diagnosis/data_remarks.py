"""Remark on inputs and targets that make sound weights look faulty."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from init_bench.hooks.layer_call import describe_signal
from init_bench.hooks.model_call import arguments_of, first_argument, number_of_samples
from init_bench.hooks.nested_tensors import dense_tensors

LARGEST_TARGETS = 100.0
"""RMS of targets above which a regression first spends its steps on their scale."""


USUAL_RMS = (0.01, 10.0)
"""Normalized inputs, pixels in [0, 1] and one-hot codes of 10 000 classes lie within."""


def remarks_on_inputs(inputs: Any) -> Iterator[str]:
    """Report inputs that make sound weights look faulty: equal samples, or an unusual scale.

    Example:
        >>> import torch
        >>> list(remarks_on_inputs(torch.ones(4, 3)))
        ['all samples of the inputs are equal: pass a batch of different samples']
    """
    first = first_argument(inputs)
    if _all_samples_equal(inputs):
        yield "all samples of the inputs are equal: pass a batch of different samples"
        return
    dense = isinstance(first, Tensor) and next(dense_tensors(first), None) is first
    if dense and first.is_floating_point() and first.numel():
        rms = describe_signal(first)["rms"]
        if not USUAL_RMS[0] <= rms <= USUAL_RMS[1]:
            yield (
                f"unusual input scale: RMS {rms:.3g}, where initializers expect about 1; "
                "normalize the inputs before you change any weights"
            )


def remarks_on_targets(targets: Any) -> Iterator[str]:
    """Report numbers to predict that are far from the scale of an output.

    Example:
        >>> list(remarks_on_targets(torch.full((4, 1), 2e5)))
        ['unusual target scale: RMS 2e+05, where outputs start near 1; scale the targets before you change any weights']
    """  # noqa: E501 - the doctest shows the message as a user sees it
    if isinstance(targets, Tensor) and targets.is_floating_point() and targets.numel():
        rms = targets.detach().float().square().mean().sqrt().item()
        if LARGEST_TARGETS < rms < math.inf:
            yield (
                f"unusual target scale: RMS {rms:.3g}, where outputs start near 1; scale the "
                f"targets before you change any weights"
            )


def _all_samples_equal(inputs: Any) -> bool:
    """Return whether every argument that has a part per sample has equal parts."""
    samples = number_of_samples(inputs)
    of_each = [x for x in arguments_of(inputs) if samples and _length(x) == samples]
    return bool(of_each) and all(map(_members_equal, of_each))


def _members_equal(argument: Any) -> bool:
    parts = list(dense_tensors(argument))
    if isinstance(argument, list):
        return bool(parts) and all(torch.equal(x, parts[0]) for x in parts)
    return bool(parts) and bool((argument == argument[:1]).all())


def _length(argument: Any) -> int:
    sized = isinstance(argument, list) or (isinstance(argument, Tensor) and argument.dim() > 0)
    return len(argument) if sized else 0
