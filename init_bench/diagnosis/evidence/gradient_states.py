"""Find which parameters can learn: one that no gradient reaches now may be reached later.

A gradient that is zero or absent says little by itself. Virtual updates, steps of descent on the
weights that are undone afterwards, show which zeros last; weights drawn anew, undone too, show
which parameters the loss depends on.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from init_bench.hooks.isolation import restored_parameters, without_compiler
from init_bench.hooks.model_view import ModelView
from init_bench.statistics.layer_statistics import rms

ARRIVES = "arrives"
LATER = "zero, learns next"
STUCK = "stuck at zero"
NONE = "none"
UNUSED = "unused"
NONFINITE = "not finite"
"""States of a trainable parameter's gradient, see ``gradient_states``."""


MOST_UPDATES = 8
"""Virtual updates at most; they end before where one wakes no further parameter."""


STEPS = (0.1, 0.001)
"""Sizes of virtual updates, relative to the parameter's RMS; ``ZERO`` stands for an RMS of 0. Large
ones may fit a small batch perfectly, or saturate, and leave no gradient: then small ones follow."""


ZERO = 0.1
"""Size from which a parameter of zeros is moved."""


REDRAWN = 2.0
"""Standard deviation of what is added to a parameter to see if the loss depends on it, relative
to its RMS: enough to turn the sign of half of its values."""


RESPONSE = 1e-4
"""Relative change of the loss above which it depends on a parameter; rounding stays below."""


MOST_LAYERS = 32
"""Layers that are tried one by one; those after them count as used."""


def gradient_states(
    view: ModelView,
    gradients: Mapping[str, Tensor],
    loss: Callable[[], Tensor],
    written: Collection[str] = (),
) -> dict[str, str]:
    """Return the state of each trainable parameter's gradient, by the parameter's name.

    ``arrives``; ``not finite``; ``zero, learns next``: zero now, not after virtual updates;
    ``stuck at zero``: zero after them too, although the loss depends on the parameter; ``none``:
    the loss depends on it, and no gradient leads to it, nor does one where it is drawn anew, as
    behind a step function; ``unused``: no gradient, and the loss does not depend on it, as of a
    part that the batch makes no use of. Where no parameter at all has a gradient, dependence is
    not asked for; where a gradient is not finite, others without one are left out.

    The model runs again only where a gradient is zero or absent. Parameters, buffers and random
    streams are restored.

    Args:
        view: of the model.
        gradients: of the loss, by qualified name; those that are absent are left out.
        loss: runs the model and returns its loss, each time with the same draws.
        written: parameters that the model's forward writes, as codebooks that follow a mean: left
            out where they have no gradient.
    """
    learned = {name for name in view.parameters if name in gradients or name not in written}
    trainable = {n: p for n, p in view.parameters.items() if p.requires_grad and n in learned}
    states = {name: state_of(gradients.get(name)) for name in trainable}
    silent = {name for name, state in states.items() if state in (STUCK, NONE)}
    if NONFINITE in states.values():
        return {name: state for name, state in states.items() if name not in silent}
    if not silent or ARRIVES not in states.values():
        return states
    again = _Repeat(view.model, loss)
    zeros = {name for name in silent if states[name] == STUCK}
    if zeros:
        woken = set[str]()
        for step in STEPS:
            if zeros - woken:
                with again.restored():
                    woken |= _woken(trainable, gradients, zeros - woken, step, again)
        states |= dict.fromkeys(woken, LATER)
        silent -= woken
    if silent:
        with again.restored():
            # Zeros that learn, as of an output layer, hide what the loss will depend on.
            _redraw({n: p for n, p in trainable.items() if n not in silent and not p.any()}, 1)
            used, flat = _used({n: p for n, p in trainable.items() if n in silent}, again)
        states |= dict.fromkeys(used & flat, NONE) | dict.fromkeys(silent - used, UNUSED)
    return states


