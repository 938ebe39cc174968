"""Find what makes an output that is the same for all samples and lets no gradient back."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.diagnosis.evidence.gradient_states import ARRIVES, state_of
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.hooks.isolation import without_compiler
from init_bench.hooks.model_call import call, number_of_samples
from init_bench.hooks.nested_tensors import tensors_in


def shut_off(
    model: nn.Module,
    parameters: Mapping[str, Tensor],
    inputs: Any,
    targets: Any,
    loss_fn: Loss,
) -> set[str]:
    """Return the parameters behind a shut output, as one of a ReLU that is 0 for every sample.

    Its values are the same for all samples, and the gradient of the loss arrives at it, but from
    there it reaches no parameter. A tensor without samples, such as a loss, is no output.

    Args:
        model: runs with a graph.
        parameters: its trainable parameters, by name.
        inputs, targets, loss_fn: as ``diagnose`` takes them.

    Example:
        >>> def loss(output, targets):
        ...     return (output - targets).square().mean()
        >>> x, model = torch.ones(4, 1), nn.Sequential(nn.Linear(1, 1), nn.ReLU())
        >>> for bias in (-9.0, 9.0):
        ...     _ = nn.init.constant_(model[0].bias, bias)
        ...     sorted(shut_off(model, dict(model.named_parameters()), x, x, loss))
        ['0.bias', '0.weight']
        []
    """
    samples, shut = number_of_samples(inputs), set[str]()
    try:
        with torch.enable_grad(), without_compiler():
            output = call(model, inputs)
            tensors = [x for x in tensors_in(output) if x.requires_grad and _is_same(x, samples)]
            entering = _gradients(loss_fn(output, targets), tensors) if tensors else ()
            for tensor, gradient in zip(tensors, entering, strict=True):
                if gradient is not None and state_of(gradient) == ARRIVES:
                    # A product, as torch would load its compiler for a gradient that is given.
                    left = _gradients((tensor * gradient).sum(), parameters.values())
                    if all(state_of(part) != ARRIVES for part in left):
                        named = zip(parameters, left, strict=True)
                        shut |= {name for name, part in named if part is not None}
    except Exception:  # a re-entrant checkpoint, or whatever the user's code raises
        return set()
    return shut


def _is_same(tensor: Tensor, samples: int | None) -> bool:
    several = samples is not None and samples > 1 and tensor.dim() > 0 and len(tensor) == samples
    return several and bool((tensor == tensor[:1]).all())


def _gradients(of: Tensor, to: Collection[Tensor]) -> tuple[Tensor | None, ...]:
    """Return the gradients of a number with respect to ``to``, ``None`` where no way leads."""
    return torch.autograd.grad(of, tuple(to), retain_graph=True, allow_unused=True)
