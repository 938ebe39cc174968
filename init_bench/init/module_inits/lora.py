"""Start PEFT's LoRA adapters by PEFT's own methods, and report what they did to the model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, lookup
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.init.whole_model.fill_log import Filled
from init_bench.init.whole_model.meta_check import refuse_meta
from init_bench.init.whole_model.network_editor import Network

STARTS: dict[str, Callable[[Any, str], None]] = {
    "default": lambda layer, name: layer.reset_lora_parameters(name, True),
    "gaussian": lambda layer, name: layer.reset_lora_parameters(name, "gaussian"),
    "pissa": lambda layer, name: layer.pissa_init(name, "pissa"),
    "olora": lambda layer, name: layer.olora_init(name),
    "orthogonal": lambda layer, name: layer.orthogonal_init(name),
}
"""PEFT's starts that need no data; ``pissa`` and ``olora`` move the base weight."""


def lora_(network: Network, *, start: str = "default", adapter: str | None = None) -> None:
    """Start every LoRA adapter of a PEFT model as PEFT does; all else stays as it is.

    Formula:
        W + s B A with s = alpha / r. ``default``: A by Kaiming's uniform (a = √5), B = 0;
        ``gaussian``: A ~ N(0, 1/r²), B = 0; ``pissa``: B A the r largest singular parts of W,
        which leave it; ``olora``: of its QR factorization; ``orthogonal``: A and B of halves of an
        orthogonal matrix, so that B A = 0.

    Shapes:
        network: a model with adapters of ``peft.LoraConfig``, one called ``adapter`` in each
        layer, or the first.

    Raises:
        InitBenchError: peft is not installed, the model has no adapter, ``start`` is unknown, or
            PEFT refuses.

    Source:
        Hu et al., LoRA, 2021, sec. 4.1; Meng et al., PiSSA, 2024; Büyükakyüz, OLoRA, 2024. Done
        by methods of PEFT's ``LoraLayer`` (code read), whose words these are.

    Example:
        >>> from torch import nn
        >>> from peft import LoraConfig, get_peft_model
        >>> from init_bench import initialize
        >>> base = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> model = get_peft_model(base, LoraConfig(r=2, target_modules=["0"]))
        >>> report = initialize(model, "lora")
        >>> [row.note for row in report.rows if "lora_B" in row.parameter]
        ['r 2, scale 4; W + s B A moved by 0 of the size of W']
    """
    how = lookup(STARTS, start, kind="start of LoRA")
    layers = dict(_adapted(network))
    if not layers:
        raise InitBenchError(
            "lora found no adapter of PEFT: make the model with "
            "peft.get_peft_model(model, LoraConfig(...)), then initialize"
        )
    refuse_meta(network.model)
    network.keep_all("no part of an adapter")
    for path, layer in layers.items():
        _start(network, path, layer, how, adapter)


def _adapted(network: Network) -> Iterator[tuple[str, Any]]:
    try:
        from peft.tuners.lora import LoraLayer
    except ImportError as cause:
        raise InitBenchError("lora needs peft: pip install 'init_bench[peft]'") from cause
    return (pair for pair in network.model.named_modules() if isinstance(pair[1], LoraLayer))


def _start(
    network: Network,
    path: str,
    layer: Any,
    how: Callable[[Any, str], None],
    adapter: str | None,
) -> None:
    name = adapter or next(iter(layer.r))
    if name not in layer.r:
        raise InitBenchError(f"{path!r} has no adapter {name!r}; it has {', '.join(layer.r)}")
    before = _merged_base(layer)
    try:
        with torch.no_grad(), _in_place(layer), drawing_from(stream(network.seed, path)):
            how(layer, name)
    except Exception as cause:  # whatever a start of PEFT asks for
        raise InitBenchError(f"peft cannot start the adapter of {path!r} so: {cause}") from cause
    after = _merged_base(layer)
    moved = (after + layer.get_delta_weight(name).float() - before).norm() / before.norm()
    note = (
        f"r {layer.r[name]}, scale {layer.scaling[name]:.3g}; W + s B A moved by "
        f"{_share(moved)} of the size of W"
    )
    for parameter in network.within(path):
        if f".{name}." in f"{parameter.name}." and "lora_" in parameter.name:
            network.filled[parameter.name] = Filled(initializer="lora", note=note)
        elif not torch.equal(after, before) and "base_layer.weight" in parameter.name:
            by = _share((after - before).norm() / before.norm())
            network.filled[parameter.name] = Filled(
                initializer="lora", note=f"moved by {by} of its size"
            )


@contextmanager
def _in_place(layer: Any) -> Iterator[None]:
    """Let what the block puts in the place of parameters be written into them instead."""
    held = [
        (module, name, value, value.data)
        for module in layer.modules()
        for name, value in module._parameters.items()
        if value is not None
    ]
    try:
        yield
    finally:
        for module, name, value, data in held:
            made = module._parameters[name].detach()
            module._parameters[name], value.data = value, data
            if made.data_ptr() != data.data_ptr():
                data.copy_(made)


def _merged_base(layer: Any) -> Tensor:
    weight: Tensor = layer.get_base_layer().weight
    return weight.detach().float().clone()


def _share(value: Tensor) -> str:
    number = value.item()
    return "0" if number < 1e-6 else f"{number:.2g}"
