"""Find what makes an output that is the same for all samples and lets no gradient back."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.diagnosis.evidence.gradient_states import ARRIVES, STUCK, UNUSED, state_of
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.hooks.isolation import seed_rng, without_compiler
from init_bench.hooks.model_call import call, number_of_samples
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.nested_tensors import tensors_in
from init_bench.hooks.written_parameters import restored_writes


def shut_off(
    view: ModelView,
    states: Mapping[str, str],
    inputs: Any,
    targets: Any,
    loss_fn: Loss,
) -> set[str]:
    """Return the silent parameters behind a shut output, as one of a ReLU that is 0 throughout.

    Its values are the same for all samples, and the gradient of the loss arrives at it, but from
    there it reaches no parameter. A tensor without samples, such as a loss, is no output. Where no
    parameter is silent the model does not run.

    Args:
        view: of the model, which runs with a graph.
        states: as ``gradient_states`` returns them.
        inputs, targets, loss_fn: as ``diagnose`` takes them.

    Example:
        >>> def loss(output, targets):
        ...     return (output - targets).square().mean()
        >>> x, model = torch.ones(4, 1), nn.Sequential(nn.Linear(1, 1), nn.ReLU())
        >>> states = {"0.weight": "stuck at zero", "0.bias": "stuck at zero"}
        >>> for bias in (-9.0, 9.0):
        ...     _ = nn.init.constant_(model[0].bias, bias)
        ...     sorted(shut_off(ModelView(model), states, x, x, loss))
        ['0.bias', '0.weight']
        []
    """
    silent = {name for name, state in states.items() if state in (STUCK, UNUSED)}
    if not silent:
        return set()
    with restored_writes(view.model):
        seed_rng(view.model, 0)
        parameters = {name: view.parameters[name] for name in states}
        return silent & _behind_shut_outputs(view.model, parameters, inputs, targets, loss_fn)


def _behind_shut_outputs(
    model: nn.Module, parameters: Mapping[str, Tensor], inputs: Any, targets: Any, loss_fn: Loss
) -> set[str]:
    """Return all parameters behind a shut output."""
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
