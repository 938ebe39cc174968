"""Name the initialisers that could have drawn the values of a parameter."""

import functools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from init_bench.diagnosis.recognition.distributions import NORMAL, TRUNCATED, UNIFORM, Sample
from init_bench.diagnosis.recognition.structures import patterns
from init_bench.diagnosis.recognition.torch_defaults import is_default
from init_bench.init import INITS, InitSpec, parse
from init_bench.init.lookup import InitRecord, record_of
from init_bench.init.std_formulas import Size
from init_bench.init.tensor_inits.fans import fans
from init_bench.init.whole_model.nominal_std import (
    depends_on_fans,
    distribution_of,
    has_all_defaults,
    nominal_std,
)
from init_bench.init.whole_model.parameters import NamedParameter

FAMILIES = {"normal": NORMAL, "uniform": UNIFORM, "truncated_normal": TRUNCATED}
"""The distributions that a record of an initialiser may state."""


FEWEST = 20
"""With fewer values no distribution is named but torch's default, one among few."""


SIGMAS = 5.0
"""A moment fits within this many standard errors."""


BETWEEN = 2.4
"""A fourth moment below is nearer to a uniform distribution's 1.8 than to a normal one's 3."""


def looks_like(parameter: NamedParameter, values: Tensor) -> str:
    """Return the rules that could have written ``values``, joined by ``or``; ``other`` if none.

    A rule that draws is named if mean, mean square and largest value could be its own: it is
    missing where it did draw them with a chance of at most 3e-6 (``Family.could_be``). On square
    layers several rules are one; of few values many could be the source. A weight is held against
    the fans of ``module_fans`` first; what fits those that torch counts by the shape alone is
    named as torch's function, with them. Where no rule of fans fits, a clear normal or uniform
    distribution is named with its parameters.

    Args:
        parameter: whose values they are.
        values: finite.

    Example:
        >>> from torch import nn
        >>> from init_bench.init.whole_model.parameters import named_parameters
        >>> weight, bias = named_parameters(nn.Linear(30, 20))
        >>> looks_like(weight, weight.values)
        'torch.default'
    """
    if not values.numel():
        return "other"
    found = list(dict.fromkeys(_rules(parameter, values)))
    if not found and (values == values.flatten()[0]).all():
        return _constant(values.flatten()[0].item())
    return " or ".join(found) or _by_moments(_drawn(parameter, values))


def _drawn(parameter: NamedParameter, values: Tensor) -> Tensor:
    """Return the values that were drawn: an embedding's padding is 0 whatever fills the rest."""
    padding = getattr(parameter.module, "padding_idx", None)
    if padding is None or parameter.role != "weight" or len(values) == 1:
        return values
    return torch.cat([values[:padding], values[padding + 1 :]])


def _constant(value: float) -> str:
    return {0.0: "zeros", 1.0: "ones"}.get(value, f"constant(value={value:g})")


def _rules(parameter: NamedParameter, values: Tensor) -> Iterator[str]:
    """Yield the names of the rules that fit."""
    drawn = _drawn(parameter, values)
    if is_default(parameter.module, parameter.attribute, drawn):
        yield "torch.default"
    if parameter.role != "weight":
        return
    if not (drawn == drawn.flatten()[0]).all():
        yield from patterns(parameter.blocks(drawn))
    sample = Sample.of(drawn)
    if sample.number < FEWEST:
        return
    own, by_shape = _sizes(parameter, values)
    candidates = _candidates(_records())
    yield from (name for name, spec in candidates.items() if _follows(spec, sample, own))
    counted = f" (fans {by_shape.fan_in:g} and {by_shape.fan_out:g})"
    for name, spec in _candidates(_records(torchs=True)).items():
        if _std(spec, own) != _std(spec, by_shape) and _follows(spec, sample, by_shape):
            yield name + counted


def _records(*, torchs: bool = False) -> tuple[InitRecord, ...]:
    """Return the initialisers of one tensor: torch's own functions, or all others."""
    return tuple(record_of(name) for name in INITS if name.startswith("torch.") == torchs)


@functools.lru_cache(maxsize=4)
def _candidates(records: tuple[InitRecord, ...]) -> dict[str, InitSpec]:
    """Return the specs to try: those whose std is one of the fans first, then without arguments."""
    specs = {text: parse(text) for record in records for text in _recognized_as(record)}
    order = {
        text: (not depends_on_fans(spec), len(spec.arguments) > 0, spec.name)
        for text, spec in specs.items()
    }
    return {text: specs[text] for text in sorted(specs, key=order.__getitem__)}


def _recognized_as(record: InitRecord) -> tuple[str, ...]:
    """Return the specs by which draws of an initialiser are recognized."""
    if record.recognized_as is not None:
        return record.recognized_as
    spec = InitSpec(record.name)
    states_fans = record.distribution and has_all_defaults(spec) and depends_on_fans(spec)
    return (record.name,) if states_fans else ()


def _follows(spec: InitSpec, sample: Sample, size: Size) -> bool:
    kind = distribution_of(spec)
    return kind is not None and FAMILIES[kind].could_be(sample, _std(spec, size))


def _std(spec: InitSpec, size: Size) -> float:
    known = size.fan_in > 0 and size.fan_out > 0
    return (nominal_std(spec, size).std if known else None) or math.nan


def _sizes(parameter: NamedParameter, values: Tensor) -> tuple[Size, Size]:
    """Return the weight's size with its true fans, and with those that torch counts."""
    rows, columns = values.shape[0], values[0].numel()
    own, by_shape = parameter.fans or (0, 0), fans(values)
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
