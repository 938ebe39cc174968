"""Fill by SkipInit: set the scalar that closes each residual branch to 0."""

from init_bench.errors import InitBenchError
from init_bench.init.whole_model.network import Network


def skipinit_(network: Network, *, start: str = "he_normal", branches: str | None = None) -> None:
    """Fill a residual network and set the scalar factor of each residual branch to 0.

    Formula:
        x + α f(x) with α = 0, weights by ``start``: the network starts as its skip path.

    Shapes:
        network: any with residual sums x + α f(x), α a parameter of one element, the branches
        traced or named by the ``fnmatch`` pattern ``branches`` of module names.

    Raises:
        InitBenchError: no residual branch was found or named, or one has no scalar factor.

    Source:
        De & Smith, Batch Normalization Biases Residual Blocks Towards the Identity Function in
        Deep Networks, 2020 (which allows small α too, 1/√d at d blocks).

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
    """
    network.start(start)
    for branch in network.branches(branches):
        scalars = network.scalars_of(branch)
        if not scalars:
            raise InitBenchError(
                f"the residual branch {', '.join(branch.modules)} has no scalar factor: multiply "
                f"it by a parameter of its own, self.alpha = nn.Parameter(torch.zeros(()))"
            )
        for parameter in scalars:
            network.fill(parameter, "zeros", "factor of its residual branch")
