"""Measure the loss of constant outputs: the first loss of a sound start is near it."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.hooks.nested_tensors import map_tensors

FAR = 5.0
"""A loss this many times that of constant outputs is far above chance."""


HOPELESS = 1e4
"""From here on it does not train: of starts of 8 networks with ever larger last layers, 4 of the 5
beyond it were above chance still after 100 steps of Adam at the better of two rates, 4 of the 51
below it."""


MOST_BIASES = 8
"""Biases that are tried one by one, a run of the model each."""


WORSE = 1.5
"""An output of zeros whose loss is this many times the first loss is no neutral one."""


def loss_of_zeros(loss_fn: Callable[[Any, Any], Tensor], output: Any, targets: Any) -> float:
    """Return the loss of an output of zeros, however nested it is; nan where there is none.

    A loss that differentiates the output gets it with its graph.

    Example:
        >>> targets = torch.tensor([0, 1])
        >>> round(loss_of_zeros(nn.functional.cross_entropy, torch.randn(2, 10), targets), 4)
        2.3026
    """
    for with_graph in (False, True):
        try:
            with torch.set_grad_enabled(with_graph):
                return loss_fn(map_tensors(_zeros, output), targets).item()
        except Exception:  # whatever the user's loss raises
            continue
    return math.nan


def best_constant_loss(loss_fn: Callable[[Any, Any], Tensor], output: Any, targets: Any) -> float:
    """Return the least loss of an output that is the same for all samples; nan if none is found.

    A model that learns nothing but its last bias reaches it: the entropy of the classes'
    frequencies, or the variance of a target. Found for outputs (samples,) and (samples, values).

    Example:
        >>> targets = torch.tensor([0, 0, 0, 1])
        >>> output = torch.zeros(4, 2)
        >>> round(best_constant_loss(nn.functional.cross_entropy, output, targets), 4)
        0.5623
    """
    if not isinstance(output, Tensor) or not 1 <= output.dim() <= 2:
        return math.nan
    constant = torch.zeros_like(output[:1]).requires_grad_()
    update = torch.optim.LBFGS([constant], max_iter=20, line_search_fn="strong_wolfe")

    def loss() -> float:
        update.zero_grad()
        value = loss_fn(constant.expand_as(output), targets)
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    try:
        with torch.enable_grad():
            update.step(loss)  # type: ignore[no-untyped-call]
            return loss()
    except Exception:  # whatever the user's loss raises
        return math.nan


def chance_loss(
    loss: float,
    of_zeros: float,
    heads: Collection[nn.Module],
    layers: Collection[nn.Module],
    again: Callable[[], Tensor],
) -> float:
    """Return the loss of constant outputs; nan where neither way leads to a positive one.

    That is the loss of zeros where the first loss is near it. Where it is not, zeros may be no
    neutral output: as log-probabilities they mean certainty, as probabilities the certainty of the
    other class, and of a model that returns its loss they are a loss of 0. So the model runs again
    with zeros after its last weights, and after all, where that loss is less: each step of a flow
    makes the output. It counts where an output of zeros is worse than the first one; else the
    larger of the two.

    Args:
        loss: the first loss.
        of_zeros: that of an output of zeros.
        heads: the layers that make the output.
        layers: all layers with weights.
        again: runs the model and returns its loss.
    """
    known = of_zeros if of_zeros > 0 else math.nan
    if not 0 < loss < math.inf or loss / FAR <= known <= WORSE * loss:
        return known
    runs = [_silenced(heads, again), _silenced(layers, again)]
    silenced = min((value for value in runs if 0 < value < math.inf), default=math.nan)
    found = [silenced] if known > WORSE * loss else [known, silenced]
    return max((value for value in found if 0 < value < math.inf), default=known)


def _silenced(layers: Iterable[nn.Module], again: Callable[[], Tensor]) -> float:
    """Return the loss with zeros in place of what these layers return; nan where it fails."""
    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_hook(_silence).remove)
        try:
            return again().item()
        except Exception:  # whatever the user's model raises without a signal
            return math.nan


def excess_bias(
    loss: float, chance: float, heads: Mapping[str, nn.Module], again: Callable[[], Tensor]
) -> str:
    """Return the bias that alone takes the first loss far above chance; empty if none does.

    With zeros in its place the loss is neither far above chance nor near the first one.

    Args:
        loss: the first loss.
        chance: that of constant outputs.
        heads: the layers that make the output, by name.
        again: runs the model and returns its loss.
    """
    if not FAR * chance < loss < math.inf:
        return ""
    usual = min(FAR * chance, loss / FAR)
    biases = {
        f"{name}.bias".lstrip("."): getattr(head, "bias", None) for name, head in heads.items()
    }
    learned = [(name, bias.data) for name, bias in biases.items() if isinstance(bias, nn.Parameter)]
    for name, values in learned[:MOST_BIASES]:
        kept = values.clone()
        values.zero_()
        try:
            if again().item() <= usual:
                return name
        except Exception:  # whatever the user's model raises at other values
            continue
        finally:
            values.copy_(kept)
    return ""


def _zeros(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return tensor * 0 if torch.is_grad_enabled() else torch.zeros_like(tensor)


def _silence(module: nn.Module, inputs: object, output: Any) -> Any:
    return map_tensors(_zeros, output)
