"""Fill by SkipInit, ReZero or LayerScale: start the factor of each residual branch small."""

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.graph.branch import Branch
from init_bench.init.whole_model.branch_factors import factors_of
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter


def skipinit_(
    network: Network,
    *,
    start: str = "he_normal",
    scale: float | str = 0.0,
    branches: str | None = None,
) -> None:
    """Fill a residual network and set the factor of each residual branch to ``scale``.

    Formula:
        x + α f(x) with α = ``scale``, weights by ``start``. 0 (SkipInit, ReZero): the network
        starts as its skip path; 1e-5 or the like on vectors α: LayerScale; ``'depth'``: 1/√L, L
        the number of branches.

    Shapes:
        network: any with residual sums x + α f(x), α a parameter of one element or one per
        channel behind the last layer of f, the branches traced or named by the ``fnmatch``
        pattern ``branches`` of module names.

    Raises:
        InitBenchError: no residual branch was found or named; one has no factor, several, or
            parameters of which it is not known whether they multiply it; or ``scale`` is neither
            a finite number nor ``'depth'``.

    Source:
        De & Smith, Batch Normalization Biases Residual Blocks Toward the Identity Function in
        Deep Networks, 2020 (which allows small α too, 1/√d at d blocks); Bachlechner et al.,
        ReZero is All You Need, 2020; Touvron et al., Going deeper with Image Transformers, 2021.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc, self.alpha = nn.Linear(4, 4), nn.Parameter(torch.ones(()))
        ...     def forward(self, x):
        ...         return x + self.alpha * self.fc(x.relu())
        >>> model = Block()
        >>> report = initialize(model, "skipinit")
        >>> model.alpha.item(), torch.equal(model(torch.eye(4)), torch.eye(4))
        (0.0, True)
        >>> report = initialize(model, "skipinit(scale=1e-5)")
        >>> round(model.alpha.item(), 8)
        1e-05
    """
    if isinstance(scale, str) and scale != "depth":
        raise InitBenchError(f"scale must be a number or 'depth', which is 1/√L, got {scale!r}")
    if not isinstance(scale, str):
        check_finite(scale, "scale")
    network.start(start)
    found = network.branches(branches)
    value = len(found) ** -0.5 if isinstance(scale, str) else float(scale)
    for branch in found:
        factor = _factor(network, branch)
        network.release(factor)
        spec = f"constant(value={value!r})" if value else "zeros"
        network.fill(factor, spec, "factor of its residual branch")


def _factor(network: Network, branch: Branch) -> NamedParameter:
    """Return the one parameter that a branch is multiplied by."""
    found = factors_of(network, branch)
    if not found:
        raise InitBenchError(
            f"the residual branch {', '.join(branch.modules)} has no scalar factor: multiply "
            f"it by a parameter of its own, self.alpha = nn.Parameter(torch.zeros(()))"
        )
    if len(found) > 1:
        raise InitBenchError(
            f"the residual branch {', '.join(branch.modules)} is multiplied by "
            f"{' and '.join(repr(p.name) for p in found)}: keep all but one as they are, as in "
            f"keep=[{found[-1].name!r}]"
        )
    return found[0]
