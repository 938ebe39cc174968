"""Find which rule could have written a tensor, and whether it is still as written."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from init_bench.diagnosis.checkpoint.stored_tensor import PIECE, StoredTensor
from init_bench.diagnosis.checkpoint.tensor_scan import Scan
from init_bench.diagnosis.evidence.parameters import SMALL_SHARE, UNTOUCHED_LARGE
from init_bench.diagnosis.recognition.attention_factors import FACTORS, is_mimetic
from init_bench.diagnosis.recognition.distributions import NORMAL, TRUNCATED, UNIFORM
from init_bench.diagnosis.recognition.matching import (
    FEWEST,
    Draw,
    Moments,
    named_by_moments,
    weight_draws,
)
from init_bench.diagnosis.recognition.model_laws import has_law, laws, starts_at_zero
from init_bench.diagnosis.recognition.recipes import fan_draws, recipe_draws
from init_bench.diagnosis.recognition.structures import LARGEST, patterns
from init_bench.diagnosis.recognition.torch_defaults import default_of
from init_bench.init.tensor_inits.torch_builtin import DEFAULT
from init_bench.init.whole_model.transformer_parts import part_named

LIKELY = 0.05
"""Largest chance of an accidental match at which a tensor is called fresh."""


MOST_VALUES = 8 * LARGEST**2
"""Tensors with more values are not searched for structure, such as orthogonal rows."""


LEVEL = 0.05
"""Sums of squares of rows or columns are level within this share. Of normal values in n columns
they differ by about 8 √(2 / n); of weights with a structure by less than 1 %."""


COMMON = 0.02
"""The std that most language models are drawn with."""


ROUND = (0.01, 0.05, 0.1, 1.0, 0.001, 0.005, 0.002, 0.006, 0.03, 0.2, 0.5)
"""Other values that are written into code, the frequent ones first."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """State where a tensor is from, as far as its values show.

    Attributes:
        state: ``non-finite``, ``never filled``, ``all zero``, ``all equal``, ``fresh``, ``unsure``
            or ``other``.
        looks_like: the rules that could have written it, the likeliest first.
        chance: that values of another origin would look so; nan where no rule fits.
    """

    state: str
    looks_like: str = "other"
    chance: float = math.nan


def origin_of(tensor: StoredTensor, found: Scan, depth: int) -> Origin:
    """Return where the values of ``tensor`` are from; ``depth`` as ``numbered`` counts.

    A rule fits if all of its tests pass: mean, mean square and largest value of the tensor, means
    and mean squares of its rows and columns (``Family.could_be``, ``could_be_groups``). They
    reject draws of the rule with a chance of at most 1e-5. ``chance`` asks the other way round,
    see ``_coincidence``.
    """
    if found.nonfinite:
        return Origin(state="non-finite")
    if found.largest > UNTOUCHED_LARGE or found.tiny > SMALL_SHARE * found.number:
        return Origin(state="never filled")
    if found.low == found.high:
        return _constant(tensor, found, depth)
    known = laws(tensor.name, tensor.values()) if has_law(tensor.name) else ()
    exact = [*known, *_structures(tensor, found)]
    few = found.sample.number < FEWEST
    draws = [draw for draw in _draws(tensor, depth) if draw.name == DEFAULT or not few]
    fitting = [draw for draw in draws if _fits(draw, found)]
    names = dict.fromkeys((*exact, *(draw.name for draw in fitting)))
    if not names:
        return Origin(state="other", looks_like=_described(found))
    chance = 0.0 if exact else _coincidence(fitting[0], draws, found)
    state = "fresh" if chance <= LIKELY else "unsure"
    return Origin(state=state, looks_like=" or ".join(names), chance=chance)


def numbered(names: Iterable[str]) -> dict[str, int]:
    """Return how many numbered layers lie beside the one that each name is in; 0 of one without.

    Example:
        >>> numbered(["h.0.w", "h.1.w", "h.2.w", "head.w"])
        {'h.0.w': 3, 'h.1.w': 3, 'h.2.w': 3, 'head.w': 0}
    """
    stacks: dict[str, set[str]] = {}
    homes = {}
    for name in names:
        match = re.match(r"(.*?)(?:^|\.)(\d+)\.", name)
        homes[name] = match[1] if match else None
        if match:
            stacks.setdefault(match[1], set()).add(match[2])
    return {name: 0 if home is None else len(stacks[home]) for name, home in homes.items()}


def _constant(tensor: StoredTensor, found: Scan, depth: int) -> Origin:
    """Return the origin of equal values: in a weight they are a fault, elsewhere as written.

    Zeros are no fault in B of a LoRA adapter, nor in a layer of numbered blocks whose name says
    that it ends a residual branch: there several rules start at 0.

    After training, n values that were moved are equal by chance only, a chance of about eps^n.
    """
    value = found.high
    name = {0.0: "zeros", 1.0: "ones"}.get(value, f"constant(value={value:g})")
    if value == 0 and tensor.is_weight and depth and part_named(tensor.parameter) == "output":
        name = "nanochat or fixup (zeros)"
    elif tensor.is_weight and not (value == 0 and starts_at_zero(tensor.name)):
        return Origin(state="all equal" if value else "all zero", looks_like=name)
    if found.number == 1 and name.startswith("constant"):
        return Origin(state="other")
    return Origin(state="fresh", looks_like=name, chance=found.rounding**found.number)


def _structures(tensor: StoredTensor, found: Scan) -> Iterator[str]:
    """Yield the rules that set values exactly: identities, orthogonal and mirrored weights.

    They are looked for in the whole tensor. A large one is read if its rows or columns are as long
    as each other, or if it may be a factor of attention.
    """
    if not tensor.is_weight or tensor.number > MOST_VALUES:
        return
    part = part_named(tensor.parameter)
    level = _is_level(found.row_squares) or _is_level(found.column_squares)
    if tensor.number > PIECE and not level and part not in FACTORS:
        return
    values = tensor.values()
    wide = values if values.dtype.itemsize > 1 else values.float()
    if wide.shape[0] > 1:
        blocks = tensor.parameter.blocks(wide)
        if is_mimetic(part, blocks):
            yield "mimetic"
        names = patterns(blocks)
        yield from (name for name in names if not name.startswith("sparse"))  # pruned weights too


def _is_level(squares: NDArray[np.float64]) -> bool:
    """Return whether sums of squares are nearly equal, as structures make them."""
    low, high = float(squares.min()), float(squares.max())
    return high - low < LEVEL * high


def _draws(tensor: StoredTensor, depth: int) -> Iterator[Draw]:
    """Yield the rules that could have drawn a tensor of this shape, the commonest first."""
    shape, parameter = tensor.shape_only, tensor.parameter
    default = default_of(parameter.module, parameter.attribute, shape)
    if isinstance(default, tuple):
        yield Draw(name=DEFAULT, family=default[0], std=default[1])
    if shape.dim() < 2:
        return
    yield from _normals((COMMON,))
    if depth:
        yield Draw(
            name=f"gpt2 (std 0.02/√{2 * depth})", family=NORMAL, std=COMMON / math.sqrt(2 * depth)
        )
    yield from recipe_draws(tensor.name, depth)
    if tensor.is_weight:
        yield from weight_draws(parameter, shape)
        yield from fan_draws(parameter, depth)
    yield from _normals(ROUND)
    for bound in (COMMON, *ROUND):
        std = bound / math.sqrt(3)
        yield Draw(name=f"uniform(a=-{bound:g}, b={bound:g})", family=UNIFORM, std=std)


def _normals(stds: Sequence[float]) -> Iterator[Draw]:
    for std in stds:
        yield Draw(name=f"normal(std={std:g})", family=NORMAL, std=std)
        cut = f"trunc_normal(std={std:g}, a=-{2 * std:g}, b={2 * std:g})"
        yield Draw(name=cut, family=TRUNCATED, std=std * TRUNCATED_STD)


TRUNCATED_STD = 2 / TRUNCATED.bound
"""Standard deviation of a standard normal cut at ±2."""


def _fits(draw: Draw, found: Scan) -> bool:
    if not draw.family.could_be(found.sample, draw.std):
        return False
    matrix = min(len(found.row_sums), len(found.column_sums)) >= FEWEST
    return not matrix or all(draw.family.could_be_groups(g, draw.std) for g in found.groups)


def _coincidence(named: Draw, draws: Sequence[Draw], found: Scan) -> float:
    """Return the chance that values of some other scale come as near to a rule as these do.

    Formula:
        2 k d / ln 10, at most 1. d: distance of the logarithms of the std found and that of the
        rule, at least its standard error; of a bounded distribution that of the largest value and
        the bound, if less. k: number of different std of such a distribution within half a decade
        that are tried up to this one. The other scale may lie anywhere in that decade.
    """
    sample, family = found.sample, named.family
    error = math.sqrt((family.kurtosis - 1) / (4 * sample.number))
    distance = max(error, abs(math.log(sample.rms / named.std)))
    if math.isfinite(family.bound):
        end = abs(math.log(sample.largest / (family.bound * named.std)))
        distance = min(distance, max(end, 1 / sample.number, sample.rounding))
    tried = draws[: draws.index(named) + 1]
    near = {d.std for d in tried if d.family is family and _decades(d.std, named.std) <= 0.5}
    return min(1.0, 2 * len(near) * distance / math.log(10))


def _decades(a: float, b: float) -> float:
    return abs(math.log10(a / b)) if a > 0 and b > 0 else math.inf


def _described(found: Scan) -> str:
    """Name the distribution by its moments, where no rule fits."""
    mean, square, third, fourth = (float(power) / found.number for power in found.powers)
    variance = max(0.0, square - mean**2)
    central = fourth - 4 * mean * third + 6 * mean**2 * square - 3 * mean**4
    kurtosis = central / variance**2 if variance**2 else math.nan
    return named_by_moments(
        Moments(
            number=found.number,
            mean=mean,
            std=math.sqrt(variance),
            low=found.low,
            high=found.high,
            off_normal=abs(kurtosis - 3) / math.sqrt(24 / found.number),
            rounding=found.rounding,
        )
    )
