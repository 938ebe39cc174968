"""Recognize parameters by their names and values together: gates, state spaces, adapters."""

import math
import re
from collections.abc import Iterator

import torch
from torch import Tensor

from init_bench.diagnosis.recognition.distributions import UNIFORM, Sample

_STEPS = (0.001, 0.1)
"""The step sizes that Mamba's layers start between."""


_ADAPTER = re.compile(r"(^|\.)lora_(embedding_)?B(\.|$)")


def starts_at_zero(name: str) -> bool:
    """Return whether a weight of that name is meant to start at 0: B of a LoRA adapter.

    Example:
        >>> starts_at_zero("layer.lora_B.default.weight"), starts_at_zero("layer.weight")
        (True, False)
    """
    return _ADAPTER.search(name) is not None


def has_law(name: str) -> bool:
    """Return whether ``laws`` knows a parameter of that name."""
    last = name.rpartition(".")[2]
    return last in ("A_log", "dt_bias") or name.endswith("dt_proj.bias") or "bias_ih" in last


def laws(name: str, values: Tensor) -> Iterator[str]:
    """Yield the rules that wrote a parameter whose name says what it is for.

    Example:
        >>> states = torch.arange(1.0, 5).log().expand(3, 4)
        >>> list(laws("mixer.A_log", states))
        ['mamba']
    """
    if not has_law(name) or not values.is_floating_point() or values.numel() < 2:
        return
    wide = values.detach().double().cpu()
    if name.endswith("A_log"):
        yield from ["mamba"] if _are_decays(wide) else []
    elif "bias_ih" in name.rpartition(".")[2]:
        yield from _gates(wide)
    elif _are_steps(wide, values):
        yield "mamba"


def _are_decays(wide: Tensor) -> bool:
    """Return whether the rates are 1 … N in each row, or lie between 1 and 16."""
    if wide.dim() == 1:
        return bool((wide >= 0).all() and (wide <= math.log(16) + 1e-6).all())
    states = torch.arange(1, wide.shape[-1] + 1, dtype=wide.dtype).log()
    return bool(torch.allclose(wide, states.expand_as(wide), atol=0.01 * states.max().item()))


def _are_steps(wide: Tensor, values: Tensor) -> bool:
    """Return whether the logarithms of softplus are uniform between those of ``_STEPS``."""
    low, high = (math.log(step) for step in _STEPS)
    steps = torch.nn.functional.softplus(wide).log() - (low + high) / 2
    half = (high - low) / 2
    sample = Sample.of(steps)
    # Rounding of the stored values moves the ends a little
    slack = 1 + 64 * torch.finfo(values.dtype).eps
    return sample.largest <= half * slack and UNIFORM.could_be(
        Sample(
            number=sample.number,
            mean=sample.mean,
            rms=sample.rms,
            largest=min(sample.largest, half),
            rounding=1e-3,
        ),
        half / math.sqrt(3),
    )


def _gates(wide: Tensor) -> Iterator[str]:
    """Yield the name of open gates: a constant forget gate of an LSTM, or chrono's."""
    if len(wide) % 4 == 0:
        gate_in, forget, cell, out = wide.chunk(4)
        others = not cell.any() and not out.any()
        if others and not gate_in.any() and forget[0] and (forget == forget[0]).all():
            bias = forget[0].item()
            yield "recurrent" if bias == 1 else f"recurrent(forget_bias={bias:g})"
        elif others and forget.any() and torch.equal(gate_in, -forget):
            yield "recurrent (chrono)"
