"""Track the layer calls of a running model.

A layer is a module inside which no other module ran: the call of such a module is a *leaf call*.
A nonlinearity that the model's own code calls as a function is a layer too.
"""

import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.activations.recognition import bounds_of, bounds_of_function, name_of
from init_bench.hooks.batch_axis import batch_dim_of
from init_bench.hooks.functional_calls import FunctionalActivations
from init_bench.hooks.gradients import GradientHook, in_backward
from init_bench.hooks.isolation import run_uncompiled
from init_bench.hooks.layer_call import LayerCall, LayerInput, UsedWeight
from init_bench.hooks.model_code import Call, ModelCode
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.module_names import has_children, is_torchs
from init_bench.hooks.nested_tensors import dense_tensors, first_tensor
from init_bench.hooks.statistics_cache import Bounds, StatisticsCache, parametrization_of_weight
from init_bench.statistics.histogram import relative_histogram


@contextmanager
def track(
    view: ModelView, *, keep: bool = False, histogram: bool = False, inputs: bool = False
) -> Iterator["LayerTracker"]:
    """Record every layer call of a model inside the block.

    Args:
        view: of the model.
        keep: keep a copy of each layer's last output.
        histogram: count each output's values into bins.
        inputs: describe each layer's input too.
    """
    with ExitStack() as hooks:
        compiled = hooks.enter_context(run_uncompiled(view.model))
        tracker = LayerTracker(view, hooks, keep=keep, histogram=histogram, inputs=inputs)
        tracker.compiled = compiled
        for path, module in view.modules.items():
            if not isinstance(module, torch.jit.ScriptModule):  # which takes no hook
                tracker.hook(path, module)
        yield tracker


@dataclass
class _RunningModule:
    """Hold a module between its start and its end.

    ``opaque``: nonlinearities that it calls are its own. ``is_leaf_call``: no other module ran
    inside it so far.
    """

    path: str
    module: nn.Module
    opaque: bool
    batch_dim: int
    input: LayerInput | None = None
    is_leaf_call: bool = True
    arguments: Call = ((), {})
    factor_before: float = 1.0
    used: list[UsedWeight] = field(default_factory=list)


