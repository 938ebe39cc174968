"""Set the scale γ of the norm that ends each residual branch to 0."""

from init_bench.errors import InitBenchError
from init_bench.init.whole_model.network_editor import Network


def zero_gamma_(network: Network, *, start: str = "he_normal", branches: str | None = None) -> None:
    """Fill a residual network and set the scale γ of each branch's last norm to 0.

    Formula:
        γ = 0 in the normalization after the last weight of each residual branch, γ = 1 in all
        others, weights by ``start``: each block starts as its skip path.

    Shapes:
        network: any with residual sums whose branches end in a norm with a scale, such as
        torchvision's ResNets; traced, or named by the ``fnmatch`` pattern ``branches``.

    Raises:
        InitBenchError: no residual branch was found or named, or none ends in a norm.

    Source:
        Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017, sec. 5.1.

    Example:
        >>> from torchvision.models import resnet18
        >>> from init_bench import initialize
        >>> model = resnet18(num_classes=2)
        >>> report = initialize(model, "zero_gamma")
        >>> model.layer1[0].bn1.weight.sum().item(), model.layer1[0].bn2.weight.sum().item()
        (64.0, 0.0)
    """
    network.start(start)
    norms = [network.last_norm(branch) for branch in network.branches(branches)]
    if not any(norms):
        raise InitBenchError(
            "no residual branch ends in a norm with a scale, so there is no gamma to set to 0; "
            "for branches with a scalar factor use skipinit, for those without use fixup"
        )
    for parameter in filter(None, norms):
        network.fill(parameter, "zeros", "ends its residual branch")
