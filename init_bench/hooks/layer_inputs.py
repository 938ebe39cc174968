"""What reaches each layer of a model as it runs, and what comes back to the weights it computes."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.hooks.batch_axis import samples_along, samples_second
from init_bench.hooks.module_names import own_modules
from init_bench.hooks.nested_tensors import first_tensor
from init_bench.hooks.tracker import Arrive
from init_bench.statistics.layer import describe


@contextmanager
def noting_arrivals(model: nn.Module, rows: list[dict[str, object]]) -> Iterator[None]:
    """Note what reaches each layer: out against in is what the layer itself did."""
    modules = own_modules(model)
    second = samples_second(modules)
    with ExitStack() as hooks:
        for path, module in modules.items():
            if not any(module.children()) or isinstance(module, nn.MultiheadAttention):
                before, after = _notes(path, rows, second=path in second)
                hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(after).remove)
        yield


def _notes(path: str, rows: list[dict[str, object]], *, second: bool) -> tuple[Any, Any]:
    """Return the hooks that note input and size of one layer."""

    @torch.no_grad()
    def before(module: nn.Module, inputs: tuple[object, ...], words: dict[str, object]) -> None:
        numbers = described((inputs, words), second=second)
        rows.append({"layer": path, **{f"input_{key}": value for key, value in numbers.items()}})

    def after(module: nn.Module, inputs: object, output: object) -> None:
        left = first_tensor(output)
        if left is not None:
            row = next(row for row in reversed(rows) if row["layer"] == path)
            samples = left.shape[samples_along(left, second=second)]
            row |= {"samples": samples, "outputs": left.numel() / samples}

    return before, after


def noting_functions(rows: list[dict[str, object]]) -> Arrive:
    """Return what notes that a tensor reaches a function that leaves its shape as it is; a
    parameter holds no samples."""

    def arrive(layer: str, tensor: Tensor, second: bool) -> None:
        numbers = described(tensor, second=second)
        samples = 0.0 if isinstance(tensor, nn.Parameter) else numbers["samples"]
        size = {"samples": samples, "outputs": tensor.numel() / numbers["samples"]}
        rows.append({"layer": layer, **{f"input_{k}": v for k, v in numbers.items()}, **size})

    return arrive


@contextmanager
def gradients_of_computed(model: nn.Module, found: dict[str, Tensor]) -> Iterator[None]:
    """Add up the gradients of the weights that parametrisations compute, by qualified name."""

    def hook(name: str) -> Any:
        def add(gradient: Tensor) -> None:
            found[name] = found[name] + gradient if name in found else gradient

        def note(module: nn.Module, inputs: object, weight: Tensor) -> None:
            if weight.requires_grad:
                weight.register_hook(add)  # type: ignore[no-untyped-call]

        return note

    with ExitStack() as hooks:
        for path, module in own_modules(model).items():
            for name, parts in getattr(module, "parametrizations", {}).items():
                note = hook(f"{path}.{name}".lstrip("."))
                hooks.callback(parts.register_forward_hook(note).remove)
        yield


def described(value: Any, *, second: bool) -> dict[str, float]:
    """Return spread over samples and RMS of the first tensor in ``value``."""
    tensor = first_tensor(value)
    if tensor is None:
        return {}
    samples = tensor.transpose(0, samples_along(tensor, second=second))
    numbers = describe(samples)
    return {
        "samples": float(len(samples)),
        "dimensions": float(tensor.dim()),
        "rms": math.hypot(numbers["mean"], numbers["std"]),
        **{name: numbers[name] for name in ("std", "sample_std", "dead", "nonfinite")},
    }
