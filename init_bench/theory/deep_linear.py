"""Compute how long a deep linear network takes to learn one mode of the data."""

import math

from init_bench.errors import InitBenchError, check_finite, check_int


def learning_time(strength: float, start: float, end: float, *, layers: int = 2) -> float:
    """Return the time in which gradient flow takes a mode from ``start`` to ``end``.

    Formula:
        du/dt = L u^(2 − 2/L) (s − u), u the product of the mode's L equal weights. For two layers
        t = ln(u_f (s − u_0) / (u_0 (s − u_f))) / (2 s).

    Args:
        strength: s, the singular value of the input-output correlations.
        start, end: u_0 and u_f, between 0 and s.
        layers: number L of weight layers.

    Returns:
        Time in units of 1 / learning rate: with full-batch gradient descent, steps times rate.

    Raises:
        InitBenchError: ``start`` and ``end`` are not 0 < start < end < strength, or ``layers`` is
            below 1.

    Source:
        Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural
        networks, 2014.

    Example:
        >>> two = math.log(0.9 * (1 - 0.1) / (0.1 * (1 - 0.9))) / 2
        >>> abs(learning_time(1.0, 0.1, 0.9) - two) < 1e-9
        True
    """
    from scipy.integrate import quad  # here: it takes 0.3 s to load

    s, number = check_finite(strength, "strength"), check_int(layers, "layers", minimum=1)
    if not 0 < start < end < s:
        raise InitBenchError(
            f"a mode grows from start to end below strength: 0 < start < end < strength, got "
            f"start={start:g}, end={end:g}, strength={s:g}"
        )

    def time_per_log(log: float) -> float:  # over log u: the plateau at the start is long
        u = math.exp(log)
        return math.exp((2 / number - 1) * log) / (number * (s - u))

    return float(quad(time_per_log, math.log(start), math.log(end), epsabs=0, epsrel=1e-11)[0])
