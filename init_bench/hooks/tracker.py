"""Following a model as it runs: what is a layer, which call it is, and what is noted of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from init_bench.activations.recognition import bounds_of, bounds_of_function, name_of
from init_bench.hooks.batch_axis import samples_along
from init_bench.hooks.functional_calls import FunctionalActivations
from init_bench.hooks.nested_tensors import first_tensor
from init_bench.hooks.statistics_cache import Bounds, Numbers, numbers_of
from init_bench.statistics.histogram import shares_of

Row = dict[str, object]


Arrive = Callable[[str, Tensor, bool], None]
"""Told a function's layer, what reaches it, and whether samples lie along the second dimension."""


class Notes(Protocol):
    """Where a watch writes what it saw."""

    rows: list[Row]
    outputs: dict[str, Tensor]
    calls: int


@dataclass
class _Running:
    """A module between its start and its end; ``alone`` while no other ran inside it, ``second``
    where its samples lie along the second dimension."""

    path: str
    module: nn.Module
    opaque: bool
    second: bool
    alone: bool = True


class Watch:
    """Notes every layer of one model as it runs, and keeps no tensor of it beyond its end."""

    def __init__(
        self, notes: Notes, hooks: ExitStack, *, keep: bool, shares: bool, arrive: Arrive | None
    ) -> None:
        self.notes, self.hooks, self.keep, self.shares = notes, hooks, keep, shares
        self.arrive = arrive
        self.running: list[_Running] = []
        self.ran: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.without_gradient: dict[str, list[Row]] = {}
        self.numbers = Numbers()
        self.functions = FunctionalActivations(self._function_begins, self._function_ends)
        hooks.callback(self.functions.turn, False)

    def hook(self, path: str, module: nn.Module, *, second: bool) -> None:
        """Have this watch told when ``module`` starts and ends, until ``hooks`` closes.

        ``second``: its samples lie along the second dimension.
        """
        opaque = _is_opaque(module)

        def start(module: nn.Module, inputs: object) -> None:
            self._start(_Running(path, module, opaque, second))

        handles = [
            module.register_forward_pre_hook(start),
            module.register_forward_hook(self._end, always_call=True),
        ]
        parametrizations = getattr(module, "parametrizations", {})
        if "weight" in parametrizations:
            learn = self.numbers.learn(module)
            handles.append(parametrizations["weight"].register_forward_hook(learn))
        for handle in handles:
            self.hooks.callback(handle.remove)

    def never_ran(self, modules: Mapping[str, nn.Module]) -> tuple[str, ...]:
        """Return the modules without children that neither ran nor are part of a layer that did."""
        ran = tuple(f"{path}." if path else "" for path in self.ran)
        return tuple(
            path
            for path, module in modules.items()
            if not any(module.children()) and not f"{path}.".startswith(ran)
        )

    def _start(self, module: _Running) -> None:
        if self.running:
            self.running[-1].alone = False
        else:
            self.numbers.forget()
        self.running.append(module)
        self.functions.turn(not module.opaque)

    def _end(self, module: nn.Module, inputs: object, output: object) -> None:
        if not self.running or self.running[-1].module is not module:
            return
        ended = self.running.pop()
        self.functions.turn(bool(self.running) and not self.running[-1].opaque)
        if ended.alone:
            self.ran.add(ended.path)
            if (found := first_tensor(output)) is not None:
                with torch._C.DisableTorchFunction(), torch.no_grad():
                    self._layer(ended, found)

    def _layer(self, ended: _Running, output: Tensor) -> None:
        """Note output and weight of a module inside which no other ran."""
        module, samples = ended.module, samples_along(output, second=ended.second)
        kind = "pre_activation" if self.numbers.has_weight(module) else "activation"
        where = self._output(ended.path, kind, output, bounds_of(module), samples)
        if where and (numbers := self.numbers.of_weight(module)):
            self.notes.rows.append({**where, "kind": "weight", **numbers})

    def _function_begins(self, name: str, inputs: object) -> None:
        """Tell what reaches a nonlinearity that the user's code calls, which may overwrite it."""
        if self.arrive is None or not self.running or self.running[-1].opaque:
            return
        if (found := first_tensor(inputs)) is not None:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                around = self.running[-1]
                self.arrive(f"{around.path}:{name}", found, around.second)

    def _function_ends(self, name: str, output: object) -> None:
        """Note the output of a nonlinearity that the user's code called, not a layer of torch's."""
        if not self.running or self.running[-1].opaque:
            return
        if (found := first_tensor(output)) is not None:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                around = self.running[-1]
                samples = samples_along(found, second=around.second)
                bounds = bounds_of_function(name)
                self._output(f"{around.path}:{name}", "activation", found, bounds, samples)

    def _output(
        self, layer: str, kind: str, output: Tensor, bounds: Bounds, samples: int
    ) -> Row | None:
        """Note an output whose dimension ``samples`` counts the samples; return where it was made.

        ``None`` where checkpointing only repeats a forward run, during the backward pass: no other
        call, but where the first run left no graph the gradient comes through this one.
        """
        if torch._C._current_graph_task_id() != -1:
            if waiting := self.without_gradient.get(layer):
                self._await_gradient(waiting.pop(), output, samples)
            return None
        self.notes.calls += 1
        self.calls[layer] += 1
        where: Row = {"layer": layer, "index": self.notes.calls, "call": self.calls[layer]}
        if self.keep:
            self.notes.outputs[layer] = output.detach().clone()
        numbers = self.numbers.of_output(output.transpose(0, samples), bounds)
        shares = {"shares": shares_of(output, numbers)} if self.shares else {}
        self.notes.rows.append({**where, "kind": kind, **numbers, **shares})
        if output.requires_grad:
            self._await_gradient(where, output, samples)
        else:
            self.without_gradient.setdefault(layer, []).append(where)
        return where

    def _await_gradient(self, where: Row, output: Tensor, samples: int) -> None:
        """Note the gradient with respect to ``output`` when a backward pass brings it."""
        if not output.requires_grad:
            return
        shape, told = output.shape, False

        def tell(gradient: Tensor) -> None:
            nonlocal told
            told = True
            with torch.no_grad():
                numbers = numbers_of(gradient.reshape(shape).transpose(0, samples), None)
            self.notes.rows.append({**where, "kind": "gradient", **numbers})

        def tell_of_viewed(gradient: Tensor) -> None:
            nonlocal told
            if not told:
                tell(gradient)
            told = False

        handles = [output.register_hook(tell)]  # type: ignore[no-untyped-call]
        if (viewed := _viewed(output)) is not None:
            handles.append(viewed.register_hook(tell_of_viewed))  # type: ignore[no-untyped-call]
        for handle in handles:
            self.hooks.callback(handle.remove)


def _viewed(output: Tensor) -> Tensor | None:
    """Return what ``output`` is a view of, if it is of all of it: ``Linear`` computes sequences as
    a matrix, instance normalisation as a batch.

    An operation in place on a view, as a ReLU may be, takes the view and its hooks out of the
    graph; what was viewed stays.
    """
    viewed = output._base
    if viewed is None or viewed.grad_fn is None:
        return None
    whole = viewed.numel() == output.numel() and viewed.is_contiguous() and output.is_contiguous()
    return viewed if whole else None


def _is_opaque(module: nn.Module) -> bool:
    """Return whether ``module`` is a layer of torch's: what it calls is its own affair."""
    if isinstance(module, nn.MultiheadAttention) or name_of(module):
        return True
    return type(module).__module__.startswith("torch.nn.") and not any(module.children())