class _Repeat:
    """Compute the loss again at other weights."""

    def __init__(self, model: nn.Module, loss: Callable[[], Tensor]) -> None:
        self.model, self.loss = model, loss

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Restore the weights when the block ends; run compiled parts as they were written."""
        with (
            restored_parameters(self.model),
            torch.enable_grad(),
            without_compiler(),
        ):
            yield

    def value(self) -> float:
        """Return the loss; nan where it cannot be computed with these weights."""
        try:
            return self.loss().item()
        except Exception:  # whatever the user's model or loss raises at other weights
            return math.nan

    def gradients(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the gradients of the loss, without those that are absent; nan as above."""
        for parameter in self.model.parameters():
            parameter.grad = None
        try:
            self.loss().backward()  # type: ignore[no-untyped-call]
        except Exception:  # as above
            return dict.fromkeys(parameters, torch.tensor(math.nan))
        return {name: p.grad for name, p in parameters.items() if p.grad is not None}


def state_of(gradient: Tensor | None) -> str:
    """Return the state that a gradient by itself has, ``stuck at zero`` where all of it is 0."""
    if gradient is None:
        return NONE
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    if not values.isfinite().all():
        return NONFINITE
    return ARRIVES if values.any() else STUCK


def _woken(
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    zeros: set[str],
    step: float,
    again: _Repeat,
) -> set[str]:
    """Return which of ``zeros`` get a gradient after virtual updates of this size."""
    waiting = set(zeros)
    for _ in range(MOST_UPDATES):
        if not waiting:
            break
        for name, gradient in gradients.items():
            if name in parameters:
                _descend(parameters[name].data, gradient, step)
        gradients = again.gradients(parameters)
        woken = {name for name in waiting if state_of(gradients.get(name)) == ARRIVES}
        if not woken:
            break
        waiting -= woken
    return zeros - waiting


def _descend(values: Tensor, gradient: Tensor, step: float) -> None:
    gradient = gradient.to_dense() if gradient.is_sparse else gradient
    size = rms(gradient)
    if 0 < size < math.inf:
        values.sub_((gradient / size * (step * (rms(values) or ZERO))).to(values.dtype))


def _used(parameters: Mapping[str, Tensor], again: _Repeat) -> tuple[set[str], set[str]]:
    """Return which parameters the loss depends on, those of a layer together, and which are flat.

    All are drawn anew at once, since two factors that are both zero change the loss only together;
    then again with the opposite sign, since a gate may open in one direction only. If the loss
    changes, the layers get their values back one at a time: a layer without effect on the changed
    loss is unused. Flat are those without a gradient at the new values too.
    """
    first, repeated = again.value(), again.value()
    if not math.isfinite(first + repeated):
        return set(), set()
    least = max(RESPONSE * abs(first), 4 * abs(first - repeated))
    given = {name: p.detach().clone() for name, p in parameters.items()}
    for sign in (1, -1):
        _write(parameters, given)
        _redraw(parameters, sign)
        redrawn = again.value()
        if not abs(redrawn - first) <= least:  # so written, nan counts as another loss
            break
    else:
        return set(), set()
    gradients = again.gradients(parameters)
    flat = {name for name in parameters if state_of(gradients.get(name)) in (STUCK, NONE)}
    layers: defaultdict[str, list[str]] = defaultdict(list)
    for name in parameters:
        layers[name.rpartition(".")[0]].append(name)
    unused: set[str] = set()
    for names in list(layers.values())[:MOST_LAYERS]:
        changed = {name: parameters[name].detach().clone() for name in names}
        _write(parameters, {name: given[name] for name in names})
        if abs(again.value() - redrawn) <= least:
            unused.update(names)
        _write(parameters, changed)
    return set(parameters) - unused, flat


def _redraw(parameters: Mapping[str, Tensor], sign: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for parameter in parameters.values():
        noise = torch.randn(parameter.shape, generator=generator)
        noise = noise * (sign * REDRAWN * (rms(parameter) or ZERO))
        parameter.data.add_(noise.to(parameter.device, parameter.dtype))


def _write(parameters: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        parameters[name].data.copy_(value)