class LayerTracker:
    """Record the layer calls of one model as it runs, and keep no tensor beyond its layer's end.

    Attributes:
        calls: the layer calls, in order of execution.
        outputs: each layer's last output, where they are kept.
        compiled: whether the model is compiled; the module underneath is tracked.
        listens: whether backward passes are recorded. Never is one that builds a graph of its own
            or runs inside the model: such a derivative is a part of the model or of the loss.
    """

    def __init__(
        self, view: ModelView, hooks: ExitStack, *, keep: bool, histogram: bool, inputs: bool
    ) -> None:
        self.view, self.hooks = view, hooks
        self.keep, self.histogram, self.inputs = keep, histogram, inputs
        self.calls: list[LayerCall] = []
        self.outputs: dict[str, Tensor] = {}
        self.compiled = False
        self.listens = True
        self.running: list[_RunningModule] = []
        self.leaf_paths: set[str] = set()
        self.last_position: tuple[str, str] | None = None
        self.function_input: LayerInput | None = None
        self.calls_of: Counter[str] = Counter()
        self.without_gradient: dict[str, list[LayerCall]] = {}
        self.alive: list[tuple[LayerCall, weakref.ref[Tensor]]] = []
        self.statistics = StatisticsCache()
        self.model_code = ModelCode(view) if inputs else None
        observes = self._observe_function if inputs else None
        self.functions = FunctionalActivations(self._begin_function, self._end_function, observes)
        hooks.callback(self.functions.switch, False)
        hooks.callback(self.statistics.ranks.fill)

    @property
    def position(self) -> str:
        """How far the model ran, for a message."""
        if self.last_position is None:
            return "before its first layer"
        where, layer = self.last_position
        return f"{where} layer {layer!r}"

    def counts(self) -> bool:
        """Return whether the backward pass that runs is that of a loss, which is recorded."""
        return self.listens and not self.running and not torch.is_grad_enabled()

    def mark_returned(self, output: object) -> None:
        """Mark the calls whose output, or a view of it, is a tensor of the model's ``output``."""
        returned = {id(_viewed(x)) for x in dense_tensors(output)}
        for call, of_call in self.alive:
            tensor = of_call()
            call.returned = tensor is not None and id(_viewed(tensor)) in returned

    def hook(self, path: str, module: nn.Module) -> None:
        """Track ``module`` until ``hooks`` closes."""
        opaque, childless = _is_opaque(module), not has_children(module)
        batch_dim = self.view.batch_dims[path]

        def start(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            running = _RunningModule(path, module, opaque, batch_dim)
            if self.inputs and not in_backward():
                running.input = self._layer_input((args, kwargs), batch_dim, at_once=childless)
                running.arguments = args, kwargs
            if self.model_code is not None:
                given = (*args, *kwargs.values())
                running.factor_before = self.model_code.factors.before(given)
            self._start(running)

        handles = [
            module.register_forward_pre_hook(start, with_kwargs=True),
            module.register_forward_hook(self._end, always_call=True),
        ]
        if (parametrization := parametrization_of_weight(module)) is not None:
            store = self.statistics.store_parametrized_weight(module)
            handles.append(parametrization.register_forward_hook(store))
        for handle in handles:
            self.hooks.callback(handle.remove)

    def never_ran(self) -> tuple[str, ...]:
        """Return the modules without children that are no part of any layer that ran."""
        ran = tuple(f"{path}." if path else "" for path in self.leaf_paths)
        return tuple(
            path
            for path, module in self.view.modules.items()
            if not has_children(module) and not f"{path}.".startswith(ran)
        )

    def _start(self, running: _RunningModule) -> None:
        if self.running:
            self.running[-1].is_leaf_call = False
        else:
            self.statistics.clear()
        self.running.append(running)
        self.functions.switch(not running.opaque)

    def _end(self, module: nn.Module, inputs: object, output: object) -> None:
        """Record the call if it is a leaf call; ``output`` is ``None`` where the module failed."""
        if not self.running or self.running[-1].module is not module:
            return
        ended = self.running.pop()
        if ended.is_leaf_call:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                self._end_leaf(ended, output)
        self.functions.switch(bool(self.running) and not self.running[-1].opaque)
        if not self.running:
            self.statistics.ranks.fill()

    def _end_leaf(self, ended: _RunningModule, output: object) -> None:
        self.leaf_paths.add(ended.path)
        if output is not None:
            self.last_position = "after", ended.path
        elif ended.path or not has_children(ended.module):
            self.last_position = "in", ended.path
        if (tensor := first_tensor(output)) is not None:
            self._record_module(ended, tensor)

    def _record_module(self, ended: _RunningModule, output: Tensor) -> None:
        has_weight = self.statistics.has_weight(ended.module)
        kind = "pre_activation" if has_weight else "activation"
        bounds = bounds_of(ended.module)
        call = self._record(ended.path, kind, output, bounds, ended.batch_dim, ended.input)
        if call is None:
            return
        call.weight = self.statistics.of_weight(ended.module)
        call.used, call.factor_before = ended.used, ended.factor_before
        if self.model_code is not None:
            self.model_code.end_call(call, ended.module, ended.arguments, output)

    def _observe_function(
        self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: object
    ) -> None:
        """Note what a function that the model's own code called does with weights."""
        if self.model_code is None or not self.running or self.running[-1].opaque or in_backward():
            return
        caller = self.running[-1]
        with torch._C.DisableTorchFunction(), torch.no_grad():
            caller.used += self.model_code.observe(
                caller.path, function, args, kwargs, output, after=len(self.calls)
            )

    def _begin_function(self, name: str, inputs: object) -> None:
        """Describe the input of a nonlinearity, which may overwrite it."""
        if not self.inputs or not self.running or self.running[-1].opaque:
            return
        caller = self.running[-1]
        self.last_position = "in", f"{caller.path}:{name}"
        if not in_backward():
            self.function_input = self._layer_input(inputs, caller.batch_dim, at_once=True)

    def _end_function(self, name: str, output: object) -> None:
        """Record a nonlinearity that the model's own code called, not a layer of torch's."""
        if not self.running or self.running[-1].opaque:
            return
        caller = self.running[-1]
        layer = f"{caller.path}:{name}"
        self.last_position = "after", layer
        if (tensor := first_tensor(output)) is not None:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                bounds, given = bounds_of_function(name), self.function_input
                self._record(layer, "activation", tensor, bounds, caller.batch_dim, given)

    def _layer_input(self, value: object, batch_dim: int, *, at_once: bool) -> LayerInput:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            return LayerInput(value, batch_dim, at_once=at_once)

    def _record(
        self,
        layer: str,
        kind: str,
        output: Tensor,
        bounds: Bounds,
        module_batch_dim: int,
        layer_input: LayerInput | None,
    ) -> LayerCall | None:
        """Record a call by its output; return ``None`` where a checkpoint only repeats one."""
        if in_backward():
            self._reattach(layer, output, module_batch_dim)
            return None
        batch_dim = batch_dim_of(output, module_batch_dim)
        self.calls_of[layer] += 1
        if self.keep:
            self.outputs[layer] = output.detach().clone()
        statistics = self.statistics.of_output(output.transpose(0, batch_dim), bounds)
        samples = output.shape[batch_dim]
        of_parameter = layer_input is not None and layer_input.is_parameter
        call = LayerCall(
            layer=layer,
            index=len(self.calls) + 1,
            call=self.calls_of[layer],
            kind=kind,
            samples=0 if of_parameter else samples,
            outputs=output.numel() / samples,
            output=statistics,
            input={} if layer_input is None else layer_input.described(),
            histogram=relative_histogram(output, statistics) if self.histogram else None,
        )
        self.calls.append(call)
        self.alive.append((call, weakref.ref(output)))
        if output.requires_grad:
            self._await_gradient(call, output, module_batch_dim)
        else:
            self.without_gradient.setdefault(layer, []).append(call)
        return call

    def _reattach(self, layer: str, output: Tensor, module_batch_dim: int) -> None:
        """Await the gradient of a call on the output of its repetition.

        Where the first run left no graph, it comes through the run that checkpointing repeats.
        """
        if waiting := self.without_gradient.get(layer):
            call = waiting.pop()
            if output.requires_grad:
                self._await_gradient(call, output, module_batch_dim)

    def _await_gradient(self, call: LayerCall, output: Tensor, batch_dim: int) -> None:
        hook = GradientHook(call, output, batch_dim, self.counts, self.statistics.ranks)
        hook.register(output, self.hooks)


def _viewed(tensor: Tensor) -> Tensor:
    """Return the tensor that ``tensor`` is a view of, itself where it is none."""
    return tensor if tensor._base is None else tensor._base


def _is_opaque(module: nn.Module) -> bool:
    """Return whether ``module`` is a layer of torch's, whose nonlinearities are its own."""
    if isinstance(module, nn.MultiheadAttention) or name_of(module):
        return True
    return is_torchs(module) and not has_children(module)
