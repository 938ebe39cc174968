"""Describe gradients of outputs and add up those of parametrized weights, in a backward pass."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.hooks.batch_axis import batch_dim_of
from init_bench.hooks.layer_call import LayerCall
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.statistics_cache import describe_full_precision
from init_bench.statistics.compared import EffectiveRanks


def in_backward() -> bool:
    """Return whether a backward pass runs, in which gradient checkpointing repeats forward runs."""
    return bool(torch._C._current_graph_task_id() != -1)


class GradientHook:
    """Describe the gradient with respect to one output when a backward pass computes it.

    Args:
        call: the layer call to which the statistics are added.
        output: its output.
        batch_dim: the batch dimension of the module's tensors.
        counts: whether the backward pass that runs is one whose gradients are recorded.
        ranks: computes their effective ranks, at the end of the backward pass.
    """

    def __init__(
        self,
        call: LayerCall,
        output: Tensor,
        batch_dim: int,
        counts: Callable[[], bool],
        ranks: EffectiveRanks,
    ) -> None:
        self.call, self.shape, self.counts, self.ranks = call, output.shape, counts, ranks
        self.batch_dim = batch_dim_of(output, batch_dim)
        self.described = False

    def register(self, output: Tensor, handles: ExitStack) -> None:
        """Hook ``output``, and the tensor it is a view of, until ``handles`` closes."""
        handle = output.register_hook(self.on_gradient)  # type: ignore[no-untyped-call]
        handles.callback(handle.remove)
        if (base := _base_of(output)) is not None:
            handle = base.register_hook(self.on_base_gradient)  # type: ignore[no-untyped-call]
            handles.callback(handle.remove)

    def on_gradient(self, gradient: Tensor | None) -> None:
        """Describe the gradient with respect to the output.

        It is ``None`` where only another output of the same function has one, as the state of an
        LSTM.
        """
        if gradient is None or not self.counts():
            return
        self.described = True
        if not self.ranks.any_wait:
            # Private, as DDP uses it: runs when this backward pass ends. Without it the ranks would
            # come when the block of the capture ends.
            torch.autograd.Variable._execution_engine.queue_callback(self.ranks.fill)
        with torch.no_grad():
            samples = gradient.reshape(self.shape).transpose(0, self.batch_dim)
            self.call.gradients.append(describe_full_precision(samples, None, self.ranks))

    def on_base_gradient(self, gradient: Tensor | None) -> None:
        """Describe the gradient with respect to the base, if that of the output did not come."""
        if not self.described:
            self.on_gradient(gradient)
        self.described = False


@contextmanager
def parametrized_gradients(
    view: ModelView, counts: Callable[[], bool]
) -> Iterator[dict[str, Tensor]]:
    """Add up the gradients of the weights that parametrizations compute, by qualified name.

    Args:
        view: of the model.
        counts: whether the backward pass that runs is one whose gradients are added.
    """
    gradients: dict[str, Tensor] = {}

    def hook(name: str) -> Any:
        def add(gradient: Tensor) -> None:
            if counts():
                gradients[name] = gradients[name] + gradient if name in gradients else gradient

        def on_weight(module: nn.Module, inputs: object, weight: Tensor) -> None:
            if weight.requires_grad:
                weight.register_hook(add)  # type: ignore[no-untyped-call]

        return on_weight

    with ExitStack() as handles:
        for path, module in view.modules.items():
            for name, parametrization in getattr(module, "parametrizations", {}).items():
                on_weight = hook(f"{path}.{name}".lstrip("."))
                handles.callback(parametrization.register_forward_hook(on_weight).remove)
        yield gradients


def _base_of(output: Tensor) -> Tensor | None:
    """Return what ``output`` is a view of, if it is a view of all of it.

    ``Linear`` computes sequences as a matrix, instance normalization as a batch. An operation in
    place on a view, as a ReLU may be, takes the view and its hooks out of the graph; the base
    stays.
    """
    base = output._base
    if base is None or base.grad_fn is None:
        return None
    all_of_it = base.numel() == output.numel() and base.is_contiguous() and output.is_contiguous()
    return base if all_of_it else None
