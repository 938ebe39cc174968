"""Name the initializers that could have drawn the values of a parameter."""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from init_bench.diagnosis.recognition.distributions import (
    NORMAL,
    TRUNCATED,
    UNIFORM,
    Family,
    Sample,
)
from init_bench.diagnosis.recognition.model_laws import laws
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
"""The distributions that a record of an initializer may state."""


FEWEST = 20
"""With fewer values no distribution is named but torch's default, one among few."""


SIGMAS = 5.0
"""A moment fits within this many standard errors."""


ERRORS, FARTHEST = 3.0, 5.0
"""A round std is named within so many standard errors of the one found, and a round end of a
uniform distribution within so many mean gaps beyond the most extreme value."""


NORMAL_MEAN_SIZE, NORMAL_SPREAD = math.sqrt(2 / math.pi), math.sqrt(1 - 3 / math.pi)
"""E|z| of a standard normal z, and √n times the standard error of mean |z - mean| / std of n.

Geary, Moments of the ratio of the mean deviation to the standard deviation, 1936. It is nearer to
normal than the fourth moment is: of 144 normal values, none in a million is beyond 5 errors.
"""


def looks_like(parameter: NamedParameter, values: Tensor) -> str:
    """Return the rules that could have written ``values``, joined by ``or``; ``other`` if none.

    A rule that draws is named if mean, mean square and largest value could be its own: it is
    missing where it did draw them with a chance of at most 3e-6 (``Family.could_be``). On square
    layers several rules are one; of few values many could be the source. A weight is held against
    the fans of ``module_fans`` first; what fits those that torch counts by the shape alone is
    named as torch's function, with them. Where no rule of fans fits, a normal or uniform
    distribution is named with its parameters; of few values both may fit.

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
    return " or ".join(found) or named_by_moments(_moments(_drawn(parameter, values)))


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
    yield from laws(parameter.name, values)
    if parameter.role != "weight":
        return
    if not (drawn == drawn.flatten()[0]).all():
        yield from patterns(parameter.blocks(drawn))
    sample = Sample.of(drawn)
    if sample.number < FEWEST:
        return
    draws = weight_draws(parameter, values)
    yield from (draw.name for draw in draws if draw.family.could_be(sample, draw.std))


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Describe a rule that draws independent values: its name, their distribution and std."""

    name: str
    family: Family
    std: float


def weight_draws(parameter: NamedParameter, values: Tensor) -> Iterator[Draw]:
    """Yield the rules that draw a weight of the shape of ``values``, which may be on meta.

    Those of the true fans first, then torch's functions where they count other fans.

    Example:
        >>> from torch import nn
        >>> from init_bench.init.whole_model.parameters import named_parameters
        >>> weight, bias = named_parameters(nn.Linear(50, 20))
        >>> [(draw.name, round(draw.std, 3)) for draw in weight_draws(weight, weight.values)][0]
        ('he_normal', 0.2)
    """
    own, by_shape = _sizes(parameter, values)
    yield from _draws_of(_records(), own)
    counted = f" (fans {by_shape.fan_in:g} and {by_shape.fan_out:g})"
    torchs = _records(torchs=True)
    for true, draw in zip(_draws_of(torchs, own), _draws_of(torchs, by_shape), strict=True):
        if true.std != draw.std:
            yield replace(draw, name=draw.name + counted)


@functools.lru_cache(maxsize=256)  # the layers of a deep model share few sizes
def _draws_of(records: tuple[InitRecord, ...], size: Size) -> tuple[Draw, ...]:
    """Return what the initializers draw a weight of one size from."""
    return tuple(
        Draw(name=name, family=FAMILIES[kind], std=_std(spec, size))
        for name, spec in _candidates(records).items()
        if (kind := distribution_of(spec)) is not None
    )


def _records(*, torchs: bool = False) -> tuple[InitRecord, ...]:
    """Return the initializers of one tensor: torch's own functions, or all others."""
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
    """Return the specs by which draws of an initializer are recognized."""
    if record.recognized_as is not None:
        return record.recognized_as
    spec = InitSpec(record.name)
    states_fans = record.distribution and has_all_defaults(spec) and depends_on_fans(spec)
    return (record.name,) if states_fans else ()


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


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Describe the shape of a sample.

    Attributes:
        off_normal: standard errors by which a measure of shape differs from a normal sample's.
        rounding: of the values' type.
    """

    number: int
    mean: float
    std: float
    low: float
    high: float
    off_normal: float
    rounding: float

    def sample(self, center: float) -> Sample:
        """Return what the tests ask of the values minus ``center``."""
        mean = self.mean - center
        return Sample(
            number=self.number,
            mean=mean,
            rms=math.hypot(self.std, mean),
            largest=max(self.high - center, center - self.low),
            rounding=self.rounding,
        )


def named_by_moments(of: Moments) -> str:
    """Return the distributions without fans that could have drawn a sample, the likelier first.

    Of few values, both a uniform and a normal distribution may be the source.

    Example:
        >>> values = Moments(
        ...     number=1000, mean=0.0, std=0.5, low=-1.6, high=1.7, off_normal=0.3, rounding=1e-7
        ... )
        >>> named_by_moments(values)
        'normal(std=0.5)'
    """
    if not 0 < of.std < math.inf or of.number < FEWEST:
        return "other"
    found = [_uniform(of), _normal(of)]
    uniform_is_likelier = of.high - of.low < of.std * math.sqrt(2 * math.pi * math.e)
    return " or ".join(filter(None, found if uniform_is_likelier else found[::-1])) or "other"


def _moments(values: Tensor) -> Moments:
    wide = values if values.dtype == torch.float64 else values.float()
    mean, std = wide.mean().item(), wide.std(correction=0).item()
    low, high = (end.item() for end in wide.aminmax())
    size = (wide - mean).abs().mean().item() / std if std else math.nan
    error = NORMAL_SPREAD / math.sqrt(values.numel())
    return Moments(
        number=values.numel(),
        mean=mean,
        std=std,
        low=low,
        high=high,
        off_normal=abs(size - NORMAL_MEAN_SIZE) / error,
        rounding=torch.finfo(wide.dtype).eps,
    )


def _uniform(of: Moments) -> str:
    """Return the uniform distribution that could have drawn the sample, empty if none could."""
    sample = of.sample((of.low + of.high) / 2)
    half_width = sample.largest * (1 + 1 / sample.number)  # expected, given the largest of n draws
    fits = UNIFORM.could_be(sample, half_width / math.sqrt(3))
    beyond = FARTHEST * (of.high - of.low) / of.number
    low = _roundest(of.low, least=of.low - beyond, most=of.low)
    high = _roundest(of.high, least=of.high, most=of.high + beyond)
    return f"uniform(a={low}, b={high})" if fits else ""


def _normal(of: Moments) -> str:
    """Return the normal distribution that could have drawn the sample, empty if none could."""
    if of.off_normal > SIGMAS or not NORMAL.could_be(of.sample(of.mean), of.std):
        return ""
    about_0 = abs(of.mean) * math.sqrt(of.number) <= SIGMAS * of.std
    mean = "" if about_0 else f"mean={of.mean:.3g}, "
    error = of.std / math.sqrt(2 * of.number)
    std = _roundest(of.std, least=of.std - ERRORS * error, most=of.std + ERRORS * error)
    return f"normal({mean}std={std})"


def _roundest(value: float, *, least: float, most: float) -> str:
    """Return the number of fewest digits near ``value`` between two limits, else three digits."""
    texts = (f"{value:.{digits}g}" for digits in (1, 2))
    return next((text for text in texts if least <= float(text) <= most), f"{value:.3g}")
