"""List what the recipes of language models draw a weight from, for the audit to try."""

import math
import re
from collections.abc import Iterator

from init_bench.diagnosis.recognition.distributions import CUT_AT_3, NORMAL
from init_bench.diagnosis.recognition.matching import Draw
from init_bench.init.whole_model.parameters import NamedParameter

STD = 0.02
"""The std of Llama's recipe before it is cut."""


CUT_STD = 3 / CUT_AT_3.bound
"""Standard deviation of a standard normal cut at ±3."""


def recipe_draws(name: str, depth: int) -> Iterator[Draw]:
    """Yield Llama's draws, which know how deep a weight lies; ``depth`` counts its blocks.

    Example:
        >>> [draw.name for draw in recipe_draws("h.2.fc.weight", 12)]
        ['llama', 'llama (std 0.02/√24)', "llama(depth='index') (std 0.02/√6)"]
    """
    yield Draw(name="llama", family=CUT_AT_3, std=STD * CUT_STD)
    match = re.search(r"(?:^|\.)(\d+)\.", name)
    if depth and match:
        for words, blocks in (("llama", depth), ("llama(depth='index')", int(match[1]) + 1)):
            std = STD * CUT_STD / math.sqrt(2 * blocks)
            yield Draw(name=f"{words} (std 0.02/√{2 * blocks})", family=CUT_AT_3, std=std)


def fan_draws(parameter: NamedParameter, depth: int) -> Iterator[Draw]:
    """Yield the recipes' draws whose std depends on the fans of a weight.

    Example:
        >>> from torch import nn
        >>> from init_bench.init.whole_model.parameters import named_parameters
        >>> block = nn.ModuleDict({"fc": nn.Linear(3, 2)})
        >>> weight = named_parameters(nn.ModuleList([block]))[0]
        >>> [draw.name for draw in fan_draws(weight, 2)]
        ['fan_in', 'deepnorm (xavier_normal, gain 0.5)', 'sub_ln (xavier_normal, gain 1.18)']
    """
    fan_in, fan_out = parameter.fans or (0, 0)
    if not fan_in or not fan_out:
        return
    yield Draw(name="fan_in", family=CUT_AT_3, std=CUT_STD * fan_in**-0.5)
    if depth > 1 and re.search(r"(^|\.)\d+\.\w+\.", parameter.name):
        gains = {"deepnorm": (8 * depth) ** -0.25, "sub_ln": math.sqrt(math.log(2 * depth))}
        for name, gain in gains.items():
            std = gain * math.sqrt(2 / (fan_in + fan_out))
            yield Draw(name=f"{name} (xavier_normal, gain {gain:.3g})", family=NORMAL, std=std)
