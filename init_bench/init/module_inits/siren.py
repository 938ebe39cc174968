"""Fill as SIREN: networks of sines whose pre-activations keep their distribution."""

import math

from init_bench.errors import check_finite
from init_bench.init.whole_model.network_editor import Network


def siren_(network: Network, *, w0: float = 30.0) -> None:
    """Fill a network with layers sin(w0 (Wx + b)), so that pre-activations stay N(0, 1).

    Formula:
        W_ij ~ U(−1/n, 1/n) in the first layer and U(−√(6/n)/w0, √(6/n)/w0) in all others,
        b_i ~ U(−1/√n, 1/√n), n = fan_in of the kernel.

    Shapes:
        network: any; its first layer is the first to run.

    Raises:
        InitBenchError: ``w0`` is not a finite number above 0.

    Source:
        Sitzmann et al., Implicit Neural Representations with Periodic Activation Functions,
        2020, sec. 3.2 and supplement sec. 1.5; biases as in the authors' ``modules.py``.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.Sequential(nn.Linear(2, 64), nn.Linear(64, 64))
        >>> report = initialize(model, "siren(w0=30)")
        >>> model[0].weight.abs().max().item() <= 0.5
        True
        >>> 0.009 < model[1].weight.abs().max().item() <= (6 / 64) ** 0.5 / 30
        True
    """
    w0 = check_finite(w0, "w0", minimum=1e-12)
    network.start("zeros")
    first = network.weights[0]
    for parameter in network.weights:
        n = network.fan_in(parameter)
        bound = 1 / n if parameter is first else math.sqrt(6 / n) / w0
        network.fill(
            parameter, f"uniform(a={-bound!r}, b={bound!r})", "first" if parameter is first else ""
        )
        for bias in network.biases_of(parameter):
            network.fill(bias, f"uniform(a={-(n**-0.5)!r}, b={n**-0.5!r})")
