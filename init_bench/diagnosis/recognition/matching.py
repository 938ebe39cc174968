"""From values to names: constants, torch's default, structures, laws of the fans, moments."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from init_bench.diagnosis.recognition.distributions import NORMAL, TRUNCATED, UNIFORM, Sample
from init_bench.diagnosis.recognition.structures import patterns
from init_bench.diagnosis.recognition.torch_defaults import is_default
from init_bench.init import module_fans, parse
from init_bench.init.tensor_inits.fans import fans
from init_bench.init.whole_model.nominal_std import Size, law
from init_bench.init.whole_model.parameters import Slot

_TRUNCATED_SCALING = "variance_scaling(scale={}, mode='{}', distribution='truncated_normal')"


RULES = {
    "he_normal": NORMAL,
    "he_uniform": UNIFORM,
    "lecun_normal": NORMAL,
    "lecun_uniform": UNIFORM,
    "xavier_normal": NORMAL,
    "xavier_uniform": UNIFORM,
    "he_normal(mode='fan_out')": NORMAL,
    "he_uniform(mode='fan_out')": UNIFORM,
    _TRUNCATED_SCALING.format("1.0", "fan_in"): TRUNCATED,
    _TRUNCATED_SCALING.format("2.0", "fan_in"): TRUNCATED,
    _TRUNCATED_SCALING.format("1.0", "fan_avg"): TRUNCATED,
    "trunc_normal": TRUNCATED,
}
"""Specs whose law a weight may follow."""


TORCHS_RULES = {
    "torch.kaiming_normal": NORMAL,
    "torch.kaiming_uniform": UNIFORM,
    "torch.xavier_normal": NORMAL,
    "torch.xavier_uniform": UNIFORM,
}
"""What torch's functions are called where they count other fans than ``module_fans``."""


FEWEST = 20
"""With fewer values no distribution is named but torch's default, one among few."""


SIGMAS = 5.0
"""A moment fits within this many standard errors."""


BETWEEN = 2.4
"""A fourth moment below is nearer to a uniform distribution's 1.8 than to a normal one's 3."""


def looks_like(slot: Slot, values: Tensor) -> str:
    """Return the rules that could have written ``values``, joined by ``or``; ``other`` if none.

    A rule that draws is named if mean, mean square and largest value could be its own: it is
    missing where it did draw them with a chance of at most 3e-6 (``Family.could_be``). On square
    layers several rules are one; of few values many could be the source. A weight is held against
    the fans of ``module_fans`` first; what fits those that torch counts by the shape alone is
    named as torch's function, with them. Where no rule of fans fits, a clear normal or uniform
    distribution is named with its parameters.

    Args:
        slot: whose values they are.
        values: finite.

    Example:
        >>> from torch import nn
        >>> from init_bench.init.whole_model.parameters import slots
        >>> weight, bias = slots(nn.Linear(30, 20))
        >>> looks_like(weight, weight.values)
        'torch.default'
    """
    if not values.numel():
        return "other"
    found = list(dict.fromkeys(_rules(slot, values)))
    if not found and (values == values.flatten()[0]).all():
        return _constant(values.flatten()[0].item())
    return " or ".join(found) or _by_moments(_drawn(slot, values))


def _drawn(slot: Slot, values: Tensor) -> Tensor:
    """Return the values that were drawn: an embedding's padding is 0 whatever fills the rest."""
    padding = getattr(slot.module, "padding_idx", None)
    if padding is None or slot.role != "weight" or len(values) == 1:
        return values
    return torch.cat([values[:padding], values[padding + 1 :]])


def _constant(value: float) -> str:
    return {0.0: "zeros", 1.0: "ones"}.get(value, f"constant(value={value:g})")


def _rules(slot: Slot, values: Tensor) -> Iterator[str]:
    """Yield the names of the rules that fit."""
    drawn = _drawn(slot, values)
    if is_default(slot.module, slot.attribute, drawn):
        yield "torch.default"
    if slot.role != "weight":
        return
    if not (drawn == drawn.flatten()[0]).all():
        yield from patterns(slot.blocks(drawn))
    sample = Sample.of(drawn)
    if sample.number < FEWEST:
        return
    own, by_shape = _sizes(slot, values)
    yield from (name for name in RULES if _follows(name, sample, own))
    counted = f" (fans {by_shape.fan_in:g} and {by_shape.fan_out:g})"
    for name in TORCHS_RULES:
        if _std(name, own) != _std(name, by_shape) and _follows(name, sample, by_shape):
            yield name + counted


def _follows(name: str, sample: Sample, size: Size) -> bool:
    family = {**RULES, **TORCHS_RULES}[name]
    return family.could_be(sample, _std(name, size))


def _std(name: str, size: Size) -> float:
    known = size.fan_in > 0 and size.fan_out > 0
    return (law(parse(name), size).std if known else None) or math.nan


def _sizes(slot: Slot, values: Tensor) -> tuple[Size, Size]:
    """Return the weight's size with its true fans, and with those that torch counts."""
    rows, columns = values.shape[0], values[0].numel()
    own, by_shape = module_fans(slot.module, slot.attribute), fans(values)
    true, torchs = (
        Size(fan_in=fan_in, fan_out=fan_out, rows=rows, columns=columns)
        for fan_in, fan_out in (own, by_shape)
    )
    return true, torchs


def _by_moments(values: Tensor) -> str:
    """Return a rule without fans, if the shape of the distribution is clear."""
    wide = values if values.dtype == torch.float64 else values.float()
    mean, std = wide.mean().item(), wide.std(correction=0).item()
    low, high = (end.item() for end in wide.aminmax())
    if not 0 < std < math.inf or values.numel() < FEWEST:
        return "other"
    fourth = ((wide - mean) / std).pow(4).mean().item()
    sample = Sample.of(wide - (low + high) / 2)
    if fourth < BETWEEN and UNIFORM.could_be(sample, _half(sample) / math.sqrt(3)):
        return f"uniform(a={low:.3g}, b={high:.3g})"
    error = math.sqrt(24 / values.numel())
    if abs(fourth - 3) > SIGMAS * error or not NORMAL.could_be(Sample.of(wide - mean), std):
        return "other"
    centred = abs(mean) * math.sqrt(values.numel()) <= SIGMAS * std
    return f"normal(std={std:.3g})" if centred else f"normal(mean={mean:.3g}, std={std:.3g})"


def _half(sample: Sample) -> float:
    """Return the half width of a uniform distribution whose largest of n draws is the sample's."""
    return sample.largest * (1 + 1 / sample.number)
