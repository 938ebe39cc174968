"""Fill Mamba's state-space layers: decay rates, skips and step sizes."""

import math

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.whole_model.custom_norms import start_norms
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter

FLOOR = 1e-4
"""The smallest step size."""


def mamba_(
    network: Network,
    *,
    start: str = "torch.default",
    dt_min: float = 0.001,
    dt_max: float = 0.1,
) -> None:
    """Fill state-space layers so that they remember from a few to a thousand steps.

    Formula:
        A_log = ln n of state n = 1 … N (Mamba), or ln U(1, 16) of each head (Mamba 2); D = 1;
        softplus of the step's bias (``dt_bias``, ``dt_proj.bias``) is exp U(ln dt_min, ln dt_max),
        at least 1e-4; dt_proj.weight ~ U(−1/√r, 1/√r), r its inputs. Embeddings N(0, 0.02²), all
        else by ``start``, biases 0; the output projections over √L, L their number.

    Shapes:
        network: any whose parameters bear these names, as transformers' ``MambaModel`` and
        ``Mamba2Model`` and the authors' ``mamba_ssm``.

    Raises:
        InitBenchError: no parameter is called ``A_log``, or not 0 < ``dt_min`` <= ``dt_max``.

    Source:
        Gu & Dao, Mamba, 2023; the authors' ``mamba_ssm/modules/mamba_simple.py`` (code read), and
        ``mamba2.py`` and ``mixer_seq_simple.py`` (recalled).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> mixer = nn.Module()
        >>> mixer.A_log, mixer.D = nn.Parameter(torch.zeros(2, 4)), nn.Parameter(torch.zeros(2))
        >>> mixer.dt_proj = nn.Linear(1, 2)
        >>> report = initialize(mixer, "mamba")
        >>> mixer.A_log.exp()[0].tolist(), mixer.D.tolist()
        ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0])
        >>> step = nn.functional.softplus(mixer.dt_proj.bias)
        >>> bool(((step > 0.001) & (step < 0.1)).all())
        True
    """
    dt_min = check_finite(dt_min, "dt_min", minimum=FLOOR)
    dt_max = check_finite(dt_max, "dt_max", minimum=dt_min)
    named = {p.attribute: p for p in network.parameters.values()}
    if "A_log" not in named:
        raise InitBenchError("mamba found no parameter called A_log: this model has no such layer")
    for parameter in network.parameters.values():
        if _is_own(parameter):
            network.release(parameter)
    ends = [p for p in network.weights if p.path.endswith("out_proj")]
    network.start(start)
    start_norms(network)
    for parameter in network.parameters.values():
        _fill(network, parameter, dt_min, dt_max)
    for parameter in ends:
        network.scale(parameter, len(ends) ** -0.5, f"one of {len(ends)}: over √{len(ends)}")


def _fill(network: Network, parameter: NamedParameter, dt_min: float, dt_max: float) -> None:
    name = parameter.attribute
    if parameter.is_table:
        network.fill(parameter, "normal(std=0.02)")
    elif name == "A_log":
        network.draw(parameter, _decay, "mamba", "log of the decay rates")
    elif name == "D":
        network.fill(parameter, "ones", "skip")
    elif _is_own(parameter):

        def steps(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
            low, high = math.log(dt_min), math.log(dt_max)
            drawn = torch.empty_like(tensor, dtype=torch.float32)
            drawn.uniform_(low, high, generator=generator).exp_().clamp_(min=FLOOR)
            return tensor.copy_(drawn + torch.log(-torch.expm1(-drawn)))

        network.draw(parameter, steps, "mamba", f"softplus of it is {dt_min:g} to {dt_max:g}")
    elif parameter.role == "weight" and parameter.path.endswith("dt_proj"):
        bound = network.fan_in(parameter) ** -0.5
        network.fill(parameter, f"uniform(a={-bound!r}, b={bound!r})")
    elif parameter.role == "bias":
        network.fill(parameter, "zeros")


def _is_own(parameter: NamedParameter) -> bool:
    """Return whether a parameter has a law of its own, though others are told to leave it."""
    is_step = parameter.attribute == "bias" and parameter.path.endswith("dt_proj")
    return is_step or parameter.attribute in ("A_log", "D", "dt_bias")


def _decay(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Write ln 1 … ln N along the states, or ln U(1, 16) of each head."""
    if tensor.dim() == 1:
        drawn = torch.empty_like(tensor, dtype=torch.float32)
        return tensor.copy_(drawn.uniform_(1, 16, generator=generator).log())
    states = torch.arange(1, tensor.shape[-1] + 1, device=tensor.device, dtype=torch.float32)
    return tensor.copy_(states.log().expand_as(tensor))
