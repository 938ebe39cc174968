"""Fill by Fixup: residual networks without normalization, whose update keeps its size."""

from init_bench.init.whole_model.branch_factors import scalars_of
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter


def fixup_(network: Network, *, start: str = "he_normal", branches: str | None = None) -> None:
    """Fill a residual network so that each branch starts as 0 and one step moves the output
    by as much whatever the depth.

    Formula:
        The last layer of each residual branch and the classification layer are 0; the other
        m − 1 layers of a branch of m are multiplied by L^(−1/(2m−2)), L the number of branches.
        Scalar factors inside a branch are 1, biases, the scalar ones between layers too, 0.

    Shapes:
        network: any with residual sums x + f(x), its branches traced or named by the ``fnmatch``
        pattern ``branches`` of module names; ``start`` fills all weights first.

    Raises:
        InitBenchError: no residual branch was found or named.

    Source:
        Zhang, Dauphin & Ma, Fixup Initialization: Residual Learning Without Normalization, 2019,
        sec. 3, rules 1 to 3, as in the authors' ``fixup_resnet_cifar.py``.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc1, self.fc2 = nn.Linear(4, 4), nn.Linear(4, 4)
        ...     def forward(self, x):
        ...         return x + self.fc2(self.fc1(x).relu())
        >>> model = nn.Sequential(nn.Linear(3, 4), Block(), nn.Linear(4, 2))
        >>> report = initialize(model, "fixup")
        >>> report.table.query("std_nominal == 0 and nonlinearity != ''")["parameter"].tolist()
        ['1.fc2.weight', '2.weight']
    """
    network.start(start)
    found = network.branches(branches)
    scaled: set[NamedParameter] = set()
    for branch in found:
        ends = network.ends_of(branch)
        inner = [p for p in network.weights_of(branch) if p not in ends]
        for parameter in inner:
            factor = len(found) ** (-1 / (2 * len(inner)))
            if parameter not in scaled:  # a block that runs again counts as it did
                network.scale(parameter, factor, f"times L^(-1/(2m-2)) = {factor:.4g}")
        for parameter in ends:
            network.fill(parameter, "zeros", "last of its residual branch")
        scaled.update(inner)
        for parameter in scalars_of(network, branch):
            network.fill(parameter, "ones", "factor of its residual branch")
    for parameter in network.parameters.values():
        if (
            parameter.role == "left"
            and parameter.values.numel() == 1
            and "bias" in parameter.attribute
        ):
            network.fill(parameter, "zeros", "scalar bias")
    network.fill(network.output_weight, "zeros", "classification layer")
