"""Say how the layers inside torch's own transformers are connected, which no tracer enters."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from init_bench.activations.recognition import FUNCTION_NAMES, name_of
from init_bench.init.graph.branch import Branch


def _transformer_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield torch's own transformer layers, whose forward functions no tracer enters."""
    for path, module in model.named_modules():
        if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
            yield f"{path}.".lstrip("."), module


def nonlinearities_inside(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the layers inside torch's transformers and what follows each."""
    for prefix, module in _transformer_layers(model):
        activation: Any = module.activation
        name = name_of(activation) or getattr(activation, "__name__", "")
        yield f"{prefix}linear1", name if name in FUNCTION_NAMES else "unknown"
        for name in ("linear2", "self_attn", "multihead_attn"):
            yield f"{prefix}{name}", "identity"


def transformer_branches(model: nn.Module) -> Iterator[Branch]:
    """Yield the residual branches of torch's transformers, a norm that begins one included."""
    for prefix, module in _transformer_layers(model):
        parts = dict(module.named_children())
        layers = [(name,) for name in ("self_attn", "multihead_attn") if name in parts]
        for place, names in enumerate([*layers, ("linear1", "linear2")], start=1):
            norm = [f"norm{place}"] * bool(module.norm_first)
            modules = tuple(f"{prefix}{name}" for name in (*norm, *names))
            yield Branch(modules=modules, block=prefix.rstrip("."))


def attention_modules(model: nn.Module) -> Iterator[str]:
    """Yield the names of torch's attentions, which divide by √d."""
    for path, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            yield path
