"""Find the layers that are affine in their weight, and change them while they run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.hooks.model_call import needs_graph
from init_bench.init.progress_bar import progress_bar
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine:
    """Name a layer whose output is linear in ``weight``, plus a bias.

    Attributes:
        path: qualified name of the module that runs.
        module: that module; of attention the whole, whose output projection ``weight`` is.
        channel: dimension of the output that counts its units, from the end.
    """

    path: str
    module: nn.Module
    weight: NamedParameter
    bias: NamedParameter | None
    channel: int

    @property
    def added(self) -> Tensor | None:
        """The bias as it is added to Wx; ``None`` if that is 0."""
        if self.bias is None or not self.bias.values.any():
            return None
        return self.bias.values.reshape(-1, *[1] * (-self.channel - 1))

    def split(self, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return ``output`` as Wx, and the bias as it is added; ``None`` if that is 0."""
        bias = self.added
        return (output, None) if bias is None else (output - bias, bias)

    def times(self, factors: Tensor) -> Tensor:
        """Return the weight with each unit's part multiplied by its factor."""
        values = self.weight.values.clone()
        blocks = self.weight.blocks(values)
        for block, part in zip(blocks, factors.chunk(len(blocks)), strict=True):
            block.mul_(part.reshape(-1, *[1] * (block.dim() - 1)))
        return values


def affine_layers(network: Network) -> list[Affine]:
    """Return the affine layers of the network; say of every other weight that it is left."""
    found = []
    for parameter, layer in affine_or_why_not(network, network.weights):
        if isinstance(layer, Affine):
            found.append(layer)
        else:
            network.note(parameter, f"not scaled: {layer}")
    return found


def affine_or_why_not(
    network: Network, weights: Iterable[NamedParameter]
) -> Iterator[tuple[NamedParameter, Affine | str]]:
    """Yield each weight with its affine layer, or with the reason why its output has no scale."""
    users: dict[int, int] = {}
    for module in network.model.modules():
        for value in module._parameters.values():
            users[id(value)] = users.get(id(value), 0) + 1
    for parameter in weights:
        layer = _affine(network, parameter)
        if users.get(id(getattr(parameter.module, parameter.attribute)), 0) > 1:
            yield parameter, "used by more than one layer"
        elif layer is None:
            yield parameter, "no layer that is affine in it"
        elif not _keeps_a_scale(parameter):
            yield parameter, "its parametrization sets its scale"
        else:
            yield parameter, layer


def _keeps_a_scale(parameter: NamedParameter) -> bool:
    """Return whether a weight twice as large stays so: under spectral norm it does not."""
    if not parameter.parametrized:
        return True
    before = parameter.values.clone()
    parameter.write(before * 2)
    kept = torch.allclose(parameter.values, before * 2, rtol=1e-3)
    parameter.write(before)
    return kept


def _affine(network: Network, parameter: NamedParameter) -> Affine | None:
    module, path = parameter.module, parameter.path
    channel = -1
    if isinstance(module, nn.modules.conv._ConvNd):
        channel = -1 - len(module.kernel_size)
    elif not isinstance(module, nn.Linear | nn.Bilinear):
        return None
    around = path.rpartition(".")[0]
    outer = network.model.get_submodule(around) if path else module
    if isinstance(outer, nn.MultiheadAttention) and path.endswith("out_proj"):
        path, module = around, outer
    own = [b for b in network.biases_of(parameter) if b.module is parameter.module]
    bias = own[0] if own else None
    return Affine(path=path, module=module, weight=parameter, bias=bias, channel=channel)


def while_running(
    network: Network,
    layers: list[Affine],
    change: Callable[[Affine, Tensor], Tensor],
    *,
    with_overrides: bool = False,
) -> None:
    """Run the batch once; ``change`` sees each layer's first output and returns what goes on.

    A model that differentiates in its forward runs once for each layer, with gradients on, because
    a weight must not change under its graph. Layers whose weight has an override pass as they are,
    unless ``with_overrides`` shows them too. Layers that never run are noted.
    """
    waiting = {layer.path: layer for layer in layers}

    with progress_bar(len(layers), "layers scaled", "layer") as done:

        def change_first(layer: Affine, output: Tensor) -> Tensor | None:
            if waiting.pop(layer.path, None) is None:
                return None
            done(1)
            hidden = network.has_override(layer.weight) and not with_overrides
            return None if hidden else change(layer, output)

        try:
            with torch.no_grad():
                _run_with(network, layers, change_first)
        except InitBenchError as error:
            if not needs_graph(error.__cause__):
                raise
            _change_between_runs(network, waiting, change_first)
    for layer in waiting.values():
        network.note(layer.weight, "not scaled: the batch does not reach it")


def _change_between_runs(
    network: Network,
    waiting: Mapping[str, Affine],
    change_first: Callable[[Affine, Tensor], Tensor | None],
) -> None:
    """Run the batch with gradients on until no layer waits, and change one after each run."""
    while waiting:
        seen: list[tuple[Affine, Tensor]] = []

        def note(layer: Affine, output: Tensor, seen: Any = seen) -> None:
            if not seen:
                seen.append((layer, output.detach().clone()))

        with torch.enable_grad():
            _run_with(network, list(waiting.values()), note)
        if not seen:
            break
        with torch.no_grad():
            change_first(*seen[0])


def _run_with(
    network: Network, layers: list[Affine], on_output: Callable[[Affine, Tensor], Tensor | None]
) -> None:
    """Run the batch; what ``on_output`` returns replaces a layer's output, unless it is None."""
    with network.preserved_state(), ExitStack() as hooks:
        for layer in layers:
            handle = layer.module.register_forward_hook(_hook(layer, on_output))
            hooks.callback(handle.remove)
        network.run()


def _hook(layer: Affine, on_output: Callable[[Affine, Tensor], Tensor | None]) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        first = output[0] if isinstance(output, tuple) else output
        changed = on_output(layer, first)
        if changed is None:
            return None
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return hook
