"""Compute exact numbers of ReLU networks of finite width at their random start."""

import math
from collections.abc import Sequence

from init_bench.errors import InitBenchError, check_int


def dead_probability(widths: Sequence[int]) -> float:
    """Return the probability that all ReLUs of some layer are 0: the network is born dead.

    Formula:
        P = 1 − Π (1 − 2^(−n_l)) over the hidden layers. It holds for one input that is not 0,
        zero biases and weights whose distribution is symmetric: each unit of a layer whose input
        is not 0 is off with probability 1/2, independently of the others.

    Args:
        widths: number of units n_l of each hidden layer.

    Raises:
        InitBenchError: there is no layer, or a width is below 1.

    Source:
        Lu et al., Dying ReLU and initialization, 2019; the formula derived as above.

    Example:
        >>> round(dead_probability([2] * 3), 3), round(dead_probability([8] * 20), 3)
        (0.578, 0.075)
    """
    return -math.expm1(sum(math.log1p(-(2.0**-width)) for width in _checked(widths)))


def length_ratio(widths: Sequence[int]) -> float:
    """Return E‖h‖⁴ / (E‖h‖²)² of the last layer: how unlike networks of one distribution are.

    Formula:
        Π (1 + 5 / n_l) over the hidden layers of a ReLU network with weights N(0, 2 / fan_in), zero
        biases and a fixed input; ‖h‖² is the squared length of the last layer's activations. It
        grows as exp(5 Σ 1 / n_l).

    Args:
        widths: number of units n_l of each hidden layer.

    Raises:
        InitBenchError: there is no layer, or a width is below 1.

    Source:
        Hanin & Rolnick, How to start training, 2018 (that Σ 1/n_l decides); the constant from
        E[relu(z)²] = 1/2 and E[relu(z)⁴] = 3/2, z ~ N(0, 1).

    Example:
        >>> round(length_ratio([50] * 5), 3), round(length_ratio([200] * 10), 3)
        (1.611, 1.28)
    """
    return math.prod(1 + 5 / width for width in _checked(widths))


def _checked(widths: Sequence[int]) -> list[int]:
    found = [check_int(width, "a width", minimum=1) for width in widths]
    if not found:
        raise InitBenchError("widths name no layer: give the units of each, as [100, 100]")
    return found
